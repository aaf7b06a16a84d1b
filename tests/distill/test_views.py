import dataclasses

import numpy as np
import pytest

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill import sources, views
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sections import Augmentation
from yamnet_cry.task import Task

SETTINGS = Augmentation(views=40, seconds=1.0)
NOTHING = Augmentation(
    views=5, pitch=0, speed=0, mix=0, room=0, noise=0, clip=0, curve=0, low_pass=0, level_dbfs=(-20, -20)
)


@pytest.fixture(scope="module")
def clips(synthetic_corpus):
    return sources.load(str(synthetic_corpus))


def test_views_are_of_training_clips_alone(clips):
    made = views.make(clips, SETTINGS, 0, CRY_TASK)
    assert len({view.name for view in made}) == 40
    assert {view.split for view in made} == {"train"}
    assert {view.source for view in made} == {"augmented"}
    training = {clip.group for clip in clips if clip.split == "train"}
    assert {view.group for view in made} <= training
    for view in made:
        made_of = (view.open.foreground, view.open.background, view.open.room)
        assert all(clip is None or clip.split == "train" for clip in made_of)


def test_targets_are_those_of_the_foreground(clips):
    made = views.make(clips, dataclasses.replace(SETTINGS, views=200), 0, CRY_TASK)
    for view in made:
        assert view.labels == view.open.foreground.labels
        assert "not_cry" in view.open.background.labels
    assert 70 < sum("cry" in view.labels for view in made) < 130
    assert any(not view.labels for view in made)


def test_a_view_is_always_the_same(clips):
    first, again, other = (views.make(clips, SETTINGS, seed, CRY_TASK) for seed in (0, 0, 1))
    for number in (0, 7):
        wave = first[number].read()
        np.testing.assert_array_equal(wave, again[number].read())
        np.testing.assert_array_equal(wave, first[number].read())
        assert len(wave) != len(other[number].read()) or not np.array_equal(wave, other[number].read())


def test_more_views_keep_the_first(clips):
    few, many = (
        views.make(clips, SETTINGS, 0, CRY_TASK),
        views.make(clips, dataclasses.replace(SETTINGS, views=60), 0, CRY_TASK),
    )
    np.testing.assert_array_equal(few[39].read(), many[39].read())


def test_every_view_can_be_scored(clips):
    for view in views.make(clips, SETTINGS, 3, CRY_TASK):
        wave = view.read()
        assert wave.dtype == np.float32
        assert 8_000 < len(wave) <= 1.3 * 16_000
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() <= 1.0


def test_without_transforms_only_the_level_changes(clips):
    for view in views.make(clips, NOTHING, 0, CRY_TASK):
        original = view.open.foreground.read()
        wave = view.read()
        np.testing.assert_allclose(wave / np.abs(wave).max(), original / np.abs(original).max(), atol=1e-5)


def test_no_views_without_both_kinds_of_clip(clips):
    assert views.make(clips, Augmentation(), 0, CRY_TASK) == []
    assert views.make([clip for clip in clips if "cry" not in clip.labels], SETTINGS, 0, CRY_TASK) == []


PETS = Task(("cat", "dog"))


def of_pets(cats: int, dogs: int, unlabelled: int) -> list[Clip]:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    labels = [("cat",)] * cats + [("dog",)] * dogs + [()] * unlabelled
    return [
        Clip(f"{number}", own, "train", f"{number}", "s", open=lambda: (wave, 16_000))
        for number, own in enumerate(labels)
    ]


def test_labels_are_shown_alike_however_many_clips_they_have():
    made = views.make(of_pets(30, 1, 0), dataclasses.replace(SETTINGS, views=200), 0, PETS)
    assert 70 < sum(view.labels == ("dog",) for view in made) < 130
    # Another labelled clip as background would make the label wrong.
    assert all(view.open.background is None for view in made)
    assert len(made[0].read()) > 8_000


def test_clips_without_labels_are_backgrounds_and_now_and_then_views():
    made = views.make(of_pets(3, 3, 3), dataclasses.replace(SETTINGS, views=200), 0, PETS)
    assert all(view.open.background.labels == () for view in made)
    assert 70 < sum(not view.labels for view in made) < 130


def test_no_views_of_clips_without_labels_alone():
    assert views.make(of_pets(0, 0, 3), SETTINGS, 0, PETS) == []


def clip_of(name: str, wave: np.ndarray, *labels: str, **extra: str) -> Clip:
    return Clip(name, labels, "train", name, "here", lambda: (wave.astype(np.float32), 16_000), extra)


def test_a_sound_comes_somewhere_within_a_longer_one():
    cry, other = np.full(8_000, 0.5), np.tile([0.1, -0.1], 16_000)
    made = views.make(
        [clip_of("cry", cry, "cry"), clip_of("rain", other, "not_cry")],
        dataclasses.replace(
            NOTHING, views=30, seconds=2.0, positive_share=1.0, mix=1.0, surround=1.0, snr_db=(0.0, 0.0)
        ),
        0,
        CRY_TASK,
    )
    begins = set()
    for view in made:
        wave = view.read()
        assert len(wave) == 32_000
        # Only the foreground has a non-zero mean, during its half second.
        loud = np.convolve(wave, np.full(100, 0.01), "valid")
        begin, end = np.flatnonzero(loud > loud.max() / 2)[[0, -1]]
        assert end - begin == pytest.approx(8_000, abs=110)
        begins.add(round(begin, -3))
    assert len(begins) > 10


def test_rooms_that_were_measured_are_used_and_never_heard_themselves():
    cry = np.zeros(4_000)
    cry[::1_000] = 0.5
    response = np.zeros(500)
    response[[100, 400]] = 1.0, 0.5
    clips = [
        clip_of("cry", cry, "cry"),
        clip_of("rain", np.ones(4_000), "not_cry"),
        clip_of("hall", response, target="ir"),
    ]
    settings = dataclasses.replace(
        NOTHING, views=20, positive_share=1.0, room=1.0, measured_rooms=1.0, level_dbfs=(-45, -45)
    )
    made = views.make(clips, settings, 0, CRY_TASK)
    assert all(view.open.foreground.name == "cry" for view in made)
    wave = made[0].read()
    # The direct sound stays where it was, and its echo comes 300 samples later.
    assert wave[0] > 0
    assert wave[300] == pytest.approx(wave[0] / 2, rel=1e-4)
    assert np.abs(wave[1:300]).max() < 1e-4 * wave[0]
    without = views.make(clips, dataclasses.replace(settings, positive_share=0.0), 0, CRY_TASK)
    assert {view.open.foreground.name for view in without} == {"rain"}


def test_a_label_may_be_what_is_mixed_under_the_others():
    settings = dataclasses.replace(SETTINGS, views=50, background="silence", mix=1.0)
    words = [clip_of(f"yes {n}", np.full(16_000, 0.2), "yes") for n in range(3)]
    noise = [clip_of(f"noise {n}", np.full(16_000, 0.1), "silence") for n in range(2)]
    made = views.make([*words, *noise], settings, 0, Task(("yes", "silence")))
    assert {view.open.background.labels for view in made} == {("silence",)}
    assert {view.labels for view in made} == {("yes",), ("silence",)}


def test_sounds_are_moved_in_time():
    wave = np.zeros(16_000)
    wave[8_000] = 0.5
    settings = dataclasses.replace(NOTHING, views=40, seconds=1.0, positive_share=1.0, shift_seconds=0.1)
    clips = [clip_of("click", wave, "cry"), clip_of("rain", np.ones(16_000), "not_cry")]
    places = [int(view.read().argmax()) for view in views.make(clips, settings, 0, CRY_TASK)]
    assert min(places) < 7_000
    assert max(places) > 9_000
    assert all(6_400 <= place <= 9_600 for place in places)

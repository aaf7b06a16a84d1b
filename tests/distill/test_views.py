import dataclasses

import numpy as np
import pytest

from yamnet_cry.distill import corpus, views
from yamnet_cry.distill.recipes import Augmentation

SETTINGS = Augmentation(views=40, seconds=1.0)
NOTHING = Augmentation(
    views=5, pitch=0, speed=0, mix=0, room=0, noise=0, clip=0, curve=0, low_pass=0, level_dbfs=(-20, -20)
)


@pytest.fixture(scope="module")
def clips(synthetic_corpus):
    return corpus.load(str(synthetic_corpus))


def test_views_are_of_training_clips_alone(clips):
    made = views.make(clips, SETTINGS, 0)
    assert len({view.name for view in made}) == 40
    assert {view.split for view in made} == {"train"}
    assert {view.source for view in made} == {"augmented"}
    training = {clip.group for clip in clips if clip.split == "train"}
    assert {view.group for view in made} <= training
    for view in made:
        assert all(clip.split == "train" for clip in view.open._clips)


def test_targets_are_those_of_the_foreground(clips):
    made = views.make(clips, dataclasses.replace(SETTINGS, views=200), 0)
    for view in made:
        foreground, background = view.open._clips
        assert view.target == foreground.target
        assert background.target == "not_cry"
    assert 70 < sum(view.target == "cry" for view in made) < 130
    assert any(view.target == "unknown" for view in made)


def test_a_view_is_always_the_same(clips):
    first, again, other = (views.make(clips, SETTINGS, seed) for seed in (0, 0, 1))
    for number in (0, 7):
        wave = first[number].read()
        np.testing.assert_array_equal(wave, again[number].read())
        np.testing.assert_array_equal(wave, first[number].read())
        assert len(wave) != len(other[number].read()) or not np.array_equal(wave, other[number].read())


def test_more_views_keep_the_first(clips):
    few, many = views.make(clips, SETTINGS, 0), views.make(clips, dataclasses.replace(SETTINGS, views=60), 0)
    np.testing.assert_array_equal(few[39].read(), many[39].read())


def test_every_view_can_be_scored(clips):
    for view in views.make(clips, SETTINGS, 3):
        wave = view.read()
        assert wave.dtype == np.float32
        assert 8_000 < len(wave) <= 1.3 * 16_000
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() <= 1.0


def test_without_transforms_only_the_level_changes(clips):
    for view in views.make(clips, NOTHING, 0):
        original, _ = (clip.read() for clip in view.open._clips)
        wave = view.read()
        np.testing.assert_allclose(wave / np.abs(wave).max(), original / np.abs(original).max(), atol=1e-5)


def test_no_views_without_both_kinds_of_clip(clips):
    assert views.make(clips, Augmentation(), 0) == []
    assert views.make([clip for clip in clips if clip.target != "cry"], SETTINGS, 0) == []

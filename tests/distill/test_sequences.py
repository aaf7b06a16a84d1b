"""Training sequences of the context network: parts of clips, preceding audio, and targets."""

from dataclasses import replace

import numpy as np
import pytest

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill import recipes, sampling
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sections import ContextSettings
from yamnet_cry.distill.sequences import Known, Sequences
from yamnet_cry.distill.windows import Opinion, Windows
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import YAMNET

RECIPE = recipes.get("context")
LABELS = CRY_TASK.labels
FRAMES, HOP = YAMNET.patch_frames, YAMNET.patch_hop


def logits_of(heard: list[float]) -> np.ndarray:
    """A row of logits for each value, whose sigmoids of the crying labels add up to the value."""
    rows = np.full((len(heard), len(LABELS)), -20.0, np.float32)
    share = np.clip(np.array(heard), 1e-6, 1 - 1e-6)
    rows[:, LABELS.index(CRY_TASK.group[0])] = np.log(share / (1 - share))
    return rows


def corpus(clips: list[tuple[str, str, list[float], float]]) -> Windows:
    """Clips given as label, split, one teacher's score of each window, another's of the clip."""
    made = [
        Clip(f"{number}", (label,) if label else (), split, f"{number}", "here", lambda: None)
        for number, (label, split, _, _) in enumerate(clips)
    ]
    counts = [len(heard) for _, _, heard, _ in clips]
    lengths = [FRAMES + HOP * (count - 1) for count in counts]
    starts = np.cumsum(lengths) - lengths
    heard = [score for _, _, scores, _ in clips for score in scores]
    return Windows(
        clips=made,
        front_end=YAMNET,
        # Every frame holds the index of its clip.
        log_mel=np.concatenate([np.full((size, 64), n, np.float32) for n, size in enumerate(lengths)]),
        first_frame=np.concatenate([s + HOP * np.arange(c) for s, c in zip(starts, counts, strict=True)]),
        clip_index=np.repeat(np.arange(len(clips)), counts),
        opinions=[
            Opinion("windows", 1.0, LABELS, "independent", logits_of(heard)),
            Opinion("clips", 0.5, LABELS, "independent", logits_of([word for *_, word in clips])),
        ],
    )


CLIPS = [
    ("cry", "train", [0.9] * 6 + [0.0] * 2, 0.8),
    ("cry", "train", [0.9] * 2 + [0.01] * 5, 0.2),
    ("not_cry", "train", [0.0] * 9, 0.3),
    ("", "train", [0.5] * 6, 0.6),
    ("", "train", [0.0] * 7, 0.1),
    ("cry", "val", [0.9] * 3, 0.9),
    ("not_cry", "val", [0.0] * 4, 0.0),
]


@pytest.fixture(scope="module")
def windows() -> Windows:
    return corpus(CLIPS)


@pytest.fixture(scope="module")
def known(windows) -> Known:
    return Known.of(windows, RECIPE, matched=True)


def test_what_is_known_of_clips(windows):
    found = sampling.of_clips(windows, CRY_TASK)
    # The mean of a person's label and the teacher's score; a person's negative label is final.
    assert found.tolist() == pytest.approx([0.9, 0.6, 0.0, 0.6, 0.1, 0.95, 0.0], abs=1e-5)
    alone = replace(windows, opinions=windows.opinions[:1])
    assert sampling.of_clips(alone, CRY_TASK).tolist() == [1.0, 1.0, 0.0, -1.0, -1.0, 1.0, 0.0]


def test_what_is_known_of_windows(windows, known):
    each = np.split(known.windows, np.flatnonzero(np.diff(windows.clip_index)) + 1)
    # In a clip with clear crying, pauses are known negatives; in others they may be unheard crying.
    assert each[0].tolist() == pytest.approx([0.9] * 6 + [0.0] * 2, abs=1e-5)
    assert each[1].tolist() == pytest.approx([0.6] * 2 + [-1.0] * 5, abs=1e-5)
    assert set(each[2].tolist()) == {0.0}
    assert set(each[3].tolist()) == set(each[4].tolist()) == {-1.0}


def test_a_sequence_ends_with_a_part_of_its_clip(windows, known):
    settings = ContextSettings(windows=10, batch_size=4, before=0.5, negatives_per_positive=2)
    made = Sequences(windows, known, "train", settings, seed=0)
    lengths, companies = set(), set()
    for _ in range(40):
        for number in range(len(made)):
            (patches, heard), targets = made[number]
            assert patches.shape[1:] == (10, 96, 64, 1)
            assert targets.shape[1:] == (10, 3 + 521 + 1)
            for row in range(len(heard)):
                own = targets[row, :, 1] > 0
                clip = int(patches[row, -1, 0, 0, 0])
                assert (patches[row, own] == clip).all()
                assert own[-1]
                assert (np.diff(own.astype(int)) >= 0).all()
                assert (np.diff(heard[row]) >= 0).all()
                assert (heard[row] >= own).all()
                assert targets[row, :, 0] == pytest.approx(known.clips[clip], abs=1e-6)
                before = (heard[row] > 0) & ~own
                # The preceding audio is from a clip known to be without the target.
                assert (patches[row, before] == 2).all()
                assert (targets[row, before, 2] == 0).all()
                assert (targets[row, heard[row] == 0, 2] == -1).all()
                lengths.add((clip, int(own.sum())))
                companies.add(bool(before.any()))
        made.on_epoch_end()
    assert companies == {True, False}
    assert {count for clip, count in lengths if clip == 0} == {5, 6, 7, 8}
    # Every epoch has all three positive and both negative clips.
    assert {clip for clip, _ in lengths} == {0, 1, 2, 3, 4}


def test_an_epoch_depends_on_seed_and_number_alone(windows, known):
    settings = ContextSettings(windows=8, batch_size=2)
    first, again = (Sequences(windows, known, "train", settings, seed=3) for _ in range(2))
    again.on_epoch_end()
    later = Sequences(windows, known, "train", settings, seed=3, epoch=1)
    np.testing.assert_array_equal(again[0][1], later[0][1])
    np.testing.assert_array_equal(first[0][0][0], Sequences(windows, known, "train", settings, 3)[0][0][0])


def test_validation_is_whole_and_always_the_same(windows, known):
    made = Sequences(windows, known, "val", ContextSettings(windows=10, batch_size=8), seed=0)
    (_, heard), targets = made[0]
    assert heard.sum(axis=1).tolist() == [3, 4]
    made.on_epoch_end()
    np.testing.assert_array_equal(made[0][1], targets)


def test_teachers_of_other_labels_are_heard_no_more(windows):
    known = Known.of(windows, RECIPE, matched=False)
    assert known.targets(np.array([0, 1])).shape == (2, 1)


def test_both_kinds_of_clip_are_needed():
    windows = corpus([clip for clip in CLIPS if clip[0] != "not_cry"])
    known = Known.of(windows, RECIPE, matched=True)
    with pytest.raises(CorpusError, match=r"in split 'train', for the context network. Received: 3 and 0"):
        Sequences(windows, known, "train", ContextSettings(), 0)

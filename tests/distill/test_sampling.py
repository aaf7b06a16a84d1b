import dataclasses

import numpy as np
import pytest

from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.recipes import Sampling, Selection
from yamnet_cry.distill.sampling import Epochs, labels, select, targets
from yamnet_cry.distill.targets import Windows
from yamnet_cry.errors import CorpusError


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def windows_of(scores: list[float], split: str = "train") -> Windows:
    """Windows whose sigmoid(19) is the score, and whose patches are their own number."""
    count = len(scores)
    logits = np.full((count, 521), -30.0, np.float32)
    logits[:, 19] = [logit(score) for score in scores]
    return Windows(
        clips=[Clip("a", "unknown", split, "g", "s", open=lambda: "a.wav")],
        log_mel=np.repeat(np.arange(count, dtype=np.float32), 96)[:, None] * np.ones(64, np.float32),
        first_frame=96 * np.arange(count),
        clip_index=np.zeros(count, np.int64),
        logits=logits,
    )


def test_the_teacher_is_the_filter():
    windows = windows_of([0.9, 0.31, 0.29, 0.06, 0.04, 0.001])
    positive, negative = select(windows, "train", Selection())
    assert positive.tolist() == [0, 1]
    assert negative.tolist() == [4, 5]


@pytest.mark.parametrize("scores", [[0.9, 0.8], [0.01, 0.02], [0.1, 0.2]])
def test_both_kinds_are_needed(scores):
    with pytest.raises(
        CorpusError, match=r"crying and \d other windows among the 2 of split 'train'; training needs both"
    ):
        select(windows_of(scores), "train", Selection())


@pytest.mark.parametrize(
    ("target", "expected"),
    [("cry", [1, 1, -1, -1]), ("not_cry", [0, 0, 0, 0]), ("unknown", [0.9, 0.06, 0.04, 0.001])],
)
def test_the_label_says_what_and_the_teacher_says_where(target, expected):
    windows = windows_of([0.9, 0.06, 0.04, 0.001])
    windows = dataclasses.replace(windows, clips=[dataclasses.replace(windows.clips[0], target=target)])
    known = labels(windows, Selection())
    assert known.dtype == np.float32
    assert known == pytest.approx(expected, abs=1e-6)
    gathered = targets(windows, np.array([3, 0]), known)
    assert gathered.dtype == np.float32
    np.testing.assert_array_equal(gathered[:, :521], windows.logits[[3, 0]])
    assert gathered[:, 521] == pytest.approx([expected[3], expected[0]], abs=1e-6)


@pytest.fixture
def epochs() -> Epochs:
    windows = windows_of([0.9] * 5 + [0.01] * 100)
    positive, negative = select(windows, "train", Selection())
    return Epochs(
        windows, positive, negative, labels(windows, Selection()), Sampling(3), batch_size=8, seed=1
    )


def members(epochs: Epochs) -> list[int]:
    numbers: list[int] = []
    for index in range(len(epochs)):
        patches, targets = epochs[index]
        logits = targets[:, :521]
        assert patches.shape[1:] == (96, 64, 1)
        assert len(patches) == len(logits)
        numbers += patches[:, 0, 0, 0].astype(int).tolist()
        positive = patches[:, 0, 0, 0] < 5
        assert np.array_equal(positive, logits[:, 19] > 0)
    return numbers


def test_an_epoch_has_all_positives_and_three_negatives_for_each(epochs):
    numbers = members(epochs)
    assert len(numbers) == len(set(numbers)) == 20
    assert sorted(n for n in numbers if n < 5) == [0, 1, 2, 3, 4]


def test_negatives_are_drawn_anew(epochs):
    first = set(members(epochs))
    epochs.on_epoch_end()
    second = set(members(epochs))
    assert first != second
    assert len(first & second) < 15


def test_a_resumed_epoch_is_the_same(epochs):
    for _ in range(4):
        epochs.on_epoch_end()
    resumed = Epochs(
        epochs._windows,
        epochs._positive,
        epochs._negative,
        epochs._known,
        Sampling(3),
        batch_size=8,
        seed=1,
        epoch=4,
    )
    assert members(resumed) == members(epochs)


def test_too_few_negatives_are_all_taken():
    windows = windows_of([0.9] * 5 + [0.01] * 7)
    positive, negative = select(windows, "train", Selection())
    assert (
        len(members(Epochs(windows, positive, negative, labels(windows, Selection()), Sampling(3), 8, 0)))
        == 12
    )

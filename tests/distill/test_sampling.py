import dataclasses

import numpy as np
import pytest

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sampling import UNKNOWN, Epochs, labels, select, targets, teacher_score
from yamnet_cry.distill.sections import Sampling, Selection
from yamnet_cry.distill.windows import Opinion, Windows
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.task import Task


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def windows_of(scores: list[float], split: str = "train") -> Windows:
    """Windows whose sigmoid of logit 19 is the score, and whose patches are filled with their index."""
    count = len(scores)
    logits = np.full((count, 521), -30.0, np.float32)
    logits[:, 19] = [logit(score) for score in scores]
    return Windows(
        clips=[Clip("a", (), split, "g", "s", open=lambda: "a.wav")],
        front_end=YAMNET,
        log_mel=np.repeat(np.arange(count, dtype=np.float32), 96)[:, None] * np.ones(64, np.float32),
        first_frame=96 * np.arange(count),
        clip_index=np.zeros(count, np.int64),
        opinions=[Opinion("windows", 1.0, CRY_TASK.labels, "independent", logits)],
    )


def test_the_teacher_is_the_filter():
    windows = windows_of([0.9, 0.31, 0.29, 0.06, 0.04, 0.001])
    positive, negative = select(windows, "train", Selection(), CRY_TASK)
    assert positive.tolist() == [0, 1]
    assert negative.tolist() == [4, 5]


@pytest.mark.parametrize("scores", [[0.9, 0.8], [0.01, 0.02], [0.1, 0.2]])
def test_both_kinds_are_needed(scores):
    with pytest.raises(
        CorpusError,
        match=r"detects 'cry' in \d windows and not in \d, among the 2 of split 'train'; training needs",
    ):
        select(windows_of(scores), "train", Selection(), CRY_TASK)


@pytest.mark.parametrize(
    ("own", "expected"),
    [(("cry",), [1, 1, -1, -1]), (("not_cry",), [0, 0, 0, 0]), ((), [0.9, 0.06, 0.04, 0.001])],
)
def test_the_label_says_what_and_the_teacher_says_where(own, expected):
    windows = windows_of([0.9, 0.06, 0.04, 0.001])
    windows = dataclasses.replace(windows, clips=[dataclasses.replace(windows.clips[0], labels=own)])
    known = labels(windows, Selection(), CRY_TASK)
    assert known.dtype == np.float32
    assert known[:, 0] == pytest.approx(expected, abs=1e-6)
    gathered = targets(windows, np.array([3, 0]), known, CRY_TASK.labels)
    assert gathered.dtype == np.float32
    np.testing.assert_array_equal(gathered[:, :521], windows.opinions[0].logits[[3, 0]])
    assert gathered[:, 521] == pytest.approx([expected[3], expected[0]], abs=1e-6)


def epochs_of(windows: Windows, batch_size: int = 8, seed: int = 1, epoch: int = 0) -> Epochs:
    chosen = select(windows, "train", Selection(), CRY_TASK)
    known = labels(windows, Selection(), CRY_TASK)
    return Epochs(windows, chosen, known, CRY_TASK.labels, Sampling(3), batch_size, seed, epoch)


@pytest.fixture
def windows() -> Windows:
    return windows_of([0.9] * 5 + [0.01] * 100)


@pytest.fixture
def epochs(windows) -> Epochs:
    return epochs_of(windows)


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


def test_a_resumed_epoch_is_the_same(windows, epochs):
    for _ in range(4):
        epochs.on_epoch_end()
    assert members(epochs_of(windows, epoch=4)) == members(epochs)


def test_too_few_negatives_are_all_taken():
    assert len(members(epochs_of(windows_of([0.9] * 5 + [0.01] * 7)))) == 12


PETS = Task(("cat", "dog"))


def of_clips(*clips: tuple[str, ...], task: Task = PETS) -> Windows:
    """One window for each clip, the last of digital silence; and a clip teacher that predicts dogs."""
    loud = np.zeros((len(clips), 96, 64), np.float32)
    loud[-1] = YAMNET.log_mel(np.zeros(YAMNET.patch_samples, np.float32))
    return Windows(
        clips=[Clip(str(n), own, "train", str(n), "s", open=lambda: "") for n, own in enumerate(clips)],
        front_end=YAMNET,
        log_mel=loud.reshape(-1, 64),
        first_frame=96 * np.arange(len(clips)),
        clip_index=np.arange(len(clips)),
        opinions=[],
    )


def judged(windows: Windows, weight: float, *logits: float) -> Windows:
    rows = np.tile(np.float32(logits), (len(windows.clips), 1))
    # The clip teacher has more labels, in another order.
    judge = Opinion("clips", weight, ("dog", "car", "cat"), "independent", rows)
    return dataclasses.replace(windows, opinions=[judge])


def test_without_a_selection_all_windows_of_which_anything_is_known_are_used():
    windows = of_clips(("cat",), (), ("dog",))
    assert [part.tolist() for part in select(windows, "train", None, PETS)] == [[0, 2], []]
    taught = dataclasses.replace(
        windows, opinions=[Opinion("windows", 1.0, ("a",), "independent", np.zeros((3, 1)))]
    )
    assert [part.tolist() for part in select(taught, "train", None, PETS)] == [[0, 1, 2], []]
    with pytest.raises(CorpusError, match="expected labelled clips in split 'val'. Received: none"):
        select(windows, "val", None, PETS)


def test_labels_are_columns_and_silence_is_none_of_them():
    assert labels(of_clips(("cat",), (), ("dog",), ("dog",)), None, PETS).tolist() == [
        [1, 0],
        [-1, -1],
        [0, 1],
        [0.5, 0.5],
    ]
    independent = Task(PETS.labels, "independent")
    several = labels(of_clips(("cat", "dog"), ("dog",)), None, independent)
    assert several.tolist() == [[1, 1], [0, 0]]


def test_a_judge_of_clips_speaks_beside_the_labels_and_alone_without():
    known = labels(judged(of_clips(("cat",), (), ()), 0.25, 50.0, 0.0, -50.0), None, PETS)
    assert known == pytest.approx(np.array([[0.75, 0.25], [0, 1], [0, 1]]))


def test_a_judge_never_overrules_that_the_target_is_not_there():
    task = Task(("cat", "dog", "car"), group=("cat", "dog"), target="pet")
    windows = judged(of_clips(("pet",), ("not_pet",), ()), 0.5, 0.0, 0.0, -50.0)
    assert labels(windows, None, task)[:, 0] == pytest.approx([0.75, 0, 0.5])


def test_a_judge_of_clips_has_no_word_where_the_teacher_of_windows_hears_nothing():
    task = Task(("cat", "dog", "car"), group=("cat", "dog"), target="pet")
    windows = judged(of_clips((), (), ("pet",)), 0.5, 50.0, -50.0, -50.0)
    loud_then_silent = Opinion(
        "windows", 1.0, task.labels, "independent", np.float32([[0, -50, 0], [-50, -50, 0], [-50, -50, 0]])
    )
    windows = dataclasses.replace(windows, opinions=[loud_then_silent, *windows.opinions])
    assert labels(windows, Selection(0.1, 0.1), task)[:, 0] == pytest.approx([1, 0, UNKNOWN])


def test_teachers_are_put_in_the_order_of_the_labels():
    windows = dataclasses.replace(
        of_clips(("cat",), ("dog",)),
        opinions=[
            Opinion("windows", 1.0, ("dog", "car", "cat"), "independent", np.float32([[1, 2, 3], [4, 5, 6]]))
        ],
    )
    known = labels(windows, None, PETS)
    assert targets(windows, np.array([1]), known, PETS.labels).tolist() == [[6, 4, 0.5, 0.5]]


def test_a_teacher_that_is_a_student_itself_scores_by_softmax():
    task = Task(("cat", "dog", "car"), group=("cat", "dog"), target="pet")
    opinion = Opinion("windows", 1.0, task.labels, "exclusive", np.log(np.float32([[0.2, 0.5, 0.3]])) + 3)
    assert teacher_score(opinion, task) == pytest.approx([0.7])

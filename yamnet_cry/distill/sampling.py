"""What an epoch is made of: which windows, with which labels, drawn anew each time."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.rows import blocks
from yamnet_cry.distill.sections import Sampling, Selection
from yamnet_cry.distill.windows import Indices, Opinion, Windows
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import Float32
from yamnet_cry.task import Task

#: Stands for a label that nobody knows.
UNKNOWN = np.float32(-1.0)


def teacher_score(opinion: Opinion, task: Task) -> Float32:
    """Returns the sum of a teacher's own probabilities of the labels in a task's group, of shape (windows,).

    Of YAMNet and crying that is sigmoid(logits)[19] + sigmoid(logits)[20], in [0, 2].

    Examples:
        >>> task = Task(("cat", "dog", "car"), group=("cat", "dog"), target="pet")
        >>> opinion = Opinion("windows", 1.0, task.labels, "independent", np.zeros((1, 3), np.float32))
        >>> teacher_score(opinion, task).tolist()
        [1.0]
    """
    scores = np.empty(len(opinion.logits), np.float32)
    for block in blocks(len(scores)):
        if opinion.kind == "exclusive":
            columns = list(map(opinion.labels.index, task.group))
            softmax = Task(opinion.labels).probabilities(opinion.logits[block])
            scores[block] = softmax[:, columns].sum(axis=1)
        else:
            chosen = opinion.of_labels(task.group, block).astype(np.float64)
            # tanh keeps the sigmoid of large negative logits from overflowing.
            scores[block] = (0.5 * (1.0 + np.tanh(0.5 * chosen))).sum(axis=1)
    return scores


def select(windows: Windows, split: str, selection: Selection | None, task: Task) -> tuple[Indices, Indices]:
    """Chooses the windows to train on: those of which the teacher is sure, or all of which anything is known.

    Returns:
        Indices of the windows that every epoch takes, and of those of which it draws some: with a selection
        the positive and the negative ones, else all and none.

    Raises:
        CorpusError: If there are too few.
    """
    inside = windows.in_split(split)
    if selection is None:
        chosen = np.flatnonzero(inside if windows.opinions else inside & windows.labelled)
        if not len(chosen):
            raise CorpusError(f"expected labelled clips in split {split!r}. Received: none")
        return chosen, np.zeros(0, np.int64)
    score = teacher_score(windows.of("windows")[0], task)
    positive = np.flatnonzero(inside & (score > selection.positive_above))
    negative = np.flatnonzero(inside & (score < selection.negative_below))
    if not len(positive) or not len(negative):
        raise CorpusError(
            f"the teacher hears {task.target!r} in {len(positive)} windows and not in {len(negative)}, among "
            f"the {inside.sum()} of split {split!r}; training needs both"
        )
    return positive, negative


def counts(windows: Windows, recipe: Recipe) -> dict[str, dict[str, int]]:
    """Counts the windows of training and validation that a recipe uses, of each kind, and all there are."""
    found = {}
    for split in ("train", "val"):
        chosen = select(windows, split, recipe.selection, recipe.task)
        names = ("positive", "negative") if recipe.selection is not None else ("used",)
        used = {name: len(part) for name, part in zip(names, chosen, strict=False)}
        found[split] = {**used, "all": int(windows.in_split(split).sum())}
    return found


def labels(windows: Windows, selection: Selection | None, task: Task) -> Float32:
    """Says of each window what is known of it: from its clip's labels, and from teachers that judge clips.

    Returns:
        float32 of probabilities, -1 where nobody knows. Of a task with a group, shape (windows, 1): 0 in
        clips without the target; in clips with it 1, but -1 where the first teacher of windows scores below
        ``selection.negative_below``; in clips without labels that teacher's score, no more than 1, in place
        of which a teacher of clips has its word where the first one hears something. Of other
        tasks, shape (windows, labels): of an exclusive one, rows add up to 1, and silence is all labels
        alike; of an independent one, silence is none of them.
    """
    known = _of_group(windows, selection, task) if task.group else of_each(windows, task)
    for judge in windows.of("clips"):
        heard = judged(judge, task)[windows.clip_index]
        mixed = (1 - judge.weight) * known + judge.weight * heard
        if task.group:
            # People who say that it is not there are right, whatever the judge believes to hear.
            mixed = np.where(known == 0, known, mixed)
            # The target is not heard all the time.
            if selection is not None:
                heard = np.where((known >= 0) & (known < selection.negative_below), known, heard)
        of_people = np.where(known == UNKNOWN, known, mixed)
        known = np.where(windows.labelled[:, None], of_people, heard).astype(np.float32)
    return known


def of_clips(windows: Windows, task: Task) -> Float32:
    """Says of each clip how probable it is that the task's target is heard in it.

    Returns:
        float32 of shape (clips,), in [0, 1]: what people say, with the word of teachers of clips beside it
        where they say that it is; of clips without labels, the word of those teachers; -1 where nobody knows.
    """
    target, opposite = task.clip_labels
    words = np.array([(*clip.labels, "")[0] for clip in windows.clips])
    known = np.select([words == target, words == opposite], [np.float32(1.0), np.float32(0.0)], UNKNOWN)
    for judge in windows.of("clips"):
        heard = judged(judge, task)[:, 0]
        mixed = (1 - judge.weight) * known + judge.weight * heard
        known = np.select([words == target, words == opposite], [mixed, known], heard)
    return known.astype(np.float32)


def _of_group(windows: Windows, selection: Selection | None, task: Task) -> Float32:
    target, opposite = task.clip_labels
    of_clip = np.array([(*clip.labels, "")[0] for clip in windows.clips])[windows.clip_index]
    positive, otherwise = np.ones(len(windows), np.float32), np.full(len(windows), UNKNOWN)
    if of_windows := windows.of("windows"):
        otherwise = np.minimum(teacher_score(of_windows[0], task), np.float32(1.0))
        if selection is not None:
            positive[otherwise < selection.negative_below] = UNKNOWN
    known = np.select([of_clip == target, of_clip == opposite], [positive, np.float32(0.0)], otherwise)
    return known.astype(np.float32)[:, None]


def of_each(windows: Windows, task: Task) -> Float32:
    """Says of each window which labels of a task without a group its clip has, see `labels`."""
    of_clip = np.full((len(windows.clips), len(task.labels)), UNKNOWN)
    for row, clip in zip(of_clip, windows.clips, strict=True):
        if clip.labels:
            row[:] = 0.0
            row[[task.labels.index(label) for label in clip.labels if label in task.labels]] = 1.0
    nothing = 1 / len(task.labels) if task.kind == "exclusive" else 0.0
    silent = _silent(windows) & windows.labelled
    return np.where(silent[:, None], np.float32(nothing), of_clip[windows.clip_index])


def _silent(windows: Windows) -> NDArray[np.bool_]:
    """Tells which windows are digital silence, as clips that were padded to a length hold."""
    front_end = windows.front_end
    lowest = front_end.log_mel(np.zeros(front_end.patch_samples, np.float32)).max()
    silent = np.empty(len(windows), np.bool_)
    for block in blocks(len(windows)):
        first = windows.first_frame[block]
        frames = windows.log_mel[first[0] : first[-1] + front_end.patch_frames]
        loud = np.concatenate([[0], np.cumsum((frames > lowest).any(axis=1))])
        silent[block] = loud[first - first[0] + front_end.patch_frames] == loud[first - first[0]]
    return silent


def judged(judge: Opinion, task: Task) -> Float32:
    """Returns what a teacher of clips says as a label: of shape (clips, 1) or (clips, labels)."""
    if task.group:
        return np.minimum(teacher_score(judge, task), np.float32(1.0))[:, None]
    parts = (judge.of_labels(task.labels, block) for block in blocks(len(judge.logits)))
    return np.concatenate([task.probabilities(part) for part in parts])


def targets(windows: Windows, index: Indices, known: Float32, teacher_labels: tuple[str, ...]) -> Float32:
    """Gathers what `losses.DistillationLoss` takes.

    Args:
        windows: The corpus.
        index: Windows.
        known: What `labels` says of all windows.
        teacher_labels: Those that the student matches, in its order.

    Returns:
        float32 of shape (windows, teachers * len(teacher_labels) + known.shape[1]): the logits of each
        teacher of windows, and what is known.
    """
    parts = [opinion.of_labels(teacher_labels, index) for opinion in windows.of("windows")]
    return np.concatenate([*parts, known[index]], axis=1, dtype=np.float32)


class InOrder(keras.utils.PyDataset):
    """What is taken in some order, in batches of which the last may be smaller.

    Args:
        batch_size: How many are in a batch.
    """

    _order: Indices

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    @property
    def total(self) -> int:
        """How many there are in all batches together."""
        return len(self._order)

    def __len__(self) -> int:
        return -(-self.total // self.batch_size)


class Batches(InOrder):
    """Batches of patches and targets, read as they are needed.

    Args:
        windows: The corpus.
        order: Which of them, in their order.
        known: What `labels` says of all windows.
        teacher_labels: Those that the student matches.
        batch_size: Windows in a batch; the last batch may be smaller.
    """

    def __init__(
        self,
        windows: Windows,
        order: Indices,
        known: Float32,
        teacher_labels: tuple[str, ...],
        batch_size: int,
    ) -> None:
        super().__init__(batch_size)
        self._windows, self._known, self._teacher_labels = windows, known, teacher_labels
        self._order = order

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        index = self._order[number * self.batch_size : (number + 1) * self.batch_size]
        return self._windows.patches(index), targets(self._windows, index, self._known, self._teacher_labels)


class Epochs(Batches):
    """Batches of an epoch: some windows every time, and some freshly drawn.

    What an epoch holds depends on the seed and the number of the epoch alone, so a resumed run
    continues exactly as it would have.

    Args:
        windows: The corpus.
        chosen: What `select` chose: windows that every epoch takes, and windows of which it draws some.
        known: What `labels` says of all windows.
        teacher_labels: Those that the student matches.
        sampling: How many to draw.
        batch_size: Windows in a batch; the last batch may be smaller.
        seed: Seed of the draws.
        epoch: The epoch to start with, counted from 0.
    """

    def __init__(
        self,
        windows: Windows,
        chosen: tuple[Indices, Indices],
        known: Float32,
        teacher_labels: tuple[str, ...],
        sampling: Sampling,
        batch_size: int,
        seed: int,
        epoch: int = 0,
    ) -> None:
        self._always, self._some = chosen
        self._count = min(len(self._some), sampling.negatives_per_positive * len(self._always))
        self._seed, self._epoch = seed, epoch
        super().__init__(windows, self._drawn(), known, teacher_labels, batch_size)

    def _drawn(self) -> Indices:
        generator = np.random.default_rng((self._seed, self._epoch))
        drawn = generator.choice(self._some, self._count, replace=False)
        return generator.permutation(np.concatenate([self._always, drawn]))

    def on_epoch_end(self) -> None:
        """Draws the next epoch's windows; Keras calls it."""
        self._epoch += 1
        self._order = self._drawn()

"""The samples of an epoch: which windows are used, and with which labels."""

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

#: Value of an unknown label.
UNKNOWN = np.float32(-1.0)


def teacher_score(opinion: Opinion, task: Task) -> Float32:
    """Returns the sum of a teacher's own probabilities of the labels in a task's group, of shape (windows,).

    For YAMNet and crying, this is sigmoid(logits)[19] + sigmoid(logits)[20], in [0, 2].

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
    """Selects the windows to train on: those with a confident teacher score, or all with logits or labels.

    Returns:
        Indices of the windows that every epoch uses, and of those that it samples from: with a selection, the
        positive and the negative windows; without, all windows and none.

    Raises:
        CorpusError: If there are no windows of one kind.
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
            f"the teacher detects {task.target!r} in {len(positive)} windows and not in {len(negative)}, "
            f"among the {inside.sum()} of split {split!r}; training needs both"
        )
    return positive, negative


def counts(windows: Windows, recipe: Recipe) -> dict[str, dict[str, int]]:
    """Counts the training and validation windows that a recipe uses, by kind, and all windows."""
    found = {}
    for split in ("train", "val"):
        chosen = select(windows, split, recipe.selection, recipe.task)
        names = ("positive", "negative") if recipe.selection is not None else ("used",)
        used = {name: len(part) for name, part in zip(names, chosen, strict=False)}
        found[split] = {**used, "all": int(windows.in_split(split).sum())}
    return found


def labels(windows: Windows, selection: Selection | None, task: Task) -> Float32:
    """Returns the labels of each window, from the labels of its clip and from teachers of clips.

    Returns:
        float32 probabilities, -1 if unknown. For a task with a group, shape (windows, 1): 0 in clips without
        the target; in clips with it 1, or -1 where the score of the first teacher of windows is below
        ``selection.negative_below``; in unlabelled clips that score, limited to 1, or the score of a teacher
        of clips where the former is not below ``selection.negative_below``. For other tasks, shape (windows,
        labels): rows of an exclusive task sum to 1, with equal probabilities for silence; for an independent
        task, silence has no labels.
    """
    known = _of_group(windows, selection, task) if task.group else of_each(windows, task)
    for judge in windows.of("clips"):
        heard = judged(judge, task)[windows.clip_index]
        mixed = (1 - judge.weight) * known + judge.weight * heard
        if task.group:
            # Negative labels take precedence over the score of a teacher.
            mixed = np.where(known == 0, known, mixed)
            # A clip with the target also has windows without it.
            if selection is not None:
                heard = np.where((known >= 0) & (known < selection.negative_below), known, heard)
        of_people = np.where(known == UNKNOWN, known, mixed)
        known = np.where(windows.labelled[:, None], of_people, heard).astype(np.float32)
    return known


def of_clips(windows: Windows, task: Task) -> Float32:
    """Returns the probability that each clip contains the task's target.

    Returns:
        float32 of shape (clips,), in [0, 1]: 0 for negative labels; 1 for positive labels, averaged with the
        scores of teachers of clips; for unlabelled clips, the score of such a teacher; -1 if unknown.
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
    """Returns for each window the labels of its clip, for a task without a group, see `labels`."""
    of_clip = np.full((len(windows.clips), len(task.labels)), UNKNOWN)
    for row, clip in zip(of_clip, windows.clips, strict=True):
        if clip.labels:
            row[:] = 0.0
            row[[task.labels.index(label) for label in clip.labels if label in task.labels]] = 1.0
    nothing = 1 / len(task.labels) if task.kind == "exclusive" else 0.0
    silent = _silent(windows) & windows.labelled
    return np.where(silent[:, None], np.float32(nothing), of_clip[windows.clip_index])


def _silent(windows: Windows) -> NDArray[np.bool_]:
    """Returns which windows are digital silence, such as padding at the end of a clip."""
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
    """Returns the scores of a teacher of clips as labels: shape (clips, 1) or (clips, labels)."""
    if task.group:
        return np.minimum(teacher_score(judge, task), np.float32(1.0))[:, None]
    parts = (judge.of_labels(task.labels, block) for block in blocks(len(judge.logits)))
    return np.concatenate([task.probabilities(part) for part in parts])


def targets(windows: Windows, index: Indices, known: Float32, teacher_labels: tuple[str, ...]) -> Float32:
    """Returns targets for `losses.DistillationLoss`.

    Args:
        windows: The corpus.
        index: Indices of windows.
        known: The result of `labels`, for all windows.
        teacher_labels: Labels in which the student matches its teachers, in order.

    Returns:
        float32 of shape (windows, teachers * len(teacher_labels) + known.shape[1]): the logits of each
        teacher of windows, followed by the labels.
    """
    parts = [opinion.of_labels(teacher_labels, index) for opinion in windows.of("windows")]
    return np.concatenate([*parts, known[index]], axis=1, dtype=np.float32)


class InOrder(keras.utils.PyDataset):
    """Batches of items in a given order; the last batch may be smaller.

    Args:
        batch_size: Items per batch.
    """

    _order: Indices

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    @property
    def total(self) -> int:
        """Number of items in all batches together."""
        return len(self._order)

    def __len__(self) -> int:
        return -(-self.total // self.batch_size)


class Batches(InOrder):
    """Batches of patches and targets, read on demand.

    Args:
        windows: The corpus.
        order: Indices of the windows to use, in order.
        known: The result of `labels`, for all windows.
        teacher_labels: Labels in which the student matches its teachers.
        batch_size: Windows per batch; the last batch may be smaller.
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
    """Batches of an epoch: a fixed set of windows, and newly sampled ones.

    The content of an epoch depends only on the seed and its number, so a resumed run gives the same result.

    Args:
        windows: The corpus.
        chosen: The result of `select`: windows that every epoch uses, and windows to sample from.
        known: The result of `labels`, for all windows.
        teacher_labels: Labels in which the student matches its teachers.
        sampling: How many windows to sample.
        batch_size: Windows per batch; the last batch may be smaller.
        seed: Seed of sampling.
        epoch: The first epoch, counted from 0.
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
        """Samples the windows of the next epoch; called by Keras."""
        self._epoch += 1
        self._order = self._drawn()

"""The samples of an epoch of the context network: sequences of windows from parts of clips."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.sampling import UNKNOWN, InOrder, judged, labels, of_clips, targets, teacher_score
from yamnet_cry.distill.sections import ContextSettings
from yamnet_cry.distill.windows import Indices, Windows
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import Float32

# Clips with a higher target probability are used in every epoch; the recipe sets how many others are sampled.
_POSITIVE = 0.3
# Clips for which teachers return a higher mean score are loud and clear.
_SURE = 0.5
# Shortest part cut from a clip, in windows: a cry of two seconds must be detected, one of a window need not.
_SHORTEST = 5


@dataclass(frozen=True)
class Known:
    """Labels of clips and windows.

    Attributes:
        clips: float32 of shape (clips,), see `sampling.of_clips`.
        windows: float32 of shape (windows,), labels of windows of labelled clips; -1 if unknown.
        targets: Returns the student's own targets for given windows, see `sampling.targets`.
    """

    clips: Float32
    windows: Float32
    targets: Callable[[Indices], Float32]

    @classmethod
    def of(cls, windows: Windows, recipe: Recipe, *, matched: bool) -> "Known":
        """Computes the labels of a corpus.

        Args:
            windows: The corpus.
            recipe: Recipe with task and selection.
            matched: Whether the student's targets include the logits of its teachers.
        """
        known = labels(windows, recipe.selection, recipe.task)
        of_windows = np.where(windows.labelled, known[:, 0], UNKNOWN).astype(np.float32)
        of_windows[_pauses(windows, recipe) & windows.labelled & (of_windows == UNKNOWN)] = 0.0
        return cls(
            of_clips(windows, recipe.task),
            of_windows,
            lambda index: targets(windows, index, known, recipe.task.labels) if matched else known[index],
        )


def _pauses(windows: Windows, recipe: Recipe) -> NDArray[np.bool_]:
    """Returns which windows are pauses: the teacher of windows scores them low, but those of clips are sure.

    In clips with a loud and clear target, windows with a low score do not contain it; they mark where a cry
    ends.
    """
    judges, of_windows = windows.of("clips"), windows.of("windows")
    if not judges or not of_windows or recipe.selection is None:
        return np.zeros(len(windows), bool)
    sure = np.mean([judged(judge, recipe.task)[:, 0] for judge in judges], axis=0) > _SURE
    quiet = teacher_score(of_windows[0], recipe.task) < recipe.selection.negative_below / 2
    return sure[windows.clip_index] & quiet


class Sequences(InOrder):
    """Batches of sequences, each of which ends with a part of a clip, possibly preceded by another clip.

    The content of an epoch depends only on the seed and its number.

    Args:
        windows: The corpus.
        known: Labels of the corpus.
        split: Split of the clips. For ``train``, clips are sampled, cut at random and preceded by others; for
            other splits, all clips are used, each from its start and alone.
        settings: The section ``context`` of the recipe.
        seed: Seed of sampling.
        epoch: The first epoch, counted from 0.

    Raises:
        CorpusError: If there are no clips with the target, or none known to be without it.
    """

    def __init__(
        self,
        windows: Windows,
        known: Known,
        split: str,
        settings: ContextSettings,
        seed: int,
        epoch: int = 0,
    ) -> None:
        super().__init__(settings.batch_size)
        self._windows, self._known, self._settings = windows, known, settings
        self._seed, self._epoch, self._draws = seed, epoch, split == "train"
        self._counts = np.bincount(windows.clip_index, minlength=len(windows.clips))
        self._starts = np.cumsum(self._counts) - self._counts
        inside = np.array([clip.split == split for clip in windows.clips]) & (known.clips >= 0)
        self._positive = np.flatnonzero(inside & (known.clips > _POSITIVE))
        self._negative = np.flatnonzero(inside & (known.clips <= _POSITIVE))
        self._without = np.flatnonzero(inside & (known.clips == 0))
        if not len(self._positive) or not len(self._without):
            raise CorpusError(
                f"expected clips with the target and clips known not to contain it in split {split!r}, for "
                f"the context network. Received: {len(self._positive)} and {len(self._without)}"
            )
        self._draw()

    def _draw(self) -> None:
        self._order = np.concatenate([self._positive, self._negative])
        if self._draws:
            generator = np.random.default_rng((self._seed, self._epoch))
            count = min(len(self._negative), self._settings.negatives_per_positive * len(self._positive))
            drawn = generator.choice(self._negative, count, replace=False)
            self._order = generator.permutation(np.concatenate([self._positive, drawn]))

    def on_epoch_end(self) -> None:
        """Samples the clips of the next epoch; called by Keras."""
        self._epoch += 1
        self._draw()

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        size, length = self.batch_size, self._settings.windows
        clips = self._order[number * size : (number + 1) * size]
        generator = np.random.default_rng((self._seed, self._epoch, number))
        index = np.zeros((len(clips), length), np.int64)
        heard, own = np.zeros((2, len(clips), length), np.float32)
        for row, clip in enumerate(clips):
            part = self._part(clip, generator)
            before = self._before(length - len(part), generator)
            both = np.concatenate([before, part])
            index[row, length - len(both) :] = both
            heard[row, length - len(both) :] = own[row, length - len(part) :] = 1.0
        flat = index.ravel()
        patches = self._windows.patches(flat)
        of_windows = np.where(heard > 0, self._known.windows[index], UNKNOWN)
        of_clips = np.broadcast_to(self._known.clips[clips][:, None], heard.shape)
        known = np.stack([of_clips, own, of_windows], axis=-1)
        of_student = self._known.targets(flat).reshape(*index.shape, -1)
        inputs = (patches.reshape(*index.shape, *patches.shape[1:]), heard)
        return inputs, np.concatenate([known, of_student], axis=-1, dtype=np.float32)

    def _part(self, clip: np.int64, generator: np.random.Generator) -> Indices:
        """Returns consecutive windows of a clip; in training, half of the time fewer than possible."""
        count = int(self._counts[clip])
        length, first = min(count, self._settings.windows), 0
        if self._draws:
            if length > _SHORTEST and generator.random() < 0.5:
                length = int(generator.integers(_SHORTEST, length + 1))
            first = int(generator.integers(count - length + 1))
        return self._starts[clip] + first + np.arange(length)

    def _before(self, free: int, generator: np.random.Generator) -> Indices:
        """Returns the last windows of a clip without the target to put before another, or no windows."""
        if not (self._draws and free and generator.random() < self._settings.before):
            return np.zeros(0, np.int64)
        other = self._without[int(generator.integers(len(self._without)))]
        end = self._starts[other] + self._counts[other]
        return np.arange(end - min(free, int(self._counts[other])), end)

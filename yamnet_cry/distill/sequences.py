"""What an epoch of the context network is made of: which parts of which clips, drawn anew each time."""

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

# Clips whose target lies above are drawn in every epoch, others as many as the recipe says.
_POSITIVE = 0.3
# A clip of which its teachers are surer than this is loud and clear.
_SURE = 0.5
# Shorter parts of clips are not cut: a cry of two seconds must be heard too, but hardly one of a window.
_SHORTEST = 5


@dataclass(frozen=True)
class Known:
    """What is known of clips and windows.

    Attributes:
        clips: float32 of shape (clips,), see `sampling.of_clips`.
        windows: float32 of shape (windows,), of windows of labelled clips; -1 where nobody knows.
        targets: Gives the student's own targets of some windows, see `sampling.targets`.
    """

    clips: Float32
    windows: Float32
    targets: Callable[[Indices], Float32]

    @classmethod
    def of(cls, windows: Windows, recipe: Recipe, *, matched: bool) -> "Known":
        """Gathers it.

        Args:
            windows: The corpus.
            recipe: Its task and selection.
            matched: Whether the student's targets hold the logits of its teachers.
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
    """Tells which windows are pauses: one teacher hears nothing there, and another is sure of the clip.

    Where a clip is loud and clear, silence of the target is known as well, and with it when a cry ends.
    """
    judges, of_windows = windows.of("clips"), windows.of("windows")
    if not judges or not of_windows or recipe.selection is None:
        return np.zeros(len(windows), bool)
    sure = np.mean([judged(judge, recipe.task)[:, 0] for judge in judges], axis=0) > _SURE
    quiet = teacher_score(of_windows[0], recipe.task) < recipe.selection.negative_below / 2
    return sure[windows.clip_index] & quiet


class Sequences(InOrder):
    """Batches of sequences: a part of a clip each, at its end, and perhaps something else before it.

    What an epoch holds depends on the seed and the number of the epoch alone.

    Args:
        windows: The corpus.
        known: What is known of it.
        split: Of which clips are taken: of ``train`` a draw, of others all, whole and alone.
        settings: Of the recipe.
        seed: Seed of the draws.
        epoch: The epoch to start with, counted from 0.

    Raises:
        CorpusError: If there are no clips of one kind.
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
                f"expected clips with the target and clips known to be without in split {split!r}, for the "
                f"context network. Received: {len(self._positive)} and {len(self._without)}"
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
        """Draws the next epoch's clips; Keras calls it."""
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
        """Takes consecutive windows of a clip: of training all or, half of the time, fewer."""
        count = int(self._counts[clip])
        length, first = min(count, self._settings.windows), 0
        if self._draws:
            if length > _SHORTEST and generator.random() < 0.5:
                length = int(generator.integers(_SHORTEST, length + 1))
            first = int(generator.integers(count - length + 1))
        return self._starts[clip] + first + np.arange(length)

    def _before(self, free: int, generator: np.random.Generator) -> Indices:
        """Takes the end of a clip without the target, if anything is to come before."""
        if not (self._draws and free and generator.random() < self._settings.before):
            return np.zeros(0, np.int64)
        other = self._without[int(generator.integers(len(self._without)))]
        end = self._starts[other] + self._counts[other]
        return np.arange(end - min(free, int(self._counts[other])), end)

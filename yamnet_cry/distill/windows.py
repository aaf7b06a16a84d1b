"""The windows of a corpus, and what teachers say of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.rows import Table
from yamnet_cry.distill.sections import Role
from yamnet_cry.distill.teacher import TeacherKind
from yamnet_cry.frontend import Float32, FrontEnd

Number = TypeVar("Number", bound=np.number[Any])

Indices = NDArray[np.int64]

_ALL = slice(None)


@dataclass(frozen=True)
class Opinion:
    """What a teacher says of a corpus.

    Attributes:
        role: Whether of its windows or of its clips.
        weight: See `sections.Teaching`.
        labels: What it tells apart.
        kind: Whether its probabilities are those of softmax, ``exclusive``, or sigmoids, ``independent``; or
            whether these are embeddings yet, see `probe`.
        logits: float32 of shape (windows, labels) or (clips, labels), rounded as float16 is, in
            memory or in a file.
    """

    role: Role
    weight: float
    labels: tuple[str, ...]
    kind: TeacherKind
    logits: Table

    def of_labels(self, labels: Sequence[str], rows: Indices | slice = _ALL) -> Float32:
        """Returns the logits of some labels, in their order: float32 of shape (rows, labels).

        Args:
            labels: Some of its own.
            rows: Of which windows or clips; of all by default, which may be more than memory holds.
        """
        found = self.logits[rows]
        if tuple(labels) == self.labels:
            return found
        return found[:, [self.labels.index(label) for label in labels]]


@dataclass(frozen=True)
class Windows:
    """Every window of a corpus, with what the teachers say.

    Attributes:
        clips: The clips, in the order of the corpus.
        front_end: What cuts windows.
        log_mel: float32 spectrograms of all clips, one after the other, of shape (frames, bands), in memory
            or in a file.
        first_frame: int64 of shape (windows,), where each window starts in ``log_mel``; never falls.
        clip_index: int64 of shape (windows,), the clip that each window belongs to.
        opinions: What each teacher says, in their order.
    """

    clips: list[Clip]
    front_end: FrontEnd
    log_mel: Table
    first_frame: Indices
    clip_index: Indices
    opinions: list[Opinion]

    def __len__(self) -> int:
        return len(self.first_frame)

    def of(self, role: Role) -> list[Opinion]:
        """Returns the opinions of teachers with a role."""
        return [opinion for opinion in self.opinions if opinion.role == role]

    def patches(self, index: Indices) -> Float32:
        """Gathers windows as a network takes them: float32 of shape (windows, frames, bands, 1)."""
        frames = self.first_frame[index][:, None] + np.arange(self.front_end.patch_frames)
        return self.log_mel[frames][..., None]

    def by_clip(self, values: NDArray[Number], split: str) -> list[NDArray[Number]]:
        """Cuts values of all windows into those of each labelled clip of a split."""
        of_clip = np.split(values, np.flatnonzero(np.diff(self.clip_index)) + 1)
        return [
            own for clip, own in zip(self.clips, of_clip, strict=True) if clip.split == split and clip.labels
        ]

    def spectrograms(self, split: str) -> Iterator[Float32]:
        """Yields the spectrogram of each labelled clip of a split, as far as there are windows in it."""
        length = self.front_end.patch_frames
        for own in self.by_clip(self.first_frame, split):
            yield self.log_mel[own[0] : own[-1] + length]

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which windows are of labelled clips: bool of shape (windows,)."""
        return np.array([bool(clip.labels) for clip in self.clips])[self.clip_index]

    def in_split(self, split: str) -> NDArray[np.bool_]:
        """Tells which windows belong to a split: bool of shape (windows,)."""
        of_clip = np.array([clip.split == split for clip in self.clips])
        return of_clip[self.clip_index]

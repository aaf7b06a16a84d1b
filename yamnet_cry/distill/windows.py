"""The windows of a corpus, and the logits of teachers."""

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
    """A teacher's logits for a corpus.

    Attributes:
        role: Whether there are logits of windows or of clips.
        weight: See `sections.Teaching`.
        labels: The teacher's labels.
        kind: ``exclusive`` for logits of a softmax, ``independent`` for logits of sigmoids, ``embedding`` for
            embeddings before `probe` replaces them.
        logits: float32 of shape (windows, labels) or (clips, labels), rounded to float16 values, in memory or
            in a file.
    """

    role: Role
    weight: float
    labels: tuple[str, ...]
    kind: TeacherKind
    logits: Table

    def of_labels(self, labels: Sequence[str], rows: Indices | slice = _ALL) -> Float32:
        """Returns the logits of given labels, in the given order: float32 of shape (rows, labels).

        Args:
            labels: Some of the teacher's labels.
            rows: Indices of windows or clips; all by default, which may not fit in memory.
        """
        found = self.logits[rows]
        if tuple(labels) == self.labels:
            return found
        return found[:, [self.labels.index(label) for label in labels]]


@dataclass(frozen=True)
class Windows:
    """All windows of a corpus, with the teachers' logits.

    Attributes:
        clips: The clips, in the order of the corpus.
        front_end: Front end that defines the windows.
        log_mel: float32 spectrograms of all clips, concatenated, of shape (frames, bands), in memory or in a
            file.
        first_frame: int64 of shape (windows,), where each window starts in ``log_mel``; non-decreasing.
        clip_index: int64 of shape (windows,), the index of each window's clip.
        opinions: The logits of each teacher, in the order of the teachers.
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
        """Returns the logits of teachers with a role."""
        return [opinion for opinion in self.opinions if opinion.role == role]

    def patches(self, index: Indices) -> Float32:
        """Returns windows as input of a network: float32 of shape (windows, frames, bands, 1)."""
        frames = self.first_frame[index][:, None] + np.arange(self.front_end.patch_frames)
        return self.log_mel[frames][..., None]

    def by_clip(self, values: NDArray[Number], split: str) -> list[NDArray[Number]]:
        """Groups values of all windows by clip, for the labelled clips of a split."""
        of_clip = np.split(values, np.flatnonzero(np.diff(self.clip_index)) + 1)
        return [
            own for clip, own in zip(self.clips, of_clip, strict=True) if clip.split == split and clip.labels
        ]

    def spectrograms(self, split: str) -> Iterator[Float32]:
        """Yields the spectrogram of each labelled clip of a split, up to the end of its last window."""
        length = self.front_end.patch_frames
        for own in self.by_clip(self.first_frame, split):
            yield self.log_mel[own[0] : own[-1] + length]

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Whether each window belongs to a labelled clip: bool of shape (windows,)."""
        return np.array([bool(clip.labels) for clip in self.clips])[self.clip_index]

    def in_split(self, split: str) -> NDArray[np.bool_]:
        """Returns whether each window belongs to a split: bool of shape (windows,)."""
        of_clip = np.array([clip.split == split for clip in self.clips])
        return of_clip[self.clip_index]

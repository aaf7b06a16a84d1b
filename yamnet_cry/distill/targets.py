"""The teacher pass: every teacher judges every clip once, and is remembered on disk."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from yamnet_cry.distill.cache import DEFAULT_LIMIT, LogitsCache, in_half_precision
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sections import Role
from yamnet_cry.distill.teachers import Teacher
from yamnet_cry.distill.teachers.kinds import TeacherKind
from yamnet_cry.errors import AudioError, CorpusError, RunError
from yamnet_cry.frontend import Float32, FrontEnd

Number = TypeVar("Number", bound=np.number[Any])

_LOG = logging.getLogger(__name__)

#: What a teacher has said of a clip, float32 of shape (windows, labels), or None if it was not asked yet.
Known = Callable[[Clip], Float32 | None]

# What a killed pass loses at most: a second or two of work.
_CLIPS_PER_CHUNK = 64


@dataclass(frozen=True)
class Opinion:
    """What a teacher says of a corpus.

    Attributes:
        role: Whether of its windows or of its clips.
        weight: See `sections.Teaching`.
        labels: What it tells apart.
        kind: Whether its probabilities are those of softmax, ``exclusive``, or sigmoids, ``independent``; or
            whether these are embeddings yet, see `probe`.
        logits: float32 of shape (windows, labels) or (clips, labels), rounded as float16 is.
    """

    role: Role
    weight: float
    labels: tuple[str, ...]
    kind: TeacherKind
    logits: Float32

    def of_labels(self, labels: Sequence[str]) -> Float32:
        """Returns the logits of some of its labels, in their order: float32 of shape (rows, labels)."""
        if tuple(labels) == self.labels:
            return self.logits
        return self.logits[:, [self.labels.index(label) for label in labels]]


@dataclass(frozen=True)
class Windows:
    """Every window of a corpus, with what the teachers say.

    Attributes:
        clips: The clips, in the order of the corpus.
        front_end: What cuts windows.
        log_mel: float32 spectrograms of all clips, one after the other, of shape (frames, bands).
        first_frame: int64 of shape (windows,), where each window starts in ``log_mel``.
        clip_index: int64 of shape (windows,), the clip that each window belongs to.
        opinions: What each teacher says, in their order.
    """

    clips: list[Clip]
    front_end: FrontEnd
    log_mel: Float32
    first_frame: NDArray[np.int64]
    clip_index: NDArray[np.int64]
    opinions: list[Opinion]

    def __len__(self) -> int:
        return len(self.first_frame)

    def of(self, role: Role) -> list[Opinion]:
        """Returns the opinions of teachers with a role."""
        return [opinion for opinion in self.opinions if opinion.role == role]

    def patches(self, index: NDArray[np.int64]) -> Float32:
        """Gathers windows as a network takes them: float32 of shape (windows, frames, bands, 1)."""
        frames = self.first_frame[index][:, None] + np.arange(self.front_end.patch_frames)
        return self.log_mel[frames][..., None]

    def by_clip(self, values: NDArray[Number], split: str) -> list[NDArray[Number]]:
        """Cuts values of all windows into those of each labelled clip of a split."""
        of_clip = np.split(values, np.flatnonzero(np.diff(self.clip_index)) + 1)
        return [
            own for clip, own in zip(self.clips, of_clip, strict=True) if clip.split == split and clip.labels
        ]

    def spectrograms(self, split: str) -> list[Float32]:
        """Returns the spectrogram of each labelled clip of a split, as far as there are windows in it."""
        length = self.front_end.patch_frames
        return [self.log_mel[own[0] : own[-1] + length] for own in self.by_clip(self.first_frame, split)]

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which windows are of labelled clips: bool of shape (windows,)."""
        return np.array([bool(clip.labels) for clip in self.clips])[self.clip_index]

    def in_split(self, split: str) -> NDArray[np.bool_]:
        """Tells which windows belong to a split: bool of shape (windows,)."""
        of_clip = np.array([clip.split == split for clip in self.clips])
        return of_clip[self.clip_index]


def teacher_pass(
    clips: Sequence[Clip],
    teachers: Sequence[tuple[Teacher, Role, float]],
    front_end: FrontEnd,
    cache: Path,
    *,
    cache_limit: float = DEFAULT_LIMIT,
    known: Sequence[Known] = (),
    progress: bool = True,
) -> Windows:
    """Decodes every clip, and asks each teacher about every clip that nobody knows yet.

    Args:
        clips: The corpus.
        teachers: Give logits, each in its role and with its weight; may be none.
        front_end: Makes the student's spectrograms.
        cache: SQLite file of logits, made if there is none.
        cache_limit: Gigabytes beyond which it forgets what was not used for longest, and not by this pass.
        known: What each teacher has said already, as a cluster has found it; looked at before the cache.
        progress: Whether to show a progress bar.

    Raises:
        CorpusError: If clips cannot be decoded, or the same recording is in two splits. All others
            are scored and cached first.
        RunError: If the cache cannot be written, or a teacher gives another number of windows than the front
            end makes.
    """
    spectrograms: list[Float32] = []
    failures: list[str] = []
    split_of: dict[bytes, Clip] = {}
    with ExitStack() as stack:
        asked = [
            _Asked(
                teacher,
                stack.enter_context(closing(LogitsCache(cache, teacher.fingerprint, len(teacher.labels)))),
            )
            for teacher, _, _ in teachers
        ]
        for each, of_teacher in zip(asked, known, strict=False):
            each.known = of_teacher
        bar = stack.enter_context(
            tqdm(
                total=len(clips), desc="teacher pass" if asked else "clips", unit="clip", disable=not progress
            )
        )
        for chunk in decoded_chunks(clips, front_end):
            usable: list[tuple[Clip, Float32]] = []
            for clip, waveform in chunk:
                if isinstance(waveform, AudioError):
                    failures.append(str(waveform))
                    continue
                other = split_of.setdefault(hashlib.sha256(waveform.tobytes()).digest(), clip)
                if other.split != clip.split:
                    failures.append(
                        f"{other.name} ({other.split}) and {clip.name} ({clip.split}) are the same recording"
                    )
                spectrograms.append(front_end.log_mel(waveform))
                usable.append((clip, waveform))
            for each in asked:
                each.about(usable)
            bar.update(len(chunk))
        forgotten = asked[0].cache.prune(cache_limit) if asked else 0
    if failures:
        shown = failures[:10] + ([f"and {len(failures) - 10} more"] if len(failures) > 10 else [])
        raise CorpusError(
            f"{len(failures)} of {len(clips)} clips cannot be used; mend them or take them out:\n  "
            + "\n  ".join(shown)
        )
    if forgotten:
        _LOG.info("the cache forgot %s recordings and views of earlier runs", f"{forgotten:,}")
    counts = [len(front_end.patches(spectrogram)) for spectrogram in spectrograms]
    _LOG.info(
        "%s windows of %s clips%s",
        f"{sum(counts):,}",
        f"{len(clips):,}",
        "".join(each.note() for each in asked),
    )
    ends = np.cumsum([len(spectrogram) for spectrogram in spectrograms])
    starts = zip(ends - [len(spectrogram) for spectrogram in spectrograms], counts, strict=True)
    return Windows(
        clips=list(clips),
        front_end=front_end,
        log_mel=np.concatenate(spectrograms),
        first_frame=np.concatenate(
            [start + front_end.patch_hop * np.arange(count) for start, count in starts]
        ),
        clip_index=np.repeat(np.arange(len(clips)), counts),
        opinions=[
            Opinion(role, weight, each.teacher.labels, each.teacher.kind, _joined(each, role, clips, counts))
            for (_, role, weight), each in zip(teachers, asked, strict=True)
        ],
    )


class _Asked:
    """A teacher that is asked about clips, and the cache of its answers."""

    def __init__(self, teacher: Teacher, cache: LogitsCache) -> None:
        self.teacher, self.cache = teacher, cache
        self.logits: list[Float32] = []
        self.known: Known = _nothing
        self._rows, self._seconds = 0, 0.0

    def about(self, clips: Sequence[tuple[Clip, Float32]]) -> None:
        before = [self.known(clip) for clip, _ in clips]
        waves = [wave for (_, wave), rows in zip(clips, before, strict=True) if rows is None]
        fresh = iter(self._asked(waves))
        # Whoever is asked, and whenever: the numbers are those of partitions.
        self.logits += [in_half_precision(next(fresh) if rows is None else rows) for rows in before]

    def _asked(self, waveforms: Sequence[Float32]) -> list[Float32]:
        keys = [self.cache.key(waveform) for waveform in waveforms]
        found = {key: known for key in keys if (known := self.cache.get(key)) is not None}
        missing = {key: wave for key, wave in zip(keys, waveforms, strict=True) if key not in found}
        if missing:
            started = time.perf_counter()
            fresh = dict(zip(missing, self.teacher.logits(list(missing.values())), strict=True))
            self._seconds += time.perf_counter() - started
            self._rows += sum(map(len, fresh.values()))
            self.cache.put(fresh)
            found |= fresh
        self.cache.mark(keys)
        return [found[key] for key in keys]

    def note(self) -> str:
        fresh = f"{self._rows:,} windows at {self._rows / max(self._seconds, 1e-9):,.0f} a second"
        return f"; {self.teacher.name}: {fresh if self._rows else 'all known before'}"


def _nothing(_clip: Clip) -> None:
    return None


def decoded_chunks(
    clips: Sequence[Clip], front_end: FrontEnd
) -> Iterator[list[tuple[Clip, Float32 | AudioError]]]:
    """Decodes the next clips in the background while teachers work on these.

    Yields:
        Some clips at a time, each with its float32 waveform padded by the front end, or why there is none.
    """
    chunks = [clips[start : start + _CLIPS_PER_CHUNK] for start in range(0, len(clips), _CLIPS_PER_CHUNK)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        ahead: Iterator[Float32 | AudioError] = iter(())
        before: Sequence[Clip] = ()
        for chunk in [*chunks, ()]:
            current, ahead = ahead, pool.map(partial(_padded, front_end), chunk)
            if before:
                yield list(zip(before, current, strict=True))
            before = chunk


def _padded(front_end: FrontEnd, clip: Clip) -> Float32 | AudioError:
    try:
        return front_end.pad(clip.read())
    except AudioError as error:
        return AudioError(f"{clip.name}: {error}")


def _joined(asked: _Asked, role: Role, clips: Sequence[Clip], counts: Sequence[int]) -> Float32:
    if role == "clips":
        # A teacher of windows may judge clips as well, by what it says on average.
        return np.stack([rows.mean(axis=0, dtype=np.float64).astype(np.float32) for rows in asked.logits])
    for clip, rows, count in zip(clips, asked.logits, counts, strict=True):
        if len(rows) != count:
            raise RunError(
                f"expected {count} rows of logits for {clip.name}, one for each window of the front end. "
                f"Received: {len(rows)} from {asked.teacher.name}; a teacher that judges whole clips needs "
                "the role clips in teaching.roles"
            )
    return np.concatenate(asked.logits)

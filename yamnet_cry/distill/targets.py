"""The teacher pass: every window of every clip is scored once, and remembered on disk."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from yamnet_cry.distill.cache import DEFAULT_LIMIT, LogitsCache
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.teachers import Teacher
from yamnet_cry.errors import AudioError, CorpusError, RunError
from yamnet_cry.frontend import YAMNET, Float32

_LOG = logging.getLogger(__name__)

# What a killed pass loses at most: a second or two of work.
_CLIPS_PER_CHUNK = 64


@dataclass(frozen=True)
class Windows:
    """Every window of a corpus, with the teacher's logits.

    Attributes:
        clips: The clips, in the order of the corpus.
        log_mel: float32 spectrograms of all clips, one after the other, of shape (frames, 64).
        first_frame: int64 of shape (windows,), where each window starts in ``log_mel``.
        clip_index: int64 of shape (windows,), the clip that each window belongs to.
        logits: float32 of shape (windows, 521).
    """

    clips: list[Clip]
    log_mel: Float32
    first_frame: NDArray[np.int64]
    clip_index: NDArray[np.int64]
    logits: Float32

    def patches(self, index: NDArray[np.int64]) -> Float32:
        """Gathers windows as a network takes them: float32 of shape (windows, 96, 64, 1)."""
        frames = self.first_frame[index][:, None] + np.arange(YAMNET.patch_frames)
        return self.log_mel[frames][..., None]

    def in_split(self, split: str) -> NDArray[np.bool_]:
        """Tells which windows belong to a split: bool of shape (windows,)."""
        of_clip = np.array([clip.split == split for clip in self.clips])
        return of_clip[self.clip_index]


def teacher_pass(
    clips: Sequence[Clip],
    teacher: Teacher,
    cache: Path,
    *,
    cache_limit: float = DEFAULT_LIMIT,
    progress: bool = True,
) -> Windows:
    """Decodes every clip and scores every window that the cache does not know yet.

    Args:
        clips: The corpus.
        teacher: Gives logits.
        cache: SQLite file of logits, made if there is none.
        cache_limit: Gigabytes beyond which it forgets what was not used for longest, and not by this pass.
        progress: Whether to show a progress bar.

    Raises:
        CorpusError: If clips cannot be decoded, or the same recording is in two splits. All others
            are scored and cached first.
        RunError: If the cache cannot be written.
    """
    spectrograms: list[Float32] = []
    logits: list[Float32] = []
    failures: list[str] = []
    split_of: dict[bytes, Clip] = {}
    scored, seconds = 0, 0.0
    with (
        closing(LogitsCache(cache, teacher.fingerprint)) as remembered,
        tqdm(total=len(clips), desc="teacher pass", unit="clip", disable=not progress) as bar,
    ):
        for waveforms in _decoded_chunks(clips):
            keys: list[bytes] = []
            found: dict[bytes, Float32] = {}
            missing: dict[bytes, Float32] = {}
            for clip, waveform in waveforms:
                if isinstance(waveform, AudioError):
                    failures.append(str(waveform))
                    continue
                key = remembered.key(waveform)
                other = split_of.setdefault(key, clip)
                if other.split != clip.split:
                    failures.append(
                        f"{other.name} ({other.split}) and {clip.name} ({clip.split}) are the same recording"
                    )
                keys.append(key)
                spectrograms.append(YAMNET.log_mel(waveform))
                known = remembered.get(key)
                if known is None:
                    missing[key] = waveform
                else:
                    found[key] = known
            if missing:
                started = time.perf_counter()
                fresh = dict(zip(missing, teacher.logits(list(missing.values())), strict=True))
                seconds += time.perf_counter() - started
                scored += sum(map(len, fresh.values()))
                remembered.put(fresh)
                found |= fresh
            remembered.mark(keys)
            logits += [found[key] for key in keys]
            bar.update(len(waveforms))
        forgotten = remembered.prune(cache_limit)
    if failures:
        shown = failures[:10] + ([f"and {len(failures) - 10} more"] if len(failures) > 10 else [])
        raise CorpusError(
            f"{len(failures)} of {len(clips)} clips cannot be used; mend them or take them out:\n  "
            + "\n  ".join(shown)
        )
    if forgotten:
        _LOG.info("the cache forgot %s recordings and views of earlier runs", f"{forgotten:,}")
    windows = _joined(list(clips), spectrograms, logits)
    rate = (
        f"; teacher: {scored:,} windows at {scored / seconds:,.0f} a second"
        if scored
        else "; all from the cache"
    )
    _LOG.info("%s windows of %s clips%s", f"{len(windows.logits):,}", f"{len(clips):,}", rate)
    return windows


def _decoded_chunks(clips: Sequence[Clip]) -> Iterator[list[tuple[Clip, Float32 | AudioError]]]:
    """Decodes the next chunk in the background while the teacher works on this one."""
    chunks = [clips[start : start + _CLIPS_PER_CHUNK] for start in range(0, len(clips), _CLIPS_PER_CHUNK)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        ahead: Iterator[Float32 | AudioError] = iter(())
        before: Sequence[Clip] = ()
        for chunk in [*chunks, ()]:
            current, ahead = ahead, pool.map(_padded, chunk)
            if before:
                yield list(zip(before, current, strict=True))
            before = chunk


def _padded(clip: Clip) -> Float32 | AudioError:
    try:
        return YAMNET.pad(clip.read())
    except AudioError as error:
        return AudioError(f"{clip.name}: {error}")


def _joined(clips: list[Clip], spectrograms: list[Float32], logits: list[Float32]) -> Windows:
    first_frame: list[NDArray[np.int64]] = []
    offset = 0
    for clip, spectrogram, scores in zip(clips, spectrograms, logits, strict=True):
        count = len(YAMNET.patches(spectrogram))
        if len(scores) != count:
            raise RunError(
                f"the teacher gave {len(scores)} windows for {clip.name}, the front end makes {count} of it"
            )
        first_frame.append(offset + YAMNET.patch_hop * np.arange(count))
        offset += len(spectrogram)
    return Windows(
        clips=clips,
        log_mel=np.concatenate(spectrograms),
        first_frame=np.concatenate(first_frame),
        clip_index=np.repeat(np.arange(len(clips)), [len(scores) for scores in logits]),
        logits=np.concatenate(logits),
    )

"""The teacher pass: runs every teacher on every clip once, and caches the logits on disk."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
from tqdm import tqdm

from yamnet_cry.distill.cache import DEFAULT_LIMIT, LogitsCache, in_half_precision
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sections import Role
from yamnet_cry.distill.store import Store, Stored, Writing
from yamnet_cry.distill.teacher import Teacher
from yamnet_cry.distill.windows import Opinion, Windows
from yamnet_cry.errors import AudioError, CorpusError, RunError
from yamnet_cry.frontend import Float32, FrontEnd

_LOG = logging.getLogger(__name__)

#: Returns a teacher's existing logits of a clip, float32 of shape (windows, labels), or None.
Known = Callable[[Clip], Float32 | None]

#: Clips per call of a teacher. A killed pass loses at most this many: one or two seconds of work.
CLIPS_PER_CHUNK = 64


def teacher_pass(
    clips: Sequence[Clip],
    teachers: Sequence[tuple[Teacher, Role, float]],
    front_end: FrontEnd,
    cache: Path,
    folder: Path,
    *,
    cache_limit: float = DEFAULT_LIMIT,
    known: Sequence[Known] = (),
    progress: bool = True,
) -> Windows:
    """Decodes every clip, and runs each teacher on every clip without existing logits.

    Spectrograms and logits are written to files clip by clip; memory holds the clips of two chunks, and some
    bytes per window. Complete files of an earlier run with the same clips and teachers are reused.

    Args:
        clips: The corpus.
        teachers: Teachers with their roles and weights; may be empty.
        front_end: Computes the student's spectrograms.
        cache: SQLite file of logits, created if it does not exist.
        folder: Folder of the windows; created if it does not exist.
        cache_limit: Gigabytes of logits above which the least recently used entries are deleted from the
            cache, except those used by this pass.
        known: Existing logits of each teacher, such as those from a cluster; used before the cache.
        progress: Whether to show a progress bar.

    Raises:
        CorpusError: If clips cannot be decoded, or the same recording is in two splits. All other clips are
            scored and cached first.
        RunError: If cache or folder cannot be written, or a teacher with the role ``windows`` returns a
            different number of windows than the front end.
    """
    columns = [front_end.mel_bands, *(len(teacher.labels) for teacher, _, _ in teachers)]
    store = Store(folder, _identity(clips, teachers, front_end), columns)
    stored = store.find()
    if stored is None:
        stored = _written(store.write(), clips, teachers, front_end, cache, cache_limit, known, progress)
    else:
        _LOG.info("resuming with the windows of %s clips in %s", f"{len(clips):,}", folder)
    counts = 1 + (stored.frames - front_end.patch_frames) // front_end.patch_hop
    # The first frame and the first window of each clip.
    frames, windows = np.cumsum(stored.frames) - stored.frames, np.cumsum(counts) - counts
    clip_index = np.repeat(np.arange(len(clips)), counts)
    number_in_clip = np.arange(len(clip_index)) - windows[clip_index]
    return Windows(
        clips=list(clips),
        front_end=front_end,
        log_mel=stored.log_mel,
        first_frame=frames[clip_index] + front_end.patch_hop * number_in_clip,
        clip_index=clip_index,
        opinions=[
            Opinion(role, weight, teacher.labels, teacher.kind, logits)
            for (teacher, role, weight), logits in zip(teachers, stored.logits, strict=True)
        ],
    )


def _identity(
    clips: Sequence[Clip], teachers: Sequence[tuple[Teacher, Role, float]], front_end: FrontEnd
) -> str:
    """Returns a hash of clips, teachers and front end, which identifies the windows."""
    asked = [[teacher.fingerprint, role] for teacher, role, _ in teachers]
    found = hashlib.sha256(json.dumps([asked, repr(front_end)]).encode())
    for clip in clips:
        found.update(json.dumps([clip.name, clip.split, clip.group, clip.origin]).encode())
    return found.hexdigest()


def _written(
    writing: Writing,
    clips: Sequence[Clip],
    teachers: Sequence[tuple[Teacher, Role, float]],
    front_end: FrontEnd,
    cache: Path,
    cache_limit: float,
    known: Sequence[Known],
    progress: bool,
) -> Stored:
    failures: list[str] = []
    split_of: dict[bytes, Clip] = {}
    with ExitStack() as stack:
        asked = [
            _Asked(
                teacher,
                role,
                stack.enter_context(closing(LogitsCache(cache, teacher.fingerprint, len(teacher.labels)))),
                of_teacher,
            )
            for (teacher, role, _), of_teacher in zip(teachers, known or repeat(_nothing), strict=False)
        ]
        stack.enter_context(writing)
        bar = stack.enter_context(
            tqdm(
                total=len(clips), desc="teacher pass" if asked else "clips", unit="clip", disable=not progress
            )
        )
        windows = 0
        for chunk in decoded_chunks(clips, front_end):
            usable = []
            for clip, waveform in chunk:
                if isinstance(waveform, AudioError):
                    failures.append(str(waveform))
                    continue
                other = split_of.setdefault(hashlib.sha256(waveform.tobytes()).digest(), clip)
                if other.split != clip.split:
                    failures.append(
                        f"{other.name} ({other.split}) and {clip.name} ({clip.split}) are the same recording"
                    )
                usable.append((clip, waveform))
            said = [each.about(usable) for each in asked]
            for number, (clip, waveform) in enumerate(usable):
                log_mel = front_end.log_mel(waveform)
                count = len(front_end.patches(log_mel))
                rows = [
                    each.rows(of_clips[number], clip, count)
                    for each, of_clips in zip(asked, said, strict=True)
                ]
                writing.add(log_mel, rows)
                windows += count
            bar.update(len(chunk))
        forgotten = asked[0].cache.prune(cache_limit) if asked else 0
        if failures:
            shown = failures[:10] + ([f"and {len(failures) - 10} more"] if len(failures) > 10 else [])
            raise CorpusError(
                f"{len(failures)} of {len(clips)} clips cannot be used; fix or remove them:\n  "
                + "\n  ".join(shown)
            )
        stored = writing.finish()
    if forgotten:
        _LOG.info(
            "deleted %s recordings and views of earlier runs from the cache, to stay within --cache-limit",
            f"{forgotten:,}",
        )
    _LOG.info(
        "%s windows of %s clips%s",
        f"{windows:,}",
        f"{len(clips):,}",
        "".join(each.note() for each in asked),
    )
    return stored


class _Asked:
    """A teacher with the cache of its logits."""

    def __init__(self, teacher: Teacher, role: Role, cache: LogitsCache, known: Known) -> None:
        self.teacher, self.cache, self.known = teacher, cache, known
        self._role = role
        self._rows, self._seconds = 0, 0.0

    def about(self, clips: Sequence[tuple[Clip, Float32]]) -> list[Float32]:
        """Returns the teacher's logits of clips, given with their waveforms, rounded to float16 values."""
        before = [self.known(clip) for clip, _ in clips]
        waves = [wave for (_, wave), rows in zip(clips, before, strict=True) if rows is None]
        fresh = iter(self._asked(waves))
        # Rounded wherever they come from, so that they equal those of partitions.
        return [in_half_precision(next(fresh) if rows is None else rows) for rows in before]

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

    def rows(self, logits: Float32, clip: Clip, count: int) -> Float32:
        """Returns the rows of a clip's logits to store: ``count`` for windows, or one for the clip."""
        if self._role == "clips":
            # A teacher of windows can score clips as well, by its mean logits.
            return logits.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
        if len(logits) != count:
            raise RunError(
                f"expected {count} rows of logits for {clip.name}, one for each window of the front end. "
                f"Received: {len(logits)} from {self.teacher.name}; a teacher that scores whole clips needs "
                "the role clips in teaching.roles"
            )
        return logits

    def note(self) -> str:
        fresh = f"{self._rows:,} windows at {self._rows / max(self._seconds, 1e-9):,.0f} a second"
        return f"; {self.teacher.name}: {fresh if self._rows else 'all cached'}"


def _nothing(_clip: Clip) -> None:
    return None


def decoded_chunks(
    clips: Sequence[Clip], front_end: FrontEnd
) -> Iterator[list[tuple[Clip, Float32 | AudioError]]]:
    """Decodes the next chunk in the background while the caller works on the current one.

    Yields:
        Up to `CLIPS_PER_CHUNK` clips, each with its float32 waveform padded by the front end, or the error.
    """
    chunks = [clips[start : start + CLIPS_PER_CHUNK] for start in range(0, len(clips), CLIPS_PER_CHUNK)]
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

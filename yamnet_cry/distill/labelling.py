"""The teacher pass on a cluster, into partitions of logits that any later run reads."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from yamnet_cry.cluster import engine, passes
from yamnet_cry.cluster.partitions import ERRORS, Partitions, Rows, short
from yamnet_cry.cluster.passes import Answer, Item
from yamnet_cry.distill.cache import default_cache, in_half_precision
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.targets import Known, decoded_chunks
from yamnet_cry.distill.teachers.kinds import Teacher
from yamnet_cry.errors import AudioError, TeacherError
from yamnet_cry.frontend import Float32, FrontEnd
from yamnet_cry.locations import Location

#: What is lost at most when a process dies: a quarter of a minute of YAMNet's work, 5 MB of logits.
CLIPS_PER_PARTITION = 256

_LOGITS = "logits"

_LOG = logging.getLogger(__name__)


def default_partitions() -> Path:
    """Returns where partitions lie unless somebody names a place: beside the cache of this user."""
    return default_cache().with_name("partitions")


@dataclass(frozen=True)
class Found:
    """What partitions say of clips.

    Attributes:
        known: What each teacher says, in their order.
        readable: The clips without those that could not be read.
    """

    known: list[Known]
    readable: list[Clip]


def found(
    cluster: str | None,
    clips: Sequence[Clip],
    teachers: Sequence[Teacher],
    makers: Sequence[Callable[[], Teacher]],
    front_end: FrontEnd,
    folder: str | os.PathLike[str] | None = None,
    *,
    clips_per_partition: int = CLIPS_PER_PARTITION,
    progress: bool = True,
    tell: Callable[[passes.Progress], object] | None = None,
) -> Found:
    """Reads what partitions say of clips, after a cluster, if there is one, has asked about all others.

    Args:
        cluster: See `engine.connected`; None to take what there is.
        clips: The corpus, and what is made of it; every machine must be able to read it.
        teachers: As they are here.
        makers: Make each of them on other machines; can be pickled.
        front_end: Pads clips.
        folder: Path or URL of the partitions, which every machine sees; `default_partitions` by default.
        clips_per_partition: So many are asked about again when a process dies.
        progress: Whether to show progress bars.
        tell: Called now and then with how far the cluster is, if anybody wants to know.

    Raises:
        YamnetCryError: If the cluster, a teacher on it or the partitions cannot be used. What is done stays
            done.
    """
    place = Location.of(default_partitions() if folder is None else folder)
    partitions = [
        Partitions(place.child(short(teacher.fingerprint)), teacher.fingerprint) for teacher in teachers
    ]
    if cluster is not None:
        items = [Item(clip.name, short(clip.origin), clip) for clip in clips]
        with engine.connected(cluster) as connection:
            for teacher, make, answers in zip(teachers, makers, partitions, strict=True):
                with tqdm(total=len(items), desc="teacher pass", unit="clip", disable=not progress) as bar:
                    passes.run(
                        connection,
                        items,
                        partial(_Labeller, make, teacher.fingerprint, front_end),
                        answers,
                        most=clips_per_partition,
                        tell=partial(_advance, bar, tell),
                    )
    reasons = {origin: reason for each in partitions for origin, reason in each.reasons().items()}
    unreadable = [clip for clip in clips if short(clip.origin) in reasons]
    if unreadable:
        warn_of(reasons[short(unreadable[0].origin)], len(unreadable), len(clips), partitions[0])
    names = {clip.name for clip in unreadable}
    known: list[Known] = [
        partial(_rows_of, Rows(each.results(), _LOGITS), len(teacher.labels))
        for each, teacher in zip(partitions, teachers, strict=True)
    ]
    return Found(known, [clip for clip in clips if clip.name not in names])


def warn_of(reason: str, count: int, total: int, partitions: Partitions) -> None:
    """Says that clips are left out, and where all reasons are."""
    _LOG.warning(
        "Warning: %s of %s clips cannot be read and are left out: %s%s; all reasons are in %s",
        f"{count:,}",
        f"{total:,}",
        reason,
        ", ..." if count > 1 else "",
        partitions.folder.child(ERRORS).name,
    )


def _rows_of(rows: Rows, labels: int, clip: Clip) -> Float32 | None:
    found = rows.of(short(clip.origin))
    return None if found is None else as_matrix(found, labels)


def as_matrix(rows: pa.Array, labels: int) -> Float32:
    """Returns logits of a partition as float32 of shape (rows, labels)."""
    values = rows.flatten().to_numpy(zero_copy_only=False)
    return values.astype(np.float32).reshape(-1, labels)


def as_rows(logits: Float32) -> pa.Array:
    """Returns logits of shape (rows, labels) as a column of lists of float16."""
    values = in_half_precision(logits).astype(np.float16)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _advance(
    bar: "tqdm[None]", tell: Callable[[passes.Progress], object] | None, now: passes.Progress
) -> None:
    bar.update(now.items - bar.n)
    if tell is not None:
        tell(now)


class _Labeller:
    """Asks a teacher, in a process of the cluster."""

    def __init__(self, make: Callable[[], Teacher], fingerprint: str, front_end: FrontEnd) -> None:
        self._teacher, self._front_end = make(), front_end
        if self._teacher.fingerprint != fingerprint:
            raise TeacherError(
                f"expected the same {self._teacher.name} on every machine of the cluster. Received: one with "
                "other weights; copy the file there again"
            )

    def __call__(self, items: Sequence[Item]) -> Iterator[Answer | AudioError]:
        for chunk in decoded_chunks([item.source for item in items], self._front_end):
            waves = [wave for _, wave in chunk if not isinstance(wave, AudioError)]
            said = iter(self._teacher.logits(waves) if waves else ())
            for clip, wave in chunk:
                yield wave if isinstance(wave, AudioError) else _answer(clip, wave, next(said))


def _answer(clip: Clip, wave: Float32, logits: Float32) -> Answer:
    rows = pa.table(
        {
            "clip": [clip.name] * len(logits),
            "window": pa.array(range(len(logits)), pa.int32()),
            _LOGITS: as_rows(logits),
        }
    )
    return Answer(rows, hashlib.sha256(wave.tobytes()).hexdigest())

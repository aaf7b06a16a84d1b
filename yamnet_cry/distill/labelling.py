"""The teacher pass on a cluster, which writes partitions of logits for later runs."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from yamnet_cry.cluster import engine
from yamnet_cry.cluster.partitions import Rows
from yamnet_cry.cluster.passes import Answer, Item, Progress
from yamnet_cry.distill import clip_pass
from yamnet_cry.distill.cache import in_half_precision
from yamnet_cry.distill.clip_pass import CLIPS_PER_PARTITION, origin, partitions_of
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.targets import Known, decoded_chunks
from yamnet_cry.distill.teacher import Teacher
from yamnet_cry.errors import AudioError, TeacherError
from yamnet_cry.frontend import Float32, FrontEnd

_LOGITS = "logits"


@dataclass(frozen=True)
class Found:
    """The contents of partitions for a list of clips.

    Attributes:
        known: The logits of each teacher, in the order of the teachers.
        readable: The clips that could be read.
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
    tell: Callable[[Progress], object] | None = None,
) -> Found:
    """Reads the logits of clips from partitions, after a cluster, if given, has computed the missing ones.

    Args:
        cluster: See `engine.connected`; None to read existing partitions only.
        clips: The corpus and its views; every machine must be able to read them.
        teachers: The teachers, loaded in this process.
        makers: Functions that load each teacher on other machines; must be picklable.
        front_end: Pads clips.
        folder: Path or URL of the partitions, accessible from every machine; `clip_pass.default_partitions`
            by default.
        clips_per_partition: Clips per partition; at most this many are run again when a process dies.
        progress: Whether to show progress bars.
        tell: Called regularly with the progress of the cluster, if given.

    Raises:
        YamnetCryError: If the cluster, a teacher on it or the partitions cannot be used. Finished partitions
            are kept.
    """
    partitions = [partitions_of(teacher.fingerprint, folder) for teacher in teachers]
    if cluster is not None:
        with engine.connected(cluster) as connection:
            for teacher, make, answers in zip(teachers, makers, partitions, strict=True):
                clip_pass.run(
                    connection,
                    clips,
                    partial(_Labeller, make, teacher.fingerprint, front_end),
                    answers,
                    description="teacher pass",
                    clips_per_partition=clips_per_partition,
                    progress=progress,
                    tell=tell,
                )
    reasons = {key: reason for each in partitions for key, reason in each.reasons().items()}
    readable = clip_pass.readable(clips, reasons, partitions[0]) if partitions else list(clips)
    known: list[Known] = [
        partial(_rows_of, Rows(each.results(), _LOGITS), len(teacher.labels))
        for each, teacher in zip(partitions, teachers, strict=True)
    ]
    return Found(known, readable)


def _rows_of(rows: Rows, labels: int, clip: Clip) -> Float32 | None:
    found = rows.of(origin(clip))
    return None if found is None else as_matrix(found, labels)


def as_matrix(rows: pa.Array, labels: int) -> Float32:
    """Converts logits of a partition to float32 of shape (rows, labels)."""
    values = rows.flatten().to_numpy(zero_copy_only=False)
    return values.astype(np.float32).reshape(-1, labels)


def as_rows(logits: Float32) -> pa.Array:
    """Converts logits of shape (rows, labels) to a column of float16 lists."""
    values = in_half_precision(logits).astype(np.float16)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


class _Labeller:
    """Runs a teacher, in a process of the cluster."""

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

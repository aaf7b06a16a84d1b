"""A resumable pass over audio: every recording is scored once, on some machine, and results are kept."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from yamnet_cry.cluster.engine import Engine
from yamnet_cry.cluster.partitions import ERRORS, Entry, Partitions
from yamnet_cry.errors import AudioError, ClusterError

# From this attempt on, the recordings of a task whose processes die are scored one by one.
_ALONE = 3

# A recording of a whole night takes as long as hundreds of clips.
_BYTES_PER_PARTITION = 256_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One recording of a pass.

    Attributes:
        name: Its name in tables and messages.
        origin: Identifies its audio without reading it.
        source: Input of a judge; must be picklable.
        size: In bytes; 0 if unknown.
    """

    name: str
    origin: str
    source: Any
    size: int = 0


@dataclass(frozen=True)
class Answer:
    """The result of a judge for a recording.

    Attributes:
        rows: A table, with the same columns for all recordings.
        content: Identifies the decoded audio; empty if not computed.
    """

    rows: pa.Table
    content: str = ""


class Judge(Protocol):
    """Scores recordings: a teacher, or a detector."""

    def __call__(self, items: Sequence[Item]) -> Iterable[Answer | AudioError]:
        """Scores each recording, in order; returns an `AudioError` for one that cannot be read.

        The result for a recording must not depend on the others, because a resumed pass groups them
        differently.
        """
        ...


@dataclass(frozen=True)
class Progress:
    """Progress of a pass.

    Attributes:
        items: Recordings done, including those of earlier runs.
        total: Number of all recordings.
        rows: Rows of results written by this run.
        failed: Recordings that this run could not read.
    """

    items: int
    total: int
    rows: int = 0
    failed: int = 0


def run(
    engine: Engine,
    items: Sequence[Item],
    make: Callable[[], Judge],
    partitions: Partitions,
    *,
    most: int,
    tell: Callable[[Progress], object],
) -> None:
    """Scores the recordings without results on a cluster; resumes an earlier run.

    Args:
        engine: The cluster.
        items: All recordings; those with the same origin are scored once.
        make: Creates a judge, in every process of the cluster; must be picklable.
        partitions: The existing results, to which new ones are added.
        most: Most recordings in a partition, and to repeat when a process dies.
        tell: Called from time to time with the progress.

    Raises:
        YamnetCryError: If the cluster, a judge or the partitions cannot be used. Finished work is kept.
    """
    done = partitions.done()
    unique = {item.origin: item for item in items}
    missing = [item for origin, item in unique.items() if origin not in done]
    now = Progress(len(items) - len(missing), len(items))
    tell(now)
    written: set[str] = set()
    for came in engine.run(_tasks(missing, most), partial(_Judging, make, partitions)):
        now = Progress(now.items + came.items, now.total, now.rows + came.rows, now.failed + came.failed)
        tell(now)
        written.update(came.files)
    if lost := written - partitions.names():
        raise ClusterError(
            f"the cluster has written {min(lost)}, but {partitions.folder.name} does not contain it here; "
            "use a bucket, or a folder that all machines share"
        )


def _tasks(items: Sequence[Item], most: int) -> Iterator[list[Item]]:
    task: list[Item] = []
    size = 0
    for item in items:
        if task and (len(task) == most or size + item.size > _BYTES_PER_PARTITION):
            yield task
            task, size = [], 0
        task.append(item)
        size += item.size
    if task:
        yield task


@dataclass(frozen=True)
class _Came:
    items: int
    rows: int
    failed: int
    files: tuple[str, ...]

    def __add__(self, other: "_Came") -> "_Came":
        return _Came(
            self.items + other.items,
            self.rows + other.rows,
            self.failed + other.failed,
            self.files + other.files,
        )


class _Judging:
    """The worker in a process of the cluster: scores recordings and writes a partition of the results."""

    def __init__(self, make: Callable[[], Judge], partitions: Partitions) -> None:
        self._judge, self._partitions = make(), partitions

    def __call__(self, items: Sequence[Item], attempt: int) -> _Came:
        if attempt < _ALONE:
            return self._judged(items)
        # A recording in this task crashes processes; scoring one by one finds it.
        came = _Came(0, 0, 0, ())
        there = self._partitions.names()
        for item in items:
            name = self._partitions.name_of([Entry(item.name, item.origin)])
            if name in there:
                came += _Came(1, 0, 0, (name,))
            elif f"{ERRORS}/{name}" in there:
                came += _Came(1, 0, 0, (f"{ERRORS}/{name}",))
            elif attempt > _ALONE and not came.rows + came.failed:
                # The previous attempt crashed on this recording.
                reason = f"{item.name}: every process that read it crashed; it may be damaged or too long"
                failed = self._partitions.write_errors([(Entry(item.name, item.origin), reason)])
                came += _Came(1, 0, 1, (failed,))
            else:
                came += self._judged([item])
        return came

    def _judged(self, items: Sequence[Item]) -> _Came:
        failed: list[tuple[Entry, str]] = []
        entries: list[Entry] = []
        tables: list[pa.Table] = []
        for item, answer in zip(items, self._judge(items), strict=True):
            if isinstance(answer, AudioError):
                failed.append((Entry(item.name, item.origin), str(answer)))
            else:
                entries.append(Entry(item.name, item.origin, answer.content, len(answer.rows)))
                tables.append(answer.rows)
        files = []
        if failed:
            files.append(self._partitions.write_errors(failed))
        if entries:
            files.append(self._partitions.write(entries, pa.concat_tables(tables)))
        return _Came(len(items), sum(map(len, tables)), len(failed), tuple(files))

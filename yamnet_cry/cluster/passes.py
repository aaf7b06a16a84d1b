"""A pass over audio: every recording is heard once, on some machine, and what is found stays found."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from yamnet_cry.cluster.engine import Engine
from yamnet_cry.cluster.partitions import ERRORS, Entry, Partitions
from yamnet_cry.errors import AudioError, ClusterError

# From this attempt on, recordings of a task whose processes die are judged one by one.
_ALONE = 3

# A night takes as long as hundreds of clips.
_BYTES_PER_PARTITION = 256_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One recording of a pass.

    Attributes:
        name: What tables and messages call it.
        origin: By what its audio is known again without being read.
        source: What a judge takes; can be pickled.
        size: In bytes, where that is known.
    """

    name: str
    origin: str
    source: Any
    size: int = 0


@dataclass(frozen=True)
class Answer:
    """What a judge says of a recording.

    Attributes:
        rows: With the columns of all its answers.
        content: By what the decoded audio is known, if anybody asks.
    """

    rows: pa.Table
    content: str = ""


class Judge(Protocol):
    """Hears recordings: a teacher, or a detector."""

    def __call__(self, items: Sequence[Item]) -> Iterable[Answer | AudioError]:
        """Judges each, in their order; of what cannot be read it gives the reason.

        What it says of one must not depend on the others, for a pass that goes on is cut elsewhere.
        """
        ...


@dataclass(frozen=True)
class Progress:
    """How far a pass is.

    Attributes:
        items: Recordings done, those of earlier runs among them.
        total: Recordings in all.
        rows: Rows of results that this run has made.
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
    """Lets a cluster judge what nobody has judged yet, and goes on where an earlier run was stopped.

    Args:
        engine: The cluster.
        items: All recordings; those with the same origin are heard once.
        make: Makes a judge, in every process of the cluster; can be pickled.
        partitions: Where the answers are, and go.
        most: Recordings in a partition: so many are lost when a process dies.
        tell: Called now and then with how far the pass is.

    Raises:
        YamnetCryError: If the cluster, a judge or the partitions cannot be used. What is done stays done.
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
    """What a process of the cluster does: judges recordings and writes a partition of the answers."""

    def __init__(self, make: Callable[[], Judge], partitions: Partitions) -> None:
        self._judge, self._partitions = make(), partitions

    def __call__(self, items: Sequence[Item], attempt: int) -> _Came:
        if attempt < _ALONE:
            return self._judged(items)
        # Something here ends processes: one by one, it can be told from what does not.
        came = _Came(0, 0, 0, ())
        there = self._partitions.names()
        for item in items:
            name = self._partitions.name_of([Entry(item.name, item.origin)])
            if name in there:
                came += _Came(1, 0, 0, (name,))
            elif f"{ERRORS}/{name}" in there:
                came += _Came(1, 0, 0, (f"{ERRORS}/{name}",))
            elif attempt > _ALONE and not came.rows + came.failed:
                # The attempt before has ended here.
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

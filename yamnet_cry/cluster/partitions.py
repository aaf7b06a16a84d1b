"""Results of a pass in Parquet files, written atomically, with their content listed in the footers."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from yamnet_cry.errors import PartitionError
from yamnet_cry.locations import Location

#: Subfolder for recordings that cannot be read.
ERRORS = "errors"

_SUFFIX = ".parquet"
_FOOTER = b"yamnet-cry"
_FORMAT = 1

# Each footer takes a request, and a bucket serves many in parallel.
_AT_ONCE = 32
# A few files are enough: recordings adjacent in a corpus are adjacent in a partition.
_KEPT = 4

_ERROR_COLUMNS = pa.schema([("name", pa.string()), ("reason", pa.string()), ("maker", pa.string())])


@dataclass(frozen=True)
class Entry:
    """One recording in a partition.

    Attributes:
        name: Its name in tables and messages.
        origin: Identifies its audio without reading it, see `locations.Location.origin`.
        content: Identifies its decoded audio; empty if not computed.
        rows: Number of its rows in the partition; they are consecutive.
    """

    name: str
    origin: str
    content: str = ""
    rows: int = 1


@dataclass(frozen=True)
class Partition:
    """One file of results.

    Attributes:
        place: The file.
        entries: The recordings in it, in the order of its rows.
    """

    place: Location
    entries: tuple[Entry, ...]


class Partitions:
    """The results of one maker, such as a teacher or a detector, for recordings: a folder of Parquet files.

    Each file is written atomically and never changed. Its name is a hash of its maker and its recordings, so
    that repeated work writes the same file. Recordings that cannot be read are in the subfolder ``errors``,
    with the columns ``name``, ``reason`` and ``maker``.

    Args:
        folder: Folder of the files: a bucket, or a folder shared by all machines.
        maker: Identifies the weights and settings that produced the results.
    """

    def __init__(self, folder: Location, maker: str) -> None:
        self.folder, self.maker = folder, maker

    def results(self) -> list[Partition]:
        """Lists the existing partitions, from footers alone.

        Raises:
            PartitionError: If a file is damaged, or was not written by this program.
            LocationError: If files cannot be listed or read.
        """
        return self._inside(self.folder)

    def errors(self) -> list[Partition]:
        """Lists the partitions of recordings that could not be read; raises the same errors as `results`."""
        return self._inside(self.folder.child(ERRORS))

    def others(self) -> list[Partition]:
        """Lists partitions of other makers in the same folder; raises the same errors as `results`."""
        return [*self._inside(self.folder, False), *self._inside(self.folder.child(ERRORS), False)]

    def done(self) -> set[str]:
        """Returns the origins of all recordings that need no more work: those of results and of errors."""
        both = (*self.results(), *self.errors())
        return {entry.origin for partition in both for entry in partition.entries}

    def reasons(self) -> dict[str, str]:
        """Returns the reasons why recordings could not be read, by origin."""
        return {
            entry.origin: reason
            for partition in self.errors()
            for entry, reason in zip(
                partition.entries, read(partition.place)["reason"].to_pylist(), strict=True
            )
        }

    def names(self) -> set[str]:
        """Returns the names of all files within the folder, including those in ``errors``."""
        return {file.relative_to(self.folder) for file in self.folder.listed()}

    def write(self, entries: Sequence[Entry], rows: pa.Table) -> str:
        """Writes results as one file.

        Args:
            entries: The recordings.
            rows: All rows, in the order of the entries; a column ``maker`` is added.

        Returns:
            The name of the file within the folder.

        Raises:
            LocationError: If it cannot be written.
        """
        made_by = _repeated(self.maker, len(rows))
        return self._write(self.name_of(entries), entries, rows.append_column("maker", made_by))

    def write_errors(self, failed: Sequence[tuple[Entry, str]]) -> str:
        """Writes recordings that could not be read, with reasons, as one file; returns its name."""
        entries, reasons = [entry for entry, _ in failed], [reason for _, reason in failed]
        names = [entry.name for entry in entries]
        columns = [pa.array(names), pa.array(reasons), _repeated(self.maker, len(names))]
        rows = pa.Table.from_arrays(columns, schema=_ERROR_COLUMNS)
        return self._write(f"{ERRORS}/{self.name_of(entries)}", entries, rows)

    def _write(self, name: str, entries: Sequence[Entry], rows: pa.Table) -> str:
        about = {
            "format": _FORMAT,
            "maker": self.maker,
            "entries": [[entry.name, entry.origin, entry.content, entry.rows] for entry in entries],
        }
        content = BytesIO()
        pq.write_table(
            rows.replace_schema_metadata({_FOOTER: json.dumps(about).encode()}),
            content,
            compression="zstd",
            write_page_checksum=True,
        )
        self.folder.child(name).write(content.getvalue())
        return name

    def name_of(self, entries: Iterable[Entry]) -> str:
        """Returns the file name for a partition of the given recordings."""
        said = json.dumps([self.maker, [entry.origin for entry in entries]])
        return f"part-{hashlib.sha256(said.encode()).hexdigest()[:24]}{_SUFFIX}"

    def _inside(self, folder: Location, ours: bool = True) -> list[Partition]:
        files = [file for file in folder.listed() if "/" not in file.relative_to(folder)]
        files = [file for file in files if file.name.endswith(_SUFFIX)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(_footer, files))
        return [partition for maker, partition in found if (maker == self.maker) is ours]


def short(words: str) -> str:
    """Returns a hash of 32 hexadecimal digits that identifies a maker or origin, also in folder names."""
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def _repeated(word: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), [word]).cast(pa.string())


def read(place: Location, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a partition, and verifies its checksums.

    Raises:
        PartitionError: If it is damaged.
        LocationError: If it cannot be read.
    """
    content = BytesIO(place.read())
    try:
        return pq.read_table(content, columns=columns, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(place, error) from None


def _footer(place: Location) -> tuple[str, Partition]:
    try:
        with place.open() as file:
            about = json.loads((pq.read_schema(file).metadata or {})[_FOOTER])
        if about["format"] != _FORMAT:
            raise PartitionError(
                f"{place.name} was written by another version of yamnet-cry (format {about['format']}); "
                "choose another folder"
            )
        entries = tuple(Entry(*values) for values in about["entries"])
        return str(about["maker"]), Partition(place, entries)
    except KeyError:
        raise PartitionError(f"{place.name} was not written by yamnet-cry; choose another folder") from None
    except PartitionError:
        raise
    except (pa.ArrowException, ValueError, TypeError, OSError) as error:
        raise _damaged(place, error) from None


def _damaged(place: Location, error: Exception) -> PartitionError:
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    return PartitionError(
        f"{place.name} is damaged ({reason}); delete it and repeat the command to rebuild it. All others "
        "are kept"
    )


class Rows:
    """The rows of single recordings, by origin.

    Files are read on demand, and only a few are cached: memory does not grow with the number of partitions.

    Args:
        partitions: The partitions.
        column: Name of the column to read.
    """

    def __init__(self, partitions: Iterable[Partition], column: str) -> None:
        self._places: dict[str, tuple[Location, int, int]] = {}
        for partition in partitions:
            start = 0
            for entry in partition.entries:
                # Two concurrent runs may both have scored a recording; their rows are equal.
                self._places.setdefault(entry.origin, (partition.place, start, entry.rows))
                start += entry.rows
        self._column = lru_cache(maxsize=_KEPT)(lambda place: read(place, [column])[column].combine_chunks())

    def of(self, origin: str) -> pa.Array | None:
        """Returns the rows of a recording, or None if there are none.

        Raises:
            PartitionError: If they are damaged.
        """
        if origin not in self._places:
            return None
        place, start, count = self._places[origin]
        return self._column(place).slice(start, count)

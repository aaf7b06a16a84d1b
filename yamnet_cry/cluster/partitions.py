"""Results of a pass in Parquet files, each whole, whose footers say what is in them."""

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

#: Folder, within that of the partitions, of recordings that cannot be read.
ERRORS = "errors"

_SUFFIX = ".parquet"
_FOOTER = b"yamnet-cry"
_FORMAT = 1

# Footers come one request each, and a bucket answers many at once.
_AT_ONCE = 32
# Neighbours in a corpus are neighbours in a partition.
_KEPT = 4

_ERROR_COLUMNS = pa.schema([("name", pa.string()), ("reason", pa.string()), ("maker", pa.string())])


@dataclass(frozen=True)
class Entry:
    """One recording in a partition.

    Attributes:
        name: What tables and messages call it.
        origin: By what its audio is known again without being read, see `locations.Location.origin`.
        content: By what it is known once it is decoded, if anybody asks.
        rows: How many rows of the partition are about it; they follow each other.
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
        entries: What is in it, in the order of its rows.
    """

    place: Location
    entries: tuple[Entry, ...]


class Partitions:
    """What one maker, such as a teacher or a detector, says of recordings: a folder of Parquet files.

    Each file is written whole or not at all and never changed; its name follows from its maker and its
    recordings, so that whoever does the same work twice writes the same file. Recordings that cannot be read
    are in the folder ``errors`` within it, with the columns ``name``, ``reason`` and ``maker``.

    Args:
        folder: Where they lie; a bucket, or a folder that all machines see.
        maker: What made them, by its weights and settings.
    """

    def __init__(self, folder: Location, maker: str) -> None:
        self.folder, self.maker = folder, maker

    def results(self) -> list[Partition]:
        """Reads what there is, from footers alone.

        Raises:
            PartitionError: If a file is damaged, or none of this program's.
            LocationError: If they cannot be listed or read.
        """
        return self._inside(self.folder)

    def errors(self) -> list[Partition]:
        """Reads which recordings could not be read; errors are those of `results`."""
        return self._inside(self.folder.child(ERRORS))

    def others(self) -> list[Partition]:
        """Returns what other makers have put into the same folder; errors are those of `results`."""
        return [*self._inside(self.folder, False), *self._inside(self.folder.child(ERRORS), False)]

    def done(self) -> set[str]:
        """Returns the origins of all recordings that need no more work: those of results and of errors."""
        both = (*self.results(), *self.errors())
        return {entry.origin for partition in both for entry in partition.entries}

    def reasons(self) -> dict[str, str]:
        """Returns why recordings could not be read, by their origins."""
        return {
            entry.origin: reason
            for partition in self.errors()
            for entry, reason in zip(
                partition.entries, read(partition.place)["reason"].to_pylist(), strict=True
            )
        }

    def names(self) -> set[str]:
        """Returns the names of all files within the folder, those in ``errors`` too."""
        return {file.relative_to(self.folder) for file in self.folder.listed()}

    def write(self, entries: Sequence[Entry], rows: pa.Table) -> str:
        """Writes results as one file.

        Args:
            entries: Of which recordings.
            rows: All rows, in the order of the entries; a column ``maker`` is added.

        Returns:
            The name of the file within the folder.

        Raises:
            LocationError: If it cannot be written.
        """
        made_by = _repeated(self.maker, len(rows))
        return self._write(self.name_of(entries), entries, rows.append_column("maker", made_by))

    def write_errors(self, failed: Sequence[tuple[Entry, str]]) -> str:
        """Writes which recordings could not be read, and why, as one file; returns its name in the folder."""
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
        """Returns the name of the file for some recordings, within the folder or that of errors."""
        said = json.dumps([self.maker, [entry.origin for entry in entries]])
        return f"part-{hashlib.sha256(said.encode()).hexdigest()[:24]}{_SUFFIX}"

    def _inside(self, folder: Location, ours: bool = True) -> list[Partition]:
        files = [file for file in folder.listed() if "/" not in file.relative_to(folder)]
        files = [file for file in files if file.name.endswith(_SUFFIX)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(_footer, files))
        return [partition for maker, partition in found if (maker == self.maker) is ours]


def short(words: str) -> str:
    """Returns a hash by which makers and origins are known, in names of folders too: 32 digits."""
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def _repeated(word: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), [word]).cast(pa.string())


def read(place: Location, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a partition, and checks that every byte of it is as it was written.

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
        "stay done"
    )


class Rows:
    """The rows of single recordings, by their origins.

    Files are read when they are needed, and a few of them kept: memory does not grow with the partitions.

    Args:
        partitions: What there is.
        column: What is asked for.
    """

    def __init__(self, partitions: Iterable[Partition], column: str) -> None:
        self._places: dict[str, tuple[Location, int, int]] = {}
        for partition in partitions:
            start = 0
            for entry in partition.entries:
                # Two runs at once may both have judged a recording: they say the same of it.
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

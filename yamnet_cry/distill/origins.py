"""Picklable sources of the audio of clips, which identify it without reading it."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from yamnet_cry.audio import AudioSource
from yamnet_cry.errors import AudioError
from yamnet_cry.locations import Location

# A row group of a Parquet file is read whole, because its rows are consecutive clips.
_ROW_GROUPS_KEPT = 2


@dataclass(frozen=True)
class File:
    """A file on this machine, or on a shared drive."""

    path: Path

    def __call__(self) -> AudioSource:
        """Returns its path."""
        return self.path

    def __reduce__(self) -> tuple[Any, ...]:
        # Other processes may have other working folders.
        return File, (self.path.absolute(),)

    @property
    def origin(self) -> str:
        """Its path, size and time of last change."""
        try:
            status = self.path.stat()
        except OSError:
            # The error is reported when the file is read.
            return str(self.path.absolute())
        return f"{self.path.resolve()} {status.st_size} {status.st_mtime_ns}"


@dataclass(frozen=True)
class Remote:
    """A file in a bucket."""

    place: Location

    def __call__(self) -> AudioSource:
        """Opens it."""
        try:
            return self.place.open()
        except OSError as error:
            raise AudioError(f"{self.place.name} cannot be read: {error.strerror or error}") from None

    @property
    def origin(self) -> str:
        """Its URL, its size, and its entity tag or time of last change."""
        return self.place.origin


@dataclass(frozen=True)
class ParquetRow:
    """The audio in one row of a Parquet file in AudioSet's layout, local or in a bucket."""

    place: Location
    row_group: int
    row: int

    def __call__(self) -> AudioSource:
        """Returns the audio file that the row contains."""
        return BytesIO(_audio(self.place, self.row_group)[self.row])

    @property
    def origin(self) -> str:
        """The origin of its file, with its row group and row."""
        return f"{self.place.origin} {self.row_group} {self.row}"


@lru_cache(maxsize=_ROW_GROUPS_KEPT)
def _audio(place: Location, row_group: int) -> list[bytes]:
    import pyarrow.parquet as pq

    with place.open() as file:
        table = pq.ParquetFile(file).read_row_group(row_group, columns=["audio.bytes"])
    return [row["bytes"] for row in table["audio"].to_pylist()]


@dataclass(frozen=True)
class DatasetRow:
    """The audio in one row of a Hub dataset that ``datasets`` has downloaded."""

    dataset: Any
    row: int

    def __call__(self) -> AudioSource:
        """Returns the audio file that the row contains."""
        return BytesIO(self.dataset[self.row]["audio"]["bytes"])

    @property
    def origin(self) -> str:
        """The fingerprint that ``datasets`` gives to the dataset, with the row."""
        return f"{self.dataset._fingerprint} {self.row}"

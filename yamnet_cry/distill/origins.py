"""Where the audio of clips comes from: sent to other processes, and known again without being read."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from yamnet_cry.audio import AudioSource
from yamnet_cry.errors import AudioError
from yamnet_cry.locations import Location

# A row group of a Parquet file is read whole; its rows are clips that follow each other.
_ROW_GROUPS_KEPT = 2


@dataclass(frozen=True)
class File:
    """A file of this machine, or of a drive that others see too."""

    path: Path

    def __call__(self) -> AudioSource:
        """Returns its path."""
        return self.path

    def __reduce__(self) -> tuple[Any, ...]:
        # Other processes work in other folders.
        return File, (self.path.absolute(),)

    @property
    def origin(self) -> str:
        """Its place, its size and when it changed."""
        try:
            status = self.path.stat()
        except OSError:
            # Whoever reads it will find out why.
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
        """Its place, its size, and its entity tag or when it changed."""
        return self.place.origin


@dataclass(frozen=True)
class ParquetRow:
    """The audio in one row of a Parquet file in AudioSet's layout, here or in a bucket."""

    place: Location
    row_group: int
    row: int

    def __call__(self) -> AudioSource:
        """Returns the file that is in it."""
        return BytesIO(_audio(self.place, self.row_group)[self.row])

    @property
    def origin(self) -> str:
        """That of its file, and where it is in it."""
        return f"{self.place.origin} {self.row_group} {self.row}"


@lru_cache(maxsize=_ROW_GROUPS_KEPT)
def _audio(place: Location, row_group: int) -> list[bytes]:
    import pyarrow.parquet as pq

    with place.open() as file:
        table = pq.ParquetFile(file).read_row_group(row_group, columns=["audio.bytes"])
    return [row["bytes"] for row in table["audio"].to_pylist()]


@dataclass(frozen=True)
class DatasetRow:
    """The audio in one row of a dataset of the Hub's, as ``datasets`` has downloaded it."""

    dataset: Any
    row: int

    def __call__(self) -> AudioSource:
        """Returns the file that is in it."""
        return BytesIO(self.dataset[self.row]["audio"]["bytes"])

    @property
    def origin(self) -> str:
        """The fingerprint that ``datasets`` gives to what it has, and where it is in that."""
        return f"{self.dataset._fingerprint} {self.row}"

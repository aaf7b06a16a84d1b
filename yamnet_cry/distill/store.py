"""The windows of a corpus in files: written a clip at a time, and whole or not there."""

import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.distill.rows import Rows
from yamnet_cry.errors import RunError
from yamnet_cry.files import write_whole
from yamnet_cry.frontend import Float32

_LOG = logging.getLogger(__name__)

# Written last: without it, the others do not count.
_INDEX = "index.json"


@dataclass(frozen=True)
class Stored:
    """Spectrograms and logits in files.

    Attributes:
        frames: int64 of shape (clips,), the length of each spectrogram.
        log_mel: Of shape (frames, bands), all clips one after the other.
        logits: Of each teacher, in the same order: of shape (windows, labels) or (clips, labels).
    """

    frames: NDArray[np.int64]
    log_mel: Rows
    logits: list[Rows]


class Store:
    """A folder for the spectrograms of a corpus, and what teachers say of it.

    It does not matter where logits come from: a teacher, the cache, or what another run has left.

    Args:
        folder: Is made, and belongs to the store: what is in it is replaced.
        identity: What makes a corpus and its teachers the same.
        columns: How many numbers are in a row of the spectrograms, and of the logits of each teacher.
    """

    def __init__(self, folder: Path, identity: str, columns: Sequence[int]) -> None:
        self._folder, self._identity, self._columns = folder, identity, list(columns)
        names = ["log_mel", *(f"logits-{number}" for number in range(1, len(columns)))]
        self._paths = [folder / f"{name}.f32" for name in names]

    def find(self) -> Stored | None:
        """Returns what was written before, if it is whole and of the same corpus and teachers."""
        try:
            index = json.loads((self._folder / _INDEX).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            index = {}
        with suppress(RunError):
            tables = list(map(Rows, self._paths, self._columns))
            if index.get("identity") == self._identity and index.get("rows") == list(map(len, tables)):
                return Stored(np.array(index["frames"], np.int64), tables[0], tables[1:])
        _LOG.info("%s is damaged or from another run and will be rebuilt", self._folder)
        return None

    def write(self) -> "Writing":
        """Returns what writes it anew."""
        return Writing(self._folder, self._identity, self._columns, self._paths)


class Writing:
    """Files that grow by a clip at a time; all are removed if their context ends before `finish`."""

    def __init__(self, folder: Path, identity: str, columns: list[int], paths: list[Path]) -> None:
        self._folder, self._identity, self._columns, self._paths = folder, identity, columns, paths
        self._files: list[IO[bytes]] = []
        self._frames: list[int] = []
        self._rows = [0] * len(paths)
        self._finished = False

    def __enter__(self) -> "Writing":
        try:
            if self._folder.exists():
                shutil.rmtree(self._folder)
            self._folder.mkdir(parents=True)
            for path in self._paths:
                self._files.append(path.open("wb"))
        except OSError as error:
            raise self._unwritable(error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            with suppress(OSError):
                file.close()
        if not self._finished:
            # A full disk wants its room back at once.
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, log_mel: Float32, logits: Sequence[Float32]) -> None:
        """Adds the next clip.

        Args:
            log_mel: float32 of shape (frames, bands).
            logits: Of each teacher, float32 of shape (windows, labels) or (1, labels).

        Raises:
            RunError: If there is no room.
        """
        try:
            for number, rows in enumerate((log_mel, *logits)):
                self._files[number].write(np.ascontiguousarray(rows, np.float32).data)
                self._rows[number] += len(rows)
        except OSError as error:
            raise self._unwritable(error) from None
        self._frames.append(len(log_mel))

    def finish(self) -> Stored:
        """Makes the files count, and returns them.

        Raises:
            RunError: If there is no room.
        """
        index = {"identity": self._identity, "rows": self._rows, "frames": self._frames}
        try:
            for file in self._files:
                file.close()
            write_whole(self._folder / _INDEX, json.dumps(index))
        except OSError as error:
            raise self._unwritable(error) from None
        self._finished = True
        tables = list(map(Rows, self._paths, self._columns))
        return Stored(np.array(self._frames, np.int64), tables[0], tables[1:])

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"the windows of the corpus cannot be written to {self._folder} ({error.strerror}); "
            "free disk space there and run again with --resume"
        )

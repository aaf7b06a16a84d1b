"""The windows of a corpus in files, written clip by clip and kept only if complete."""

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

# Written last: without it, the other files are incomplete.
_INDEX = "index.json"


@dataclass(frozen=True)
class Stored:
    """Spectrograms and logits in files.

    Attributes:
        frames: int64 of shape (clips,), the length of each spectrogram.
        log_mel: Spectrograms of all clips, concatenated: shape (frames, bands).
        logits: Logits of each teacher, in the same order: shape (windows, labels) or (clips, labels).
    """

    frames: NDArray[np.int64]
    log_mel: Rows
    logits: list[Rows]


class Store:
    """A folder of the spectrograms of a corpus and the logits of its teachers.

    The store does not depend on the origin of logits: a teacher, the cache, or partitions.

    Args:
        folder: Folder of the store; created if missing, and its content is replaced.
        identity: Identifies the corpus and its teachers.
        columns: Numbers per row of the spectrograms, and of the logits of each teacher.
    """

    def __init__(self, folder: Path, identity: str, columns: Sequence[int]) -> None:
        self._folder, self._identity, self._columns = folder, identity, list(columns)
        names = ["log_mel", *(f"logits-{number}" for number in range(1, len(columns)))]
        self._paths = [folder / f"{name}.f32" for name in names]

    def find(self) -> Stored | None:
        """Returns the stored windows, or None if they are incomplete or of another corpus or teachers."""
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
        """Returns a context manager that replaces the stored windows."""
        return Writing(self._folder, self._identity, self._columns, self._paths)


class Writing:
    """Writes the files of a store clip by clip; they are removed if the context ends before `finish`."""

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
            # Free the space at once, because the disk may be full.
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, log_mel: Float32, logits: Sequence[Float32]) -> None:
        """Adds the next clip.

        Args:
            log_mel: float32 of shape (frames, bands).
            logits: Logits of each teacher, float32 of shape (windows, labels) or (1, labels).

        Raises:
            RunError: If the files cannot be written.
        """
        try:
            for number, rows in enumerate((log_mel, *logits)):
                self._files[number].write(np.ascontiguousarray(rows, np.float32).data)
                self._rows[number] += len(rows)
        except OSError as error:
            raise self._unwritable(error) from None
        self._frames.append(len(log_mel))

    def finish(self) -> Stored:
        """Completes the files, and returns them.

        Raises:
            RunError: If the files cannot be written.
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

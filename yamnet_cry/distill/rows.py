"""Tables larger than memory: rows in a file, read on demand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from yamnet_cry.errors import RunError
from yamnet_cry.frontend import Float32

#: Rows to read at a time: a multiple of the batch size of prediction; 13 MB as patches.
BLOCK = 512


class Rows:
    """A float32 table in a file; only the requested rows are in memory.

    The file is mapped again for each access: with a permanent mapping, every row ever read would count as
    memory of the process, and Windows could not delete the file.

    Args:
        path: The file, with rows in the format of `numpy.ndarray.tofile`.
        columns: Numbers per row.

    Raises:
        RunError: If the file cannot be read, or its size is not a multiple of a row.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     np.float32([[1, 2], [3, 4], [5, 6]]).tofile(Path(folder, "rows"))
        ...     rows = Rows(Path(folder, "rows"), 2)
        ...     rows.shape, rows[1:].tolist(), rows[np.array([2, 0])].tolist()
        ((3, 2), [[3.0, 4.0], [5.0, 6.0]], [[5.0, 6.0], [1.0, 2.0]])
    """

    def __init__(self, path: Path, columns: int) -> None:
        self._path = path
        try:
            size = path.stat().st_size
        except OSError as error:
            raise self._unreadable(error.strerror) from None
        row = columns * np.dtype(np.float32).itemsize
        if size % row or not size:
            raise self._unreadable(f"{size:,} bytes, not whole rows of {row:,}")
        self.shape = (size // row, columns)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Float32:
        """Reads the rows of a NumPy index, as a new array.

        Raises:
            RunError: If the file cannot be read any more.
        """
        try:
            return np.array(np.memmap(self._path, np.float32, "r", shape=self.shape)[index])
        except OSError as error:
            raise self._unreadable(error.strerror) from None
        except ValueError:
            # NumPy raises this for a file shorter than its table.
            raise self._unreadable("it was truncated") from None

    def _unreadable(self, reason: str | None) -> RunError:
        return RunError(f"{self._path} cannot be read ({reason}); delete {self._path.parent} and run again")


#: A table in memory, or in a file.
Table = Float32 | Rows


def blocks(count: int) -> Iterator[slice]:
    """Divides ``count`` rows or windows into blocks that fit in memory.

    Examples:
        >>> list(blocks(800))
        [slice(0, 512, None), slice(512, 800, None)]
    """
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))

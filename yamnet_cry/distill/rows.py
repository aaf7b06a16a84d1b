"""Tables that do not fit in memory: rows in a file, read as they are asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from yamnet_cry.errors import RunError
from yamnet_cry.frontend import Float32

#: Rows that are read at a time: a whole number of the batches in which windows are predicted, and as patches
#: 13 MB.
BLOCK = 512


class Rows:
    """A table of float32 in a file, of which only what is asked for is ever in memory.

    The file is mapped anew for each answer: a mapping that stays would count every row that was ever read as
    memory of the process, and Windows could not delete the file.

    Args:
        path: The file, as `numpy.ndarray.tofile` writes rows.
        columns: Numbers in a row.

    Raises:
        RunError: If it cannot be read, or does not hold whole rows.

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
        """Reads what numpy would give for the same index, as an array of its own.

        Raises:
            RunError: If the file cannot be read any more.
        """
        try:
            return np.array(np.memmap(self._path, np.float32, "r", shape=self.shape)[index])
        except OSError as error:
            raise self._unreadable(error.strerror) from None
        except ValueError:
            # What numpy says of a file that is shorter than its table.
            raise self._unreadable("it was truncated") from None

    def _unreadable(self, reason: str | None) -> RunError:
        return RunError(f"{self._path} cannot be read ({reason}); delete {self._path.parent} and run again")


#: A table in memory, or in a file.
Table = Float32 | Rows


def blocks(count: int) -> Iterator[slice]:
    """Cuts so many rows, or windows, into blocks that fit in memory.

    Examples:
        >>> list(blocks(800))
        [slice(0, 512, None), slice(512, 800, None)]
    """
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))

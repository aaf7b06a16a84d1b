"""A CSV file of events, extended by whole recordings and locked against other programs."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from yamnet_cry.errors import RunError
from yamnet_cry.files import lock
from yamnet_cry.report.text import CSV_COLUMNS, csv_rows
from yamnet_cry.results import Detection

# The error handler with which Python decodes and encodes file names that are not valid Unicode.
_ERRORS = sys.getfilesystemencodeerrors()


@dataclass(frozen=True)
class _Row:
    """A complete row.

    Attributes:
        fields: Its values.
        start: Index of its first character.
        end: Index after its last character.
    """

    fields: list[str]
    start: int
    end: int


class Table:
    """A CSV file of events, locked against writing by other programs.

    File names that are not UTF-8 are written as their original bytes.

    Args:
        path: The file; created if there is none.
        resume: Whether to keep the rows of an existing file, and to append to them.
        overwrite: Whether to empty an existing file.

    Attributes:
        done: Names of the recordings in it.

    Raises:
        RunError: If it cannot be written, is another table, would be overwritten, or is in use.
    """

    def __init__(self, path: Path, *, resume: bool = False, overwrite: bool = False) -> None:
        self._path = path
        self.done: set[str] = set()
        try:
            # Unbuffered, so that no data remains to be written after a failed write.
            self._file = path.open("a+b" if resume or overwrite else "x+b", buffering=0)
        except FileExistsError:
            raise RunError(
                f"{path} exists; continue it with --skip-done, replace it with --overwrite, "
                "or choose another file"
            ) from None
        except OSError as error:
            raise self._failed(error) from None
        try:
            self._begin(overwrite)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, result: Detection, heard: Sequence[str] = ()) -> None:
        """Appends the rows of a recording, all or none; arguments are those of `csv_rows`.

        Raises:
            RunError: If they cannot be written.
        """
        try:
            self._append(csv_rows(name, result, heard))
        except OSError as error:
            raise self._failed(error) from None
        self.done.add(name)

    def _begin(self, overwrite: bool) -> None:
        try:
            lock(self._file)
            if overwrite:
                self._file.truncate(0)
            self._file.seek(0)
            text = self._file.read().decode("utf-8", _ERRORS)
            if text:
                self._resume(text)
            else:
                self._append(",".join(CSV_COLUMNS) + "\n")
        except BlockingIOError:
            raise RunError(
                f"{self._path} is being written by another program; wait for it, or choose another file"
            ) from None
        except OSError as error:
            raise self._failed(error) from None

    def _resume(self, text: str) -> None:
        """Reads the complete rows, and removes the incomplete rows of a killed run at the end."""
        try:
            header, *rows = list(_rows(text)) or [_Row([], 0, 0)]
        except csv.Error as error:
            raise RunError(f"{self._path} is another program's table, or damaged ({error})") from None
        if header.fields != list(CSV_COLUMNS):
            raise RunError(f"{self._path} is another program's table; choose another file")
        end = rows[-1].end if rows else header.end
        if end < len(text) and rows:
            rest, last = text[end:], rows[-1]
            name, *others = next(csv.reader(io.StringIO(rest, newline="\n")))
            if (others and name == last.fields[0]) or text[last.start :].startswith(rest):
                # The incomplete row belongs to the same recording, which is therefore not done.
                rows = [row for row in rows if row.fields[0] != last.fields[0]]
                end = rows[-1].end if rows else header.end
        self.done = {row.fields[0] for row in rows}
        self._file.truncate(len(text[:end].encode("utf-8", _ERRORS)))

    def _append(self, text: str) -> None:
        content = memoryview(text.encode("utf-8", _ERRORS))
        length = self._file.seek(0, io.SEEK_END)
        try:
            while content:
                content = content[self._file.write(content) :]
        except BaseException:
            # On a full disk, some of the rows may have been written.
            self._file.truncate(length)
            raise

    def _failed(self, error: OSError) -> RunError:
        return RunError(f"{self._path} cannot be written ({error.strerror or error})")


def _rows(text: str) -> Iterator[_Row]:
    """Yields the complete rows; names may contain line breaks, also those of Unicode.

    Raises:
        csv.Error: If the text is not valid CSV, except for an incomplete row at the end.
    """
    read = start = 0

    def lines() -> Iterator[str]:
        nonlocal read
        for line in io.StringIO(text, newline="\n"):
            read += len(line)
            yield line

    try:
        for fields in csv.reader(lines(), strict=True):
            if not text.endswith("\n", start, read):
                return
            yield _Row(fields, start, read)
            start = read
    except csv.Error:
        # An incomplete row at the end is expected; any other error is not from this program.
        if read < len(text):
            raise

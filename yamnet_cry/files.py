"""Atomic writes of files and folders, and file locks."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Creates a file or folder at a temporary path beside its target, and moves it there when complete.

    The temporary path is in a new folder, so that no other file is used or removed, and the result gets the
    permissions of any new file.

    Args:
        path: The target; an existing file is replaced, an existing folder is not.

    Yields:
        A path of the same name, at which to create the file or folder.

    Raises:
        OSError: If it cannot be written; the error names the target, which is then unchanged.

    Examples:
        >>> with TemporaryDirectory() as folder:
        ...     with whole(Path(folder, "a.txt")) as unfinished:
        ...         _ = unfinished.write_text("content")
        ...     Path(folder, "a.txt").read_text()
        'content'
    """
    try:
        if path.exists() and not path.is_file():
            # Renaming would silently replace a device or an empty folder.
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        with TemporaryDirectory(prefix=".yamnet-cry-", dir=path.parent, ignore_cleanup_errors=True) as folder:
            unfinished = Path(folder) / path.name
            yield unfinished
            os.replace(unfinished, path)
    except OSError as error:
        # The error of a full disk has no file name, and the temporary name means nothing to the user.
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), os.fspath(path)) from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file atomically; text as UTF-8.

    Raises:
        OSError: If it cannot be written; the error names the file, which is then unchanged.
    """
    with whole(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


def lock(file: IO[bytes]) -> None:
    """Locks an open file against other processes that lock it too, until it is closed or the process ends.

    Raises:
        BlockingIOError: If another process holds the lock.
        OSError: If it cannot be locked, as on some network drives.
    """
    if sys.platform == "win32":
        # A locked byte cannot be read on Windows, so it is one beyond the end of any such file.
        file.seek(2**31 - 2)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

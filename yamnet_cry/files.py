"""Files and folders that appear whole or not at all."""

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
    """Makes a file or folder in a temporary place beside its target, and moves it there when it is complete.

    The temporary place is a new folder of its own, so that nothing of anybody else's is used or removed,
    and what is made in it gets the permissions of any new file.

    Args:
        path: The target; a file that is there already is replaced, a folder is not.

    Yields:
        A path of the same name, at which to make the file or folder.

    Raises:
        OSError: If it cannot be written; it names the target, which is then as it was before.

    Examples:
        >>> with TemporaryDirectory() as folder:
        ...     with whole(Path(folder, "a.txt")) as unfinished:
        ...         _ = unfinished.write_text("content")
        ...     Path(folder, "a.txt").read_text()
        'content'
    """
    try:
        if path.exists() and not path.is_file():
            # Renaming would replace a device or an empty folder without a word.
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        with TemporaryDirectory(prefix=".yamnet-cry-", dir=path.parent, ignore_cleanup_errors=True) as folder:
            unfinished = Path(folder) / path.name
            yield unfinished
            os.replace(unfinished, path)
    except OSError as error:
        # A full disk gives no file name at all, and the temporary one would tell nobody anything.
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), os.fspath(path)) from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8, so that nobody ever reads half of it.

    Raises:
        OSError: If it cannot be written; it names the file, which is then as it was before.
    """
    with whole(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


def lock(file: IO[bytes]) -> None:
    """Locks an open file against other programs that do the same, until it is closed or the program dies.

    Raises:
        BlockingIOError: If another one holds the lock.
        OSError: If it cannot be locked, as on some network drives.
    """
    if sys.platform == "win32":
        # Nobody can read what is locked there, so it is a byte where no file reaches.
        file.seek(2**31 - 2)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

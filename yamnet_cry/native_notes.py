"""Hides what native libraries write to file descriptor 2, and nothing else.

LiteRT, TensorFlow and mpg123 write notes there and have no option to disable them. Python's own stderr,
tracebacks of crashes included, is still shown to the user, from worker processes too.
"""

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_hidden = False


def hide() -> None:
    """Redirects file descriptor 2 to the null device permanently, and `sys.stderr` to its former target."""
    global _hidden
    sys.stderr = os.fdopen(
        os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )
    faulthandler.enable(sys.stderr)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    _hidden = True


@contextmanager
def shown() -> Iterator[bool]:
    """Restores the real file descriptor 2 for processes that start in the block.

    Yields:
        Whether those processes should call `hide`, as this process did.
    """
    if not _hidden:
        yield False
        return
    null = os.dup(2)
    os.dup2(sys.stderr.fileno(), 2)
    try:
        yield True
    finally:
        os.dup2(null, 2)
        os.close(null)

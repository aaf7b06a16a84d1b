"""Keeps from the user what native libraries write to file descriptor 2, and nothing else.

LiteRT, TensorFlow and mpg123 write notes there and have no switch to stop it. Python's own stderr, tracebacks
of crashes included, still goes to the user, from worker processes too.
"""

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_hidden = False


def hide() -> None:
    """Points file descriptor 2 to the null device, for good, and `sys.stderr` to what it was."""
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
    """Gives processes that start in the block the real file descriptor 2.

    Yields:
        Whether they should `hide` notes as this process does.
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

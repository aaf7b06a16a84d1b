"""Runs a command for each event, while listening goes on."""

import json
import math
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from yamnet_cry.errors import RunError

# A command that hangs must not pile up thousands of others behind it.
_MOST_WAITING = 100

# Ctrl-C in a terminal reaches the whole process group; a command that is sending a message may finish.
_OWN_GROUP: dict[str, Any]
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    _OWN_GROUP = {"start_new_session": True}


def words(command: str, *, windows: bool = sys.platform == "win32") -> list[str]:
    r"""Splits a command into words as a shell does; on Windows a backslash is part of a path.

    Raises:
        ValueError: If a quote is not closed.

    Example:
        >>> words(r"C:\alarm.exe --to 'the kitchen'", windows=True)
        ['C:\\alarm.exe', '--to', 'the kitchen']
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if windows:
        lexer.escape = ""
    return list(lexer)


def parsed(command: str | None) -> list[str]:
    """Splits the value of --on-event, and finds its program; an empty list for None.

    Raises:
        RunError: If that cannot be done.
    """
    if command is None:
        return []
    try:
        name, *arguments = words(command) or [""]
    except ValueError as error:
        raise RunError(f"--on-event cannot be split into words ({error}). Received: {command}") from None
    # On Windows, only this finds a batch file by its bare name.
    program = shutil.which(name)
    if program is None:
        raise RunError(f"--on-event: no such program. Received: {command!r}")
    return [program, *arguments]


class Hook:
    """Runs a command for each event, one after the other, on a thread of its own.

    At the end of the ``with`` block the commands that wait are still run, for a limited time.

    Args:
        command: The program and its arguments; empty for none.
        warn: Called with a sentence when something went wrong.
        flush_seconds: The time for what still waits at the end.
        slow_seconds: The time after which a command that holds up another is said to be slow.
    """

    def __init__(
        self,
        command: list[str],
        warn: Callable[[str], object],
        *,
        flush_seconds: float = 10.0,
        slow_seconds: float = 10.0,
    ) -> None:
        self._command, self._warn = command, warn
        self._flush_seconds, self._slow_seconds = flush_seconds, slow_seconds
        self._running_since = math.inf
        self._waiting: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._running: subprocess.Popen[bytes] | None = None
        self._abandoned = False
        self._worker = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + self._flush_seconds
        with suppress(queue.Full):
            self._waiting.put(None, timeout=self._flush_seconds)
        self._worker.join(max(0.0, deadline - time.monotonic()))
        if self._worker.is_alive():
            self._abandoned = True
            self._warn(f"--on-event: not finished {self._flush_seconds:g} s after the end, and stopped")
            if self._running is not None:
                _terminate(self._running)

    def push(self, event: Mapping[str, Any]) -> None:
        """Runs the command with an event in its environment, when those before have finished."""
        if not self._command:
            return
        running_seconds = time.monotonic() - self._running_since
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self._warn("--on-event: the command is too slow; an event was left out")
        else:
            if running_seconds >= self._slow_seconds:
                self._warn(f"--on-event: the command has not finished for {running_seconds:.0f} s")

    def _work(self) -> None:
        while (event := self._waiting.get()) is not None and not self._abandoned:
            values = {
                f"YAMNET_CRY_{key.upper()}": json.dumps(value) if isinstance(value, bool) else str(value)
                for key, value in event.items()
            }
            self._running_since = time.monotonic()
            try:
                # Our own stdout is for events, and file descriptor 2 leads nowhere (see `run`).
                self._running = subprocess.Popen(
                    self._command,
                    env={**os.environ, **values},
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr,
                    stderr=sys.stderr,
                    **_OWN_GROUP,
                )
                code = self._running.wait()
            except OSError as error:
                self._warn(f"--on-event: {error.strerror}")
                continue
            finally:
                self._running_since = math.inf
            if code != 0 and not self._abandoned:
                self._warn(f"--on-event: {Path(self._command[0]).name} ended with exit code {code}")


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    """Ends a command, and what it has started: that would hold our stderr open."""
    if sys.platform == "win32":
        process.terminate()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)

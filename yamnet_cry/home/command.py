"""Runs a program of the user for each message."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from yamnet_cry.errors import DeliveryError, RunError
from yamnet_cry.home.alarm import Message

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

    Examples:
        >>> words(r"C:\alarm.exe --to 'the kitchen'", windows=True)
        ['C:\\alarm.exe', '--to', 'the kitchen']
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if windows:
        lexer.escape = ""
    return list(lexer)


def parsed(command: str) -> list[str]:
    """Splits the value of --on-event into words, and finds its program.

    Raises:
        RunError: If a quote is not closed, or the program does not exist.
    """
    try:
        name, *arguments = words(command) or [""]
    except ValueError as error:
        raise RunError(f"--on-event cannot be split into words ({error}). Received: {command}") from None
    # On Windows, only `which` finds a batch file by its name without suffix.
    program = shutil.which(name)
    if program is None:
        raise RunError(f"--on-event: no such program. Received: {command!r}")
    return [program, *arguments]


class Command:
    """Runs a program with a message in its environment: ``YAMNET_CRY_EVENT``, ``YAMNET_CRY_START`` and so on.

    Args:
        command: The program and its arguments.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._running: subprocess.Popen[bytes] | None = None

    def __call__(self, message: Message) -> None:
        """Runs the program, and waits until it ends.

        Raises:
            DeliveryError: If it cannot be run, or fails.
        """
        values = {
            f"YAMNET_CRY_{key.upper()}": json.dumps(value) if isinstance(value, bool) else str(value)
            for key, value in message.items()
        }
        try:
            # This program's stdout is for events, and file descriptor 2 is discarded (see `native_notes`).
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
            raise DeliveryError(f"cannot be run: {error.strerror}") from None
        if code != 0:
            raise DeliveryError(f"failed: {Path(self._command[0]).name} ended with exit code {code}")

    def stop(self) -> None:
        """Ends the program and its child processes, which would keep stderr open."""
        if self._running is None:
            return
        if sys.platform == "win32":
            self._running.terminate()
            return
        with suppress(ProcessLookupError):
            os.killpg(self._running.pid, signal.SIGTERM)

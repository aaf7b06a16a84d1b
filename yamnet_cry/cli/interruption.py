"""Somebody who stops listening."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

# Which of them there are depends on the system.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Stopped(Exception):
    """Somebody asked for the end."""


class StopSignals:
    """Turns Ctrl-C, SIGTERM and SIGHUP into `Stopped`, raised only while waiting for sound.

    So the work on a window is never cut in two, and an event that is going on can be closed.

    Attributes:
        asked: Whether one of them has come.
    """

    def __init__(self) -> None:
        self.asked = self._waiting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            # Who starts a program with nohup, or in the background, wants the signal ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive) or signal.SIG_DFL
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._waiting:
            raise Stopped

    @contextmanager
    def while_waiting(self) -> Iterator[None]:
        """Lets a signal interrupt the block at once."""
        try:
            # In this order, so that no signal falls between the two.
            self._waiting = True
            if self.asked:
                raise Stopped
            yield
        finally:
            self._waiting = False

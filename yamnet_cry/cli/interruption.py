"""Stopping by Ctrl-C and other signals."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

# Not every system has all of them.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Stopped(Exception):
    """The user stopped the program."""


class StopSignals:
    """Turns Ctrl-C, SIGTERM and SIGHUP into `Stopped`, raised only while waiting for sound.

    So a window is always processed completely, and an ongoing event can be closed.

    Attributes:
        asked: Whether a signal was received.
    """

    def __init__(self) -> None:
        self.asked = self._waiting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            # Programs started with nohup or in the background ignore the signal on purpose.
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
        """Allows signals to interrupt the block at once."""
        try:
            # In this order, so that no signal is missed between the two.
            self._waiting = True
            if self.asked:
                raise Stopped
            yield
        finally:
            self._waiting = False

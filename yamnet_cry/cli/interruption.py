"""What may interrupt listening: somebody who stops it, and sound that stays away."""

import signal
import threading
from collections.abc import Callable, Iterator
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


class SilenceWatch:
    """Warns when no sound has come for a while: a pipe can hang without ending.

    Args:
        warn: Called with a sentence.
        seconds: How long is too long.
    """

    def __init__(self, warn: Callable[[str], object], seconds: float = 10.0) -> None:
        self._warn, self._seconds = warn, seconds
        self._fed, self._closed = threading.Event(), False
        self._worker = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._fed.set()
        self._worker.join()

    def feed(self) -> None:
        """Notes that sound has come."""
        self._fed.set()

    def _work(self) -> None:
        missing = False
        while not self._closed:
            if not self._fed.wait(self._seconds):
                if not missing:
                    self._warn(f"no sound has come for {self._seconds:g} s")
                missing = True
                continue
            self._fed.clear()
            if missing and not self._closed:
                self._warn("sound comes again")
            missing = False

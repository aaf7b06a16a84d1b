"""Takes sound from a source as it comes, on a thread of its own."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.errors import InputEnded

# How long closing waits: a pipe that hangs notices nothing, and its thread ends with the program.
_PATIENCE = 1.0
# Cameras send packets of 20 ms; waking for each would cost more than hearing it.
_LEAST = 0.1


class Input(Protocol):
    """An open source."""

    @property
    def sample_rate(self) -> int:
        """In hertz; known when the first sound has come."""

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yields sound as it comes, arrays as `CryDetector.stream` takes them."""

    def close(self) -> None:
        """Ends it at once, from any thread."""


class Reader:
    """Takes sound from a source while what came before is still being heard.

    Args:
        opened: Opens the source.
        most_seconds: How much sound may wait.
        overrun: Called with the seconds of sound that found no room. Without it, the source waits, which a
            pipe can, and a camera cannot: that would lose its connection.

    Attributes:
        sample_rate: In hertz, from the first sound on.
        last: When sound last came, or reading began, by `time.monotonic`.
    """

    def __init__(
        self, opened: Callable[[], Input], most_seconds: float, overrun: Callable[[float], object] | None
    ) -> None:
        self._opened, self._most_seconds, self._overrun = opened, most_seconds, overrun
        self._least = min(_LEAST, most_seconds / 2)
        self._waiting: deque[NDArray[Any]] = deque()
        self._seconds = 0.0
        self._changed = threading.Condition()
        self._input: Input | None = None
        self._error: Exception | None = None
        self._ended = self._closed = False
        self.last = time.monotonic()
        self.sample_rate = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def next(self, timeout: float) -> NDArray[Any] | None:
        """Returns the next sound, a tenth of a second if it does not end before; None if none comes in time.

        Raises:
            AudioError: If the source has ended, or cannot be used.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_enough or self._ended, timeout)
            if self._waiting:
                parts, seconds = [], 0.0
                while self._waiting and seconds < self._least:
                    parts.append(self._waiting.popleft())
                    seconds += len(parts[-1]) / self.sample_rate
                self._seconds = self._seconds - seconds if self._waiting else 0.0
                self._changed.notify_all()
                return parts[0] if len(parts) == 1 else np.concatenate(parts)
            if self._ended:
                raise self._error or InputEnded("ended")
            return None

    def close(self) -> None:
        """Ends the source."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._input is not None:
            self._input.close()
        self._thread.join(_PATIENCE)

    def _work(self) -> None:
        try:
            self._input = source = self._opened()
            self.sample_rate = source.sample_rate
            if not self._closed:
                for block in source.blocks():
                    self.last = time.monotonic()
                    self._put(block)
                    if self._closed:
                        break
        except Exception as error:  # whatever it is: who listens is told
            # Without what it went through: that holds this reader, which would hold itself.
            self._error = error.with_traceback(None)
        finally:
            if self._input is not None:
                with suppress(Exception):
                    self._input.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, block: NDArray[Any]) -> None:
        if not len(block):
            return
        seconds = len(block) / self.sample_rate
        with self._changed:
            if self._overrun is None:
                self._changed.wait_for(lambda: self._closed or self._has_room(seconds))
            if self._has_room(seconds):
                self._waiting.append(block)
                self._seconds += seconds
                if self._has_enough:
                    self._changed.notify_all()
                return
        if self._overrun is not None:
            self._overrun(seconds)

    @property
    def _has_enough(self) -> bool:
        return self._seconds >= self._least

    def _has_room(self, seconds: float) -> bool:
        return not self._waiting or self._seconds + seconds <= self._most_seconds

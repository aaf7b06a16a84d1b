"""Reads sound from a source on a separate thread."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.errors import InputEnded

# Seconds that closing waits for the thread: a blocked read from a pipe cannot be interrupted, and its thread
# ends with the program.
_PATIENCE = 1.0
# Seconds: cameras send packets of 20 ms; waking up for each would cost more than processing it.
_LEAST = 0.1


class Input(Protocol):
    """An open source."""

    @property
    def sample_rate(self) -> int:
        """Sample rate in hertz; known when the first sound has arrived."""

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yields sound as it arrives, as arrays for `CryDetector.stream`."""

    def close(self) -> None:
        """Ends the input at once; called from any thread."""


class Reader:
    """Reads sound from a source into a queue, while earlier sound is still being processed.

    Args:
        opened: Opens the source.
        most_seconds: Maximum duration of queued sound in seconds.
        overrun: Called with the seconds of sound that were dropped because the queue was full. If None,
            reading waits instead: a pipe allows that, but a camera would close the connection.

    Attributes:
        sample_rate: Sample rate in hertz, from the first sound on.
        last: Time of the last sound, or of the start of reading, by `time.monotonic`.
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
        """Returns the next sound, at least a tenth of a second except at the end.

        Args:
            timeout: Seconds to wait for it.

        Returns:
            Samples; None after the timeout.

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
        except Exception as error:  # any error: `next` raises it in the thread that listens
            # Without the traceback, which would reference this reader: a reference cycle.
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

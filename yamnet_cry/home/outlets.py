"""Outlets: they accept messages at once, and deliver them in the background."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from yamnet_cry.errors import DeliveryError
from yamnet_cry.home.alarm import Message

# Limits the queue behind a delivery that hangs.
_MOST_WAITING = 100


class Outlet(Protocol):
    """A receiver of messages."""

    def push(self, message: Message) -> None:
        """Accepts a message, from any thread, without blocking."""

    def close(self, seconds: float) -> None:
        """Delivers pending messages within a time limit in seconds, and stops."""


class Delivery(Protocol):
    """Delivers single messages."""

    def __call__(self, message: Message) -> None:
        """Delivers a message; blocks until it is done.

        Raises:
            DeliveryError: If it cannot be delivered.
        """

    def stop(self) -> None:
        """Cancels the current delivery; called from another thread."""


class Queued:
    """Delivers messages in order, on its own thread.

    Messages ``state``, which are sent every few seconds, are ignored.

    Args:
        name: Name of the outlet in warnings.
        deliver: Delivers a single message.
        warn: Called with warnings.
        slow_seconds: Seconds after which a delivery that blocks another one is reported as slow.

    Attributes:
        dropped: Number of messages dropped because the queue was full, or at exit.
    """

    def __init__(
        self,
        name: str,
        deliver: Delivery,
        warn: Callable[[str], object],
        *,
        slow_seconds: float = 10.0,
    ) -> None:
        self._name, self._deliver, self._warn, self._slow_seconds = name, deliver, warn, slow_seconds
        self._since: float | None = None
        self._waiting: queue.Queue[Message | None] = queue.Queue(_MOST_WAITING)
        self._abandoned = False
        self.dropped = 0
        self._worker = threading.Thread(target=self._work, daemon=True, name=name)
        self._worker.start()

    def push(self, message: Message) -> None:
        """Queues a message."""
        if message["event"] == "state":
            return
        since = self._since
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self.dropped += 1
            self._warn(f"{self._name} is too slow; an event was dropped ({self.dropped} in total)")
        else:
            if since is not None and time.monotonic() - since >= self._slow_seconds:
                self._warn(f"{self._name} has not finished for {time.monotonic() - since:.0f} s")

    def close(self, seconds: float) -> None:
        """Delivers pending messages within a time limit in seconds."""
        deadline = time.monotonic() + seconds
        with suppress(queue.Full):
            self._waiting.put(None, timeout=seconds)
        self._worker.join(max(0.0, deadline - time.monotonic()))
        if self._worker.is_alive():
            self._abandoned = True
            # The message being delivered and those in the queue, without the end marker.
            lost = 1 + sum(message is not None for message in tuple(self._waiting.queue))
            self.dropped += lost
            self._warn(
                f"{self._name} did not finish within {seconds:g} s of exit and was stopped; "
                f"{lost} {'message is' if lost == 1 else 'messages are'} lost"
            )
            self._deliver.stop()

    def _work(self) -> None:
        while (message := self._waiting.get()) is not None and not self._abandoned:
            self._since = time.monotonic()
            try:
                self._deliver(message)
            except DeliveryError as error:
                if not self._abandoned:
                    self._warn(f"{self._name} {error}")
            except Exception as error:  # any error: the next message must still be delivered
                self._warn(f"{self._name} failed unexpectedly ({type(error).__name__}: {error})")
            finally:
                self._since = None


class Outlets:
    """Combines several outlets.

    Args:
        outlets: The outlets, in order.
    """

    def __init__(self, outlets: Sequence[Outlet]) -> None:
        self._outlets = outlets

    def push(self, message: Message) -> None:
        """Passes a message to all outlets."""
        for outlet in self._outlets:
            outlet.push(message)

    def close(self, seconds: float) -> None:
        """Closes all outlets in parallel."""
        threads = [threading.Thread(target=outlet.close, args=(seconds,)) for outlet in self._outlets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

"""Who is told: outlets that take messages at once, and deliver them when they can."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from yamnet_cry.errors import DeliveryError
from yamnet_cry.home.alarm import Message

# What hangs must not pile up thousands of messages behind it.
_MOST_WAITING = 100


class Outlet(Protocol):
    """Somebody who is told."""

    def push(self, message: Message) -> None:
        """Takes a message, from any thread, without making anybody wait."""

    def close(self, seconds: float) -> None:
        """Delivers what still waits, for so long at most, and stops."""


class Delivery(Protocol):
    """How one message reaches somebody."""

    def __call__(self, message: Message) -> None:
        """Delivers it, however long that takes.

        Raises:
            DeliveryError: If it cannot be delivered; the text says why.
        """

    def stop(self) -> None:
        """Gives up the delivery that is going on; called from another thread."""


class Queued:
    """Delivers messages one after the other, on a thread of its own.

    States, which come every few seconds, are for those who keep them, and left out.

    Args:
        name: What warnings call it.
        deliver: How a message is delivered.
        warn: Called with a sentence when something went wrong.
        slow_seconds: The time after which a delivery that holds up another is said to be slow.

    Attributes:
        dropped: Messages that were left out because too many waited, or the end came before.
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
        """Takes a message; it is delivered when those before have been."""
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
        """Delivers what still waits, for so long at most."""
        deadline = time.monotonic() + seconds
        with suppress(queue.Full):
            self._waiting.put(None, timeout=seconds)
        self._worker.join(max(0.0, deadline - time.monotonic()))
        if self._worker.is_alive():
            self._abandoned = True
            # That which is being delivered, those that wait, and the sign of the end among them.
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
            except Exception as error:  # whatever it is: the next message must still be delivered
                self._warn(f"{self._name} failed unexpectedly ({type(error).__name__}: {error})")
            finally:
                self._since = None


class Outlets:
    """Several outlets as one.

    Args:
        outlets: Who is told, in this order.
    """

    def __init__(self, outlets: Sequence[Outlet]) -> None:
        self._outlets = outlets

    def push(self, message: Message) -> None:
        """Tells all of them."""
        for outlet in self._outlets:
            outlet.push(message)

    def close(self, seconds: float) -> None:
        """Ends all of them, at the same time."""
        threads = [threading.Thread(target=outlet.close, args=(seconds,)) for outlet in self._outlets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

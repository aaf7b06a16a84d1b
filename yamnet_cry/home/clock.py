"""The time of day of a stream, whose clock counts samples."""

import math
import time
from collections.abc import Callable
from datetime import datetime


class StreamClock:
    """Converts seconds since the start of a stream to the time of day.

    If a stream is delayed or loses sound, its times move later at once. If it catches up, or its clock is
    fast, they move earlier slowly, so that the time of day never runs backwards.

    Attributes:
        seconds: Duration of the sound so far.
    """

    _CATCH_UP = 0.01

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.seconds, self._now = 0.0, now
        self._began = -math.inf

    def advance(self, seconds: float) -> None:
        """Adds the duration of sound that has just arrived, in seconds."""
        self.seconds += seconds
        self._began = max(self._now() - self.seconds, self._began - self._CATCH_UP * seconds)

    def jump(self, seconds: float) -> None:
        """Shifts all times by the seconds by which the machine's clock was set, forwards or backwards."""
        self._began += seconds

    def moment(self, seconds: float) -> datetime:
        """Returns the local time of a moment, in seconds since the stream began."""
        return datetime.fromtimestamp(self._began + seconds).astimezone()


def iso(moment: datetime) -> str:
    """Formats a moment for messages: ISO 8601, in milliseconds."""
    return moment.isoformat(timespec="milliseconds")


def now() -> datetime:
    """Returns the local time."""
    return datetime.now().astimezone()

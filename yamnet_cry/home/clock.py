"""The time of day of a stream, whose own clock counts samples."""

import math
import time
from collections.abc import Callable
from datetime import datetime


class StreamClock:
    """The time of day of every moment of a stream.

    A stream that was held up, or lost sound, lies later than it did; one that catches up, or whose clock
    is fast, is followed slowly, so that the time of day never runs backwards.

    Attributes:
        seconds: Length of the sound so far.
    """

    _CATCH_UP = 0.01

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.seconds, self._now = 0.0, now
        self._began = -math.inf

    def advance(self, seconds: float) -> None:
        """Takes the length of sound that has just come."""
        self.seconds += seconds
        self._began = max(self._now() - self.seconds, self._began - self._CATCH_UP * seconds)

    def jump(self, seconds: float) -> None:
        """Follows the machine's clock, which somebody has set, to either side."""
        self._began += seconds

    def moment(self, seconds: float) -> datetime:
        """Returns the local time of a moment, in seconds since the stream began."""
        return datetime.fromtimestamp(self._began + seconds).astimezone()


def iso(moment: datetime) -> str:
    """Writes a moment as messages have it: ISO 8601, in milliseconds."""
    return moment.isoformat(timespec="milliseconds")


def now() -> datetime:
    """Returns the local time."""
    return datetime.now().astimezone()

"""Rules that decide which detected crying is reported."""

import math
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from yamnet_cry.home.clock import StreamClock, iso, now

if TYPE_CHECKING:
    from yamnet_cry.events import Event
    from yamnet_cry.streaming import Update

#: A message to outlets: a JSON object with the key ``event``.
Message = Mapping[str, Any]
Tell = Callable[[Message], object]

_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Hours:
    """A daily period in local time; if it ends before it begins, it spans midnight.

    Examples:
        >>> night = Hours.parse("22:00-6:30")
        >>> night.holds(time(23, 0)), night.holds(time(6, 29)), night.holds(time(12, 0))
        (True, True, False)
    """

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """Reads ``HH:MM-HH:MM``.

        Raises:
            ValueError: If the format is another one, or the period is empty.
        """
        match = _HOURS.fullmatch(text.strip())
        if match is None or match.group(1, 2) == match.group(3, 4):
            raise ValueError(f"expected hours such as 9:00-17:30. Received: {text!r}")
        first, second, third, fourth = map(int, match.groups())
        return cls(time(first, second), time(third, fourth))

    def holds(self, moment: time) -> bool:
        """Returns whether a time of day is within the period."""
        if self.begin <= self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


@dataclass(frozen=True)
class Rules:
    """Conditions for reporting crying.

    Attributes:
        least_seconds: Minimum duration in seconds; a pause counts until the event has ended.
        cool_down: Seconds after the end of an alarm during which no other one starts.
        quiet_hours: Times of day at which nothing is reported.
    """

    least_seconds: float = 0.0
    cool_down: float = 0.0
    quiet_hours: tuple[Hours, ...] = ()


class Alarm:
    """Creates the messages of one source.

    The end of crying is always reported if its start was, regardless of the rules. Crying that continues when
    the rules no longer suppress it is reported then.

    Args:
        source: Name of the source.
        rules: Conditions for reporting.
        heard: Called at once with the messages ``started`` and ``ended`` of all crying.
        tell: Called with the messages that satisfy the rules.

    Attributes:
        muted_until: Time until which reports are muted; None if they are not.
    """

    def __init__(self, source: str, rules: Rules, *, heard: Tell, tell: Tell) -> None:
        self._source, self._rules, self._heard, self._tell = source, rules, heard, tell
        self._clock = StreamClock()
        self._started: dict[str, Any] | None = None
        self._told = False
        self._last_end: datetime | None = None
        self._muted_at_most = math.inf
        self.muted_until: datetime | None = None

    @property
    def crying(self) -> bool:
        """Whether an alarm is active."""
        return self._told

    def mute(self, minutes: float) -> None:
        """Mutes reports for some minutes; 0 unmutes them."""
        self.muted_until = now() + timedelta(minutes=minutes) if minutes else None
        self._muted_at_most = monotonic() + minutes * 60

    def connect(self, clock: StreamClock) -> None:
        """Starts with a new stream of the source."""
        self._clock = clock

    def take(self, update: "Update") -> None:
        """Processes the update of a window."""
        if update.started is not None:
            self._start(update.started, update.probability)
        if self._started is not None and not update.finished:
            lasted = update.time - self._started["start"]
            if not self._told and self._may_tell(lasted, self._clock.moment(update.time)):
                self._tell_start(update.probability)
        for event in update.finished:
            self._end(event, interrupted=update.closing)

    def _start(self, start: float, probability: float) -> None:
        self._started = {
            "event": "started",
            "id": uuid.uuid4().hex,
            "source": self._source,
            "start": start,
            "started_at": iso(self._clock.moment(start)),
            "probability": probability,
        }
        self._heard(self._started)

    def _end(self, event: "Event", *, interrupted: bool) -> None:
        if self._started is None:
            self._start(event.start, event.peak)
        assert self._started is not None
        ended = self._clock.moment(event.end)
        message = {
            "event": "ended",
            "id": self._started["id"],
            "source": self._source,
            **asdict(event),
            "seconds": event.seconds,
            "started_at": self._started["started_at"],
            "ended_at": iso(ended),
            "interrupted": interrupted,
        }
        self._heard(message)
        if not self._told and self._may_tell(event.seconds, ended):
            self._tell_start(self._started["probability"])
        if self._told:
            self._tell(message)
            self._last_end = ended
        self._started, self._told = None, False

    def _tell_start(self, probability: float) -> None:
        assert self._started is not None
        self._told = True
        self._tell({**self._started, "probability": probability})

    def _may_tell(self, lasted: float, moment: datetime) -> bool:
        # If the clock is set back, muting must not last for hours.
        if self.muted_until is not None and (
            moment >= self.muted_until or monotonic() >= self._muted_at_most
        ):
            self.muted_until = None
        cooled = self._last_end is None or not (
            timedelta(0) <= moment - self._last_end < timedelta(seconds=self._rules.cool_down)
        )
        return (
            lasted >= self._rules.least_seconds
            and cooled
            and self.muted_until is None
            and not any(hours.holds(moment.time()) for hours in self._rules.quiet_hours)
        )

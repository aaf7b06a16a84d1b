"""Says what `listen` hears: on stdout, on the meter, to the hook."""

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from yamnet_cry.cli.hook import Hook
from yamnet_cry.cli.status import StatusLine, bar

if TYPE_CHECKING:
    from yamnet_cry.events import Event
    from yamnet_cry.streaming import Update


class OutputLost(Exception):
    """Lines can no longer be printed."""


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

    def moment(self, seconds: float) -> datetime:
        """Returns the local time of a moment, in seconds since the stream began."""
        return datetime.fromtimestamp(self._began + seconds).astimezone()


class Reporter:
    """Says what is heard.

    Args:
        status: Where the meter is shown.
        hook: Gets every event.
        as_json: Whether to print JSON.
        updates: Whether to print every update too.

    Attributes:
        clock: How long the stream is, and at what time of day.
    """

    def __init__(self, status: StatusLine, hook: Hook, *, as_json: bool, updates: bool) -> None:
        self.clock = StreamClock()
        self._status, self._hook, self._as_json, self._updates = status, hook, as_json, updates
        self._started: datetime | None = None

    def report(self, updates: "Iterable[Update]") -> None:
        """Takes what became known with the latest sound."""
        for update in updates:
            if self._updates and not update.closing:
                self._print(json.dumps(self._numbers(update)))
            if update.started is not None:
                self._start(update.started, update.probability)
            for event in update.finished:
                self._end(event, interrupted=update.closing)
            self._status.show(_meter(update))

    def _start(self, start: float, probability: float) -> None:
        from yamnet_cry.results import clock

        self._started = self.clock.moment(start)
        self._tell(
            {
                "event": "started",
                "start": start,
                "started_at": _iso(self._started),
                "probability": probability,
            },
            f"{self._started:%H:%M:%S} crying, at {clock(start)}",
        )

    def _end(self, event: "Event", *, interrupted: bool) -> None:
        from yamnet_cry.results import clock, duration

        ended = self.clock.moment(event.end)
        values = {
            "event": "ended",
            **asdict(event),
            "seconds": event.seconds,
            "started_at": _iso(self._started or self.clock.moment(event.start)),
            "ended_at": _iso(ended),
            "interrupted": interrupted,
        }
        what = "listening ended while it cried," if interrupted else "quiet again,"
        peak = f"(peak {event.peak * 100:.0f} %)"
        line = f"{ended:%H:%M:%S} {what} after {duration(event.seconds)}, at {clock(event.end)} {peak}"
        self._tell(values, line)

    def _numbers(self, update: "Update") -> dict[str, Any]:
        return {
            "event": "update",
            "time": update.time,
            "at": _iso(self.clock.moment(update.time)),
            "probability": update.probability,
            "level": update.level,
            "crying": update.crying,
        }

    def _tell(self, event: dict[str, Any], line: str) -> None:
        # First the hook: it must hear of it even if nobody reads the lines.
        self._hook.push(event)
        self._status.clear()
        self._print(json.dumps(event) if self._as_json else line)

    @staticmethod
    def _print(line: str) -> None:
        try:
            click.echo(line)
        except OSError as error:
            raise OutputLost(error.strerror or "it was closed") from None


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _meter(update: "Update") -> str:
    from yamnet_cry.results import clock

    return (
        f"{clock(update.time)}  {bar((update.level + 80) / 80)} {update.level:4.0f} dBFS  "
        f"{bar(update.probability)} {update.probability * 100:3.0f} %{'  crying' if update.crying else ''}"
    )

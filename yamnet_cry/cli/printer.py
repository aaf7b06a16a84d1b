"""Output of `listen`: lines on stdout, a meter on stderr."""

import json
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from yamnet_cry.cli.status import StatusLine, bar
from yamnet_cry.home.alarm import Message

if TYPE_CHECKING:
    from yamnet_cry.streaming import Update


class Printer:
    """Prints messages.

    Args:
        status: Where the meter is shown.
        lost: Called when lines can no longer be printed.
        as_json: Whether to print JSON.
        updates: Whether to print every update, and states, as well.
        names: Whether to start lines with the name of the source.

    Attributes:
        error: Why lines can no longer be printed; None while they can.
    """

    def __init__(
        self, status: StatusLine, lost: Callable[[], object], *, as_json: bool, updates: bool, names: bool
    ) -> None:
        self._status, self._lost = status, lost
        self._as_json, self._updates, self._names = as_json, updates, names
        self._lock = threading.Lock()
        self._meters: dict[str, str] = {}
        self.error: str | None = None

    def push(self, message: Message) -> None:
        """Prints a message."""
        if self._as_json:
            if message["event"] != "state" or self._updates:
                self._print(json.dumps(message))
        elif message["event"] != "state":
            name = f"{message['source']}: " if self._names else ""
            self._print(_line(message, name))

    def close(self, seconds: float) -> None:
        """Does nothing: lines are printed at once."""

    def show(self, source: str, update: "Update", at: str) -> None:
        """Shows an update in the meter."""
        if self._updates:
            self._print(json.dumps(_numbers(source, update, at)))
        with self._lock:
            self._meters[source] = _short_meter(source, update) if self._names else _meter(update)
            self._status.show("  ".join(self._meters.values()))

    def warn(self, text: str) -> None:
        """Prints a warning on stderr."""
        with self._lock:
            self._status.clear()
            click.echo(f"Warning: {text}", err=True)

    def _print(self, line: str) -> None:
        with self._lock:
            self._status.clear()
            if self.error is not None:
                return
            try:
                click.echo(line)
            except OSError as error:
                self.error = error.strerror or "it was closed"
                self._lost()


def _line(message: Message, name: str) -> str:
    from yamnet_cry.results import clock, duration

    kind = message["event"]
    if kind == "started":
        moment = datetime.fromisoformat(message["started_at"])
        return f"{moment:%H:%M:%S} {name}crying, at {clock(message['start'])}"
    if kind == "ended":
        moment = datetime.fromisoformat(message["ended_at"])
        what = "listening stopped during crying," if message["interrupted"] else "crying ended,"
        peak = f"(peak {message['peak'] * 100:.0f} %)"
        lasted = duration(message["seconds"])
        return f"{moment:%H:%M:%S} {name}{what} after {lasted}, at {clock(message['end'])} {peak}"
    moment = datetime.fromisoformat(message["at"])
    what = f"no sound: {message['reason']}" if kind == "deaf" else "sound is back"
    return f"{moment:%H:%M:%S} {name}{what}"


def _numbers(source: str, update: "Update", at: str) -> dict[str, Any]:
    return {
        "event": "update",
        "source": source,
        "time": update.time,
        "at": at,
        "probability": update.probability,
        "level": update.level,
        "crying": update.crying,
    }


def _meter(update: "Update") -> str:
    from yamnet_cry.results import clock

    return (
        f"{clock(update.time)}  {bar((update.level + 80) / 80)} {update.level:4.0f} dBFS  "
        f"{bar(update.probability)} {update.probability * 100:3.0f} %{'  crying' if update.crying else ''}"
    )


def _short_meter(source: str, update: "Update") -> str:
    probability = f"{bar(update.probability, 8)} {update.probability * 100:3.0f} %"
    return f"{source} {update.level:4.0f} dBFS {probability}{' crying' if update.crying else ''}"

"""The state of a source, for users, Home Assistant and health checks."""

import json
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from yamnet_cry.errors import RunError
from yamnet_cry.files import write_whole
from yamnet_cry.home.alarm import Message
from yamnet_cry.home.clock import iso, now

#: Seconds between two states.
EVERY = 10.0
# A state older than this is from a program that hangs, or has ended.
_STALE_SECONDS = 3 * EVERY


class State:
    """The state of one source; every method may be called from any thread.

    Args:
        source: Name of the source.
    """

    def __init__(self, source: str) -> None:
        self._lock = threading.Lock()
        self._source, self._began = source, time.monotonic()
        self._last_frame: float | None = None
        self._deaf: str | None = "no sound received yet"
        self._level, self._probability = -100.0, 0.0
        self._restarts, self._dropped, self._gaps = 0, 0.0, 0

    @property
    def hearing(self) -> bool:
        """Whether the source delivers sound."""
        return self._deaf is None

    def frame(self) -> None:
        """Records that sound has arrived."""
        self._last_frame = time.monotonic()

    def heard(self, level: float, probability: float) -> None:
        """Records the level of a window, in dBFS, and its probability, in [0, 1]."""
        with self._lock:
            self._level, self._probability = level, probability

    def deaf(self, reason: str | None) -> None:
        """Records why there is no sound; None if there is sound."""
        self._deaf = reason

    def restarted(self) -> None:
        """Counts a new connection."""
        self._restarts += 1

    def dropped(self, seconds: float) -> float:
        """Adds dropped sound, in seconds; returns the total."""
        self._dropped += seconds
        return self._dropped

    def gap(self) -> None:
        """Counts a gap in the sound."""
        self._gaps += 1

    def message(self, *, crying: bool, muted_until: datetime | None) -> dict[str, Any]:
        """Returns the state as a message for outlets."""
        with self._lock:
            last = self._last_frame
            return {
                "event": "state",
                "source": self._source,
                "at": iso(now()),
                "hearing": self.hearing,
                "reason": self._deaf,
                "crying": crying,
                "probability": round(self._probability, 4),
                "level": round(self._level, 1),
                "last_frame": None if last is None else round(time.monotonic() - last, 1),
                "restarts": self._restarts,
                "uptime": round(time.monotonic() - self._began, 1),
                "dropped_seconds": round(self._dropped, 1),
                "gaps": self._gaps,
                "muted_until": None if muted_until is None else iso(muted_until),
            }


def write(path: Path, states: Sequence[Message]) -> None:
    """Writes the states of all sources to a file, atomically.

    Raises:
        OSError: If it cannot be written.
    """
    write_whole(path, json.dumps({"at": iso(now()), "sources": list(states)}, indent=1) + "\n")


def check(path: Path) -> tuple[bool, list[str]]:
    """Reads a file of `write`, and checks that it is current and that every source delivers sound.

    Returns:
        Whether both are true, and a line about each source.

    Raises:
        RunError: If it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        age = (now() - datetime.fromisoformat(content["at"])).total_seconds()
        sources = [
            (str(each["source"]), bool(each["hearing"]), each["reason"]) for each in content["sources"]
        ]
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}; `listen --state FILE` writes it") from None
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path} was not written by `listen --state FILE`") from None
    lines = [f"{name}: {'receives sound' if hearing else reason}" for name, hearing, reason in sources]
    if abs(age) > _STALE_SECONDS:
        return False, [f"{path} is {age:.0f} s old: `listen` no longer updates it", *lines]
    return all(hearing for _, hearing, _ in sources), lines

"""Runs `yamnet-cry` with shorter timeouts, and with a clock that can be set: see soak.py.

    SOAK_CLOCK=FILE python benchmarks/soak_child.py listen …

FILE contains the offset of the clock in hours. If a camera sends faster than the program reads, it is
blocked. Nothing else is changed. Timeouts in seconds of audio, such as that of digital silence, need no
change.
"""

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from yamnet_cry.home import clock
from yamnet_cry.home.reader import Input, Reader

#: Replaced constants by name, in real seconds, except MOST_WAITING, which is in seconds of audio.
SHORTER = {"NO_SOUND": 2.0, "_OPENING": 4.0, "_HEALTHY": 12.0, "PAUSES": (0.1, 2.0), "MOST_WAITING": 30.0}
_LOOK_EVERY = 0.2


def waiting(opened: Callable[[], Input], most_seconds: float, _overrun: object) -> Reader:
    """Replaces `Reader`: a full queue blocks the camera like a pipe, instead of dropping audio."""
    return Reader(opened, most_seconds, None)


class Clock:
    """A clock with an offset that is read from a file.

    Args:
        file: File with the offset in hours.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._true, self._wrong = file, time.time, 0.0
        threading.Thread(target=self._follow, daemon=True).start()

    def time(self) -> float:
        """Replaces `time.time`."""
        return self._true() + self._wrong

    def now(self) -> datetime:
        """Replaces `yamnet_cry.home.clock.now`."""
        return (datetime.now() + timedelta(seconds=self._wrong)).astimezone()

    def _follow(self) -> None:
        while True:
            self._wrong = float(self._file.read_text()) * 3600
            time.sleep(_LOOK_EVERY)


def shorten() -> None:
    """Sets the constants, including defaults that were already evaluated."""
    from yamnet_cry.home import station

    defaults = station.Station.__init__.__kwdefaults__ or {}
    for name, value in SHORTER.items():
        if not hasattr(station, name):
            raise SystemExit(f"yamnet_cry.home.station has no {name}; soak_child.py is older than it")
        setattr(station, name, value)
    for argument, name in (("pauses", "PAUSES"), ("most_waiting", "MOST_WAITING")):
        defaults[argument] = SHORTER[name]
    vars(station)["Reader"] = waiting


if __name__ == "__main__":
    wrong = Clock(Path(os.environ["SOAK_CLOCK"]))
    # Before other modules import them.
    time.time, clock.now = wrong.time, wrong.now
    clock.StreamClock.__init__.__defaults__ = (wrong.time,)
    shorten()
    from yamnet_cry.cli import main

    main(prog_name="yamnet-cry")

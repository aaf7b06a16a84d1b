"""Runs all sources: their states, outlets and shutdown."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from yamnet_cry.home import state
from yamnet_cry.home.notify import Systemd
from yamnet_cry.home.outlets import Outlet
from yamnet_cry.home.station import Station

# Seconds without activity after which a thread counts as hung.
_STUCK = 30.0
#: Seconds to wait at exit for a source that is being opened.
PATIENCE = 15.0


class Watch:
    """Listens to several sources, and reports their states.

    Args:
        stations: The sources.
        outlet: Receives messages.
        warn: Called with warnings.
        file: File to write the states to, if any.
        systemd: Notifies systemd.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        outlet: Outlet,
        warn: Callable[[str], object],
        *,
        file: Path | None = None,
        systemd: Systemd | None = None,
    ) -> None:
        self._stations, self._outlet, self._warn, self._file = stations, outlet, warn, file
        self._systemd = systemd or Systemd()
        self._told = -state.EVERY
        self._file_failed = False
        self._stuck: set[str] = set()
        #: Set when something changed before the next tick.
        self.changed = threading.Event()

    def start(self) -> None:
        """Starts listening to all sources."""
        for station in self._stations:
            station.start()
        self._systemd.ready()

    def tick(self) -> None:
        """Reports states, and warns of hung threads; call it about once a second."""
        moment = time.monotonic()
        stuck = {each.name for each in self._stations if moment - each.pulse > _STUCK}
        for name in stuck - self._stuck:
            self._warn(f"{name}: its thread has not responded for {_STUCK:.0f} s")
        self._stuck = stuck
        if not stuck:
            hearing = sum(station.state.hearing for station in self._stations)
            self._systemd.alive(f"{hearing} of {len(self._stations)} sources deliver sound")
        if moment - self._told >= state.EVERY:
            self._told = moment
            for station in self._stations:
                station.tell_state()
            self._write()

    def mute(self, source: str | None, minutes: float) -> None:
        """Mutes one source or all for some minutes; 0 unmutes."""
        for station in self._stations:
            if source in (None, station.name):
                station.mute(minutes)

    def close(self) -> None:
        """Stops listening; ongoing events are closed."""
        self._systemd.stopping()
        for station in self._stations:
            station.stop()
        until = time.monotonic() + PATIENCE
        for station in self._stations:
            if not station.join(max(0.0, until - time.monotonic())):
                self._warn(f"{station.name}: did not stop within {PATIENCE:.0f} s")

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            state.write(self._file, [station.message() for station in self._stations])
            self._file_failed = False
        except OSError as error:
            # Warn once, not every ten seconds: the health check detects an outdated file.
            if not self._file_failed:
                self._warn(f"cannot write the state file: {error.strerror}: {error.filename}")
            self._file_failed = True

"""Listens to one source continuously: failures are reported, and the source is reopened."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from yamnet_cry.errors import AudioError, InputEnded
from yamnet_cry.home.alarm import Alarm, Message, Rules
from yamnet_cry.home.clock import StreamClock, iso, now
from yamnet_cry.home.connection import Connection, Recorder
from yamnet_cry.home.outlets import Outlet
from yamnet_cry.home.reader import Input, Reader
from yamnet_cry.home.state import State

if TYPE_CHECKING:
    from yamnet_cry.detector import CryDetector
    from yamnet_cry.streaming import Update

#: Seconds without sound after which a source counts as lost, and is reopened.
NO_SOUND = 10.0
#: Seconds of digital silence after which it counts as lost: a working microphone is never that quiet.
DIGITAL_SILENCE = 30.0
#: Retry intervals in seconds: the first and the longest; doubled in between.
PAUSES = (1.0, 120.0)
#: Seconds of audio to queue on a busy machine.
MOST_WAITING = 10.0
# Seconds of audio after which retry intervals are reset.
_HEALTHY = 60.0
# Seconds to wait for the first sound of a camera.
_OPENING = 20.0
_WARN_EVERY = 60.0
#: Maximum number of seconds between two checks whether to stop, and whether sound is missing.
TICK = 0.5

#: Called with a source's name, an update, and the time of day of its end.
Show = Callable[[str, "Update", str], object]


class Station:
    """Listens to one source on its own thread, until it is stopped.

    Args:
        name: Name of the source.
        opened: Opens the source; called on another thread, for each connection.
        detector: The detector.
        outlet: Receives messages.
        warn: Called with warnings.
        rules: Conditions for reporting crying.
        threshold: Threshold of this source; None for the detector's.
        show: Called with every update.
        recorder: Creates the recorder of clips, for each connection.
        once: Whether to stop when the source ends, instead of reopening it: for pipes.
        on_end: Called when a source with ``once`` has ended.
        pauses: Retry intervals, see `PAUSES`.
        most_waiting: See `MOST_WAITING`.

    Attributes:
        alarm: Applies the rules.
        state: State of the source.
        pulse: Time of the last activity of its thread, by `time.monotonic`.
        ended: Whether a source with ``once`` has ended.
        error: The error that ended it.
        seconds: Seconds of audio received in the last connection.
    """

    def __init__(
        self,
        name: str,
        opened: Callable[[], Input],
        detector: "CryDetector",
        outlet: Outlet,
        warn: Callable[[str], object],
        *,
        rules: Rules = Rules(),  # noqa: B008 (frozen)
        threshold: float | None = None,
        show: Show | None = None,
        recorder: Callable[[], Recorder] | None = None,
        once: bool = False,
        on_end: Callable[[], object] = lambda: None,
        pauses: tuple[float, float] = PAUSES,
        most_waiting: float = MOST_WAITING,
    ) -> None:
        self.name, self._opened, self._detector, self._outlet = name, opened, detector, outlet
        self._warn, self._threshold, self._show = warn, threshold, show
        self._make_recorder = recorder
        self._recorder: Recorder | None = None
        self._once, self._on_end = once, on_end
        self._pauses, self._most_waiting = pauses, most_waiting
        self.alarm = Alarm(name, rules, heard=self._heard, tell=self._tell)
        self.state = State(name)
        self.pulse = time.monotonic()
        self.ended = False
        self.error: AudioError | None = None
        self.seconds = 0.0
        self._stopped = threading.Event()
        self._said: str | None = None
        self._told_deaf = False
        self._silent = 0.0
        self._warned_of_overrun = -_WARN_EVERY
        self._thread = threading.Thread(target=self._work, daemon=True, name=name)

    def start(self) -> None:
        """Starts listening."""
        self._thread.start()

    def stop(self) -> None:
        """Requests the end; an ongoing event is reported as interrupted."""
        self._stopped.set()

    def join(self, seconds: float) -> bool:
        """Waits for the end after `stop`, with a timeout in seconds; returns whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def mute(self, minutes: float) -> None:
        """Mutes reports of crying for some minutes; 0 unmutes them."""
        self.alarm.mute(minutes)
        self.tell_state()

    def tell_state(self) -> None:
        """Sends the state of the source."""
        self._outlet.push(self.message())

    def message(self) -> dict[str, Any]:
        """Returns the state of the source as a message."""
        return self.state.message(crying=self.alarm.crying, muted_until=self.alarm.muted_until)

    def _work(self) -> None:
        pause = self._pauses[0]
        while not self._stopped.is_set():
            began = time.monotonic()
            error = self._error_of_connection()
            if self._once:
                self.error = error
                self.ended = True
                self._on_end()
                return
            if time.monotonic() - began >= _HEALTHY:
                pause = self._pauses[0]
            if error is not None and not self._stopped.is_set():
                self._failed(str(error), pause)
            self._wait(pause)
            pause = min(2 * pause, self._pauses[1])
            self.state.restarted()

    def _error_of_connection(self) -> AudioError | None:
        try:
            self._listen()
        except Exception as error:  # any error: the source must be reopened
            # Without the traceback, which would keep the whole connection in memory.
            error.with_traceback(None)
            if isinstance(error, AudioError):
                return error
            return AudioError(f"failed unexpectedly ({type(error).__name__}: {error})")
        return None

    def _listen(self) -> None:
        """Listens to one connection.

        Raises:
            AudioError: If the source cannot be used, or has ended.
        """
        reader = Reader(self._opened, self._most_waiting, None if self._once else self.overrun)
        connection = None
        try:
            while not self._stopped.is_set():
                self.pulse = time.monotonic()
                block = reader.next(TICK)
                if block is None:
                    self._check_sound(time.monotonic() - reader.last, opening=connection is None)
                    continue
                if connection is None:
                    self._recorder = None if self._make_recorder is None else self._make_recorder()
                    connection = Connection(
                        self._detector, reader.sample_rate, self._threshold, self._recorder
                    )
                    self.alarm.connect(connection.clock)
                self._take(connection, block, len(block) / reader.sample_rate)
        finally:
            reader.close()
            try:
                if connection is not None:
                    self._report(connection.finish(), connection.clock)
            finally:
                if self._recorder is not None:
                    self._recorder.close()
                self._recorder = None

    def _take(self, connection: Connection, block: NDArray[Any], seconds: float) -> None:
        self.state.frame()
        self._check_silence(block, seconds)
        if jumped := connection.jumped():
            self._warn(f"{self.name}: the clock of this machine was set by {jumped:+.0f} s")
        updates = connection.push(block)
        self.seconds = connection.clock.seconds
        if not self._once and (late := connection.late()):
            self.state.gap()
            self._warn(f"{self.name}: {late:.1f} s of sound are missing or late")
        self._report(updates, connection.clock)

    def _report(self, updates: "list[Update]", clock: StreamClock) -> None:
        for update in updates:
            if not update.closing:
                self.state.heard(update.level, update.probability)
                if self._show is not None:
                    self._show(self.name, update, iso(clock.moment(update.time)))
            self.alarm.take(update)

    def _heard(self, message: Message) -> None:
        if self._recorder is not None:
            take = self._recorder.started if message["event"] == "started" else self._recorder.ended
            take(message)

    def _tell(self, message: Message) -> None:
        self._outlet.push(message)
        self._outlet.push({**self.message(), "crying": message["event"] == "started"})

    def _check_sound(self, missing: float, *, opening: bool) -> None:
        """Handles missing sound.

        Raises:
            InputEnded: If the source must be reopened.
        """
        if missing < NO_SOUND:
            return
        reason = f"no sound received for {NO_SOUND:g} s"
        if not self._once and not (opening and missing < _OPENING):
            raise InputEnded(reason)
        if not self._told_deaf:
            self._warn(f"{self.name}: {reason}")
            self._deaf(reason)

    def _check_silence(self, block: NDArray[Any], seconds: float) -> None:
        # Not for files, which may contain long silence.
        silent = not self._once and bool((block == block.flat[0]).all())
        self._silent = self._silent + seconds if silent else 0.0
        if self._silent < DIGITAL_SILENCE:
            self._hears()
        elif self.state.hearing:
            reason = f"only digital silence for {DIGITAL_SILENCE:g} s"
            self._warn(f"{self.name}: {reason}; is it muted?")
            self._deaf(reason)

    def _failed(self, reason: str, pause: float) -> None:
        reason = reason.removeprefix(f"{self.name} ").removeprefix(f"{self.name}: ")
        # Warn once per reason, not at every retry.
        if reason != self._said:
            self._warn(f"{self.name}: {reason}; trying again in {pause:g} s, then less and less often")
        self._said = reason
        self._deaf(reason)

    def _deaf(self, reason: str) -> None:
        self.state.deaf(reason)
        if not self._told_deaf:
            self._told_deaf = True
            self._outlet.push({"event": "deaf", "source": self.name, "at": iso(now()), "reason": reason})
        self.tell_state()

    def _hears(self) -> None:
        if self.state.hearing:
            return
        self.state.deaf(None)
        if self._told_deaf:
            self._warn(f"{self.name}: sound is back")
            self._outlet.push({"event": "hearing", "source": self.name, "at": iso(now())})
        self._told_deaf, self._said = False, None
        self.tell_state()

    def overrun(self, seconds: float) -> None:
        """Counts dropped sound, in seconds, and warns of it, at most once a minute."""
        total = self.state.dropped(seconds)
        if time.monotonic() - self._warned_of_overrun >= _WARN_EVERY:
            self._warned_of_overrun = time.monotonic()
            self._warn(f"{self.name}: this machine is too busy; {total:.1f} s of sound were dropped so far")

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopped.is_set() and (left := until - time.monotonic()) > 0:
            self.pulse = time.monotonic()
            self._stopped.wait(min(left, TICK))

"""What hears one connection of a source, and at what time of day."""

import time
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from yamnet_cry.audio import LiveAudio
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.home.alarm import Message
from yamnet_cry.home.clock import StreamClock

if TYPE_CHECKING:
    from yamnet_cry.detector import CryDetector
    from yamnet_cry.streaming import Update

# How late sound may come before some is missing, and by how much a clock may be set without a word.
_GAP, _CLOCK = 2.0, 2.0


class Recorder(Protocol):
    """Who keeps the sound of events; one a connection."""

    def push(self, samples: Float32) -> None:
        """Takes the next float32 samples at 16 kHz, before the messages that they lead to."""

    def started(self, message: Message) -> None:
        """Takes the start of an event, which lies in the past."""

    def ended(self, message: Message) -> None:
        """Takes the end of an event."""

    def close(self) -> None:
        """Ends the connection."""


class Connection:
    """Hears a source from when it is opened to when it ends.

    Args:
        detector: What hears.
        sample_rate: Of the source, in hertz.
        threshold: For events; the detector's by default.
        recorder: Who keeps the sound.

    Attributes:
        clock: How much has been heard, and at what time of day.

    Raises:
        AudioError: If the sample rate cannot be used.
    """

    def __init__(
        self, detector: "CryDetector", sample_rate: int, threshold: float | None, recorder: Recorder | None
    ) -> None:
        self._sample_rate, self._recorder = sample_rate, recorder
        self._live = LiveAudio(sample_rate)
        self._listener = detector.listener(YAMNET.sample_rate, threshold=threshold)
        self.clock = StreamClock()
        self._began = time.monotonic()
        self._least_late = 0.0
        self._offset = time.time() - time.monotonic()

    def push(self, block: NDArray[Any]) -> "list[Update]":
        """Takes what came next; returns the updates of windows that are whole by now.

        Raises:
            AudioError: If the samples cannot be used.
        """
        self.clock.advance(len(block) / self._sample_rate)
        return [update for part in self._live.push(block) for update in self._heard(part)]

    def finish(self) -> "list[Update]":
        """Ends the connection; returns the updates of the last windows."""
        if not self.clock.seconds:
            return []
        rest = [update for part in self._live.finish() for update in self._heard(part)]
        return [*rest, *self._listener.finish()]

    def _heard(self, part: Float32) -> "list[Update]":
        if self._recorder is not None:
            self._recorder.push(part)
        return self._listener.push(part)

    def jumped(self) -> float:
        """Returns by how many seconds the machine's clock was set since the last call; 0 if hardly."""
        offset = time.time() - time.monotonic()
        jump = offset - self._offset
        self._offset = offset
        if abs(jump) < _CLOCK:
            return 0.0
        self.clock.jump(jump)
        return jump

    def late(self) -> float:
        """Returns how many seconds later than it ever was the sound comes, when it has become so; else 0."""
        late = time.monotonic() - self._began - self.clock.seconds
        if late < self._least_late + _GAP:
            # What was held up may come all at once, and sound may come faster than it is heard.
            self._least_late = min(self._least_late, late)
            return 0.0
        by, self._least_late = late - self._least_late, late
        return by

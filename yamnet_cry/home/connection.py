"""Detection on one connection of a source, with times of day."""

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

# Seconds: the delay from which sound counts as missing, and the clock change from which it is reported.
_GAP, _CLOCK = 2.0, 2.0


class Recorder(Protocol):
    """Records the sound of events; one per connection."""

    def push(self, samples: Float32) -> None:
        """Processes the next float32 samples at 16 kHz; called before the messages that result from them."""

    def started(self, message: Message) -> None:
        """Processes the start of an event, which is in the past."""

    def ended(self, message: Message) -> None:
        """Processes the end of an event."""

    def close(self) -> None:
        """Ends the connection."""


class Connection:
    """Runs the detector on a source from its opening to its end.

    Args:
        detector: The detector.
        sample_rate: Sample rate of the source in hertz.
        threshold: Threshold for events; None for the detector's.
        recorder: Records clips; None for no clips.

    Attributes:
        clock: Duration of the sound so far, and its time of day.

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
        """Processes the next block; returns the updates of the windows that are now complete.

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
        """Returns by how many seconds the machine's clock was set since the last call; 0 below two."""
        offset = time.time() - time.monotonic()
        jump = offset - self._offset
        self._offset = offset
        if abs(jump) < _CLOCK:
            return 0.0
        self.clock.jump(jump)
        return jump

    def late(self) -> float:
        """Returns the increase of the sound's delay over its minimum, in seconds, once; 0 below two."""
        late = time.monotonic() - self._began - self.clock.seconds
        if late < self._least_late + _GAP:
            # Delayed sound may arrive all at once, and faster than in real time.
            self._least_late = min(self._least_late, late)
            return 0.0
        by, self._least_late = late - self._least_late, late
        return by

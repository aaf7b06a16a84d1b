"""Detection on endless audio: an update after every window, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from yamnet_cry.audio import LiveAudio
from yamnet_cry.events import Event, EventTracker
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.patches import PatchCutter

# The level of digital silence is minus infinity; 16-bit audio cannot be quieter than this.
SILENCE_DBFS = -100.0


@dataclass(frozen=True)
class Update:
    """The state of a stream after a window of 0.96 s; there is one update every 0.48 s.

    Attributes:
        time: End of the window, in seconds since the stream began.
        probability: Probability that a baby cries in the window, in [0, 1].
        level: Root mean square of its last 0.48 s in decibels relative to full scale, at least -100.
        crying: Whether an event is in progress.
        started: Start of the event that was detected with this window, in seconds; usually None.
        finished: The events that ended with this window; usually empty.
        closing: Whether this repeats the last window because the stream ended during an event, which is
            then in ``finished``. If the audio is too short for the usual votes, an event may be detected
            only at the end; then ``started`` is set too.

    Examples:
        >>> from yamnet_cry import CryDetector
        >>> from yamnet_cry.demo import nursery  # 20 s, a cry in the middle
        >>> blocks = np.array_split(nursery(), 100)
        >>> for update in CryDetector.from_pretrained().stream(blocks, 16_000):
        ...     if update.started is not None:
        ...         print(f"crying since {update.started} s, said at {update.time} s")
        ...     for event in update.finished:
        ...         print(f"no more since {event.end} s, said at {update.time} s")
        crying since 6.24 s, said at 7.2 s
        no more since 13.92 s, said at 16.8 s
    """

    time: float
    probability: float
    level: float
    crying: bool = False
    started: float | None = None
    finished: tuple[Event, ...] = ()
    closing: bool = False


def level_dbfs(samples: Float32) -> float:
    """Returns the root mean square of samples in decibels relative to full scale, at least -100.

    Examples:
        >>> round(level_dbfs(np.full(4, 0.1, np.float32)), 1)
        -20.0
    """
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


class Listener:
    """Runs the detector on audio pushed in parts, and returns an update for every window.

    Created by `CryDetector.listener`.

    Args:
        sample_rate: Sample rate of the audio, in hertz.
        probabilities_of: Returns one probability per patch of a piece of audio with whole patches.
        tracker: Finds events in the probabilities.

    Raises:
        AudioError: If the sample rate cannot be used.

    Examples:
        >>> from yamnet_cry import CryDetector
        >>> listener = CryDetector.from_pretrained().listener(16_000)
        >>> updates = listener.push(np.zeros(32_000, np.float32)) + listener.finish()
        >>> [update.time for update in updates]
        [0.96, 1.44, 1.92, 2.4]
    """

    def __init__(
        self,
        sample_rate: int,
        probabilities_of: Callable[[Float32], Iterable[float]],
        tracker: EventTracker,
    ) -> None:
        self._audio = LiveAudio(sample_rate)
        self._cutter = PatchCutter()
        self._probabilities_of = probabilities_of
        self._tracker = tracker
        self._windows = self._samples = 0
        self._latest: Update | None = None

    def push(self, part: ArrayLike) -> list[Update]:
        """Adds the next part of the audio.

        Args:
            part: An array of any length: floats in [-1, 1] or integers, of shape (samples,) or
                (samples, channels).

        Returns:
            One update for each window completed by this part; often none.

        Raises:
            AudioError: If the samples cannot be used.
        """
        return [update for piece in self._cut(self._audio.push(part)) for update in self._updates(piece)]

    def finish(self) -> list[Update]:
        """Ends the audio.

        Returns:
            The updates of the last windows, and a closing one if the audio ends during an event.

        Raises:
            AudioError: If there were no samples.
        """
        rest = [*self._cut(self._audio.finish()), *self._cutter.finish()]
        updates = [update for piece in rest for update in self._updates(piece)]
        known = self._tracker.active
        event, update = self._tracker.finish(self._samples / YAMNET.sample_rate), self._latest
        if event is not None and update is not None:
            started = None if known else event.start
            updates.append(replace(update, crying=False, started=started, finished=(event,), closing=True))
        return updates

    def _cut(self, blocks: Iterable[Float32]) -> Iterator[Float32]:
        for block in blocks:
            self._samples += len(block)
            yield from self._cutter.push(block)

    def _updates(self, piece: Float32) -> Iterator[Update]:
        # The level of the last window includes its padding, as its classification does.
        ends = range(YAMNET.patch_samples, len(piece) + 1, YAMNET.patch_hop_samples)
        probabilities = self._probabilities_of(piece)
        for end, probability in zip(ends, probabilities, strict=True):
            before = self._tracker.active
            finished = self._tracker.push(float(probability))
            self._latest = Update(
                time=round(self._windows * YAMNET.patch_hop_seconds + YAMNET.patch_seconds, 2),
                probability=float(probability),
                level=level_dbfs(piece[end - YAMNET.patch_hop_samples : end]),
                crying=self._tracker.active,
                started=self._tracker.start if self._tracker.active and not before else None,
                finished=(finished,) if finished else (),
            )
            self._windows += 1
            yield self._latest

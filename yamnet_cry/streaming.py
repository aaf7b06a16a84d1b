"""Audio that never ends: what a detector can say at every moment, in memory that does not grow."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from yamnet_cry.audio import LiveAudio
from yamnet_cry.events import Event, EventTracker
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.patches import PatchCutter

# Digital silence has no level; 16-bit audio cannot be quieter than this.
SILENCE_DBFS = -100.0


@dataclass(frozen=True)
class Update:
    """What is known when a window, 0.96 s long, has been heard; there is one every 0.48 s.

    Attributes:
        time: End of the window, in seconds since the stream began.
        probability: How probable it is that a baby cries in the window, in [0, 1].
        level: Root mean square of its last 0.48 s in decibels below full scale, at least -100.
        crying: Whether an event is going on.
        started: Start of an event that became known with this window, in seconds; usually None.
        finished: The events that ended with it; usually none.
        closing: Whether this repeats the last window because the stream ended within an event,
            which ``finished`` then holds. One that the end alone made an event of, for the audio is
            shorter than an event needs, is ``started`` with it too.

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
    """Returns the root mean square of samples in decibels below full scale, at least -100.

    Examples:
        >>> round(level_dbfs(np.full(4, 0.1, np.float32)), 1)
        -20.0
    """
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


class Listener:
    """Hears audio as it comes, and says what is known after every window.

    Detectors make them: `CryDetector.listener`.

    Args:
        sample_rate: Of the audio, in hertz.
        probabilities_of: Gives one probability a patch, from a piece of audio with whole patches.
        tracker: Makes events of them.

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
        """Takes what came next.

        Args:
            part: An array of any length: floats in [-1, 1] or integers, of shape (samples,) or
                (samples, channels).

        Returns:
            One update for each window that is whole by now; often none.

        Raises:
            AudioError: If the samples cannot be used.
        """
        return [update for piece in self._cut(self._audio.push(part)) for update in self._updates(piece)]

    def finish(self) -> list[Update]:
        """Ends the audio.

        Returns:
            The updates of the last windows, and a closing one if the audio ends within an event.

        Raises:
            AudioError: If there were no samples at all.
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
        # The last window's level is that of its padding too, which is what was classified.
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

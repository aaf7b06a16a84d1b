"""Audio that never ends: what a detector can say at every moment, in memory that does not grow."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from yamnet_cry import features
from yamnet_cry.events import Event, EventTracker
from yamnet_cry.features import PATCH_HOP_SAMPLES, PATCH_HOP_SECONDS, PATCH_SECONDS, Float32

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
            which ``finished`` then holds.
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

    Example:
        >>> round(level_dbfs(np.full(4, 0.1, np.float32)), 1)
        -20.0
    """
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


def follow(
    blocks: Iterable[Float32], probabilities_of: Callable[[Float32], Iterable[float]], tracker: EventTracker
) -> Iterator[Update]:
    """Turns audio into updates, each as soon as its last sample is there.

    Args:
        blocks: float32 samples at 16 kHz, each of shape (samples,).
        probabilities_of: Gives one probability a patch, from a log-mel spectrogram.
        tracker: Makes events of them.

    Yields:
        One update a window, and a closing one if the stream ends within an event.
    """
    number, update = 0, None
    for piece in features.whole_patches(blocks):
        # The last window's level is that of its padding too, which is what was classified.
        ends = range(features.PATCH_SAMPLES, len(piece) + 1, PATCH_HOP_SAMPLES)
        for end, probability in zip(ends, probabilities_of(features.log_mel(piece)), strict=True):
            before = tracker.active
            finished = tracker.push(float(probability))
            started = tracker.start if tracker.active and not before else None
            update = Update(
                time=round(number * PATCH_HOP_SECONDS + PATCH_SECONDS, 2),
                probability=float(probability),
                level=level_dbfs(piece[end - PATCH_HOP_SAMPLES : end]),
                crying=tracker.active,
                started=started,
                finished=(finished,) if finished else (),
            )
            yield update
            number += 1
    last = tracker.finish()
    if last is not None and update is not None:
        yield Update(update.time, update.probability, update.level, finished=(last,), closing=True)

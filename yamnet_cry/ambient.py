"""How often a room's own sound would raise a false alarm, and the threshold that makes it rare.

Ten minutes hold few events, or none, at the threshold that is wanted in the end. So events are counted
where there are enough of them, at a low threshold, and the rate above it is extrapolated: how far events
rise above a threshold, in log-odds, is taken to be exponential (peaks over threshold, Pickands 1975).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from yamnet_cry.calibration import log_odds
from yamnet_cry.events import EventSettings, find_events
from yamnet_cry.features import PATCH_HOP_SECONDS

#: With fewer minutes than this, there is little to learn about a room.
MIN_SECONDS = 60.0

# So many events tell the slope of the tail well enough (its standard error is a quarter of it).
_ENOUGH_EVENTS = 16
_HIGHEST = 0.999
_LEAST_SCALE = 1e-3


@dataclass(frozen=True)
class AmbientReport:
    """What a room's sound says about false alarms.

    Attributes:
        threshold: The threshold to use from now on.
        false_alarms_per_hour: Expected at that threshold.
        before: Expected at the threshold until now.
        hours: Length of the sound.
    """

    threshold: float
    false_alarms_per_hour: float
    before: float
    hours: float


def trigger(probabilities: NDArray[np.float64], settings: EventSettings) -> NDArray[np.float64]:
    """Returns, for each window, the highest threshold at which an event could start there.

    Example:
        >>> trigger(np.array([0.0, 0.6, 0.8, 0.0]), EventSettings(1, 2, 3)).tolist()
        [0.0, 0.0, 0.6, 0.6]
    """
    count = np.minimum(np.arange(1, len(probabilities) + 1), settings.smoothing)
    sums = np.cumsum(np.concatenate([np.zeros(settings.smoothing), probabilities]))
    averages = (sums[settings.smoothing :] - sums[: -settings.smoothing]) / count
    padded = np.concatenate([np.zeros(settings.window - 1), averages])
    return np.sort(sliding_window_view(padded, settings.window), axis=1)[:, -settings.votes]


class Tail:
    """Rate of false alarms as a function of the threshold, from one recording without crying.

    Args:
        probabilities: One a window, every 0.48 s.
        settings: How events are made of them.
    """

    def __init__(self, probabilities: Sequence[float] | NDArray[np.float64], settings: EventSettings) -> None:
        self._track, self._settings = np.asarray(probabilities, np.float64), settings
        self.hours = len(self._track) * PATCH_HOP_SECONDS / 3600
        level = trigger(self._track, settings)
        highest = np.sort(level)[::-1]
        self.threshold, self.events, self.scale = 0.0, 0, _LEAST_SCALE
        # From the top down, to the first threshold with enough events, or to the end of the sound.
        for rank in np.unique(np.geomspace(_ENOUGH_EVENTS, max(_ENOUGH_EVENTS, len(level)), 40).astype(int)):
            threshold = float(highest[min(rank, len(level)) - 1])
            if threshold <= 0:
                break
            events = find_events(self._track, threshold, settings)
            starts = [round(event.start / PATCH_HOP_SECONDS) for event in events]
            bounds = zip(starts, [*starts[1:], len(level)], strict=True)
            excess = log_odds([level[start:end].max() for start, end in bounds]) - log_odds(threshold)
            self.threshold, self.events = threshold, len(events)
            self.scale = max(float(excess.mean()), _LEAST_SCALE)
            if len(events) >= _ENOUGH_EVENTS:
                break

    def rate(self, threshold: float) -> float:
        """Returns the expected number of events an hour at a threshold: counted, or extrapolated above."""
        if threshold <= self.threshold or not self.events:
            return len(find_events(self._track, threshold, self._settings)) / self.hours
        above = float(log_odds(threshold) - log_odds(self.threshold))
        return self.events / self.hours * float(np.exp(-above / self.scale))

    def threshold_for(self, rate: float) -> float:
        """Returns a threshold at which no more than so many events an hour are expected, at most 0.999."""
        above = self.scale * np.log(max(1.0, self.events / self.hours / rate))
        return min(_HIGHEST, float(0.5 * (1 + np.tanh(0.5 * (log_odds(self.threshold) + above)))))


def fit_threshold(
    probabilities: Sequence[float] | NDArray[np.float64],
    settings: EventSettings,
    threshold: float,
    false_alarms_per_hour: float,
) -> AmbientReport:
    """Raises a threshold, if it must, until the room alone is expected to raise few enough alarms.

    Args:
        probabilities: Of the room's sound without crying, one a window.
        settings: How events are made of them.
        threshold: The threshold until now; it is never lowered.
        false_alarms_per_hour: How many are acceptable; positive.

    Raises:
        ValueError: If ``false_alarms_per_hour`` is not positive.
    """
    if not false_alarms_per_hour > 0:
        raise ValueError(f"false_alarms_per_hour is positive. Received: {false_alarms_per_hour}")
    tail = Tail(probabilities, settings)
    before = tail.rate(threshold)
    if before <= false_alarms_per_hour:
        return AmbientReport(threshold, before, before, tail.hours)
    raised = max(threshold, tail.threshold_for(false_alarms_per_hour))
    return AmbientReport(raised, tail.rate(raised), before, tail.hours)

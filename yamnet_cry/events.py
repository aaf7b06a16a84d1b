"""Finds events in a track of probabilities: when crying starts, when it ends, and how probable it is.

A single window may be wrong, and a baby rarely cries for only half a second. So probabilities are smoothed,
several windows must reach the threshold before an event starts, it continues at lower probabilities than
those that start it (hysteresis), and pauses for breath do not end it (hold).
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Real
from typing import Annotated

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from yamnet_cry.fields import integer, number
from yamnet_cry.frontend import YAMNET


@dataclass(frozen=True)
class EventSettings:
    """How events are found in probabilities; causal, so that streams give the same events as recordings.

    Attributes:
        smoothing: Windows in the moving average, at least 1.
        votes: Number of the last ``window`` averages required to reach the threshold to start an event. In a
            recording with fewer windows than that, all must reach it.
        window: See ``votes``; at least ``votes``.
        release: An event continues while the average is at least this share of the threshold, in (0, 1].
        hold_seconds: An event ends when the average has stayed below that for longer than this.

    Raises:
        ValueError: If a setting is outside its range.
    """

    # The upper limits are those of the firmware: YAMNET_CRY_LONGEST_SMOOTHING and _VOTE.
    smoothing: Annotated[int, integer(1, 16)] = 2
    votes: Annotated[int, integer(1, 16)] = 2
    window: Annotated[int, integer(1, 16)] = 3
    release: Annotated[float, number(0, 1)] = 0.5
    hold_seconds: Annotated[float, number(0, 3600)] = 2.0

    def __post_init__(self) -> None:
        if not (
            self.smoothing >= 1
            and 1 <= self.votes <= self.window
            and 0 < self.release <= 1
            and self.hold_seconds >= 0
        ):
            raise ValueError(
                "expected smoothing >= 1, 1 <= votes <= window, 0 < release <= 1 and hold_seconds >= 0. "
                f"Received: {self}"
            )


def checked_threshold(value: float) -> float:
    """Returns a threshold as a float in [0, 1].

    Raises:
        ValueError: If it is not a number in [0, 1].

    Examples:
        >>> checked_threshold(1)
        1.0
    """
    # In Python, True is a number; NaN is in no range.
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= 1:
        raise ValueError(f"expected a threshold in [0, 1]. Received: {value!r}")
    return float(value)


@dataclass(frozen=True)
class Event:
    """An event: a section of crying.

    It starts at the start of its first window, and ends in the middle of the windows that were averaged last.
    These are the median start and end of crying (docs/experiments/015); up to the end of its last window, an
    event would be half a second too long. One that lasts to the end of the recording ends with it.

    Attributes:
        start: In seconds.
        end: In seconds.
        peak: Highest probability of a window in it, in [0, 1].
        mean: Mean probability of the windows in it, in [0, 1].

    Examples:
        >>> Event(start=6.24, end=13.92, peak=0.99, mean=0.87).seconds
        7.68
    """

    start: float
    end: float
    peak: float
    mean: float

    @property
    def seconds(self) -> float:
        """Length of the event, in seconds."""
        return round(self.end - self.start, 2)


@dataclass
class EventTracker:
    """Finds events in a stream of probabilities, one per window, in bounded memory.

    Args:
        threshold: Average probability that starts an event.
        settings: How events are found.
    """

    threshold: float
    settings: EventSettings = field(default_factory=EventSettings)

    def __post_init__(self) -> None:
        self._count = 0
        self._recent: deque[float] = deque(maxlen=self.settings.smoothing)
        # The last windows, from which an event may start: probability, and whether the average voted.
        self._votes: deque[tuple[float, bool]] = deque(maxlen=self.settings.window)
        self._begin: int | None = None
        self._last = 0
        self._peak = self._sum = self._pending_peak = self._pending_sum = 0.0

    @property
    def active(self) -> bool:
        """Whether an event is in progress."""
        return self._begin is not None

    @property
    def start(self) -> float | None:
        """Start of the event in progress, in seconds; None if there is none."""
        return None if self._begin is None else _seconds(self._begin)

    def push(self, probability: float) -> Event | None:
        """Adds the probability of the next window.

        Returns:
            The event that ended with this window, or None.
        """
        number = self._count
        self._count += 1
        self._recent.append(probability)
        # Added one by one, as in C and in `trigger`: from Python 3.12 on, sum() rounds differently.
        total = 0.0
        for recent in self._recent:
            total += recent
        average = total / len(self._recent)
        self._votes.append((probability, average >= self.threshold))
        if self._begin is None:
            self._maybe_start(number, self.settings.votes)
            return None
        self._pending_peak = max(self._pending_peak, probability)
        self._pending_sum += probability
        if average >= self.threshold * self.settings.release:
            self._extend(number)
        elif (number - self._last) * YAMNET.patch_hop_seconds > self.settings.hold_seconds:
            return self.finish()
        return None

    def finish(self, seconds: float = math.inf) -> Event | None:
        """Ends the track; returns the event in progress, or None.

        Probabilities pushed afterwards continue the count of windows.

        Args:
            seconds: Length of the audio, which is shorter than its windows if the last one was padded.
        """
        if self._begin is None and 0 < self._count < self.settings.votes:
            self._maybe_start(self._count - 1, votes=self._count)
        if self._begin is None:
            return None
        # A padded last window is quiet because of the padding, which does not show that an event ended.
        is_padded = _seconds(self._count - 1, YAMNET.patch_seconds) > seconds
        if self._last >= self._count - (2 if is_padded else 1):
            end = _seconds(self._count - 1, YAMNET.patch_seconds)
        else:
            middle = (YAMNET.patch_seconds - (self.settings.smoothing - 1) * YAMNET.patch_hop_seconds) / 2
            end = max(_seconds(self._last, middle), _seconds(self._begin, YAMNET.patch_hop_seconds))
        event = Event(
            start=_seconds(self._begin),
            end=min(end, round(seconds, 2)),
            peak=self._peak,
            mean=self._sum / (self._last - self._begin + 1),
        )
        self._begin = None
        self._votes.clear()
        return event

    def _maybe_start(self, number: int, votes: int) -> None:
        if sum(vote for _, vote in self._votes) < votes:
            return
        windows = list(self._votes)
        first = next(index for index, (_, vote) in enumerate(windows) if vote)
        self._begin = number - (len(windows) - 1 - first)
        self._peak = self._sum = 0.0
        self._pending_peak = max(probability for probability, _ in windows[first:])
        self._pending_sum = sum(probability for probability, _ in windows[first:])
        self._extend(number)

    def _extend(self, number: int) -> None:
        """Adds the windows since the last window of the event to the event."""
        self._last = number
        self._peak = max(self._peak, self._pending_peak)
        self._sum += self._pending_sum
        self._pending_peak = self._pending_sum = 0.0


def _seconds(window: int, after: float = 0.0) -> float:
    # Windows start at hundredths of a second; rounding removes float errors.
    return round(window * YAMNET.patch_hop_seconds + after, 2)


def find_events(
    probabilities: Iterable[float],
    threshold: float,
    settings: EventSettings | None = None,
    seconds: float = math.inf,
) -> list[Event]:
    """Finds the events of a whole track.

    Args:
        probabilities: One per window, every 0.48 s, in [0, 1].
        threshold: Average probability that starts an event.
        settings: How events are found; None for the defaults.
        seconds: Length of the audio, which is shorter than its windows if the last one was padded.

    Examples:
        >>> [(event.start, event.end) for event in find_events([0, 0, 1, 1, 1, 0, 0, 0], 0.5)]
        [(0.96, 2.64)]
    """
    tracker = EventTracker(threshold, settings or EventSettings())
    ended = [tracker.push(float(probability)) for probability in probabilities]
    return [event for event in [*ended, tracker.finish(seconds)] if event is not None]


def trigger(probabilities: ArrayLike, settings: EventSettings) -> NDArray[np.float64]:
    """Returns, for each window, the highest threshold at which an event could start there.

    Args:
        probabilities: One per window, in [0, 1], of shape (..., windows); each row is a separate recording.
        settings: How events are found in them.

    Returns:
        float64 of the same shape, in [0, 1].

    Examples:
        >>> trigger([0.0, 0.6, 0.8, 0.0], EventSettings(1, 2, 3)).tolist()
        [0.0, 0.0, 0.6, 0.6]
        >>> trigger([0.9], EventSettings(1, 2, 3)).tolist()
        [0.9]
    """
    tracks = np.asarray(probabilities, np.float64)
    windows = tracks.shape[-1]
    # Summed in the same order as in `EventTracker`, for bit-identical averages.
    sums = np.zeros_like(tracks)
    for lag in reversed(range(min(settings.smoothing, windows))):
        sums[..., lag:] += tracks[..., : windows - lag]
    averages = sums / np.minimum(np.arange(1, windows + 1), settings.smoothing)
    padded = np.concatenate([np.zeros((*tracks.shape[:-1], settings.window - 1)), averages], axis=-1)
    levels = np.sort(sliding_window_view(padded, settings.window, axis=-1), axis=-1)[..., -settings.votes]
    if 0 < windows < settings.votes:
        levels[..., -1] = averages.min(axis=-1)
    return levels

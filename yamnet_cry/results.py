"""The result of a detector for one recording."""

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.calibration import Calibration
from yamnet_cry.classification import Classification
from yamnet_cry.events import Event, EventSettings, find_events, trigger
from yamnet_cry.frontend import Float32
from yamnet_cry.task import Task


def clock(seconds: float) -> str:
    """Formats a time for display.

    Examples:
        >>> clock(2.4), clock(3723.0)
        ('0:02.4', '1:02:03.0')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{rest / 10:04.1f}"


def duration(seconds: float) -> str:
    """Formats a duration for display.

    Examples:
        >>> duration(8.64), duration(75.0), duration(3723.0)
        ('8.6 s', '1 min 15 s', '1 h 2 min')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


# Number of events listed one by one in a line of text.
_MOST_EVENTS = 4


@dataclass(frozen=True, eq=False)
class Detection(Classification):
    """The result of a detector for one recording.

    A recording counts as crying if it raises an event. The probability is the highest threshold at which the
    recording still raises one, so that ``is_cry``, ``events`` and ``probability >= threshold`` always agree.

    Attributes:
        scores: float32 array of shape (windows,), each softmax(logits)[19] + softmax(logits)[20],
            in [0, 1].
        threshold: The probability from which an event starts, and the recording counts as crying.
        calibration: Converts scores to probabilities.
        event_settings: How events are found in probabilities.
        track: float32 array of shape (windows,), the log-odds from the context network for each window,
            given the windows before it; None for models without one, which use the scores alone.
        task: The model's task: the AudioSet classes, and which of them are crying.
        front_end: The front end that defines the windows.
        logits: The logits of every window, if requested; if None, the methods and properties of
            `Classification` for labels raise a ValueError.
        truncated: Whether the file is truncated, for example by a power cut.
        seconds: Length of the audio, in seconds.

    Examples:
        >>> scores = np.float32([0, 0, 0.9, 0.9, 0.9, 0, 0, 0, 0, 0])
        >>> result = Detection(scores, 0.5, Calibration(slope=1.0, intercept=0.0))
        >>> print(result)
        crying for 1.2 s in 1 event: 0:01.4-0:02.6 (probability 0.90, threshold 0.50)
        >>> result.times[:3].tolist(), result.peak_time, result.is_cry
        ([0.0, 0.48, 0.96], 0.96, True)
    """

    scores: Float32
    threshold: float
    calibration: Calibration
    event_settings: EventSettings = field(default_factory=EventSettings)
    track: Float32 | None = field(default=None, kw_only=True)
    task: Task = field(default=CRY_TASK, kw_only=True)

    @property
    def _windows(self) -> int:
        return len(self.scores)

    @property
    def score(self) -> float:
        """The mean score of all windows, in [0, 1]."""
        return float(self.scores.mean(dtype=np.float64))

    @cached_property
    def probability(self) -> float:
        """Probability that a baby cries in the recording, in [0, 1].

        The highest threshold at which the recording still raises an event.
        """
        return float(trigger(self.probabilities, self.event_settings).max())

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Probability of crying at each window: float64 of shape (windows,), in [0, 1].

        The calibrated track of the context network or, for models without one, the calibrated scores.
        """
        if self.track is None:
            return self.calibration(self.scores)
        return self.calibration.of_log_odds(self.track)

    @cached_property
    def events(self) -> list[Event]:
        """The events of crying, in order of time."""
        return find_events(self.probabilities, self.threshold, self.event_settings, self.seconds)

    @property
    def is_cry(self) -> bool:
        """Whether a baby cries in the recording: whether there is an event."""
        return bool(self.events)

    @property
    def peak(self) -> float:
        """The highest probability of a single window, in [0, 1]; one window alone does not start an event."""
        return float(self.probabilities.max())

    @property
    def peak_time(self) -> float:
        """Start of the window with the highest probability, in seconds."""
        return float(self.times[self.probabilities.argmax()])

    def without_logits(self) -> "Detection":
        """Returns the same result without logits, which `top` needs: saves 3.8 MB of memory per hour.

        Examples:
            >>> result = Detection(np.zeros(4, np.float32), 0.5, Calibration(1.0, 0.0))
            >>> result.without_logits().logits is None
            True
        """
        return replace(self, logits=None)

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as numbers, lists and dictionaries that can be written as JSON.

        Returns:
            The properties by name; ``events`` as dictionaries of ``start``, ``end``, ``peak`` and ``mean``;
            ``window_seconds``; and ``times``, ``scores`` and ``probabilities``, one value per window. Times
            are in seconds.

        Examples:
            >>> told = Detection(np.zeros(2, np.float32), 0.5, Calibration(1.0, 0.0)).to_dict()
            >>> told["is_cry"], told["events"], told["times"], told["seconds"]
            (False, [], [0.0, 0.48], 1.44)
        """
        return {
            "is_cry": self.is_cry,
            "probability": self.probability,
            "score": self.score,
            "threshold": self.threshold,
            "peak": self.peak,
            "peak_time": self.peak_time,
            "events": [asdict(event) for event in self.events],
            "seconds": round(self.seconds, 2),
            "truncated": self.truncated,
            "window_seconds": self.front_end.patch_seconds,
            "times": [round(time, 2) for time in self.times.tolist()],
            "scores": self.scores.tolist(),
            "probabilities": self.probabilities.tolist(),
        }

    def when(self) -> str:
        """Describes how long and when crying was detected; empty if it was not.

        Examples:
            >>> track = np.repeat(np.float32([0, 1, 0, 1, 0]), 10)
            >>> Detection(track, 0.5, Calibration(1.0, 0.0)).when()
            '10.1 s in 2 events: 0:04.8-0:09.8, 0:14.4-0:19.4'
        """
        if not self.events:
            return ""
        count = "1 event" if len(self.events) == 1 else f"{len(self.events)} events"
        named = [f"{clock(event.start)}-{clock(event.end)}" for event in self.events[:_MOST_EVENTS]]
        if len(self.events) > _MOST_EVENTS:
            named[-1] = f"{len(self.events) - _MOST_EVENTS + 1} more until {clock(self.events[-1].end)}"
        return f"{duration(sum(event.seconds for event in self.events))} in {count}: {', '.join(named)}"

    def __str__(self) -> str:
        verdict = f"crying for {self.when()}" if self.is_cry else "no crying"
        return f"{verdict} (probability {self.probability:.2f}, threshold {self.threshold:.2f})"

    def __repr__(self) -> str:
        return f"<Detection {self} in {len(self.scores)} windows>"

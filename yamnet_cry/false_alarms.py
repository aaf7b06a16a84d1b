"""Estimates the false alarm rate of a room without crying, and the threshold for an acceptable rate.

Ten minutes have few events, or none, at the threshold that is needed. So events are counted at a lower
threshold, with enough events, and the rate above it is extrapolated: the excess of events over a
threshold, in log-odds, is assumed to be exponential (peaks over threshold, Pickands 1975).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.calibration import EventRecall, log_odds, probability
from yamnet_cry.errors import YamnetCryError
from yamnet_cry.events import EventSettings, find_events, trigger
from yamnet_cry.frontend import YAMNET
from yamnet_cry.results import Detection, clock

#: Shortest useful recording of a room.
MIN_SECONDS = 60.0

# Enough events to estimate the slope of the tail: its standard error is a quarter of it.
_ENOUGH_EVENTS = 16
_HIGHEST = 0.999
_LEAST_SCALE = 1e-3

# Number of stretches listed, the least distance between them, and the number of classes listed for each.
_MOST_STRETCHES = 5
_APART_SECONDS = 10.0
_CLASSES = 3

# No event in 3 / rate hours shows, with 95 % confidence, that the true rate is lower (the rule of three).
_RULE_OF_THREE = 3.0


def rate_text(rate: float) -> str:
    """Formats a number of alarms per hour for display.

    Examples:
        >>> rate_text(0.526), rate_text(112.4)
        ('0.53', '112')
    """
    return f"{rate:.2g}" if rate < 10 else f"{rate:.0f}"


@dataclass(frozen=True)
class Stretch:
    """A section of a room's recording that sounds like crying.

    Attributes:
        start: In seconds.
        end: In seconds.
        level: Highest threshold at which it raises an event, in [0, 1].
        classes: The AudioSet classes with the largest mean share, and the shares in [0, 1].
    """

    start: float
    end: float
    level: float
    classes: list[tuple[str, float]]

    def __str__(self) -> str:
        named = ", ".join(f"{name} {share * 100:.0f} %" for name, share in self.classes)
        return f"{clock(self.start)}, sounds like {named}"


@dataclass(frozen=True)
class AmbientReport:
    """Expected false alarms in a room, and the threshold for an acceptable rate.

    Attributes:
        threshold: The new threshold.
        false_alarms_per_hour: Expected at the new threshold.
        before: False alarms per hour expected at the previous threshold.
        hours: Length of the recording, in hours.
        hours_to_confirm: Length in hours of a recording that would confirm the acceptable rate by counting
            alone: no event in it excludes a higher rate with 95 % confidence.
        recall: Share of crying clips of the validation split that raise an event at the new threshold; None
            if the model folder has no event recall.
        recall_before: The same at the previous threshold.
        stretches: If the threshold was raised, the sections that raised an alarm at the previous threshold,
            from one to five, the most like crying first.
    """

    threshold: float
    false_alarms_per_hour: float
    before: float
    hours: float
    hours_to_confirm: float
    recall: float | None = None
    recall_before: float | None = None
    stretches: tuple[Stretch, ...] = ()

    def cost(self) -> str:
        """Describes the recall at the threshold."""
        if self.recall is None or self.recall_before is None:
            return "recall is unknown: the model folder has no event_recall"
        return (
            f"at this threshold {self.recall * 100:.0f} % of crying clips still raise an event "
            f"({self.recall_before * 100:.0f} % before)"
        )


class CalibrationError(YamnetCryError, RuntimeError):
    """A room in which the detector would miss too much crying, or raise too many false alarms.

    Attributes:
        report: The result of the fit; the detector is unchanged.
    """

    def __init__(self, message: str, report: AmbientReport) -> None:
        super().__init__(message)
        self.report = report


class Tail:
    """Rate of false alarms as a function of the threshold, from one recording without crying.

    Args:
        probabilities: One per window, every 0.48 s.
        settings: How events are found in them.
    """

    def __init__(self, probabilities: Sequence[float] | NDArray[np.float64], settings: EventSettings) -> None:
        self._track, self._settings = np.asarray(probabilities, np.float64), settings
        self.hours = len(self._track) * YAMNET.patch_hop_seconds / 3600
        level = trigger(self._track, settings)
        highest = np.sort(level)[::-1]
        self.threshold, self.events, self.scale = 0.0, 0, _LEAST_SCALE
        # From high to low, until the first threshold with enough events. There may be none, because events
        # merge at lower thresholds: then the threshold with the most events is used.
        for rank in np.unique(np.geomspace(_ENOUGH_EVENTS, max(_ENOUGH_EVENTS, len(level)), 40).astype(int)):
            threshold = float(highest[min(rank, len(level)) - 1])
            if threshold <= 0:
                break
            events = find_events(self._track, threshold, settings)
            if len(events) <= self.events:
                continue
            starts = [round(event.start / YAMNET.patch_hop_seconds) for event in events]
            bounds = zip(starts, [*starts[1:], len(level)], strict=True)
            excess = log_odds([level[start:end].max() for start, end in bounds]) - log_odds(threshold)
            self.threshold, self.events = threshold, len(events)
            self.scale = max(float(excess.mean()), _LEAST_SCALE)
            if len(events) >= _ENOUGH_EVENTS:
                break

    def rate(self, threshold: float) -> float:
        """Returns the expected number of events per hour at a threshold: counted, or extrapolated above."""
        if threshold <= self.threshold or not self.events:
            return len(find_events(self._track, threshold, self._settings)) / self.hours
        above = float(log_odds(threshold) - log_odds(self.threshold))
        return self.events / self.hours * float(np.exp(-above / self.scale))

    def threshold_for(self, rate: float) -> float:
        """Returns a threshold, at most 0.999, at which at most the given events per hour are expected."""
        above = self.scale * np.log(max(1.0, self.events / self.hours / rate))
        return min(_HIGHEST, float(probability(log_odds(self.threshold) + above)))


def fit_threshold(
    probabilities: Sequence[float] | NDArray[np.float64],
    settings: EventSettings,
    threshold: float,
    false_alarms_per_hour: float,
) -> AmbientReport:
    """Raises a threshold, if needed, until the expected rate of false alarms in a room is acceptable.

    Args:
        probabilities: Of a recording of the room without crying, one per window.
        settings: How events are found in them.
        threshold: The present threshold; it is never lowered.
        false_alarms_per_hour: The acceptable rate; positive.

    Raises:
        ValueError: If ``false_alarms_per_hour`` is not positive.
    """
    if not false_alarms_per_hour > 0:
        raise ValueError(f"expected a positive false_alarms_per_hour. Received: {false_alarms_per_hour}")
    tail = Tail(probabilities, settings)
    before = tail.rate(threshold)
    to_confirm = _RULE_OF_THREE / false_alarms_per_hour
    if before <= false_alarms_per_hour:
        return AmbientReport(threshold, before, before, tail.hours, to_confirm)
    raised = max(threshold, tail.threshold_for(false_alarms_per_hour))
    return AmbientReport(raised, tail.rate(raised), before, tail.hours, to_confirm)


def fit_room(
    room: Detection, recall: EventRecall | None, false_alarms_per_hour: float, min_recall: float
) -> AmbientReport:
    """Fits a threshold to a room as `fit_threshold` does, and rejects one with too low a recall.

    Args:
        room: The detector's result for a recording of the room without crying, with logits.
        recall: The recall at each threshold, if known.
        false_alarms_per_hour: The acceptable rate; positive.
        min_recall: Least share of crying clips that must raise an event at a raised threshold, in [0, 1].

    Raises:
        CalibrationError: If no threshold is high enough, or its recall is below ``min_recall``.
        ValueError: If an argument is out of its range.
    """
    if not 0 <= min_recall <= 1:
        raise ValueError(f"expected min_recall in [0, 1]. Received: {min_recall}")
    track, settings = room.probabilities, room.event_settings
    report = fit_threshold(track, settings, room.threshold, false_alarms_per_hour)
    if recall is not None:
        report = replace(report, recall=recall.at(report.threshold), recall_before=recall.at(room.threshold))
    if report.before <= false_alarms_per_hour:
        return report
    report = replace(report, stretches=_stretches(room))
    # Rounding may leave an extrapolated rate slightly above the rate that it was fitted to.
    if report.false_alarms_per_hour > false_alarms_per_hour * 1.001:
        found = (
            f"even at threshold {report.threshold:.3f}, {rate_text(report.false_alarms_per_hour)} false "
            f"alarms per hour are expected. Acceptable: {rate_text(false_alarms_per_hour)}"
        )
    elif report.recall is not None and report.recall < min_recall:
        found = (
            f"{rate_text(false_alarms_per_hour)} false alarms per hour need threshold "
            f"{report.threshold:.3f}: {report.cost()}. Expected: at least {min_recall * 100:.0f} %"
        )
    else:
        return report
    heard = "; ".join(map(str, report.stretches))
    if report.stretches[0].level < room.threshold:
        why = (
            f"{report.hours * 60:.1f} minutes without an event are too short to expect so few false "
            f"alarms. Closest to an event: {heard}. Record the room for longer"
        )
    else:
        why = f"{heard}. If that is a baby, record the room again without crying"
    kept = None if recall is None else recall.threshold_for(min_recall)
    if kept is not None and kept > room.threshold:
        # Extrapolated, but at least the counted rate.
        counted = len(find_events(track, kept, settings)) / report.hours
        rate = max(counted, Tail(track, settings).rate(kept))
        kept_share = f"{min_recall * 100:.0f} % of crying clips"
        why += f", or accept {rate_text(rate)} false alarms per hour to keep {kept_share}"
    raise CalibrationError(f"not calibrated: {found}. {why}", report)


def _stretches(room: Detection) -> tuple[Stretch, ...]:
    level = trigger(room.probabilities, room.event_settings)
    apart = round(_APART_SECONDS / YAMNET.patch_hop_seconds)
    left = level.copy()
    found: list[Stretch] = []
    while len(found) < _MOST_STRETCHES and left.max() >= 0:
        last = int(left.argmax())
        if found and left[last] < room.threshold:
            break
        left[max(0, last - apart) : last + apart] = -1
        # The windows from which the level was computed.
        first = max(0, last - room.event_settings.votes + 1)
        start, end = first * YAMNET.patch_hop_seconds, last * YAMNET.patch_hop_seconds + YAMNET.patch_seconds
        middle = YAMNET.patch_seconds / 2
        classes = room.top(start + middle, end - middle, count=_CLASSES)
        found.append(Stretch(round(start, 2), round(end, 2), float(level[last]), classes))
    return tuple(found)

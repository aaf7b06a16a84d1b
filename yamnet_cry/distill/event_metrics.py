"""Event-based metrics: detection latency, missed cries, false alarms, and errors of onsets and ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yamnet_cry.events import Event, EventSettings, EventTracker
from yamnet_cry.frontend import YAMNET

#: An alarm within this time after the end of a cry still belongs to it: windows that contain its end last as
#: long.
GRACE_SECONDS = YAMNET.patch_seconds

Stretch = tuple[float, float]


def alarm_times(
    probabilities: Iterable[float], threshold: float, settings: EventSettings | None = None
) -> list[float]:
    """Returns when a live detector would have reported the start of each event, in seconds.

    That is at the end of the window in which the event was detected, not at the event's start, which is
    earlier.

    Args:
        probabilities: One probability per window, every 0.48 s, in [0, 1].
        threshold: Average probability that starts an event.
        settings: How events are derived; the defaults if None.

    Examples:
        >>> alarm_times([0, 0, 1, 1, 1, 0, 0, 0], 0.5)
        [2.4]
    """
    tracker = EventTracker(threshold, settings or EventSettings())
    alarms = []
    for number, probability in enumerate(probabilities):
        before = tracker.active
        tracker.push(float(probability))
        if tracker.active and not before:
            alarms.append(round(number * YAMNET.patch_hop_seconds + YAMNET.patch_seconds, 2))
    return alarms


@dataclass(frozen=True)
class Alarms:
    """The alarms in a recording, assigned to cries.

    Attributes:
        latencies: For each cry, the seconds from its onset to its first alarm, or None if it had none.
        false: Times of the false alarms, in seconds.
    """

    latencies: tuple[float | None, ...]
    false: tuple[float, ...]

    @property
    def found(self) -> int:
        """Number of cries with an alarm."""
        return sum(latency is not None for latency in self.latencies)


def judged_alarms(cries: Sequence[Stretch], alarms: Sequence[float]) -> Alarms:
    """Separates true alarms from false ones.

    A cry is found if an alarm is raised between its onset and `GRACE_SECONDS` after its end. An earlier alarm
    does not count, even if its event lasts into the cry.

    Args:
        cries: Onset and end of each cry, in seconds, without overlaps.
        alarms: Times of the alarms, in seconds, in increasing order.

    Examples:
        >>> judged_alarms([(10.0, 15.0), (30.0, 31.0)], [9.0, 12.4, 14.0])
        Alarms(latencies=(2.4, None), false=(9.0,))
    """
    first: list[float | None] = [None] * len(cries)
    false = []
    for alarm in alarms:
        owner = next(
            (number for number, (onset, end) in enumerate(cries) if onset <= alarm <= end + GRACE_SECONDS),
            None,
        )
        if owner is None:
            false.append(alarm)
        elif first[owner] is None:
            first[owner] = round(alarm - cries[owner][0], 4)
    return Alarms(tuple(first), tuple(false))


@dataclass(frozen=True)
class OnsetCounts:
    """Counts of events matched to cries by onset.

    Attributes:
        matched: Number of pairs of a cry and an event with close onsets; each is in at most one pair.
        cries: Number of cries.
        events: Number of events.
    """

    matched: int
    cries: int
    events: int

    def __add__(self, other: "OnsetCounts") -> "OnsetCounts":
        return OnsetCounts(self.matched + other.matched, self.cries + other.cries, self.events + other.events)

    @property
    def error_rate(self) -> float:
        """Number of unmatched cries and unmatched events, divided by the number of cries; may exceed 1."""
        return (self.cries + self.events - 2 * self.matched) / self.cries

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]."""
        return 2 * self.matched / (self.cries + self.events)


def onset_counts(cries: Sequence[Stretch], events: Sequence[Event], collar: float = 0.5) -> OnsetCounts:
    """Counts events that begin within a collar of a cry's onset, as DCASE's event-based metrics do.

    Args:
        cries: Onset and end of each cry, in seconds.
        events: The detected events.
        collar: Maximum distance between onsets, in seconds.

    Examples:
        >>> events = [Event(10.4, 14.0, 1.0, 1.0), Event(20.0, 21.0, 1.0, 1.0)]
        >>> counts = onset_counts([(10.0, 15.0)], events)
        >>> counts.error_rate, round(counts.f1, 2)
        (1.0, 0.67)
    """
    # With onsets in order of time and one collar for all, greedy matching gives the most pairs.
    waiting = sorted(event.start for event in events)
    matched = 0
    for onset, _ in sorted(cries):
        waiting = [start for start in waiting if start >= onset - collar - 1e-9]
        if waiting and waiting[0] <= onset + collar + 1e-9:
            waiting.pop(0)
            matched += 1
    return OnsetCounts(matched, len(cries), len(events))


def bound_errors(cries: Sequence[Stretch], events: Sequence[Event]) -> list[Stretch]:
    """Returns the errors of event onsets and ends, for every cry that overlaps an event.

    Returns:
        For each such cry, start of its first event minus its onset, and end of its last event minus its
        end, in seconds; negative values are too early.

    Examples:
        >>> bound_errors([(10.0, 15.0), (20.0, 21.0)], [Event(10.4, 12.0, 1, 1), Event(13.0, 15.5, 1, 1)])
        [(0.4, 0.5)]
    """
    errors = []
    for onset, end in cries:
        own = [event for event in events if event.start < end and event.end > onset]
        if own:
            errors.append((round(own[0].start - onset, 4), round(own[-1].end - end, 4)))
    return errors

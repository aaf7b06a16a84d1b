"""What events are worth to whoever waits for them: found in time, missed, raised for nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yamnet_cry.events import Event, EventSettings, EventTracker
from yamnet_cry.frontend import YAMNET

#: An alarm so soon after the end of a cry is still for it: windows that hold its end go on for as long.
GRACE_SECONDS = YAMNET.patch_seconds

Stretch = tuple[float, float]


def alarm_times(
    probabilities: Iterable[float], threshold: float, settings: EventSettings | None = None
) -> list[float]:
    """Returns when a live detector would have said that an event began, in seconds.

    That is at the end of the window with which the event became known, not at the event's own start,
    which lies before it.

    Args:
        probabilities: One a window, every 0.48 s, in [0, 1].
        threshold: Average probability that starts an event.
        settings: How events are made; the defaults if None.

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
    """What the alarms in a recording were for.

    Attributes:
        latencies: For each cry the seconds from its onset to its first alarm, None if it had none.
        false: The alarms that belong to no cry, in seconds.
    """

    latencies: tuple[float | None, ...]
    false: tuple[float, ...]

    @property
    def found(self) -> int:
        """How many cries had an alarm."""
        return sum(latency is not None for latency in self.latencies)


def judged_alarms(cries: Sequence[Stretch], alarms: Sequence[float]) -> Alarms:
    """Tells alarms for crying from false ones.

    A cry is found if an alarm is raised from its onset on, and no later than `GRACE_SECONDS` after its end.
    One that was raised before does not count, even if its event lasts into the cry.

    Args:
        cries: Onset and end of each, in seconds; they do not overlap.
        alarms: When alarms were raised, in seconds, rising.

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
    """How many events began when a cry did.

    Attributes:
        matched: Pairs of a cry and an event whose onsets are close, each in one pair.
        cries: How many cries there were.
        events: How many events there were.
    """

    matched: int
    cries: int
    events: int

    def __add__(self, other: "OnsetCounts") -> "OnsetCounts":
        return OnsetCounts(self.matched + other.matched, self.cries + other.cries, self.events + other.events)

    @property
    def error_rate(self) -> float:
        """Cries without an event and events without a cry, as a share of the cries; above 1 at worst."""
        return (self.cries + self.events - 2 * self.matched) / self.cries

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]."""
        return 2 * self.matched / (self.cries + self.events)


def onset_counts(cries: Sequence[Stretch], events: Sequence[Event], collar: float = 0.5) -> OnsetCounts:
    """Counts events that begin within a collar of a cry's onset, as DCASE's event-based metrics do.

    Args:
        cries: Onset and end of each, in seconds.
        events: What was detected.
        collar: Greatest distance of the onsets, in seconds.

    Examples:
        >>> events = [Event(10.4, 14.0, 1.0, 1.0), Event(20.0, 21.0, 1.0, 1.0)]
        >>> counts = onset_counts([(10.0, 15.0)], events)
        >>> counts.error_rate, round(counts.f1, 2)
        (1.0, 0.67)
    """
    # In the order of time, and with one collar for all, taking the first that fits gives the most pairs.
    waiting = sorted(event.start for event in events)
    matched = 0
    for onset, _ in sorted(cries):
        waiting = [start for start in waiting if start >= onset - collar - 1e-9]
        if waiting and waiting[0] <= onset + collar + 1e-9:
            waiting.pop(0)
            matched += 1
    return OnsetCounts(matched, len(cries), len(events))


def bound_errors(cries: Sequence[Stretch], events: Sequence[Event]) -> list[Stretch]:
    """Returns how far events are off, for every cry that overlaps with one.

    Returns:
        For each such cry, start of its first event less its onset, and end of its last event less its
        end, in seconds: negative is too early.

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

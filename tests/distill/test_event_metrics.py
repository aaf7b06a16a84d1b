"""Events found in time, missed events and false alarms: by hand, and compared with sed_eval."""

import math
from importlib.util import find_spec

import hearing_dcase
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.distill.event_metrics import (
    alarm_times,
    bound_errors,
    judged_alarms,
    onset_counts,
)
from yamnet_cry.events import Event, EventSettings, find_events

needs_sed_eval = pytest.mark.skipif(
    find_spec("sed_eval") is None or find_spec("sed_scores_eval") is None, reason="needs the extra benchmark"
)


def event(start: float, end: float) -> Event:
    return Event(start, end, peak=1.0, mean=1.0)


def test_an_alarm_comes_when_its_event_is_known():
    one = EventSettings(smoothing=1, votes=1, window=1)
    # Window 3 ends at 3 * 0.48 + 0.96 s.
    assert alarm_times([0, 0, 0, 1, 0], 0.5, one) == [2.4]
    # Two of three averages of two: windows 3 and 4 reach one half.
    assert alarm_times([0, 0, 0, 1, 0, 0], 0.5) == [2.88]


@given(st.lists(st.floats(0, 1), max_size=200), st.floats(0.05, 0.95))
def test_there_is_an_alarm_for_every_event(track, threshold):
    settings = EventSettings(smoothing=1, votes=1, window=1, hold_seconds=1.0)
    alarms, events = alarm_times(track, threshold, settings), find_events(track, threshold, settings)
    assert len(alarms) == len(events)
    assert all(found.start < alarm for alarm, found in zip(alarms, events, strict=True))


def test_alarms_are_judged_by_the_cry_they_are_for():
    cries = [(10.0, 12.0), (20.0, 22.0), (40.0, 41.0)]
    judged = judged_alarms(cries, [9.99, 10.5, 11.5, 22.96, 22.97])
    assert judged.latencies == (0.5, 2.96, None)
    assert judged.false == (9.99, 22.97)
    assert judged.found == 2


def test_onsets_by_hand():
    counts = onset_counts([(1.0, 2.0), (5.0, 6.0)], [event(1.5, 2), event(5.51, 6), event(8, 9)])
    assert (counts.matched, counts.cries, counts.events) == (1, 2, 3)
    assert counts.error_rate == pytest.approx((1 + 2) / 2)
    assert counts.f1 == pytest.approx(2 / 5)


times = st.lists(st.integers(0, 59), max_size=12, unique=True).map(
    lambda slots: [slot * 0.5 + 0.1 for slot in sorted(slots)]
)


@needs_sed_eval
@given(st.lists(st.tuples(times, times), min_size=1, max_size=4))
def test_onsets_are_counted_as_by_sed_eval(recordings):
    cries = [[(start, start + 0.4) for start in truth] for truth, _ in recordings]
    events = [[event(start + 0.2, start + 0.45) for start in found] for _, found in recordings]
    counts = [onset_counts(*pair) for pair in zip(cries, events, strict=True)]
    total = sum(counts[1:], counts[0])
    if not total.cries or not total.events:
        return
    by_sed_eval = hearing_dcase.onset_metrics(cries, events)
    assert total.error_rate == pytest.approx(by_sed_eval["error_rate"])
    assert total.f1 == pytest.approx(by_sed_eval["f1"])


@needs_sed_eval
def test_the_detection_score_of_a_perfect_and_a_deaf_detector():
    cries = [[(3.0, 8.0)], [], [(10.0, 15.0)]]
    perfect = [np.zeros(40) for _ in cries]
    for truth, track in zip(cries, perfect, strict=True):
        for onset, end in truth:
            track[math.ceil(onset / 0.48) : int(end / 0.48)] = 1.0
    seconds = 40 * 0.48
    assert hearing_dcase.psds(cries, perfect, seconds) == pytest.approx([1.0, 1.0])
    assert max(hearing_dcase.psds(cries, [1 - track for track in perfect], seconds)) < 0.5


def test_how_far_bounds_are_off():
    cries = [(10.0, 15.0), (30.0, 31.0), (50.0, 55.0)]
    events = [event(9.6, 11.0), event(12.0, 15.4), event(52.0, 54.0)]
    assert bound_errors(cries, events) == [(-0.4, 0.4), (2.0, -1.0)]

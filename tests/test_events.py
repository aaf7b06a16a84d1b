import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from yamnet_cry.events import Event, EventSettings, EventTracker, checked_threshold, find_events, trigger
from yamnet_cry.frontend import YAMNET

PLAIN = EventSettings(smoothing=1, votes=1, window=1, release=1.0, hold_seconds=0.0)
TRACKS = st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.45, 0.5, 0.7, 1.0]), max_size=80)
SETTINGS = st.builds(
    EventSettings,
    smoothing=st.integers(1, 5),
    votes=st.integers(1, 3),
    window=st.integers(3, 6),
    release=st.sampled_from([0.3, 0.6, 1.0]),
    hold_seconds=st.sampled_from([0.0, 0.48, 1.0, 3.0]),
)


def spans(events: list[Event], windows: int) -> list[tuple[int, int]]:
    """First and last window of each event found without smoothing in a track of `windows` windows."""
    length = (windows - 1) * YAMNET.patch_hop_seconds + YAMNET.patch_seconds
    found = []
    for event in events:
        # An event ends in the middle of its last window, or at the track's end if it lasts until then.
        middle = YAMNET.patch_seconds if event.end > length - 0.01 else YAMNET.patch_seconds / 2
        found.append(
            (
                round(event.start / YAMNET.patch_hop_seconds),
                round((event.end - middle) / YAMNET.patch_hop_seconds),
            )
        )
    return found


def test_without_smoothing_votes_and_hold_events_are_runs_above_the_threshold():
    track = [0, 0.6, 0.7, 0.2, 0.5, 0, 0, 0.9]
    assert spans(find_events(track, 0.5, PLAIN), 8) == [(1, 2), (4, 4), (7, 7)]


def test_an_event_tells_its_peak_and_mean():
    (event,) = find_events([0, 0.6, 0.9, 0.6, 0], 0.5, PLAIN)
    assert event == Event(start=0.48, end=pytest.approx(0.48 * 3 + 0.48), peak=0.9, mean=pytest.approx(0.7))
    assert event.seconds == pytest.approx(1.44)


def test_several_windows_must_agree():
    settings = dataclasses.replace(PLAIN, votes=3, window=5)
    assert not find_events([0, 1, 0, 0, 1, 0, 0, 0, 1], 0.5, settings)
    assert spans(find_events([0, 1, 0, 1, 1, 0], 0.5, settings), 6) == [(1, 4)]


def test_smoothing_forgives_one_window():
    settings = dataclasses.replace(PLAIN, smoothing=3)
    assert not find_events([0, 0, 0.9, 0, 0], 0.5, settings)
    assert len(find_events([0, 0, 0.9, 0.9, 0.1, 0.9, 0.9], 0.5, settings)) == 1


def test_an_event_goes_on_at_lower_probabilities_than_start_it():
    settings = dataclasses.replace(PLAIN, release=0.5)
    assert spans(find_events([0.3, 0.6, 0.3, 0.3, 0.2, 0.3], 0.5, settings), 6) == [(1, 3)]


def test_pauses_for_breath_do_not_end_it():
    track = [0.9, 0, 0, 0.9, 0, 0, 0, 0.9]
    assert spans(find_events(track, 0.5, dataclasses.replace(PLAIN, hold_seconds=1.0)), 8) == [(0, 3), (7, 7)]
    (event,) = find_events(track[:4], 0.5, dataclasses.replace(PLAIN, hold_seconds=1.0))
    assert event.mean == pytest.approx(1.8 / 4)


@given(TRACKS, SETTINGS, st.sampled_from([0.3, 0.5, 0.9]), st.floats(0.5, 1.0))
def test_events_of_any_track(track, settings, threshold, padding):
    total = (len(track) - 1) * YAMNET.patch_hop_seconds + padding * YAMNET.patch_seconds
    events = find_events(track, threshold, settings, total)
    for event in events:
        assert 0 <= event.start < event.end <= round(total, 2)
        assert event.seconds > 0
        assert 0 < event.mean <= event.peak <= 1
        first = round(event.start / YAMNET.patch_hop_seconds)
        assert event.peak in track[first:]
    for before, after in pairwise(events):
        assert before.end <= after.start + settings.smoothing * YAMNET.patch_hop_seconds


@given(TRACKS, SETTINGS, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_the_trigger_is_the_highest_threshold_with_an_event(track, settings, threshold):
    """To the last bit, because `Detection.is_cry` and its probability must agree."""
    level = trigger(track, settings).max() if track else -1.0
    assert bool(find_events(track, threshold, settings)) == (level >= threshold)
    if track:
        assert find_events(track, level, settings)
        assert not find_events(track, np.nextafter(level, 2), settings)


def test_events_end_where_the_recording_ends():
    (event,) = find_events([1, 1], 0.5, EventSettings(), seconds=1.0)
    assert (event.start, event.end) == (0.0, 1.0)
    (event,) = find_events([0, 0, 1, 1, 1], 0.5, EventSettings())
    assert (event.start, event.end) == (0.96, 4 * 0.48 + 0.96)


def test_a_padded_last_window_does_not_end_an_event():
    settings = EventSettings(smoothing=1, votes=1, window=1)
    ends = {seconds: find_events([0.9, 0.1], 0.5, settings, seconds)[0].end for seconds in (1.0, 1.43, 1.44)}
    # In 1.44 s, the last window is whole, and quiet.
    assert ends == {1.0: 1.0, 1.43: 1.43, 1.44: 0.48}
    assert find_events([0.9, 0.1, 0.1], 0.5, settings, seconds=1.5)[0].end == 0.48


def test_an_event_ends_in_the_middle_of_what_was_averaged_last():
    # The last average of 0.5 or more is that of the third and fourth window, whose middle is at 1.68 s.
    (event,) = find_events([0, 0, 1, 0, 0, 0, 0, 0, 0], 0.5, EventSettings(smoothing=2, votes=1, window=1))
    assert (event.start, event.end) == (0.96, 1.68)


def test_a_recording_too_short_for_the_vote_needs_all_of_its_windows():
    settings = EventSettings(smoothing=1, votes=3, window=4)
    (event,) = find_events([0.6, 0.7], 0.5, settings, seconds=1.2)
    assert (event.start, event.end, event.peak) == (0.0, 1.2, 0.7)
    assert not find_events([0.6, 0.4], 0.5, settings)
    assert not find_events([], 0.5, settings)


@pytest.mark.parametrize("value", [2, -1, "a", None, float("nan"), True, np.float32(1.5)])
def test_thresholds_that_are_none(value):
    with pytest.raises(ValueError, match=r"expected a threshold in \[0, 1\]. Received: "):
        checked_threshold(value)


@given(TRACKS, SETTINGS)
def test_a_higher_threshold_finds_no_more_crying(track, settings):
    # An event that ends within the windows of a vote would reset the lower threshold's votes.
    assume(settings.hold_seconds >= (settings.window - 2) * 0.48)
    low, high = (sum(e.seconds for e in find_events(track, t, settings)) for t in (0.4, 0.8))
    assert high <= low + 1e-9


def test_an_event_that_ends_within_a_vote_takes_the_votes_before_it_with_it():
    settings = EventSettings(smoothing=1, votes=2, window=3, hold_seconds=0.0)
    starts = {
        threshold: [e.start for e in find_events([0.45, 1, 0, 1], threshold, settings)]
        for threshold in (0.4, 0.8)
    }
    # With the lower threshold the event of the first two windows has ended when the last one comes.
    assert starts == {0.4: [0.0], 0.8: [0.48]}


@given(TRACKS, SETTINGS)
def test_an_event_is_reported_once_and_as_soon_as_it_has_ended(track, settings):
    tracker = EventTracker(0.5, settings)
    received = []
    for probability in track:
        event = tracker.push(probability)
        if event is not None:
            received.append(event)
            assert not tracker.active
    last = tracker.finish()
    assert (last is None) or last not in received
    assert [*received, *([last] if last else [])] == find_events(track, 0.5, settings)
    assert tracker.finish() is None


@pytest.mark.parametrize(
    "changes",
    [{"smoothing": 0}, {"votes": 0}, {"votes": 4, "window": 3}, {"release": 0.0}, {"hold_seconds": -1.0}],
)
def test_settings_outside_their_range(changes):
    with pytest.raises(ValueError, match="expected smoothing >= 1.*Received: EventSettings"):
        EventSettings(**changes)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.ambient import Tail, fit_threshold, trigger
from yamnet_cry.events import EventSettings, find_events

PLAIN = EventSettings(smoothing=1, votes=1, window=1, release=1.0, hold_seconds=0.0)
TRACKS = st.lists(st.floats(0, 1), min_size=1, max_size=40)
SETTINGS = st.builds(
    EventSettings, smoothing=st.integers(1, 4), votes=st.integers(1, 3), window=st.integers(3, 5)
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def room(hours: float, rate: float, scale: float, seed: int) -> np.ndarray:
    """A quiet track with single loud windows, whose log-odds rise exponentially above -3, at a known rate."""
    generator = np.random.default_rng(seed)
    track = np.full(int(hours * 7500), 1e-5)
    places = generator.choice(len(track) // 4, generator.poisson(hours * rate), replace=False) * 4
    track[places] = sigmoid(-3 + generator.exponential(scale, len(places)))
    return track


@given(TRACKS, SETTINGS, st.floats(0.05, 0.95))
def test_an_event_starts_where_the_trigger_says(track, settings, threshold):
    level = trigger(np.array(track), settings)
    if np.abs(level - threshold).min() < 1e-9:
        return
    events = find_events(track, threshold, settings)
    assert bool(events) == bool((level >= threshold).any())


def test_the_rate_is_extrapolated_from_ten_minutes():
    """True rate at 0.9, which ten minutes almost never show: 120 * exp(-(2.197 + 3) / 1) = 0.66 an hour."""
    truth = 120 * np.exp(-(np.log(9) + 3))
    estimates = [Tail(room(1 / 6, 120, 1.0, seed), PLAIN).rate(0.9) for seed in range(60)]
    assert 0.5 < np.median(estimates) / truth < 2.0
    assert np.mean([0.1 < estimate / truth < 10 for estimate in estimates]) > 0.85


def test_the_threshold_brings_the_rate_it_promises():
    report = fit_threshold(room(1 / 6, 200, 1.0, 1), PLAIN, 0.5, 2.0)
    assert report.threshold > 0.5
    assert report.false_alarms_per_hour == pytest.approx(2.0)
    assert report.before > 2.0
    assert report.hours == pytest.approx(1 / 6, rel=1e-2)
    night = find_events(room(500, 200, 1.0, 2), report.threshold, PLAIN)
    assert 0.5 < len(night) / 500 < 8.0


def test_a_quiet_room_changes_nothing():
    track = np.random.default_rng(0).uniform(0, 1e-4, 1_250)
    report = fit_threshold(track, EventSettings(), 0.5, 0.5)
    assert report.threshold == 0.5
    assert report.false_alarms_per_hour == report.before < 0.5


def test_digital_silence():
    report = fit_threshold(np.zeros(1_250), EventSettings(), 0.5, 0.5)
    assert (report.threshold, report.false_alarms_per_hour) == (0.5, 0.0)


@given(TRACKS, SETTINGS, st.floats(0.01, 0.99), st.floats(0.01, 100))
def test_any_track_gives_a_usable_threshold(track, settings, threshold, rate):
    report = fit_threshold(track, settings, threshold, rate)
    assert threshold <= report.threshold <= max(threshold, 0.999)
    assert np.isfinite([report.false_alarms_per_hour, report.before]).all()
    if report.threshold == threshold < 0.999:
        assert report.false_alarms_per_hour == report.before
    elif report.threshold < 0.999:
        assert report.false_alarms_per_hour <= rate * 1.001 < report.before


def test_a_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="is positive. Received: 0"):
        fit_threshold([0.1], EventSettings(), 0.5, 0)

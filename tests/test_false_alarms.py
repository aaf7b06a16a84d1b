import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.calibration import Calibration, EventRecall
from yamnet_cry.events import EventSettings, find_events
from yamnet_cry.false_alarms import CalibrationError, Tail, fit_room, fit_threshold, trigger
from yamnet_cry.model.runtime import QuantizedLogits
from yamnet_cry.results import Detection

PLAIN = EventSettings(smoothing=1, votes=1, window=1, release=1.0, hold_seconds=0.0)
TRACKS = st.lists(st.floats(0, 1), min_size=1, max_size=40)
SETTINGS = st.builds(
    EventSettings, smoothing=st.integers(1, 4), votes=st.integers(1, 3), window=st.integers(3, 5)
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def room(hours: float, rate: float, scale: float, seed: int) -> np.ndarray:
    """A quiet track with single loud windows at a known rate, log-odds exponentially distributed above -3."""
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
    """True rate at 0.9, rarely seen in ten minutes: 120 * exp(-(2.197 + 3) / 1) = 0.66 per hour."""
    truth = 120 * np.exp(-(np.log(9) + 3))
    estimates = [Tail(room(1 / 6, 120, 1.0, seed), PLAIN).rate(0.9) for seed in range(60)]
    assert 0.5 < np.median(estimates) / truth < 2.0
    assert np.mean([0.1 < estimate / truth < 10 for estimate in estimates]) > 0.85


@pytest.mark.slow
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


def test_where_events_run_into_one_the_tail_is_taken_where_most_of_them_are():
    """A minute of a context network's track: its log-odds vary slowly, far below any alarm."""
    generator = np.random.default_rng(0)
    steps = generator.normal(0, 1, 200)
    track = sigmoid(-10 + np.convolve(steps, np.ones(4) / 2, "same"))
    report = fit_threshold(track, EventSettings(1, 1, 1), 0.5, 0.5)
    assert Tail(track, EventSettings(1, 1, 1)).events > 1
    assert (report.threshold, report.false_alarms_per_hour < 0.01) == (0.5, True)


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
    with pytest.raises(ValueError, match="expected a positive false_alarms_per_hour. Received: 0"):
        fit_threshold([0.1], EventSettings(), 0.5, 0)


FRAGILE = EventRecall(10, 5, (0.0, 0.5, 0.9, 1.0), (1.0, 0.9, 0.8, 0.0))


def heard(track: np.ndarray, threshold: float = 0.5) -> Detection:
    """A result with these window probabilities, whose logits are highest for Cat (76 in AudioSet)."""
    logits = np.zeros((len(track), 521), np.int8)
    logits[:, 76] = 100
    quantized = QuantizedLogits(logits, 0.1, 0)
    return Detection(track.astype(np.float32), threshold, Calibration(1.0, 0.0), PLAIN, logits=quantized)


def loud_room() -> np.ndarray:
    """Ten minutes with thirteen sounds of probability 0.97."""
    track = np.full(1_250, 1e-5)
    track[400::70] = 0.97
    return track


def test_a_room_that_costs_too_much_is_refused_and_its_sounds_are_named():
    with pytest.raises(CalibrationError) as caught:
        fit_room(heard(loud_room()), FRAGILE, 2.0, 0.8)
    report = caught.value.report
    assert report.threshold > 0.95
    assert report.recall == FRAGILE.at(report.threshold) < 0.8 < report.recall_before == 0.9
    assert len(report.stretches) == 5
    assert report.stretches[0].start == 192.0
    assert report.stretches[0].classes[0][0] == "Cat"
    message = str(caught.value)
    assert message.startswith("not calibrated: 2 false alarms per hour need threshold 0.99")
    assert "of crying clips still raise an event (90 % before). Expected: at least 80 %. 3:12.0" in message
    assert "sounds like Cat 98 %" in message
    assert "If that is a baby, record the room again without crying, or accept" in message
    # Thirteen in ten minutes are 78 per hour.
    assert message.endswith("78 false alarms per hour to keep 80 % of crying clips")


def test_any_cost_can_be_accepted():
    report = fit_room(heard(loud_room()), FRAGILE, 2.0, 0.0)
    assert report.recall < 0.8
    assert report.cost().endswith("% of crying clips still raise an event (90 % before)")


def test_a_target_that_no_threshold_meets_is_refused_whatever_the_cost():
    track = loud_room()
    track[400::70] = 0.99999
    with pytest.raises(CalibrationError, match=r"even at threshold 0.999, 2.7 false alarms per hour"):
        fit_room(heard(track), None, 0.5, 0.0)


def test_too_short_a_room_is_told_from_a_loud_one():
    track = room(1 / 12, 400, 1.0, 3)
    track[track >= 0.5] = 0.49
    with pytest.raises(
        CalibrationError, match=r" 5\.0 minutes without an event are too short .* Record the room for longer"
    ):
        fit_room(heard(track), FRAGILE, 0.01, 0.8)


def test_an_old_folder_does_not_know_the_cost():
    report = fit_room(heard(loud_room()), None, 2.0, 0.8)
    assert report.recall is None
    assert report.cost().startswith("recall is unknown: the model folder has no event_recall")


def test_a_quiet_room_costs_nothing_and_names_nothing():
    report = fit_room(heard(np.full(1_250, 1e-5)), FRAGILE, 0.5, 1.0)
    assert (report.threshold, report.recall, report.stretches) == (0.5, 0.9, ())
    assert report.hours_to_confirm == 6.0


def test_a_recall_beyond_one_is_refused():
    with pytest.raises(ValueError, match=r"expected min_recall in \[0, 1\]. Received: 80"):
        fit_room(heard(loud_room()), FRAGILE, 0.5, 80)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.floats(0, 1), st.floats(0.01, 100))
def test_any_room_is_fitted_or_refused(track, threshold, rate):
    try:
        report, refused = fit_room(heard(np.array(track), threshold), FRAGILE, rate, 0.8), False
    except CalibrationError as error:
        report, refused = error.report, True
    assert refused or report.threshold == threshold or report.recall >= 0.8
    assert bool(report.stretches) == (report.before > rate)
    assert len(report.stretches) <= 5


def test_real_rooms(shared):
    """Rooms made from training and validation clips; at one, few cries would still be detected."""
    import rooms

    from yamnet_cry.distill import sources

    clips = sources.load(str(shared / "audio"))
    report, refused = rooms.fitted(rooms.room(clips, "misc_small"))
    assert refused
    assert (report.threshold, report.recall) == pytest.approx((0.980, 0.173), abs=1e-3)
    assert len(report.stretches) >= 1

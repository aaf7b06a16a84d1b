import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.calibration import Calibration, EventRecall, log_odds

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(SCORES, st.floats(0.01, 5), st.floats(-10, 10))
def test_probabilities_keep_the_order_of_scores(scores, slope, intercept):
    probabilities = Calibration(slope, intercept)(np.sort(scores))
    assert np.all(np.diff(probabilities) >= 0)
    assert np.all((probabilities >= 0) & (probabilities <= 1))


@given(SCORES)
def test_slope_one_and_intercept_zero_change_nothing(scores):
    np.testing.assert_allclose(Calibration(1.0, 0.0)(scores), np.clip(scores, 1e-6, 1 - 1e-6), atol=1e-12)


def test_certain_scores_stay_finite():
    assert np.isfinite(log_odds([0.0, 1.0])).all()


@given(SCORES, st.floats(0, 1), st.floats(0, 1))
def test_recall_falls_with_the_threshold(levels, one, other):
    table = EventRecall.measured(levels, 1)
    low, high = sorted((one, other))
    assert 1.0 == table.at(0.0) >= table.at(low) >= table.at(high) >= 0.0
    for threshold, recall in zip(table.thresholds, table.recall, strict=True):
        assert recall == pytest.approx(np.mean(np.array(levels) >= threshold), abs=1e-4)


@given(SCORES, st.floats(0, 1))
def test_the_threshold_for_a_recall_keeps_it(levels, recall):
    table = EventRecall.measured(levels, 1)
    threshold = table.threshold_for(recall)
    assert threshold is not None
    assert table.at(threshold) >= recall - 1e-9
    assert threshold == 1.0 or table.at(min(1.0, threshold + 0.06)) < recall + 1e-9


def test_no_threshold_for_a_recall_that_was_never_reached():
    assert EventRecall(2, 1, (0.0, 1.0), (0.5, 0.0)).threshold_for(0.8) is None


@pytest.mark.parametrize(
    ("clips", "groups", "thresholds", "recall"),
    [
        (0, 0, (0.0, 1.0), (1.0, 0.0)),
        (1, 2, (0.0, 1.0), (1.0, 0.0)),
        (1, 1, (), ()),
        (1, 1, (0.0, 1.0), (1.0,)),
        (1, 1, (0.1, 1.0), (1.0, 0.0)),
        (1, 1, (0.0, 0.5, 0.5, 1.0), (1.0, 1.0, 1.0, 0.0)),
        (1, 1, (0.0, 1.0), (0.5, 0.6)),
        (1, 1, (0.0, 1.0), (1.5, 0.0)),
    ],
)
def test_a_recall_table_that_is_none(clips, groups, thresholds, recall):
    with pytest.raises(ValueError, match="expected event_recall to hold rising thresholds from 0 to 1"):
        EventRecall(clips, groups, thresholds, recall)

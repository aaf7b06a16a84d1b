import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.calibration import Calibration, log_odds

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

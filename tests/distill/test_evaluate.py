import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from yamnet_cry.calibration import Calibration
from yamnet_cry.distill import evaluate
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.events import EventSettings

CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=4, max_size=60).filter(
    lambda rows: 0 < sum(cry for cry, _ in rows) < len(rows)
)


def arrays(rows):
    return np.array([cry for cry, _ in rows]), np.array([score / 12 for _, score in rows])


@given(CASES, st.integers(0, 12))
def test_metrics_are_scikit_learns_even_with_ties(rows, step):
    is_cry, scores = arrays(rows)
    threshold = step / 12
    metrics = evaluate.measure(is_cry, scores, threshold)
    assert metrics["auc"] == pytest.approx(roc_auc_score(is_cry, scores))
    assert metrics["average_precision"] == pytest.approx(average_precision_score(is_cry, scores))
    assert metrics["f1"] == pytest.approx(f1_score(is_cry, scores >= threshold))
    assert metrics["f1_at_half"] == pytest.approx(f1_score(is_cry, scores >= 0.5))
    assert metrics["recall"] == pytest.approx((scores[is_cry] >= threshold).mean())
    assert metrics["fpr"] == pytest.approx((scores[~is_cry] >= threshold).mean())
    assert metrics["best_f1"] == pytest.approx(f1_score(is_cry, scores >= metrics["best_f1_threshold"]))
    best = max(f1_score(is_cry, scores >= value) for value in scores)
    assert metrics["best_f1"] == pytest.approx(best)


@given(CASES)
def test_fpr_at_94_recall_is_the_least_that_catches_as_much(rows):
    is_cry, scores = arrays(rows)
    catching = [value for value in scores if (scores[is_cry] >= value).mean() >= 0.94]
    expected = min((scores[~is_cry] >= value).mean() for value in catching)
    assert evaluate.measure(is_cry, scores, 0.5)["fpr_at_94_recall"] == pytest.approx(expected)


@given(CASES, st.data())
def test_weights_count_clips_several_times(rows, data):
    is_cry, scores = arrays(rows)
    weights = np.array(data.draw(st.lists(st.integers(1, 3), min_size=len(rows), max_size=len(rows))))
    repeated = evaluate.measure(np.repeat(is_cry, weights), np.repeat(scores, weights), 0.5)
    assert evaluate.measure(is_cry, scores, 0.5, weights.astype(float)) == pytest.approx(repeated)


def test_what_one_sided_clips_allow():
    assert set(evaluate.measure(np.array([False, False]), np.array([0.1, 0.6]), 0.5)) == {"fpr"}
    assert evaluate.measure(np.array([True, True]), np.array([0.1, 0.6]), 0.5) == {"recall": 0.5}


def clips(count: int, group_size: int) -> list[Clip]:
    return [
        Clip(
            str(n),
            "cry" if n // group_size % 3 == 0 else "not_cry",
            "test",
            f"g{n // group_size}",
            f"s{n % 2}",
            open=lambda: "",
        )
        for n in range(count)
    ]


def width(interval: dict[str, float]) -> float:
    assert interval["low"] <= interval["value"] <= interval["high"]
    return interval["high"] - interval["low"]


def test_intervals_come_from_groups_not_clips():
    """Clips that come in tens of the same score are worth a tenth."""
    generator = np.random.default_rng(0)
    few = clips(600, 10)
    scores = np.repeat(generator.uniform(0, 0.7, 60), 10) + 0.3 * evaluate.labels(few)
    grouped = evaluate.report(few, scores, 0.5)["all"]
    single = [Clip(c.name, c.target, c.split, c.name, c.source, open=c.open) for c in few]
    ungrouped = evaluate.report(single, scores, 0.5)["all"]
    assert grouped["groups"] == 60
    assert grouped["auc"]["value"] == ungrouped["auc"]["value"]
    assert 2 < width(grouped["auc"]) / width(ungrouped["auc"]) < 4.5


def test_a_report_is_by_source_too_and_repeats_itself():
    some = clips(60, 2)
    scores = np.random.default_rng(1).uniform(0, 1, 60)
    report = evaluate.report(some, scores, 0.4)
    assert report == evaluate.report(some, scores, 0.4)
    assert report["threshold"] == 0.4
    assert set(report["by_source"]) == {"s0", "s1"}
    assert sum(source["cry"] for source in report["by_source"].values()) == report["all"]["cry"]


def test_the_best_threshold_of_ties_is_the_highest():
    def best(is_cry, scores):
        return evaluate.measure(np.array(is_cry), np.array(scores), 0.5)["best_f1_threshold"]

    assert best([True, False, True, False], [0.9, 0.5, 0.4, 0.1]) == 0.4
    assert best([True, False], [0.9, 0.1]) == 0.9


def test_false_alarms_and_events_caught(released, synthetic_corpus):
    from yamnet_cry import CryDetector
    from yamnet_cry.distill import corpus

    clips = corpus.require(corpus.load(str(synthetic_corpus)), "test")
    detector = CryDetector.from_pretrained(released)

    def reported():
        results = evaluate.detector_results(detector, clips, progress=False)
        return evaluate.event_report(detector, clips, results)

    report = reported()
    assert report["hours"] == pytest.approx(4 * 2.5 / 3600)
    assert report == reported()
    detector.threshold = 0.0
    always = reported()
    assert (always["false_alarms"], always["recall"]["value"]) == (1, 1.0)
    # Garwood's interval of one event, from tables: 0.0253 to 5.572.
    rate = always["false_alarms_per_hour"]
    assert rate["low"] * always["hours"] == pytest.approx(0.0253, abs=1e-4)
    assert rate["high"] * always["hours"] == pytest.approx(5.572, abs=1e-3)
    # Probabilities of 1 are rounding; none of the clips is so sure.
    detector.threshold = 1.0
    never = reported()
    assert (never["false_alarms"], never["recall"]["value"]) == (0, 0.0)
    assert never["false_alarms_per_hour"]["low"] == 0.0
    assert never["false_alarms_per_hour"]["high"] * never["hours"] == pytest.approx(3.689, abs=1e-3)


def test_metrics_are_of_the_verdict_that_users_get(released, synthetic_corpus):
    from yamnet_cry import CryDetector
    from yamnet_cry.distill import corpus

    clips = corpus.require(corpus.load(str(synthetic_corpus)), "test")
    detector = CryDetector.from_pretrained(released)
    is_cry, results = evaluate.labels(clips), evaluate.detector_results(detector, clips, progress=False)
    measured = evaluate.evaluate(detector, clips, "test", progress=False)["models"]["int8"]["all"]
    said = np.array([result.is_cry for result in results])
    assert measured["recall"]["value"] == said[is_cry].mean()
    assert measured["fpr"]["value"] == said[~is_cry].mean()
    tracks = [result.scores for result in results]
    again = evaluate.clip_probabilities(tracks, detector.config.calibration, detector.config.events)
    np.testing.assert_array_equal(again, [result.probability for result in results])


def steady(scores):
    """Tracks that stay at one score, so that averages and votes leave it as it is."""
    return list(np.repeat(np.float32(scores)[:, None], 3, axis=1))


def test_a_calibration_is_that_of_what_users_get():
    """Of windows that flicker, the averages are calibrated, and not the windows."""
    generator = np.random.default_rng(0)
    level = generator.uniform(0.05, 0.95, 1_000)
    is_cry = generator.random(1_000) < 1 / (1 + np.exp(8 * (0.7 - level)))
    tracks = [np.clip(generator.normal(mean, 0.1, 12), 0.001, 0.999).astype(np.float32) for mean in level]
    settings = EventSettings()
    fitted = evaluate.fit_calibration(is_cry, tracks, settings)
    right = evaluate.clip_probabilities(tracks, fitted, settings)
    raw = evaluate.clip_probabilities(tracks, Calibration(1.0, 0.0), settings)
    assert evaluate.expected_calibration_error(is_cry, right, np.ones(1_000)) < 0.04
    assert evaluate.expected_calibration_error(is_cry, raw, np.ones(1_000)) > 0.1


def test_a_calibration_that_is_known_is_found():
    generator = np.random.default_rng(0)
    scores = generator.uniform(0.001, 0.9, 3_000)
    true = Calibration(slope=0.8, intercept=1.5)
    is_cry = generator.random(3_000) < true(scores)
    fitted = evaluate.fit_calibration(is_cry, steady(scores), EventSettings())
    assert fitted.slope == pytest.approx(0.8, abs=0.05)
    assert fitted.intercept == pytest.approx(1.5, abs=0.1)
    assert evaluate.expected_calibration_error(is_cry, fitted(scores), np.ones(3_000)) < 0.02
    assert evaluate.expected_calibration_error(is_cry, scores, np.ones(3_000)) > 0.1


@given(CASES)
def test_a_calibration_is_finite_and_keeps_the_order(rows):
    is_cry, scores = arrays(rows)
    fitted = evaluate.fit_calibration(is_cry, steady(scores), EventSettings())
    assert np.isfinite([fitted.slope, fitted.intercept]).all()
    assert np.all(np.diff(fitted(np.sort(scores))) >= 0)


def test_calibration_error_by_hand():
    is_cry = np.array([True, True, False, False])
    probabilities = np.array([0.95, 0.95, 0.35, 0.05])
    # Bins 9, 3 and 0: gaps of 0.05 for two clips, 0.35 and 0.05 for one each.
    assert evaluate.expected_calibration_error(is_cry, probabilities, np.ones(4)) == pytest.approx(0.5 / 4)
    assert evaluate.expected_calibration_error(is_cry, is_cry.astype(float), np.ones(4)) == 0.0

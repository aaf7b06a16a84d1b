import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from yamnet_cry.calibration import Calibration, log_odds
from yamnet_cry.distill import evaluate, metrics, sources
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.events import EventSettings
from yamnet_cry.task import Task

CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=4, max_size=60).filter(
    lambda rows: 0 < sum(cry for cry, _ in rows) < len(rows)
)


def arrays(rows):
    return np.array([cry for cry, _ in rows]), np.array([score / 12 for _, score in rows])


@pytest.mark.slow
@given(CASES, st.integers(0, 12))
def test_metrics_are_scikit_learns_even_with_ties(rows, step):
    is_cry, scores = arrays(rows)
    threshold = step / 12
    found = metrics.detection(is_cry, scores, threshold)
    assert found["auc"] == pytest.approx(roc_auc_score(is_cry, scores))
    assert found["average_precision"] == pytest.approx(average_precision_score(is_cry, scores))
    assert found["f1"] == pytest.approx(f1_score(is_cry, scores >= threshold))
    assert found["f1_at_half"] == pytest.approx(f1_score(is_cry, scores >= 0.5))
    assert found["recall"] == pytest.approx((scores[is_cry] >= threshold).mean())
    assert found["fpr"] == pytest.approx((scores[~is_cry] >= threshold).mean())
    assert found["best_f1"] == pytest.approx(f1_score(is_cry, scores >= found["best_f1_threshold"]))
    best = max(f1_score(is_cry, scores >= value) for value in scores)
    assert found["best_f1"] == pytest.approx(best)


@given(CASES)
def test_fpr_at_94_recall_is_the_least_that_catches_as_much(rows):
    is_cry, scores = arrays(rows)
    catching = [value for value in scores if (scores[is_cry] >= value).mean() >= 0.94]
    expected = min((scores[~is_cry] >= value).mean() for value in catching)
    assert metrics.detection(is_cry, scores, 0.5)["fpr_at_94_recall"] == pytest.approx(expected)


@given(CASES, st.data())
def test_weights_count_clips_several_times(rows, data):
    is_cry, scores = arrays(rows)
    weights = np.array(data.draw(st.lists(st.integers(1, 3), min_size=len(rows), max_size=len(rows))))
    repeated = metrics.detection(np.repeat(is_cry, weights), np.repeat(scores, weights), 0.5)
    assert metrics.detection(is_cry, scores, 0.5, weights.astype(float)) == pytest.approx(repeated)


def test_what_one_sided_clips_allow():
    assert set(metrics.detection(np.array([False, False]), np.array([0.1, 0.6]), 0.5)) == {"fpr"}
    assert metrics.detection(np.array([True, True]), np.array([0.1, 0.6]), 0.5) == {"recall": 0.5}


def clips(count: int, group_size: int) -> list[Clip]:
    return [
        Clip(
            str(n),
            ("cry" if n // group_size % 3 == 0 else "not_cry",),
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
    """Ten clips of a group with the same score count as one."""
    generator = np.random.default_rng(0)
    few = clips(600, 10)
    scores = np.repeat(generator.uniform(0, 0.7, 60), 10) + 0.3 * evaluate.labels(few)
    grouped = evaluate.report(few, scores, 0.5)["all"]
    single = [Clip(c.name, c.labels, c.split, c.name, c.source, open=c.open) for c in few]
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
        return metrics.detection(np.array(is_cry), np.array(scores), 0.5)["best_f1_threshold"]

    assert best([True, False, True, False], [0.9, 0.5, 0.4, 0.1]) == 0.4
    assert best([True, False], [0.9, 0.1]) == 0.9


def test_false_alarms_and_events_caught(released, synthetic_corpus):
    from yamnet_cry import CryDetector
    from yamnet_cry.distill import corpus

    clips = corpus.labelled(sources.load(str(synthetic_corpus)), "test")
    detector = CryDetector.from_pretrained(released)

    def reported():
        found = np.array([detector(clip.open()).is_cry for clip in clips])
        return evaluate.event_report(detector, clips, found)

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
    # Only rounding gives a probability of 1; no clip reaches it.
    detector.threshold = 1.0
    never = reported()
    assert (never["false_alarms"], never["recall"]["value"]) == (0, 0.0)
    assert never["false_alarms_per_hour"]["low"] == 0.0
    assert never["false_alarms_per_hour"]["high"] * never["hours"] == pytest.approx(3.689, abs=1e-3)


def test_metrics_are_of_the_verdict_that_users_get(released, synthetic_corpus):
    from yamnet_cry import CryDetector
    from yamnet_cry.distill import corpus

    clips = corpus.labelled(sources.load(str(synthetic_corpus)), "test")
    detector = CryDetector.from_pretrained(released)
    is_cry, results = evaluate.labels(clips), [detector(clip.open()) for clip in clips]
    measured = evaluate.evaluate(detector, clips, "test", progress=False)["models"]["int8"]["all"]
    said = np.array([result.is_cry for result in results])
    assert measured["recall"]["value"] == said[is_cry].mean()
    assert measured["fpr"]["value"] == said[~is_cry].mean()
    tracks = [log_odds(result.scores) if result.track is None else result.track for result in results]
    again = evaluate.clip_probabilities(tracks, detector.config.calibration, detector.config.events)
    np.testing.assert_array_equal(again, [result.probability for result in results])


def steady(scores):
    """Tracks constant at the log-odds of one score, which averages and votes do not change."""
    return list(np.repeat(log_odds(scores)[:, None], 3, axis=1))


@pytest.mark.slow
def test_a_calibration_is_that_of_what_users_get():
    """If scores of windows fluctuate, the averages are calibrated, not the windows."""
    generator = np.random.default_rng(0)
    level = generator.uniform(0.05, 0.95, 1_000)
    is_cry = generator.random(1_000) < 1 / (1 + np.exp(8 * (0.7 - level)))
    tracks = [log_odds(np.clip(generator.normal(mean, 0.1, 12), 0.001, 0.999)) for mean in level]
    settings = EventSettings()
    fitted = evaluate.fit_calibration(is_cry, tracks, settings)
    right = evaluate.clip_probabilities(tracks, fitted, settings)
    raw = evaluate.clip_probabilities(tracks, Calibration(1.0, 0.0), settings)
    assert metrics.expected_calibration_error(is_cry, right, np.ones(1_000)) < 0.04
    assert metrics.expected_calibration_error(is_cry, raw, np.ones(1_000)) > 0.1


@given(st.data(), st.integers(2, 30))
def test_the_roc_curve_is_that_of_scikit_learn(data, count):
    def drawn(values):
        return np.array(data.draw(st.lists(st.sampled_from(values), min_size=count, max_size=count)))

    scores, weights, is_cry = (
        drawn([0.0, 0.2, 0.5, 0.7, 1.0]),
        drawn([0.0, 1.0, 2.0, 3.0]),
        drawn([False, True]),
    )
    assume(weights[is_cry].sum() and weights[~is_cry].sum())
    found = metrics.roc_curve(is_cry, scores, weights)
    expected = roc_curve(is_cry, scores, sample_weight=weights, drop_intermediate=False)
    for own, theirs in zip(found, expected, strict=True):
        assert own.tolist() == theirs.tolist()


@pytest.mark.slow
def test_a_calibration_that_is_known_is_found():
    generator = np.random.default_rng(0)
    scores = generator.uniform(0.001, 0.9, 3_000)
    true = Calibration(slope=0.8, intercept=1.5)
    is_cry = generator.random(3_000) < true(scores)
    fitted = evaluate.fit_calibration(is_cry, steady(scores), EventSettings())
    assert fitted.slope == pytest.approx(0.8, abs=0.05)
    assert fitted.intercept == pytest.approx(1.5, abs=0.1)
    assert metrics.expected_calibration_error(is_cry, fitted(scores), np.ones(3_000)) < 0.02
    assert metrics.expected_calibration_error(is_cry, scores, np.ones(3_000)) > 0.1


@pytest.mark.slow
def test_a_calibration_for_a_prior_is_that_of_clips_with_as_many_cries():
    generator = np.random.default_rng(0)
    is_cry = generator.random(4_000) < 0.5
    values = generator.normal(np.where(is_cry, 1.0, -1.0), 1.0)
    tracks = list(np.repeat(values[:, None], 3, axis=1))
    # For two normal distributions two standard deviations apart, the log-odds are twice the value.
    fitted = evaluate.fit_calibration(is_cry, tracks, EventSettings(), prior=0.1)
    assert (fitted.prior, fitted.slope) == (0.1, pytest.approx(2.0, rel=0.1))
    assert fitted.intercept == pytest.approx(np.log(0.1 / 0.9), abs=0.2)
    even = evaluate.fit_calibration(is_cry, tracks, EventSettings())
    assert even.prior is None
    assert fitted.for_prior(0.5).intercept == pytest.approx(even.intercept, abs=0.2)
    weighted = metrics.detection(is_cry, fitted.of_log_odds(values), 0.5, prior=0.1)
    assert weighted["calibration_error"] < 0.02
    assert metrics.detection(is_cry, fitted.of_log_odds(values), 0.5)["calibration_error"] > 0.1


@pytest.mark.slow
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
    assert metrics.expected_calibration_error(is_cry, probabilities, np.ones(4)) == pytest.approx(0.5 / 4)
    assert metrics.expected_calibration_error(is_cry, is_cry.astype(float), np.ones(4)) == 0.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=40))
def test_metrics_of_exclusive_labels_are_scikit_learns(rows):
    truth, answers = (np.eye(3, dtype=bool)[list(column)] for column in zip(*rows, strict=True))
    found, of_labels = metrics.exclusive(truth, answers.astype(float), np.ones(len(rows)))
    assert found["accuracy"] == pytest.approx(np.mean([label == answer for label, answer in rows]))
    there = sorted({label for label, _ in rows})
    expected = f1_score(truth.argmax(axis=1), answers.argmax(axis=1), labels=there, average="macro")
    assert found["macro_f1"] == pytest.approx(expected)
    table = metrics.confusion(truth, answers.astype(float))
    assert table.sum() == len(rows)
    assert all(table[label, answer] for label, answer in rows)
    for label in there:
        assert of_labels[label]["recall"] == pytest.approx(table[label, label] / table[label].sum())


@pytest.mark.slow
@given(CASES, st.data())
def test_metrics_of_independent_labels_are_scikit_learns_even_with_ties(rows, data):
    is_label, scores = arrays(rows)
    drawn = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    weights = np.array(drawn, float)
    # All clips have the second label, none the third.
    truth = np.stack([is_label, np.ones_like(is_label), np.zeros_like(is_label)], axis=1)
    found, of_labels = metrics.independent(truth, np.stack([scores] * 3, axis=1), weights)
    assert all(np.isnan(own["auc"]) for own in of_labels[1:])
    if weights[is_label].sum() and weights[~is_label].sum():
        auc = roc_auc_score(is_label, scores, sample_weight=weights)
        assert found["macro_auc"] == of_labels[0]["auc"] == pytest.approx(auc)
        expected = average_precision_score(is_label, scores, sample_weight=weights)
        assert found["macro_average_precision"] == pytest.approx(expected)
    else:
        assert np.isnan(found["macro_auc"])


PETS = Task(("cat", "dog", "horse"))


def pets(count: int) -> list[Clip]:
    return [
        Clip(str(n), (PETS.labels[n % 3],), "test", f"g{n // 2}", f"s{n % 2}", open=lambda: "")
        for n in range(count)
    ]


@pytest.mark.slow
def test_a_report_of_exclusive_labels():
    some = pets(30)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 30) * 0.4
    probabilities += 0.6 * evaluate.label_matrix(some, PETS)
    report = evaluate.classification_report(some, probabilities, PETS)
    assert report == evaluate.classification_report(some, probabilities, PETS)
    assert (report["all"]["clips"], report["all"]["groups"]) == (30, 15)
    assert report["all"]["accuracy"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert set(report["by_source"]) == {"s0", "s1"}
    assert {label: own["clips"] for label, own in report["labels"].items()} == dict.fromkeys(PETS.labels, 10)
    assert report["confusion"] == [[10, 0, 0], [0, 10, 0], [0, 0, 10]]
    mixed = evaluate.classification_report(some, probabilities[::-1], PETS)
    assert width(mixed["all"]["accuracy"]) > 0


@pytest.mark.slow
def test_a_report_of_independent_labels():
    some = pets(30)
    task = Task(PETS.labels, "independent")
    probabilities = np.random.default_rng(0).uniform(0, 1, (30, 3))
    report = evaluate.classification_report(some, probabilities, task)
    assert set(report["all"]) == {"clips", "groups", "macro_auc", "macro_average_precision"}
    assert width(report["all"]["macro_auc"]) > 0
    of_each = [own["average_precision"]["value"] for own in report["labels"].values()]
    assert report["all"]["macro_average_precision"]["value"] == pytest.approx(np.mean(of_each))
    assert "confusion" not in report

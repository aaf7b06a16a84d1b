"""Metrics of clips, for a task with a group, for exclusive and for independent labels.

Each takes the weight of every clip, so that a bootstrap can resample groups.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Metrics of the whole, and of each label.
Measured = tuple[dict[str, float], list[dict[str, float]]]

RECALL = 0.94


def detection(
    is_cry: Bools,
    scores: Float64,
    threshold: float,
    weights: Float64 | None = None,
    prior: float | None = None,
) -> dict[str, float]:
    """Computes the metrics of a detector.

    Without clips of crying, only the false positive rate is defined; without other clips, only the recall.

    Args:
        is_cry: bool array of shape (clips,).
        scores: float array of shape (clips,), in [0, 1].
        threshold: Score at or above which a clip is classified as crying.
        weights: Weight of each clip; 1 by default.
        prior: Share of crying for which scores are calibrated; that of the clips by default. The calibration
            error is computed with clips weighted to it.

    Returns:
        Metrics by name, all in [0, 1].

    Examples:
        >>> metrics = detection(np.array([False, True]), np.array([0.2, 0.6]), 0.5)
        >>> metrics["auc"], metrics["f1"]
        (1.0, 1.0)
    """
    weights = np.ones(len(scores)) if weights is None else weights
    cry, other = weights[is_cry].sum(), weights[~is_cry].sum()
    caught = _caught(is_cry, scores, weights, threshold)
    alarms = _caught(~is_cry, scores, weights, threshold)
    metrics: dict[str, float] = {}
    if cry and other:
        # All points at which the counts change, from the highest threshold, with no detections, down.
        fpr, tpr, thresholds = roc_curve(is_cry, scores, weights)
        f1 = _f1(tpr * cry, fpr * other, cry)
        precision = tpr[1:] * cry / (tpr[1:] * cry + fpr[1:] * other)
        best = int(np.argmax(f1))
        metrics["auc"] = float(np.trapezoid(tpr, fpr))
        metrics["average_precision"] = float(np.sum(np.diff(tpr) * precision))
        metrics["best_f1"] = float(f1[best])
        metrics["best_f1_threshold"] = float(thresholds[best])
        metrics["f1"] = float(_f1(caught, alarms, cry))
        half = _caught(is_cry, scores, weights, 0.5), _caught(~is_cry, scores, weights, 0.5)
        metrics["f1_at_half"] = float(_f1(*half, cry))
        metrics["precision"] = caught / (caught + alarms) if caught + alarms else 0.0
        expected = weights if prior is None else at_prior(is_cry, weights, prior)
        metrics["calibration_error"] = expected_calibration_error(is_cry, scores, expected)
        # Rounding may leave a recall of exactly 94 % just below it.
        metrics["fpr_at_94_recall"] = float(fpr[np.argmax(tpr >= RECALL - 1e-12)])
    if cry:
        metrics["recall"] = float(caught / cry)
    if other:
        metrics["fpr"] = float(alarms / other)
    return metrics


def roc_curve(is_cry: Bools, scores: Float64, weights: Float64) -> tuple[Float64, Float64, Float64]:
    """Returns false positive rates, recalls and thresholds, from the highest threshold down.

    Equals scikit-learn's `roc_curve` with ``drop_intermediate=False``, but takes a tenth of the time, because
    it does not check arguments; a bootstrap calls it a thousand times.

    Examples:
        >>> fpr, tpr, thresholds = roc_curve(np.array([False, True]), np.array([0.2, 0.6]), np.ones(2))
        >>> fpr.tolist(), tpr.tolist(), thresholds.tolist()
        ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [inf, 0.6, 0.2])
    """
    counted = np.flatnonzero(weights)
    order = counted[np.argsort(scores[counted], kind="stable")[::-1]]
    is_cry, scores, weights = is_cry[order], scores[order], weights[order]
    # The last of each run of equal scores: no threshold separates them.
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    caught, alarms = np.cumsum(weights * is_cry)[last], np.cumsum(weights * ~is_cry)[last]
    fpr, tpr = np.append(0.0, alarms / alarms[-1]), np.append(0.0, caught / caught[-1])
    return fpr, tpr, np.append(np.inf, scores[last])


def at_prior(is_cry: Bools, weights: Float64, prior: float) -> Float64:
    """Rescales weights of clips so that ``prior`` is the share of crying.

    Examples:
        >>> at_prior(np.array([True, False, False]), np.ones(3), 0.2).round(2).tolist()
        [0.2, 0.4, 0.4]
    """
    cry, other = weights[is_cry].sum(), weights[~is_cry].sum()
    return weights * np.where(is_cry, prior / cry, (1 - prior) / other)


def expected_calibration_error(is_cry: Bools, probabilities: Float64, weights: Float64) -> float:
    """Returns the expected calibration error, over ten bins of equal width (Naeini et al. 2015).

    Examples:
        >>> expected_calibration_error(np.array([True, False]), np.array([0.5, 0.5]), np.ones(2))
        0.0
    """
    bins = np.minimum((probabilities * 10).astype(np.int64), 9)
    gaps = np.bincount(bins, weights * (probabilities - is_cry), 10)
    return float(np.abs(gaps).sum() / weights.sum())


def _caught(chosen: Bools, scores: Float64, weights: Float64, threshold: float) -> float:
    return float(weights[chosen & (scores >= threshold)].sum())


def _f1(caught: Any, alarms: Any, cry: Any) -> Any:
    return 2 * caught / (caught + alarms + cry)


def exclusive(truth: Bools, probabilities: Float64, weights: Float64) -> Measured:
    """Computes accuracy and macro F1, the mean F1 of all labels with clips.

    Args:
        truth: bool array of shape (clips, labels), with one label per clip.
        probabilities: float array of the same shape; the label with the highest one is predicted.
        weights: Weight of each clip.

    Returns:
        Accuracy and macro F1, and for each label its precision, recall and F1; NaN if undefined.

    Examples:
        >>> overall, labels = exclusive(np.eye(2, dtype=bool), np.array([[0.9, 0.1], [0.8, 0.2]]), np.ones(2))
        >>> overall["accuracy"], labels[0]["precision"], labels[1]["recall"]
        (0.5, 0.5, 0.0)
    """
    answers = _answers(probabilities)
    right, given, there = (weights @ chosen for chosen in (truth & answers, answers, truth))
    labels = [
        {
            "precision": _share(right[label], given[label]),
            "recall": _share(right[label], there[label]),
            "f1": _f1(right[label], given[label] - right[label], there[label]) if there[label] else math.nan,
        }
        for label in range(truth.shape[1])
    ]
    return {"accuracy": _share(right.sum(), weights.sum()), "macro_f1": _mean(labels, "f1")}, labels


def independent(truth: Bools, probabilities: Float64, weights: Float64) -> Measured:
    """Computes macro AUC and macro average precision, over labels that some clips have and others lack.

    Args:
        truth: bool array of shape (clips, labels), with any number of labels per clip.
        probabilities: float array of the same shape.
        weights: Weight of each clip.

    Returns:
        Both means, and both metrics of each label; NaN if all clips with weight have the label, or none.

    Examples:
        >>> independent(np.eye(2, dtype=bool), np.eye(2), np.ones(2))[0]
        {'macro_auc': 1.0, 'macro_average_precision': 1.0}
    """
    labels = []
    for is_label, scores in zip(truth.T, probabilities.T, strict=True):
        found = {"auc": math.nan, "average_precision": math.nan}
        if weights[is_label].sum() and weights[~is_label].sum():
            found["auc"], found["average_precision"] = _ranking(is_label, scores, weights)
        labels.append(found)
    return {f"macro_{name}": _mean(labels, name) for name in ("auc", "average_precision")}, labels


def _ranking(is_label: Bools, scores: Float64, weights: Float64) -> tuple[float, float]:
    # As in scikit-learn, but without its checks, with which a bootstrap over hundreds of labels takes hours.
    order = np.argsort(-scores, kind="stable")
    is_label, scores, weights = is_label[order], scores[order], weights[order]
    # Clips with the same score share one point.
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    hits, others = np.cumsum(weights * is_label)[last], np.cumsum(weights * ~is_label)[last]
    counted = hits + others > 0
    recall, precision = hits / hits[-1], hits[counted] / (hits + others)[counted]
    area = np.trapezoid(np.append(0.0, recall), np.append(0.0, others / others[-1]))
    return float(area), float(np.sum(np.diff(recall[counted], prepend=0.0) * precision))


def confusion(truth: Bools, probabilities: Float64) -> NDArray[np.int64]:
    """Computes the confusion matrix: int64 of shape (labels, labels), with true labels as rows.

    Examples:
        >>> confusion(np.eye(2, dtype=bool), np.array([[0.9, 0.1], [0.8, 0.2]])).tolist()
        [[1, 0], [1, 0]]
    """
    return truth.T.astype(np.int64) @ _answers(probabilities).astype(np.int64)


def _answers(probabilities: Float64) -> Bools:
    return np.eye(probabilities.shape[1], dtype=bool)[probabilities.argmax(axis=1)]


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _mean(labels: list[dict[str, float]], name: str) -> float:
    known = [values[name] for values in labels if not math.isnan(values[name])]
    return float(np.mean(known)) if known else math.nan

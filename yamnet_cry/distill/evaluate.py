"""Metrics of clip scores, each with an interval; and the scores of a detector as its users get them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import auc, roc_curve
from tqdm import tqdm

from yamnet_cry.calibration import Calibration, EventRecall, log_odds
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import plots
from yamnet_cry.distill.corpus import CRY, Clip
from yamnet_cry.distill.intervals import CONFIDENCE, REPLICATES, poisson
from yamnet_cry.events import EventSettings
from yamnet_cry.files import whole
from yamnet_cry.frontend import YAMNET
from yamnet_cry.results import Detection

Float64 = NDArray[np.float64]

RECALL = 0.94
_SEED = 0
_LOG_SLOPES = (np.log(1e-3), np.log(1e3))


def detector_results(
    detector: CryDetector, clips: Sequence[Clip], *, progress: bool = True
) -> list[Detection]:
    """Scores clips with the detector that users call."""
    bar = tqdm(clips, desc="evaluation", unit="clip", disable=not progress)
    return [detector((clip.read(), YAMNET.sample_rate)) for clip in bar]


def clip_probabilities(
    tracks: Iterable[NDArray[np.float32]], calibration: Calibration, settings: EventSettings
) -> Float64:
    """Returns the probability of each clip as `Detection.probability` defines it.

    Args:
        tracks: The scores of each clip's windows, in [0, 1].
        calibration: What turns them into probabilities.
        settings: How events are made of these.

    Returns:
        float64 array of shape (clips,), in [0, 1].
    """
    return np.array([Detection(track, 0.5, calibration, settings).probability for track in tracks])


def evaluate(
    detector: CryDetector,
    clips: Sequence[Clip],
    split: str,
    *,
    plot: Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Measures a detector at its own threshold.

    Args:
        detector: The detector.
        clips: Labelled clips.
        split: The split they are from, for the record.
        plot: PNG to draw the evaluation to, if any.
        progress: Whether to show a progress bar.

    Returns:
        ``evaluation``, how the figures were obtained, and ``models`` with the report of ``int8``.

    Raises:
        OSError: If the plot cannot be written.
    """
    results = detector_results(detector, clips, progress=progress)
    probabilities = np.array([result.probability for result in results])
    measured = report(clips, probabilities, detector.threshold, progress=progress)
    measured["events"] = event_report(detector, clips, results)
    if plot is not None:
        with whole(plot) as unfinished:
            plots.evaluation(unfinished, labels(clips), {"int8": probabilities})
    return {"evaluation": method(split), "models": {"int8": measured}}


def event_report(
    detector: CryDetector, clips: Sequence[Clip], results: Sequence[Detection]
) -> dict[str, Any]:
    """Counts false alarms and events caught.

    All clips without crying are joined, in an order drawn once, into one recording: every event in it
    is a false alarm. A crying clip is caught if there is any event in it.

    Args:
        detector: The detector.
        clips: Labelled clips.
        results: What the detector says of each.

    Returns:
        ``hours``, the length of the joined recording; ``false_alarms``, the events in it;
        ``false_alarms_per_hour`` with the exact interval of a Poisson rate (Garwood 1936); and
        ``recall``, the share of crying clips caught, with an interval from groups.
    """
    is_cry = labels(clips)
    cry = [clip for clip in clips if clip.target == CRY]
    other = [clip for clip in clips if clip.target != CRY]
    order = np.random.default_rng(_SEED).permutation(len(other))
    joined = np.concatenate([other[index].read() for index in order])
    hours = len(joined) / YAMNET.sample_rate / 3600
    alarms = len(detector((joined, YAMNET.sample_rate)).events)
    caught = np.array([result.is_cry for result in results])[is_cry]
    return {
        "hours": hours,
        "false_alarms": alarms,
        "false_alarms_per_hour": poisson(alarms, hours),
        "recall": _with_intervals(cry, caught.astype(np.float64), 0.5)["recall"],
    }


def event_recall(clips: Sequence[Clip], probabilities: Float64) -> EventRecall:
    """Measures how many crying clips raise an event at each threshold.

    Args:
        clips: Of validation; those without crying do not count.
        probabilities: Of each clip: the highest threshold at which it raises an event.
    """
    groups = {clip.group for clip in clips if clip.target == CRY}
    return EventRecall.measured(probabilities[labels(clips)].tolist(), len(groups))


def fit_calibration(
    is_cry: NDArray[np.bool_], tracks: Sequence[NDArray[np.float32]], settings: EventSettings
) -> Calibration:
    """Fits Platt scaling, so that the probabilities of clips are those with which they are crying.

    What is calibrated are the scores of windows, before they are averaged and vote, so the likelihood of
    the clips has no closed form; it is searched for its maximum (Nelder and Mead 1965). Should scores be
    so good that the fit would run away, or so bad that it would turn them round, Platt's target smoothing
    keeps it finite, and a floor keeps the order.

    Args:
        is_cry: bool array of shape (clips,), of validation clips.
        tracks: The scores of each clip's windows, in [0, 1].
        settings: How events are made of the probabilities of windows.
    """
    # Platt's targets: as if each side had seen one clip of the other kind more.
    cry, other = is_cry.sum(), (~is_cry).sum()
    soft = np.where(is_cry, (cry + 1) / (cry + 2), 1 / (other + 2))

    def calibration_of(point: Float64) -> Calibration:
        return Calibration(slope=float(np.exp(np.clip(point[0], *_LOG_SLOPES))), intercept=float(point[1]))

    def loss(point: Float64) -> float:
        odds = log_odds(clip_probabilities(tracks, calibration_of(point), settings))
        return float(np.mean(np.logaddexp(0, odds) - soft * odds))

    start = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
    options = {"initial_simplex": start, "xatol": 1e-6, "fatol": 1e-9}
    return calibration_of(minimize(loss, start[0], method="Nelder-Mead", options=options).x)


def report(
    clips: Sequence[Clip], scores: Float64, threshold: float, *, progress: bool = False
) -> dict[str, Any]:
    """Measures calibrated clip scores, over all clips and for each source.

    Intervals are percentiles of 1,000 bootstrap replicates that draw groups, not clips: clips of one
    household or uploader are alike, and count as one observation. Scores tie often after
    quantisation; scikit-learn's curves treat ties as such.

    Args:
        clips: Labelled clips.
        scores: Their probabilities, of shape (clips,).
        threshold: The threshold that the model ships with.
        progress: Whether to show a progress bar.

    Returns:
        ``threshold``, ``all`` and ``by_source``; the latter two give the counts of clips and groups
        and, for every metric that the clips allow, ``value``, ``low`` and ``high``.
    """
    every = {"": list(clips)} | {source: [] for source in sorted({clip.source for clip in clips})}
    for clip in clips:
        every[clip.source].append(clip)
    position = {id(clip): number for number, clip in enumerate(clips)}
    measured = {
        source: _with_intervals(own, scores[[position[id(clip)] for clip in own]], threshold)
        for source, own in tqdm(every.items(), desc="intervals", unit="source", disable=not progress)
    }
    return {"threshold": threshold, "all": measured.pop(""), "by_source": measured}


def method(split: str) -> dict[str, Any]:
    """Returns how the figures of `report` were obtained, for the record."""
    return {
        "split": split,
        "clip_score": "the highest threshold at which the clip raises an event",
        "calibration": "Platt scaling, fitted on validation",
        "intervals": {"level": CONFIDENCE, "bootstrap_replicates": REPLICATES, "resampled": "groups"},
    }


def _with_intervals(clips: Sequence[Clip], scores: Float64, threshold: float) -> dict[str, Any]:
    is_cry = labels(clips)
    group_names, group_of = np.unique([clip.group for clip in clips], return_inverse=True)
    values = measure(is_cry, scores, threshold)
    generator = np.random.default_rng(_SEED)
    replicates: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(REPLICATES):
        drawn = generator.integers(len(group_names), size=len(group_names))
        weights = np.bincount(drawn, minlength=len(group_names))[group_of].astype(np.float64)
        for name, value in measure(is_cry, scores, threshold, weights).items():
            replicates[name].append(value)
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    intervals = {
        name: dict(
            zip(
                ("value", "low", "high"),
                map(float, (value, *np.quantile(replicates[name], tails))),
                strict=True,
            )
        )
        for name, value in values.items()
    }
    counts = {"cry": int(is_cry.sum()), "not_cry": int((~is_cry).sum()), "groups": len(group_names)}
    return {**counts, **intervals}


def measure(
    is_cry: NDArray[np.bool_], scores: Float64, threshold: float, weights: Float64 | None = None
) -> dict[str, float]:
    """Computes the metrics that the clips allow.

    Without any cry there is only the false positive rate, without any other clip only the recall.

    Args:
        is_cry: bool array of shape (clips,).
        scores: float array of shape (clips,), in [0, 1].
        threshold: Score from which a clip counts as crying.
        weights: How often each clip counts.

    Returns:
        Metrics by name, all in [0, 1].

    Example:
        >>> metrics = measure(np.array([False, True]), np.array([0.2, 0.6]), 0.5)
        >>> metrics["auc"], metrics["f1"]
        (1.0, 1.0)
    """
    weights = np.ones(len(scores)) if weights is None else weights
    cry, other = weights[is_cry].sum(), weights[~is_cry].sum()
    caught = _caught(is_cry, scores, weights, threshold)
    alarms = _caught(~is_cry, scores, weights, threshold)
    metrics: dict[str, float] = {}
    if cry and other:
        # Every point at which the counts change, from the highest threshold, which catches nothing, down.
        fpr, tpr, thresholds = roc_curve(is_cry, scores, sample_weight=weights, drop_intermediate=False)
        f1 = _f1(tpr * cry, fpr * other, cry)
        precision = tpr[1:] * cry / (tpr[1:] * cry + fpr[1:] * other)
        best = int(np.argmax(f1))
        metrics["auc"] = float(auc(fpr, tpr))
        metrics["average_precision"] = float(np.sum(np.diff(tpr) * precision))
        metrics["best_f1"] = float(f1[best])
        metrics["best_f1_threshold"] = float(thresholds[best])
        metrics["f1"] = float(_f1(caught, alarms, cry))
        half = _caught(is_cry, scores, weights, 0.5), _caught(~is_cry, scores, weights, 0.5)
        metrics["f1_at_half"] = float(_f1(*half, cry))
        metrics["precision"] = caught / (caught + alarms) if caught + alarms else 0.0
        metrics["calibration_error"] = expected_calibration_error(is_cry, scores, weights)
        # Rounding leaves a recall of exactly 94 % a hair below it.
        metrics["fpr_at_94_recall"] = float(fpr[np.argmax(tpr >= RECALL - 1e-12)])
    if cry:
        metrics["recall"] = float(caught / cry)
    if other:
        metrics["fpr"] = float(alarms / other)
    return metrics


def expected_calibration_error(is_cry: NDArray[np.bool_], probabilities: Float64, weights: Float64) -> float:
    """Returns how far probabilities are from frequencies: the mean over ten bins of equal width, by weight.

    Naeini et al. 2015.

    Example:
        >>> expected_calibration_error(np.array([True, False]), np.array([0.5, 0.5]), np.ones(2))
        0.0
    """
    bins = np.minimum((probabilities * 10).astype(np.int64), 9)
    gaps = np.bincount(bins, weights * (probabilities - is_cry), 10)
    return float(np.abs(gaps).sum() / weights.sum())


def _caught(chosen: NDArray[np.bool_], scores: Float64, weights: Float64, threshold: float) -> float:
    return float(weights[chosen & (scores >= threshold)].sum())


def _f1(caught: Any, alarms: Any, cry: float) -> Any:
    return 2 * caught / (caught + alarms + cry)


def labels(clips: Iterable[Clip]) -> NDArray[np.bool_]:
    """Returns which clips are crying: bool of shape (clips,)."""
    return np.array([clip.target == CRY for clip in clips])

"""Metrics of clip scores, each with an interval; and the scores of a deployed model."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from yamnet_cry.calibration import Calibration, EventRecall, log_odds
from yamnet_cry.classifier import Classifier
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import corpus, intervals, metrics, plots
from yamnet_cry.distill.corpus import CRY, Clip
from yamnet_cry.distill.hearing import as_detector, hear
from yamnet_cry.distill.intervals import CONFIDENCE, REPLICATES, poisson
from yamnet_cry.distill.metrics import Float64
from yamnet_cry.events import EventSettings, trigger
from yamnet_cry.files import whole
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.task import Task

_INTERVALS = {"level": CONFIDENCE, "bootstrap_replicates": REPLICATES, "resampled": "groups"}
_SEED = 0

# By label (empty for all labels together) and metric.
Intervals = dict[tuple[str, str], dict[str, float]]

# The log-odds of a recording's windows.
Track = NDArray[np.floating[Any]]

_LOG_SLOPES = (np.log(1e-3), np.log(1e3))


def evaluate(
    classifier: Classifier,
    clips: Sequence[Clip],
    split: str,
    *,
    heard: Float64 | None = None,
    plot: Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Evaluates a model as deployed; a detector, at its own threshold.

    Args:
        classifier: The model; a classifier of crying is converted to a detector.
        clips: Labelled clips.
        split: The split of the clips, for the report.
        heard: float64 of shape (clips, n), the results of `hear`; by default, the model is run on the clips.
        plot: PNG to write the plots to, if any.
        progress: Whether to show a progress bar.

    Returns:
        ``evaluation``, how the figures were obtained, and ``models`` with the report of ``int8``.

    Raises:
        CorpusError: If clips have labels that the model does not have.
        OSError: If the plot cannot be written.
    """
    task = classifier.config.task
    if not task.group:
        corpus.check_labels(clips, task)
    # Once, because every detector loads its network.
    classifier = as_detector(classifier) if task.group else classifier
    if heard is None:
        bar = tqdm(clips, desc="evaluation", unit="clip", disable=not progress)
        heard = np.stack([hear(classifier, clip) for clip in bar])
    if not task.group:
        measured = classification_report(clips, heard, task, progress=progress)
        how, draw = classification_method(split), partial(draw_classification, measured, task)
    else:
        detector, probabilities = as_detector(classifier), heard[:, 0]
        measured = report(clips, probabilities, detector.threshold, detector.prior, progress=progress)
        measured["events"] = event_report(detector, clips, heard[:, 1] != 0)
        how = method(split)
        draw = partial(
            plots.evaluation,
            is_cry=labels(clips),
            probabilities={"int8": probabilities},
            prior=detector.prior,
        )
    if plot is not None:
        with whole(plot) as unfinished:
            draw(unfinished)
    return {"evaluation": how, "models": {"int8": measured}}


def draw_classification(report: dict[str, Any], task: Task, path: Path) -> None:
    """Plots a `classification_report`: the confusion matrix, or the average precision of each label.

    Raises:
        OSError: If the file cannot be written.
    """
    if task.kind == "exclusive":
        plots.confusion(path, task.labels, np.array(report["confusion"]))
    else:
        plots.per_label(path, report["labels"], "average_precision", "average precision")


def clip_probabilities(tracks: Sequence[Track], calibration: Calibration, settings: EventSettings) -> Float64:
    """Returns the probability of each clip as `Detection.probability` defines it.

    Args:
        tracks: The log-odds of each clip's windows.
        calibration: Maps log-odds to probabilities.
        settings: How events are derived from probabilities.

    Returns:
        float64 array of shape (clips,), in [0, 1].
    """
    found = np.empty(len(tracks))
    lengths = np.array([len(track) for track in tracks], np.int64)
    for length in np.unique(lengths):
        # Clips of one length are processed together, because the search for a calibration calls this
        # hundreds of times.
        (numbers,) = np.nonzero(lengths == length)
        alike = np.stack([tracks[number] for number in numbers.tolist()])
        found[numbers] = trigger(calibration.of_log_odds(alike), settings).max(axis=-1)
    return found


def event_report(detector: CryDetector, clips: Sequence[Clip], found: NDArray[np.bool_]) -> dict[str, Any]:
    """Counts false alarms, and crying clips with an event.

    All clips without crying are joined, in a fixed random order, into one recording: every event in it
    is a false alarm. A crying clip is detected if there is any event in it.

    Args:
        detector: The detector.
        clips: Labelled clips.
        found: bool array of shape (clips,), whether the detector finds crying in each.

    Returns:
        ``hours``, the length of the joined recording; ``false_alarms``, the number of events in it;
        ``false_alarms_per_hour`` with the exact interval of a Poisson rate (Garwood 1936); and
        ``recall``, the share of crying clips detected, with a bootstrap interval over groups.
    """
    is_cry = labels(clips)
    cry = [clip for clip in clips if CRY in clip.labels]
    other = [clip for clip in clips if CRY not in clip.labels]
    order = np.random.default_rng(_SEED).permutation(len(other))
    samples = 0

    def joined() -> Iterator[Float32]:
        nonlocal samples
        for index in order:
            wave = other[index].read()
            samples += len(wave)
            yield wave

    # A stream finds the same events as a recording, without all of the audio in memory.
    alarms = sum(len(update.finished) for update in detector.stream(joined(), YAMNET.sample_rate))
    hours = samples / YAMNET.sample_rate / 3600
    return {
        "hours": hours,
        "false_alarms": alarms,
        "false_alarms_per_hour": poisson(alarms, hours),
        "recall": _with_intervals(cry, found[is_cry].astype(np.float64), 0.5)["recall"],
    }


def event_recall(clips: Sequence[Clip], probabilities: Float64) -> EventRecall:
    """Measures the share of crying clips that raise an event at each threshold.

    Args:
        clips: Validation clips; those without crying are ignored.
        probabilities: For each clip, the highest threshold at which it raises an event.
    """
    groups = {clip.group for clip in clips if CRY in clip.labels}
    return EventRecall.measured(probabilities[labels(clips)].tolist(), len(groups))


def fit_calibration(
    is_cry: NDArray[np.bool_],
    tracks: Sequence[Track],
    settings: EventSettings,
    prior: float | None = None,
) -> Calibration:
    """Fits Platt scaling, so that the probability of a clip is the probability that it contains crying.

    The calibration applies to the log-odds of windows, before smoothing and voting, so the likelihood of the
    clips has no closed form; it is maximised numerically (Nelder and Mead 1965). If scores separate the
    clips perfectly, Platt's target smoothing keeps the fit finite; if they are worse than chance, a positive
    lower bound of the slope keeps their order.

    Args:
        is_cry: bool array of shape (clips,), of validation clips.
        tracks: The log-odds of each clip's windows.
        settings: How events are derived from the probabilities of windows.
        prior: Expected share of recordings with crying in use, in (0, 1); that of the clips by default. Clips
            are weighted to match it.
    """
    # Platt's targets: as if each class had one more clip of the other class.
    cry, other = is_cry.sum(), (~is_cry).sum()
    soft = np.where(is_cry, (cry + 1) / (cry + 2), 1 / (other + 2))
    weights = np.ones(len(is_cry))
    if prior is not None:
        weights = metrics.at_prior(is_cry, weights, prior)

    def calibration_of(point: Float64) -> Calibration:
        slope = float(np.exp(np.clip(point[0], *_LOG_SLOPES)))
        return Calibration(slope, float(point[1]), prior)

    def loss(point: Float64) -> float:
        odds = log_odds(clip_probabilities(tracks, calibration_of(point), settings))
        return float(np.average(np.logaddexp(0, odds) - soft * odds, weights=weights))

    start = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
    options = {"initial_simplex": start, "xatol": 1e-6, "fatol": 1e-9}
    return calibration_of(minimize(loss, start[0], method="Nelder-Mead", options=options).x)


def report(
    clips: Sequence[Clip],
    scores: Float64,
    threshold: float,
    prior: float | None = None,
    *,
    progress: bool = False,
) -> dict[str, Any]:
    """Measures calibrated clip scores, over all clips and for each source.

    Intervals are percentiles of 1,000 bootstrap replicates that resample groups, not clips: clips of one
    household or uploader are similar, and count as one observation. Scores are often tied after
    quantisation; tied clips share one point of each curve.

    Args:
        clips: Labelled clips.
        scores: Probabilities of the clips, of shape (clips,).
        threshold: The threshold that the model ships with.
        prior: Share of crying for which the probabilities are calibrated; that of the clips by default.
        progress: Whether to show a progress bar.

    Returns:
        ``threshold``, ``all`` and ``by_source``; the latter two contain the counts of clips and groups and,
        for every metric that can be computed, ``value``, ``low`` and ``high``.
    """
    every = {"": list(clips)} | {source: [] for source in sorted({clip.source for clip in clips})}
    for clip in clips:
        every[clip.source].append(clip)
    position = {id(clip): number for number, clip in enumerate(clips)}
    measured = {
        source: _with_intervals(own, scores[[position[id(clip)] for clip in own]], threshold, prior)
        for source, own in tqdm(every.items(), desc="intervals", unit="source", disable=not progress)
    }
    return {"threshold": threshold, "all": measured.pop(""), "by_source": measured}


def method(split: str) -> dict[str, Any]:
    """Returns a description of how the figures of `report` are obtained."""
    return {
        "split": split,
        "clip_score": "the highest threshold at which the clip raises an event",
        "calibration": "Platt scaling, fitted on validation",
        "intervals": _INTERVALS,
    }


def classification_method(split: str) -> dict[str, Any]:
    """Returns a description of how the figures of `classification_report` are obtained."""
    return {
        "split": split,
        "clip_score": "the mean probability of the clip's windows",
        "intervals": _INTERVALS,
    }


def classification_report(
    clips: Sequence[Clip], probabilities: Float64, task: Task, *, progress: bool = False
) -> dict[str, Any]:
    """Measures clip probabilities of several labels, as `report` does for crying.

    Args:
        clips: Labelled clips.
        probabilities: Array of shape (clips, labels).
        task: A task without a group.
        progress: Whether to show a progress bar.

    Returns:
        ``all`` and ``by_source`` with counts of clips and groups, and accuracy and macro F1 of exclusive
        labels or macro AUC and average precision of independent ones; ``labels`` with the metrics of each;
        and, for exclusive labels, ``confusion``: the confusion matrix, a row for each label.
    """
    truth = label_matrix(clips, task)
    measure = metrics.exclusive if task.kind == "exclusive" else metrics.independent
    sources = sorted({clip.source for clip in clips})

    def measured(index: NDArray[np.int64]) -> tuple[dict[str, int], Intervals]:
        # One bootstrap for all: metrics of a single label cost as much as metrics of all labels.
        def at_once(weights: Float64) -> dict[tuple[str, str], float]:
            overall, of_labels = measure(truth[index], probabilities[index], weights)
            named = zip(("", *task.labels), (overall, *of_labels), strict=True)
            return {(label, name): value for label, own in named for name, value in own.items()}

        groups = [clips[number].group for number in index.tolist()]
        counts = {"clips": len(groups), "groups": len(set(groups))}
        return counts, intervals.all_over_groups(groups, at_once)

    every = np.arange(len(clips))
    parts = {
        source: np.array([n for n, clip in enumerate(clips) if clip.source == source]) for source in sources
    }
    bar = tqdm(["", *sources], desc="intervals", unit="source", disable=not progress)
    found = {source: measured(parts.get(source, every)) for source in bar}
    whole = found.pop("")
    clip_counts = zip(task.labels, truth.sum(axis=0).tolist(), strict=True)
    report: dict[str, Any] = {
        "all": {**whole[0], **_of_label("", whole[1])},
        "by_source": {source: {**counts, **_of_label("", own)} for source, (counts, own) in found.items()},
        "labels": {label: {"clips": count, **_of_label(label, whole[1])} for label, count in clip_counts},
    }
    if task.kind == "exclusive":
        report["confusion"] = metrics.confusion(truth, probabilities).tolist()
    return report


def _of_label(label: str, measured: Intervals) -> dict[str, dict[str, float]]:
    return {name: interval for (own, name), interval in measured.items() if own == label}


def label_matrix(clips: Sequence[Clip], task: Task) -> NDArray[np.bool_]:
    """Returns which clips have which labels: bool of shape (clips, labels)."""
    return np.array([[label in clip.labels for label in task.labels] for clip in clips])


def _with_intervals(
    clips: Sequence[Clip], scores: Float64, threshold: float, prior: float | None = None
) -> dict[str, Any]:
    is_cry = labels(clips)
    groups = [clip.group for clip in clips]
    counts = {"cry": int(is_cry.sum()), "not_cry": int((~is_cry).sum()), "groups": len(set(groups))}
    return {
        **counts,
        **intervals.all_over_groups(
            groups, lambda weights: metrics.detection(is_cry, scores, threshold, weights, prior)
        ),
    }


def labels(clips: Iterable[Clip]) -> NDArray[np.bool_]:
    """Returns which clips are crying: bool of shape (clips,)."""
    return np.array([CRY in clip.labels for clip in clips])

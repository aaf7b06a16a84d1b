"""Plots of an evaluation and of a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import DetCurveDisplay, precision_recall_curve

from yamnet_cry.calibration import Calibration

_COLOURS = {"int8": "tab:blue", "fp32": "tab:green", "teacher": "tab:orange", "teacher_sigmoid": "tab:brown"}
_DPI = 120


def evaluation(
    path: Path,
    is_cry: NDArray[np.bool_],
    probabilities: Mapping[str, NDArray[np.float64]],
    prior: float | None = None,
) -> None:
    """Plots precision and recall, the detection-error trade-off, reliability, and a histogram.

    Args:
        path: PNG to write.
        is_cry: bool array of shape (clips,).
        probabilities: Probabilities of each model, of shape (clips,); the histogram shows the first model.
        prior: Share of crying for which they are calibrated; that of the clips by default. For reliability,
            they are converted to the share among the clips.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure(figsize=(10, 9), layout="constrained")
    (precision, det), (reliability, histogram) = figure.subplots(2, 2)
    unbiased = None if prior is None else Calibration(1.0, 0.0, prior).for_prior(float(np.mean(is_cry)))
    for name, values in probabilities.items():
        style = {"name": name, "color": _COLOURS.get(name, "tab:gray")}
        shares, recalls, _ = precision_recall_curve(is_cry, values)
        precision.step(recalls, shares, where="post", label=name, color=style["color"])
        DetCurveDisplay.from_predictions(is_cry, values, ax=det, **style)
        reliable = values if unbiased is None else unbiased(values)
        CalibrationDisplay.from_predictions(is_cry, reliable, n_bins=10, ax=reliability, **style)
    _titled(precision, "Precision and recall", "recall", "precision")
    precision.legend(loc="lower left")
    precision.set(xlim=(0, 1.01), ylim=(0, 1.01))
    low, high = norm.ppf(0.002), norm.ppf(0.6)
    det.set(xlim=(low, high), ylim=(low, high))
    det.legend(loc="lower left")
    _titled(det, "Misses against false alarms", "false positive rate", "miss rate")
    reliability.legend(loc="upper left")
    title = "Reliability" if prior is None else "Reliability, at the share of crying among the clips"
    _titled(reliability, title, "mean probability", "share of clips with crying")
    name, values = next(iter(probabilities.items()))
    bins = np.linspace(0, 1, 21)
    sides = [values[is_cry], values[~is_cry]]
    histogram.hist(sides, bins=bins, label=["crying", "no crying"], color=["tab:red", "tab:gray"])
    histogram.legend()
    _titled(histogram, f"Probabilities of {name}", "probability", "clips")
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def confusion(path: Path, labels: Sequence[str], counts: NDArray[np.int64]) -> None:
    """Plots a confusion matrix; shades are shares of the clips of a label.

    Args:
        path: PNG to write.
        labels: Names of the rows and columns.
        counts: int64 of shape (labels, labels), with true labels as rows.

    Raises:
        OSError: If the file cannot be written.
    """
    size = min(24.0, 3 + 0.5 * len(labels))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = np.arange(len(labels))
    axes.set_xticks(ticks, labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, labels)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set(title="Clips by label and answer", xlabel="taken for", ylabel="label")
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def per_label(path: Path, measured: Mapping[str, Mapping[str, Any]], metric: str, title: str) -> None:
    """Plots a metric of every label, with its interval.

    Args:
        path: PNG to write.
        measured: ``labels`` of a report: for each label, its metrics.
        metric: Key of the metric to plot, with values in [0, 1].
        title: Name of the metric in the plot.

    Raises:
        OSError: If the file cannot be written.
    """
    known = {label: values[metric] for label, values in measured.items() if metric in values}
    figure = Figure(figsize=(8, min(24.0, 1.5 + 0.35 * len(known))), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(known))[::-1]
    value, low, high = (np.array([each[key] for each in known.values()]) for key in ("value", "low", "high"))
    errors = np.maximum([value - low, high - value], 0)
    axes.errorbar(value, places, xerr=errors, fmt="o", color="tab:blue", capsize=3)
    axes.set_yticks(places, list(known))
    axes.set_xlim(0, 1.02)
    _titled(axes, f"{title} of each label", title, "")
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def training(path: Path, histories: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Plots the losses of every epoch, and marks the epoch that was kept.

    Args:
        path: PNG to write.
        histories: ``loss`` and ``val_loss`` of every epoch, by name of the trained network.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure(figsize=(8 * len(histories), 4.5), layout="constrained")
    every = figure.subplots(1, len(histories), squeeze=False)[0]
    for axes, (name, history) in zip(every, histories.items(), strict=True):
        _losses(axes, name, history)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _losses(axes: Axes, name: str, history: Sequence[Mapping[str, float]]) -> None:
    epochs = np.arange(1, len(history) + 1)
    validation = [epoch["val_loss"] for epoch in history]
    axes.plot(epochs, [epoch["loss"] for epoch in history], label="training", color="tab:gray")
    axes.plot(epochs, validation, label="validation", color="tab:blue")
    best = int(np.argmin(validation))
    axes.plot(epochs[best], validation[best], "o", color="tab:blue", label=f"kept: epoch {best + 1}")
    axes.legend()
    _titled(axes, f"Losses of the {name}", "epoch", "loss")


def _titled(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)

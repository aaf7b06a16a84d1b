"""Pictures of an evaluation and of a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import DetCurveDisplay, precision_recall_curve

_COLOURS = {"int8": "tab:blue", "fp32": "tab:green", "teacher": "tab:orange", "teacher_sigmoid": "tab:brown"}
_DPI = 120


def evaluation(
    path: Path, is_cry: NDArray[np.bool_], probabilities: Mapping[str, NDArray[np.float64]]
) -> None:
    """Draws precision against recall, the detection-error trade-off, reliability, and a histogram.

    Args:
        path: PNG to write.
        is_cry: bool array of shape (clips,).
        probabilities: For each model its probabilities, of shape (clips,); the first one is the
            model of which the histogram is.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure(figsize=(10, 9), layout="constrained")
    (precision, det), (reliability, histogram) = figure.subplots(2, 2)
    for name, values in probabilities.items():
        style = {"name": name, "color": _COLOURS.get(name, "tab:gray")}
        shares, recalls, _ = precision_recall_curve(is_cry, values)
        precision.step(recalls, shares, where="post", label=name, color=style["color"])
        DetCurveDisplay.from_predictions(is_cry, values, ax=det, **style)
        CalibrationDisplay.from_predictions(is_cry, values, n_bins=10, ax=reliability, **style)
    _titled(precision, "Precision and recall", "recall", "precision")
    precision.legend(loc="lower left")
    precision.set(xlim=(0, 1.01), ylim=(0, 1.01))
    low, high = norm.ppf(0.002), norm.ppf(0.6)
    det.set(xlim=(low, high), ylim=(low, high))
    det.legend(loc="lower left")
    _titled(det, "Misses against false alarms", "false positive rate", "miss rate")
    reliability.legend(loc="upper left")
    _titled(reliability, "Reliability", "mean probability", "share of clips with crying")
    name, values = next(iter(probabilities.items()))
    bins = np.linspace(0, 1, 21)
    sides = [values[is_cry], values[~is_cry]]
    histogram.hist(sides, bins=bins, label=["crying", "no crying"], color=["tab:red", "tab:gray"])
    histogram.legend()
    _titled(histogram, f"Probabilities of {name}", "probability", "clips")
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def training(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Draws the losses of every epoch, and marks the one that was kept.

    Args:
        path: PNG to write.
        history: ``loss`` and ``val_loss`` of every epoch.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    epochs = np.arange(1, len(history) + 1)
    validation = [epoch["val_loss"] for epoch in history]
    axes.plot(epochs, [epoch["loss"] for epoch in history], label="training", color="tab:gray")
    axes.plot(epochs, validation, label="validation", color="tab:blue")
    best = int(np.argmin(validation))
    axes.plot(epochs[best], validation[best], "o", color="tab:blue", label=f"kept: epoch {best + 1}")
    axes.legend()
    _titled(axes, "Losses", "epoch", "loss")
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _titled(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)

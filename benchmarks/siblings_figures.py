"""Figures, intervals and pictures of the sibling recipes, from the results in docs/siblings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from siblings_runs import AED_BITS, FOLD, LABELS_ALONE

from yamnet_cry.distill import intervals, metrics
from yamnet_cry.distill.recipes import AED
from yamnet_cry.task import Task

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs" / "siblings"

Runs = dict[str, Any]


def results(name: str) -> Runs:
    """Returns the results of a sibling; empty if it was not run."""
    path = DOCS / f"{name}.json"
    runs: Runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return runs


def percent(interval: dict[str, float]) -> str:
    """Formats a share and its interval.

    Examples:
        >>> percent({"value": 0.5, "low": 0.25, "high": 0.75})
        '50.0 % (25.0-75.0)'
    """
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f}-{high:.1f})"


def accuracy(runs: Runs, name: str, model: str = "int8") -> str:
    """Formats the accuracy of a run, or a dash if it was not run."""
    models = runs.get(name, {}).get("models", {})
    return percent(models[model]["accuracy"]) if model in models else "-"


def of_folds(runs: Runs, names: Sequence[str], model: str = "int8") -> str:
    """Formats the accuracy over several runs, from their confusion matrices, with an interval over runs."""
    tables = [np.array(runs[name]["models"][model]["confusion"]) for name in names if name in runs]
    if len(tables) < len(names) or not tables:
        return "-"
    right, total = (
        np.array([float(count(table)) for table in tables]) for count in (lambda t: t.trace(), np.sum)
    )
    found = intervals.over_groups(
        list(names), lambda weights: float((weights @ right) / max(weights @ total, 1e-9))
    )
    # Two speakers are too few for an interval.
    return percent(found) if len(names) > 2 else f"{100 * found['value']:.1f} %"


def pooled(runs: Runs, variant: str, task: Task) -> dict[str, dict[str, float]]:
    """Evaluates the test clips of all folds together, with intervals over groups.

    Returns:
        The metrics of the task, and ``METRIC LABEL`` for each label; empty if folds are missing.
    """
    there = _of_clips(runs, variant, task)
    if there is None:
        return {}
    groups, truth, said = there

    def measured(weights: metrics.Float64) -> dict[str, float]:
        overall, labels = (
            metrics.exclusive(truth, said, weights)
            if task.kind == "exclusive"
            else metrics.independent(truth, said, weights)
        )
        each = {
            f"{key} {label}": value
            for label, own in zip(task.labels, labels, strict=True)
            for key, value in own.items()
        }
        return overall | each

    return intervals.all_over_groups(groups, measured)


def _of_clips(
    runs: Runs, variant: str, task: Task
) -> tuple[list[str], NDArray[np.bool_], NDArray[np.float64]] | None:
    """Returns groups, labels and predictions of the test clips of all folds; None if folds are missing."""
    names = [f"{FOLD} {fold}/{variant}" for fold in range(5)]
    if any(name not in runs for name in names):
        return None
    clips = [clip for name in names for clip in runs[name]["clips"]]
    truth = np.zeros((len(clips), len(task.labels)), bool)
    said = np.zeros(truth.shape)
    for number, (_, places, answer) in enumerate(clips):
        truth[number, places] = True
        if task.kind == "exclusive":
            said[number, answer] = 1.0
        else:
            said[number] = answer
    return [group for group, _, _ in clips], truth, said


def confusion_of(runs: Runs, names: Sequence[str]) -> np.ndarray | None:
    """Returns the sum of the confusion matrices of some runs; None if one is missing."""
    if not names or any(name not in runs for name in names):
        return None
    return np.sum([runs[name]["models"]["int8"]["confusion"] for name in names], axis=0)


def draw_confusions(path: Path, shown: dict[str, np.ndarray | None], labels: Sequence[str]) -> None:
    """Draws confusion matrices side by side, in percent of each label's clips."""
    from matplotlib.figure import Figure

    there = {title: counts for title, counts in shown.items() if counts is not None}
    figure = Figure(figsize=(5.2 * len(there) + 0.4, 5.2), layout="constrained")
    axes = figure.subplots(1, len(there), squeeze=False)[0]
    for axis, (title, counts) in zip(axes, there.items(), strict=True):
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axis.set_title(title)
        axis.set_xlabel("answer")
        axis.set_ylabel("label")
        axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
        axis.set_yticks(range(len(labels)), labels)
        for row, column in np.argwhere(shares >= 0.5):
            colour = "white" if shares[row, column] > 55 else "black"
            axis.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def device(runs: Runs, student: str) -> dict[str, Any]:
    """Returns the cost of a student's inference; empty if it was not measured."""
    found: dict[str, Any] = runs.get(f"device/{student}", {})
    return found


def error_ratio(runs: Runs, variant: str, other: str, task: Task) -> dict[str, float]:
    """Compares the errors of two variants on the same test clips.

    Both are evaluated on the same resampled groups, so that clips that are hard for both do not widen the
    interval.

    Returns:
        The ratio of the errors, each one minus the mean average precision; empty if folds are missing.
    """
    ours, theirs = (_of_clips(runs, each, task) for each in (variant, other))
    if ours is None or theirs is None:
        return {}
    (groups, truth, said), (_, _, said_by_other) = ours, theirs

    def error(answers: metrics.Float64, weights: metrics.Float64) -> float:
        return 1 - metrics.independent(truth, answers, weights)[0]["macro_average_precision"]

    return intervals.over_groups(
        groups, lambda weights: error(said, weights) / max(error(said_by_other, weights), 1e-9)
    )


def aed_variants() -> dict[str, str]:
    """Returns the titles of the variants of recipe aed, by their names in the results."""
    taught = {
        f"LSTM/taught, {bits or 32} bits": f"distilled, {bits} bits per weight" if bits else "distilled"
        for bits in AED_BITS
    }
    return {f"LSTM/{LABELS_ALONE}": "labels only", **taught}


def packed_bytes(runs: Runs, variant: str) -> tuple[int, int]:
    """Returns the packed size of a variant of recipe aed, and the student's size in 32 bits, in bytes."""
    size = runs[f"{FOLD} 0/{variant}"]["size"]
    full = 4 * int(size["parameters"]["total"])
    return int(size.get("packed_bytes", full)), full


def draw_sizes(path: Path, runs: Runs) -> None:
    """Draws error against size, for all variants of recipe aed with results."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    for variant, title in aed_variants().items():
        found = pooled(runs, variant, AED.task)
        if not found:
            continue
        precision = found["macro_average_precision"]
        value, low, high = (1 - precision[key] for key in ("value", "high", "low"))
        packed, _ = packed_bytes(runs, variant)
        spread = [[value - low], [high - value]]
        axis.errorbar([packed / 1000], [value], yerr=spread, fmt="o", capsize=3, label=title)
    axis.set_xscale("log")
    axis.set_xticks([10, 20, 50, 100], ["10", "20", "50", "100"])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("kilobytes, packed")
    axis.set_ylabel("error: 1 - macro average precision")
    axis.set_ylim(bottom=0)
    axis.legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})

"""Checks from its metrics whether a finished student is usable."""

from typing import Any, Final

#: A student that ranks clips no better than chance, or finds no crying at all, is unusable.
CHANCE: Final = 0.5

#: Largest acceptable loss by quantisation in the first metric. Good students lose less than 0.01.
MAX_QUANTISATION_LOSS: Final = 0.1

# Metrics of a report and their names; the first one that a report has decides.
_METRICS = {
    "auc": "AUC",
    "f1": "F1",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
}


def doubt(metrics: dict[str, Any]) -> str:
    """Returns why a student should not be used and what to do about it; an empty text if it is usable.

    Args:
        metrics: The content of a model folder's ``metrics.json``.

    Examples:
        >>> good, bad = ({"all": {"auc": {"value": v}, "f1": {"value": v}}} for v in (0.9, 0.5))
        >>> doubt({"models": {"int8": bad, "fp32": good}}).split(";")[0]
        'the INT8 student does not detect crying: AUC 0.500, F1 0.500 (the FP32 student: AUC 0.900, F1 0.900)'
    """
    int8, fp32 = (_figures(metrics["models"][model]["all"]) for model in ("int8", "fp32"))
    first = next(name for name in _METRICS if name in int8)
    chance = CHANCE
    if first == "accuracy":
        # The accuracy of always predicting the most frequent label.
        counts = [label["clips"] for label in metrics["models"]["int8"]["labels"].values()]
        chance = max(counts) / sum(counts)
    lost = fp32[first] - int8[first] > MAX_QUANTISATION_LOSS
    deaf = int8[first] <= chance or int8.get("f1") == 0
    if not lost and not deaf:
        return ""
    what = "does not detect crying" if "f1" in int8 else "does not distinguish the labels"
    if not deaf:
        what = "is much worse than the FP32 student before quantisation"
    advice = ["train for more epochs (--set train.epochs=...)", "on more clips"]
    if lost:
        advice.append("with more calibration patches (--set export.calibration_patches=...)")
    return (
        f"the INT8 student {what}: {_named(int8)} (the FP32 student: {_named(fp32)}); {', or '.join(advice)}"
    )


def _figures(report: dict[str, Any]) -> dict[str, float]:
    return {name: report[name]["value"] for name in _METRICS if name in report}


def _named(figures: dict[str, float]) -> str:
    return ", ".join(f"{_METRICS[name]} {value:.3f}" for name, value in figures.items())

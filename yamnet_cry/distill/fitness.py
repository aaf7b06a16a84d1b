"""Whether a finished student is any use, from what was measured of it."""

from typing import Any, Final

#: A student that ranks clips no better than chance, or finds no crying at all, does not hear it.
CHANCE: Final = 0.5

#: By more than this, in its first metric, quantisation must not lower a student. Good ones lose below 0.01.
MAX_QUANTISATION_LOSS: Final = 0.1

# What a report has, the first of which is looked at; and what they are called.
_METRICS = {
    "auc": "AUC",
    "f1": "F1",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
}


def doubt(metrics: dict[str, Any]) -> str:
    """Returns why a student should not be used as it is, and what to do about it; nothing if it may be.

    Args:
        metrics: The content of a model folder's ``metrics.json``.

    Examples:
        >>> good, bad = ({"all": {"auc": {"value": v}, "f1": {"value": v}}} for v in (0.9, 0.5))
        >>> doubt({"models": {"int8": bad, "fp32": good}}).split(";")[0]
        'the INT8 student does not hear crying: AUC 0.500, F1 0.500 (the FP32 student: AUC 0.900, F1 0.900)'
    """
    int8, fp32 = (_figures(metrics["models"][model]["all"]) for model in ("int8", "fp32"))
    first = next(name for name in _METRICS if name in int8)
    chance = CHANCE
    if first == "accuracy":
        # Always to name the most frequent label.
        counts = [label["clips"] for label in metrics["models"]["int8"]["labels"].values()]
        chance = max(counts) / sum(counts)
    lost = fp32[first] - int8[first] > MAX_QUANTISATION_LOSS
    deaf = int8[first] <= chance or int8.get("f1") == 0
    if not lost and not deaf:
        return ""
    what = "does not hear crying" if "f1" in int8 else "does not tell the labels apart"
    if not deaf:
        what = "has lost by quantisation what the FP32 student had learnt"
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

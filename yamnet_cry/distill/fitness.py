"""Whether a finished student is any use, from what was measured of it."""

from typing import Any, Final

#: A student that ranks clips no better than chance, or finds no crying at all, does not hear it.
CHANCE: Final = 0.5

#: By more than this, in AUC, quantisation must not lower a student. Good ones lose less than 0.01.
MAX_QUANTISATION_LOSS: Final = 0.1


def doubt(metrics: dict[str, Any]) -> str:
    """Returns why a student should not be used as it is, and what to do about it; nothing if it may be.

    Args:
        metrics: The content of a model folder's ``metrics.json``.

    Example:
        >>> good, bad = ({"all": {"auc": {"value": v}, "f1": {"value": v}}} for v in (0.9, 0.5))
        >>> doubt({"models": {"int8": bad, "fp32": good}}).split(";")[0]
        'the INT8 student does not hear crying: AUC 0.500, F1 0.500 (the FP32 student: AUC 0.900, F1 0.900)'
    """
    figures = {
        name: tuple(metrics["models"][name]["all"][metric]["value"] for metric in ("auc", "f1"))
        for name in ("int8", "fp32")
    }
    (auc, f1), (float_auc, float_f1) = figures["int8"], figures["fp32"]
    lost = float_auc - auc > MAX_QUANTISATION_LOSS
    deaf = auc <= CHANCE or f1 == 0
    if not lost and not deaf:
        return ""
    what = "does not hear crying" if deaf else "has lost by quantisation what the FP32 student had learnt"
    advice = ["train for more epochs (--set train.epochs=...)", "on more clips"]
    if lost:
        advice.append("with more calibration patches (--set export.calibration_patches=...)")
    return (
        f"the INT8 student {what}: AUC {auc:.3f}, F1 {f1:.3f} (the FP32 student: AUC {float_auc:.3f}, "
        f"F1 {float_f1:.3f}); {', or '.join(advice)}"
    )

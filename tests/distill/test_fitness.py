"""A student that detects nothing must not be called ready."""

import json

import pytest

from yamnet_cry.distill import fitness


def metrics(int8: tuple[float, float], fp32: tuple[float, float]) -> dict[str, object]:
    return {
        "models": {
            name: {"all": {"auc": {"value": auc}, "f1": {"value": f1}}}
            for name, (auc, f1) in (("int8", int8), ("fp32", fp32))
        }
    }


@pytest.mark.parametrize(
    ("int8", "fp32"),
    [
        ((0.95, 0.85), (0.96, 0.87)),
        ((0.7, 0.1), (0.7, 0.1)),
        ((0.9, 0.5), (0.89, 0.0)),
        ((0.86, 0.5), (0.95, 0.6)),
    ],
)
def test_students_that_may_be_used(int8, fp32):
    assert fitness.doubt(metrics(int8, fp32)) == ""


def test_the_released_model_may_be_used(released):
    assert fitness.doubt(json.loads((released / "metrics.json").read_text())) == ""


@pytest.mark.parametrize(
    ("int8", "fp32", "what", "patches"),
    [
        ((0.19, 0.3), (0.69, 0.4), "does not detect crying", True),
        ((0.95, 0.0), (0.95, 0.0), "does not detect crying", False),
        ((0.5, 0.4), (0.5, 0.4), "does not detect crying", False),
        ((0.8, 0.5), (0.95, 0.9), "is much worse than the FP32 student before quantisation", True),
    ],
)
def test_a_doubt_names_both_figures_and_what_to_do(int8, fp32, what, patches):
    told = fitness.doubt(metrics(int8, fp32))
    assert told.startswith(
        f"the INT8 student {what}: AUC {int8[0]:.3f}, F1 {int8[1]:.3f} "
        f"(the FP32 student: AUC {fp32[0]:.3f}, F1 {fp32[1]:.3f}); train for more epochs"
    )
    assert ("export.calibration_patches" in told) == patches


def of_labels(int8: dict[str, float], fp32: dict[str, float], clips: tuple[int, ...]) -> dict[str, object]:
    labels = {str(number): {"clips": count} for number, count in enumerate(clips)}
    return {
        "models": {
            name: {"all": {key: {"value": value} for key, value in figures.items()}, "labels": labels}
            for name, figures in (("int8", int8), ("fp32", fp32))
        }
    }


def test_a_classifier_that_names_the_most_frequent_label_alone():
    good, bad = {"accuracy": 0.9, "macro_f1": 0.9}, {"accuracy": 0.75, "macro_f1": 0.3}
    assert fitness.doubt(of_labels(good, good, (30, 10))) == ""
    told = fitness.doubt(of_labels(bad, bad, (30, 10)))
    assert told.startswith("the INT8 student does not distinguish the labels: accuracy 0.750, macro F1 0.300")
    lost = fitness.doubt(of_labels({"macro_auc": 0.7}, {"macro_auc": 0.9}, (30, 10)))
    assert lost.startswith("the INT8 student is much worse than the FP32 student before quantisation")

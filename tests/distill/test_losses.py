import keras
import numpy as np
import pytest

from yamnet_cry.distill.losses import DistillationLoss
from yamnet_cry.errors import RecipeError

GENERATOR = np.random.default_rng(0)
TEACHER = GENERATOR.normal(-4, 3, (5, 521))
STUDENT = GENERATOR.normal(0, 2, (5, 521))


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def loss(target: str, temperature: float, student: np.ndarray = STUDENT) -> float:
    return float(DistillationLoss(target, temperature)(TEACHER.astype("float32"), student.astype("float32")))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_three_targets_by_their_definitions(temperature):
    teacher, student = TEACHER / temperature, STUDENT / temperature
    log_q = np.log(softmax(student))
    expected = {}
    for target, p in (("raw_sigmoid", sigmoid(teacher)), ("softmax", softmax(teacher))):
        expected[target] = (p * (np.log(p) - log_q)).sum(axis=1).mean()
    p, q = sigmoid(teacher), sigmoid(student)
    expected["sigmoid"] = -(p * np.log(q) + (1 - p) * np.log(1 - q)).mean()
    for target, value in expected.items():
        assert loss(target, temperature) == pytest.approx(value * temperature**2, rel=1e-5)


@pytest.mark.parametrize("target", ["softmax", "sigmoid"])
def test_nothing_is_better_than_the_teacher_itself(target):
    best = loss(target, 1.0, TEACHER)
    for seed in range(5):
        moved = TEACHER + np.random.default_rng(seed).normal(0, 0.1, TEACHER.shape)
        assert loss(target, 1.0, moved) > best


def test_raw_sigmoids_are_matched_up_to_their_sum():
    p = sigmoid(TEACHER)
    best = loss("raw_sigmoid", 1.0, np.log(p / p.sum(axis=1, keepdims=True)))
    for seed in range(5):
        moved = np.log(p) + np.random.default_rng(seed).normal(0, 0.1, p.shape)
        assert loss("raw_sigmoid", 1.0, moved) > best


@pytest.mark.parametrize("label", [1, 0])
def test_labels_judge_the_score(label):
    labelled = np.concatenate([TEACHER, np.full((5, 1), label)], axis=1).astype("float32")
    student = STUDENT.astype("float32")
    score = softmax(STUDENT)[:, 19:21].sum(axis=1)
    hard = -np.log(score if label else 1 - score).mean()
    received = float(DistillationLoss("softmax", 2.0, label_weight=0.25)(labelled, student))
    assert received == pytest.approx(0.25 * hard + 0.75 * loss("softmax", 2.0), rel=1e-5)
    assert float(DistillationLoss(label_weight=1.0)(labelled, student)) == pytest.approx(hard, rel=1e-5)


def test_windows_without_a_label_are_left_to_the_teacher():
    unlabelled = np.concatenate([TEACHER, np.full((5, 1), -1)], axis=1).astype("float32")
    assert float(DistillationLoss(label_weight=1.0)(unlabelled, STUDENT.astype("float32"))) == 0.0


def test_labels_without_weight_are_not_read():
    labelled = np.concatenate([TEACHER, np.full((5, 1), 1)], axis=1).astype("float32")
    assert float(DistillationLoss()(labelled, STUDENT.astype("float32"))) == loss("raw_sigmoid", 1.0)


def test_extreme_logits_stay_finite():
    extreme = np.where(np.arange(521) % 2, 600.0, -600.0)[None].astype("float32")
    for target in ("raw_sigmoid", "softmax", "sigmoid"):
        assert np.isfinite(float(DistillationLoss(target)(extreme, -extreme)))


def test_it_survives_saving():
    config = keras.losses.serialize(DistillationLoss("softmax", 2.0, 0.5))
    restored = keras.losses.deserialize(config)
    assert (restored.target, restored.temperature, restored.label_weight) == ("softmax", 2.0, 0.5)


def test_bad_settings_are_explained():
    with pytest.raises(RecipeError, match="one of raw_sigmoid, softmax, sigmoid. Received: 'mse'"):
        DistillationLoss("mse")
    with pytest.raises(RecipeError, match="positive. Received: 0"):
        DistillationLoss("softmax", 0)
    with pytest.raises(RecipeError, match="label_weight is in .* Received: 2"):
        DistillationLoss("softmax", 1.0, 2)

import keras
import numpy as np
import pytest

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill.losses import DistillationLoss
from yamnet_cry.distill.sections import Loss
from yamnet_cry.distill.windows import Opinion
from yamnet_cry.errors import RecipeError
from yamnet_cry.task import Task

GENERATOR = np.random.default_rng(0)
TEACHER = GENERATOR.normal(-4, 3, (5, 521))
STUDENT = GENERATOR.normal(0, 2, (5, 521))
YAMNET = Opinion("windows", 1.0, CRY_TASK.labels, "independent", TEACHER)


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def of_cry(target="raw_sigmoid", temperature=1.0, label_weight=0.0) -> DistillationLoss:
    settings = Loss(target, temperature, label_weight)
    return DistillationLoss.of(CRY_TASK, settings, [YAMNET], CRY_TASK.labels)


def loss(target: str, temperature: float, student: np.ndarray = STUDENT) -> float:
    return float(of_cry(target, temperature)(TEACHER.astype("float32"), student.astype("float32")))


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
    received = float(of_cry("softmax", 2.0, 0.25)(labelled, student))
    assert received == pytest.approx(0.25 * hard + 0.75 * loss("softmax", 2.0), rel=1e-5)
    assert float(of_cry(label_weight=1.0)(labelled, student)) == pytest.approx(hard, rel=1e-5)


def test_windows_without_a_label_are_left_to_the_teacher():
    unlabelled = np.concatenate([TEACHER, np.full((5, 1), -1)], axis=1).astype("float32")
    assert float(of_cry(label_weight=1.0)(unlabelled, STUDENT.astype("float32"))) == 0.0


def test_labels_without_weight_are_not_read():
    labelled = np.concatenate([TEACHER, np.full((5, 1), 1)], axis=1).astype("float32")
    assert float(of_cry()(labelled, STUDENT.astype("float32"))) == loss("raw_sigmoid", 1.0)


def test_extreme_logits_stay_finite():
    extreme = np.where(np.arange(521) % 2, 600.0, -600.0)[None].astype("float32")
    for target in ("raw_sigmoid", "softmax", "sigmoid"):
        assert np.isfinite(float(of_cry(target)(extreme, -extreme)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_exclusive_labels_by_their_definition(smoothing):
    generator = np.random.default_rng(1)
    student = generator.normal(0, 2, (4, 3))
    known = np.eye(3)[[0, 2, 1, 1]]
    known[3] = -1
    smoothed = known[:3] * (1 - smoothing) + smoothing / 3
    expected = -(smoothed * np.log(softmax(student)[:3])).sum(axis=1).sum() / 4
    own = DistillationLoss("exclusive", 3, teachers=(), label_smoothing=smoothing)
    assert float(own(known.astype("float32"), student.astype("float32"))) == pytest.approx(expected, rel=1e-5)


def test_independent_labels_by_their_definition():
    student = np.random.default_rng(1).normal(0, 2, (3, 4))
    known = np.array([[1, 0, 0, 1], [0, -1, 1, -1], [-1, -1, -1, -1]])
    q = sigmoid(student)
    each = -(known * np.log(q) + (1 - known) * np.log(1 - q))
    expected = (each[0].mean() + each[1][[0, 2]].mean() + 0) / 3
    own = DistillationLoss("independent", 4, teachers=())
    assert float(own(known.astype("float32"), student.astype("float32"))) == pytest.approx(expected, rel=1e-5)


def test_teachers_count_by_their_weights():
    first, second = TEACHER.astype("float32"), TEACHER[::-1].astype("float32")
    each = [float(of_cry("softmax")(teacher, STUDENT.astype("float32"))) for teacher in (first, second)]
    both = DistillationLoss("exclusive", 521, teachers=(3.0, 1.0), target="softmax")
    received = float(both(np.concatenate([first, second], axis=1), STUDENT.astype("float32")))
    assert received == pytest.approx((3 * each[0] + each[1]) / 4, rel=1e-5)


@pytest.mark.parametrize("target", ["raw_sigmoid", "softmax", "sigmoid"])
def test_a_teacher_that_is_a_student_itself_gives_its_softmax(target):
    p, log_q = softmax(TEACHER), np.log(softmax(STUDENT))
    expected = (p * (np.log(p) - log_q)).sum(axis=1).mean()
    if target == "sigmoid":
        q = sigmoid(STUDENT)
        expected = -(p * np.log(q) + (1 - p) * np.log(1 - q)).mean()
    own = DistillationLoss("exclusive", 521, kinds=["exclusive"], target=target)
    received = float(own(TEACHER.astype("float32"), STUDENT.astype("float32")))
    assert received == pytest.approx(expected, rel=1e-5)


def test_a_second_head_matches_what_the_student_does_not_tell_apart():
    task = Task(("dog", "cat"))
    own = DistillationLoss.of(task, Loss("softmax", label_weight=0.5), [YAMNET], CRY_TASK.labels)
    known = np.eye(2)[[0, 1, 0, 1, 0]]
    logits = np.random.default_rng(2).normal(0, 1, (5, 2))
    received = float(
        own(
            np.concatenate([TEACHER, known], axis=1).astype("float32"),
            np.concatenate([logits, STUDENT], axis=1).astype("float32"),
        )
    )
    hard = -(known * np.log(softmax(logits))).sum(axis=1).mean()
    assert received == pytest.approx(0.5 * hard + 0.5 * loss("softmax", 1.0), rel=1e-5)


def test_it_survives_saving():
    before = DistillationLoss(
        "group",
        5,
        (1, 3),
        (0.5, 2.0),
        ("exclusive", "independent"),
        7,
        second_head=True,
        target="softmax",
        label_weight=0.5,
    )
    restored = keras.losses.deserialize(keras.losses.serialize(before))
    assert restored.get_config() == before.get_config()
    assert (restored.group, restored.teachers) == ((1, 3), (0.5, 2.0))


def test_bad_settings_are_explained():
    with pytest.raises(
        RecipeError, match="expected one of raw_sigmoid, softmax, sigmoid as loss.target. Received: 'mse'"
    ):
        DistillationLoss("group", 521, target="mse")
    with pytest.raises(RecipeError, match="expected a positive loss.temperature. Received: 0"):
        DistillationLoss("group", 521, temperature=0)
    with pytest.raises(RecipeError, match="expected loss.label_weight in .* Received: 2"):
        DistillationLoss("group", 521, label_weight=2)

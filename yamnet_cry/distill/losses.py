"""The distillation loss."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
from keras import ops

from yamnet_cry.distill.sections import Loss, Target
from yamnet_cry.distill.teacher import TeacherKind
from yamnet_cry.distill.windows import Opinion
from yamnet_cry.errors import RecipeError
from yamnet_cry.task import Task

#: Type of window labels: whether the group is present, which one label is, or which labels are.
Hard = Literal["group", "exclusive", "independent"]

_SETTINGS = (
    "hard",
    "classes",
    "group",
    "teachers",
    "kinds",
    "teacher_classes",
    "second_head",
    "target",
    "temperature",
    "label_weight",
    "label_smoothing",
)


@keras.saving.register_keras_serializable(package="yamnet_cry")
class DistillationLoss(keras.losses.Loss):
    """The loss of a student's logits against its teachers' logits and against labels.

    **Soft part.** Teachers such as YAMNet have independent sigmoid outputs, so there are several ways to
    match them:

    * ``raw_sigmoid``: KL divergence of softmax(student) from the teacher's sigmoids, although they do not sum
      to 1; the published reference model was trained with it. Its gradient weights each window by the sum of
      its sigmoids.
    * ``softmax``: KL divergence of softmax(student) from softmax(teacher).
    * ``sigmoid``: binary cross-entropy of each class, averaged over classes.

    For a teacher with a softmax output, such as a student, the softmax replaces the sigmoids.

    The soft part is the weighted mean over teachers. Teachers whose labels differ from the student's are
    matched through its second head, whose logits follow those of the first.

    **Hard part.** Depends on the type of labels: ``group`` is binary cross-entropy of the student's own
    score, the sum of softmax over the group; ``exclusive`` is cross-entropy, with label smoothing;
    ``independent`` is binary cross-entropy, averaged over the known labels. It is 0 for windows without
    known labels.

    The total is ``label_weight * hard + (1 - label_weight) * temperature**2 * soft``.

    Args:
        hard: Type of labels.
        classes: Number of the student's labels.
        group: Indices of the group's labels, for ``group``.
        teachers: Weight of each teacher; if empty, the loss uses labels alone.
        kinds: Whether each teacher is ``exclusive`` (softmax) or ``independent`` (sigmoids); all are
            ``independent`` by default.
        teacher_classes: Number of the teachers' labels; that of the student by default.
        second_head: Whether teachers are matched through a second head.
        target: How teachers' logits become targets.
        temperature: Divides the logits of teacher and student; the loss is multiplied by its square, which
            keeps the size of gradients (Hinton et al. 2015, arXiv:1503.02531).
        label_weight: Weight of labels, in [0, 1].
        label_smoothing: Label smoothing for exclusive labels, in [0, 1).

    Raises:
        RecipeError: If the target is unknown, the temperature not positive or the weight not in [0, 1].

    Examples:
        >>> loss = DistillationLoss("exclusive", 3, target="softmax")
        >>> float(loss(ops.zeros((2, 6)), ops.zeros((2, 3))))
        0.0
    """

    def __init__(
        self,
        hard: Hard,
        classes: int,
        group: Sequence[int] = (),
        teachers: Sequence[float] = (1.0,),
        kinds: Sequence[TeacherKind] | None = None,
        teacher_classes: int | None = None,
        second_head: bool = False,
        target: Target = "raw_sigmoid",
        temperature: float = 1.0,
        label_weight: float = 0.0,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "distillation_loss")
        super().__init__(**kwargs)
        if target not in get_args(Target):
            raise RecipeError(
                f"expected one of {', '.join(get_args(Target))} as loss.target. Received: {target!r}"
            )
        if not temperature > 0:
            raise RecipeError(f"expected a positive loss.temperature. Received: {temperature!r}")
        if not 0 <= label_weight <= 1:
            raise RecipeError(f"expected loss.label_weight in [0, 1]. Received: {label_weight!r}")
        self.hard, self.classes, self.group = hard, classes, tuple(group)
        self.teachers = tuple(teachers)
        self.kinds: tuple[str, ...] = tuple(kinds or ["independent"] * len(self.teachers))
        self.teacher_classes = classes if teacher_classes is None else teacher_classes
        self.second_head = second_head
        self.target, self.temperature = target, temperature
        self.label_weight, self.label_smoothing = label_weight if self.teachers else 1.0, label_smoothing

    @classmethod
    def of(
        cls, task: Task, settings: Loss, teachers: Sequence[Opinion], teacher_labels: Sequence[str]
    ) -> "DistillationLoss":
        """Creates the loss of a task.

        Args:
            task: The student's task.
            settings: The section ``loss`` of the recipe.
            teachers: Teachers with the role ``windows``.
            teacher_labels: The labels in which teachers are matched.
        """
        return cls(
            "group" if task.group else task.kind,
            len(task.labels),
            task.group_indices,
            [teacher.weight for teacher in teachers],
            [teacher.kind for teacher in teachers],
            len(teacher_labels),
            bool(teachers) and tuple(teacher_labels) != task.labels,
            settings.target,
            settings.temperature,
            settings.label_weight,
            settings.label_smoothing,
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each window.

        Args:
            y_true: The logits of each teacher, concatenated, followed by labels: one column for ``group``,
                otherwise one per class; probabilities, or -1 if unknown. Labels are ignored if
                ``label_weight`` is 0.
            y_pred: The student's logits, followed by those of its second head if it has one.
        """
        y_true = ops.cast(y_true, y_pred.dtype)
        width = self.teacher_classes
        parts = [
            weight * self._soft(y_true[:, number * width : (number + 1) * width], kind, y_pred)
            for number, (weight, kind) in enumerate(zip(self.teachers, self.kinds, strict=True))
        ]
        soft = sum(parts[1:], parts[0]) / sum(self.teachers) if parts else 0.0
        if not self.label_weight:
            return soft
        hard = self._hard(y_true[:, len(self.teachers) * width :], y_pred[:, : self.classes])
        return self.label_weight * hard + (1 - self.label_weight) * soft

    def _soft(self, teacher: Any, kind: str, y_pred: Any) -> Any:
        student = y_pred[:, self.classes :] if self.second_head else y_pred
        teacher, student = teacher / self.temperature, student / self.temperature
        if self.target == "sigmoid":
            p = ops.sigmoid(teacher) if kind == "independent" else ops.softmax(teacher)
            losses = ops.mean(ops.softplus(student) - p * student, axis=-1)
        else:
            as_they_are = self.target == "raw_sigmoid" and kind == "independent"
            log_p = ops.log_sigmoid(teacher) if as_they_are else ops.log_softmax(teacher)
            losses = ops.sum(ops.exp(log_p) * (log_p - ops.log_softmax(student)), axis=-1)
        return losses * self.temperature**2

    def _hard(self, labels: Any, logits: Any) -> Any:
        if self.hard == "exclusive":
            smoothed = labels * (1 - self.label_smoothing) + self.label_smoothing / self.classes
            losses = -ops.sum(smoothed * ops.log_softmax(logits), axis=-1)
            return ops.where(labels[:, 0] < 0, ops.zeros_like(losses), losses)
        if self.hard == "independent":
            known = ops.cast(labels >= 0, logits.dtype)
            losses = ops.softplus(logits) - ops.maximum(labels, 0.0) * logits
            return ops.sum(known * losses, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)
        return self._of_group(labels[:, 0], logits)

    def _of_group(self, labels: Any, logits: Any) -> Any:
        """Binary cross-entropy of the sum of softmax over the group, from logits."""
        rest = [index for index in range(self.classes) if index not in self.group]
        inside, others = (ops.take(logits, list(chosen), axis=1) for chosen in (self.group, rest))
        log_odds = ops.logsumexp(inside, axis=1) - ops.logsumexp(others, axis=1)
        losses = ops.softplus(log_odds) - ops.maximum(labels, 0.0) * log_odds
        return ops.where(labels < 0, ops.zeros_like(losses), losses)

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration from which Keras loads a compiled student."""
        return {**super().get_config(), **{name: getattr(self, name) for name in _SETTINGS}}

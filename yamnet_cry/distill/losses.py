"""The distillation loss."""

from typing import Any, get_args

import keras
from keras import ops

from yamnet_cry.audioset import CRY_CLASSES, NUM_CLASSES
from yamnet_cry.distill.recipes import Target
from yamnet_cry.errors import RecipeError


@keras.saving.register_keras_serializable(package="yamnet_cry")
class DistillationLoss(keras.losses.Loss):
    """Compares a student's logits with its teacher's, over all classes.

    YAMNet's outputs are independent sigmoids, so there is more than one way to match them:

    * ``raw_sigmoid``: KL divergence of softmax(student) from the teacher's sigmoids as they are,
      though they do not add up to 1; the published reference model was trained so. Its gradient
      weighs each window by the sum of its sigmoids.
    * ``softmax``: KL divergence of softmax(student) from softmax(teacher).
    * ``sigmoid``: binary cross-entropy of each class, averaged over classes.

    Labels may be used as well: binary cross-entropy of the student's own score,
    softmax[19] + softmax[20], where a window has a label. The whole is
    ``label_weight * hard + (1 - label_weight) * temperature**2 * soft``.

    Args:
        target: One of the three.
        temperature: Divides both logits; the loss is multiplied by its square, which keeps the size
            of gradients (Hinton et al. 2015, arXiv:1503.02531).
        label_weight: Weight of labels, in [0, 1].

    Raises:
        RecipeError: If the target is unknown, the temperature not positive or the weight not in [0, 1].

    Example:
        >>> logits = ops.zeros((2, 521))
        >>> float(DistillationLoss("softmax")(logits, logits))
        0.0
    """

    def __init__(
        self,
        target: Target = "raw_sigmoid",
        temperature: float = 1.0,
        label_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "distillation_loss")
        super().__init__(**kwargs)
        if target not in get_args(Target):
            raise RecipeError(f"loss.target is one of {', '.join(get_args(Target))}. Received: {target!r}")
        if not temperature > 0:
            raise RecipeError(f"loss.temperature is positive. Received: {temperature!r}")
        if not 0 <= label_weight <= 1:
            raise RecipeError(f"loss.label_weight is in [0, 1]. Received: {label_weight!r}")
        self.label_weight = label_weight
        self.target = target
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each window.

        Args:
            y_true: The teacher's logits, of shape (batch, 521), or (batch, 522) with the label in the last
                column: the probability of crying, or -1 if it is not known. It is read if labels have weight.
            y_pred: The student's logits, of shape (batch, 521).
        """
        soft = self._soft(ops.cast(y_true[:, :NUM_CLASSES], y_pred.dtype), y_pred)
        if not self.label_weight:
            return soft
        hard = _label_loss(ops.cast(y_true[:, NUM_CLASSES], y_pred.dtype), y_pred)
        return self.label_weight * hard + (1 - self.label_weight) * soft

    def _soft(self, teacher: Any, student: Any) -> Any:
        teacher, student = teacher / self.temperature, student / self.temperature
        if self.target == "sigmoid":
            losses = ops.mean(ops.softplus(student) - ops.sigmoid(teacher) * student, axis=-1)
        else:
            log_p = ops.log_sigmoid(teacher) if self.target == "raw_sigmoid" else ops.log_softmax(teacher)
            losses = ops.sum(ops.exp(log_p) * (log_p - ops.log_softmax(student)), axis=-1)
        return losses * self.temperature**2

    def get_config(self) -> dict[str, Any]:
        """Returns what Keras needs to load a compiled student again."""
        own = {name: getattr(self, name) for name in ("target", "temperature", "label_weight")}
        return {**super().get_config(), **own}


def _label_loss(labels: Any, logits: Any) -> Any:
    """Binary cross-entropy of softmax[19] + softmax[20], from logits; 0 where there is no label."""
    first, last = CRY_CLASSES[0], CRY_CLASSES[-1] + 1
    others = ops.concatenate([logits[:, :first], logits[:, last:]], axis=1)
    log_odds = ops.logsumexp(logits[:, first:last], axis=1) - ops.logsumexp(others, axis=1)
    losses = ops.softplus(log_odds) - ops.maximum(labels, 0.0) * log_odds
    return ops.where(labels < 0, ops.zeros_like(losses), losses)

"""The distillation loss."""

from typing import Any, get_args

import keras
from keras import ops

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

    Args:
        target: One of the three.
        temperature: Divides both logits; the loss is multiplied by its square, which keeps the size
            of gradients (Hinton et al. 2015, arXiv:1503.02531).

    Raises:
        RecipeError: If the target is unknown or the temperature is not positive.

    Example:
        >>> logits = ops.zeros((2, 521))
        >>> float(DistillationLoss("softmax")(logits, logits))
        0.0
    """

    def __init__(self, target: Target = "raw_sigmoid", temperature: float = 1.0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "distillation_loss")
        super().__init__(**kwargs)
        if target not in get_args(Target):
            raise RecipeError(f"loss.target is one of {', '.join(get_args(Target))}. Received: {target!r}")
        if not temperature > 0:
            raise RecipeError(f"loss.temperature is positive. Received: {temperature!r}")
        self.target = target
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each window.

        Args:
            y_true: The teacher's logits, of shape (batch, 521).
            y_pred: The student's logits, of the same shape.
        """
        teacher = ops.cast(y_true, y_pred.dtype) / self.temperature
        student = y_pred / self.temperature
        if self.target == "sigmoid":
            losses = ops.mean(ops.softplus(student) - ops.sigmoid(teacher) * student, axis=-1)
        else:
            log_p = ops.log_sigmoid(teacher) if self.target == "raw_sigmoid" else ops.log_softmax(teacher)
            losses = ops.sum(ops.exp(log_p) * (log_p - ops.log_softmax(student)), axis=-1)
        return losses * self.temperature**2

    def get_config(self) -> dict[str, Any]:
        """Returns what Keras needs to load a compiled student again."""
        return {**super().get_config(), "target": self.target, "temperature": self.temperature}

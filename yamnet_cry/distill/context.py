"""Joint training of a student and its context network, on sequences of windows.

A student trained on single windows learns sounds, not rhythms. Here it is trained further, together with the
network that reads its embeddings, on the labels of whole clips.
"""

import logging
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from yamnet_cry.distill import devices
from yamnet_cry.distill.losses import DistillationLoss
from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.sections import Train
from yamnet_cry.distill.sequences import Known, Sequences
from yamnet_cry.distill.training import Checkpoints, History, fitted, seeded
from yamnet_cry.distill.windows import Windows
from yamnet_cry.model.context_keras import CONTEXT, STUDENT, build, with_embedding

_LOG = logging.getLogger(__name__)


def fit(
    windows: Windows,
    student: keras.Model,
    recipe: Recipe,
    teacher_labels: tuple[str, ...],
    seed: int,
    folder: Path,
    *,
    device_count: int = 1,
    progress: bool = True,
) -> tuple[keras.Model, keras.Model, History]:
    """Trains a student and its context network, continuing from the checkpoints in the folder, if any.

    Args:
        windows: The corpus with the teachers' logits.
        student: The student that `training.fit` returned; modified.
        recipe: A recipe with a section ``context``.
        teacher_labels: The labels in which the student matches its teachers. If they are not the student's
            own, teachers are not matched here, because the second head has been removed.
        seed: Seed of weights and sampling.
        folder: Folder of the checkpoints.
        device_count: Number of devices that share every step, see `devices`.
        progress: Whether to show a progress bar.

    Returns:
        Student and context network of the epoch with the lowest loss on validation clips, and the losses of
        every epoch.

    Raises:
        CorpusError: If there are no clips with the target, or none known to be without it.
    """
    settings = recipe.context
    assert settings is not None
    matched = teacher_labels == recipe.task.labels
    known = Known.of(windows, recipe, matched=matched)
    train = Train(
        settings.epochs,
        settings.batch_size,
        settings.learning_rate,
        recipe.train.weight_decay,
        "cosine",
        dropped_learning_rate=settings.dropped_learning_rate,
    )
    with seeded(seed), devices.sharing(device_count):
        checkpoints = Checkpoints(folder)
        if checkpoints.history:
            model = checkpoints.load_last()
            _LOG.info("resuming after epoch %d of %d", len(checkpoints.history), train.epochs)
        else:
            model = joint(
                student,
                build(settings.filters, settings.dilations, recipe.student.head_rank),
                settings.windows,
            )
            loss = ContextLoss(
                DistillationLoss.of(
                    recipe.task, recipe.loss, windows.of("windows") if matched else [], recipe.task.labels
                ),
                settings.student_weight,
                settings.window_weight,
            )
            model.compile(keras.optimizers.AdamW(train.learning_rate, train.weight_decay), loss)
        start = len(checkpoints.history)
        fitted(
            model,
            Sequences(windows, known, "train", settings, seed, start),
            Sequences(windows, known, "val", settings, seed),
            checkpoints,
            train,
            "context",
            device_count=device_count,
            progress=progress,
        )
        best = checkpoints.load_best()
    both = best.get_layer(STUDENT)
    trained = keras.Model(both.input, both.outputs[0], name=student.name)
    return trained, best.get_layer(CONTEXT), checkpoints.history


def joint(student: keras.Model, context: keras.Model, windows: int) -> keras.Model:
    """Combines a student and a context network into one model of sequences of windows.

    Args:
        student: Model from patches to logits; its batch normalisation is frozen.
        context: Model from embeddings to log-odds.
        windows: Windows per sequence.

    Returns:
        A model from patches of shape (batch, windows, frames, bands, 1) and a mask of shape (batch, windows),
        0 before the beginning of the recording, to one array of shape (batch, windows, 1 + logits): the
        log-odds of the context network, and the logits of the student.
    """
    for layer in student.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    both = with_embedding(student)
    patches = keras.Input((windows, *student.input.shape[1:]), name="patches")
    heard = keras.Input((windows,), name="heard")
    logits, embeddings = both(ops.reshape(patches, (-1, *student.input.shape[1:])))
    embeddings = ops.reshape(embeddings, (-1, windows, embeddings.shape[-1])) * ops.expand_dims(heard, -1)
    log_odds = ops.expand_dims(context(embeddings), -1)
    logits = ops.reshape(logits, (-1, windows, logits.shape[-1]))
    return keras.Model([patches, heard], ops.concatenate([log_odds, logits], axis=-1))


@keras.saving.register_keras_serializable(package="yamnet_cry")
class ContextLoss(keras.losses.Loss):
    """The loss of log-odds against clip and window labels, plus the student's own loss.

    ``(1 - window_weight) * clip + window_weight * windows + student_weight * student``. ``clip`` is the
    binary cross-entropy of the softmax-weighted mean of the log-odds of the clip's windows; ``windows`` is
    the mean binary cross-entropy of the windows with known labels.

    Args:
        student: The student's loss.
        student_weight: Weight of the student's loss.
        window_weight: Weight of windows relative to clips, in [0, 1].
    """

    def __init__(
        self,
        student: DistillationLoss | dict[str, Any],
        student_weight: float,
        window_weight: float,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "context_loss")
        super().__init__(**kwargs)
        # A dictionary when Keras loads a saved model.
        loss = keras.saving.deserialize_keras_object(student) if isinstance(student, dict) else student
        self.student: DistillationLoss = loss
        self.student_weight, self.window_weight = student_weight, window_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each sequence.

        Args:
            y_true: Shape (batch, windows, 3 + targets): the probability of the clip, repeated for each
                window; 1 for windows of the clip, else 0; the probability of the window, -1 if unknown; and
                the student's targets.
            y_pred: The output of the model that `joint` returns.
        """
        y_true = ops.cast(y_true, y_pred.dtype)
        log_odds, own, known = y_pred[..., 0], y_true[..., 1], y_true[..., 2]
        shares = ops.softmax(log_odds + (own - 1.0) * 1e4, axis=-1)
        clips = _cross_entropy(ops.sum(shares * log_odds, axis=-1), y_true[:, 0, 0])
        is_known = ops.cast(known >= 0, y_pred.dtype)
        each = is_known * _cross_entropy(log_odds, ops.maximum(known, 0.0))
        of_windows = ops.sum(each, axis=-1) / ops.maximum(ops.sum(is_known, axis=-1), 1.0)
        windows, targets, logits = log_odds.shape[1], y_true.shape[-1] - 3, y_pred.shape[-1] - 1
        student = self.student.call(
            ops.reshape(y_true[..., 3:], (-1, targets)), ops.reshape(y_pred[..., 1:], (-1, logits))
        )
        student = ops.mean(ops.reshape(student, (-1, windows)), axis=-1)
        share = self.window_weight
        return (1 - share) * clips + share * of_windows + self.student_weight * student

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration from which Keras loads a compiled model."""
        return {
            **super().get_config(),
            "student": keras.saving.serialize_keras_object(self.student),
            "student_weight": self.student_weight,
            "window_weight": self.window_weight,
        }


def _cross_entropy(log_odds: Any, probability: Any) -> Any:
    return ops.softplus(log_odds) - probability * log_odds

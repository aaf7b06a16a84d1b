"""Training a student and the context network over it together, on sequences of windows.

A student that was taught window by window knows sounds, not rhythms. Here it goes on learning, with the
network that reads its embeddings, from what is known of whole clips.
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
    """Trains a student and a context network over it, from where the folder's checkpoints left off.

    Args:
        windows: The corpus with the teachers' logits.
        student: As `training.fit` returns it; is changed.
        recipe: With a section ``context``.
        teacher_labels: What the student matches of its teachers. Those of other labels than its own are heard
            no more, for the head that matched them is cut off by now.
        seed: Seed of weights and draws.
        folder: Where checkpoints are, or will be.
        device_count: How many devices share every step, see `devices`.
        progress: Whether to show a progress bar.

    Returns:
        Student and context network of the epoch with the lowest loss on validation clips, and the losses of
        every epoch.

    Raises:
        CorpusError: If there are no clips of one kind.
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
    """Puts a context network on a student, for sequences of windows.

    Args:
        student: From patches to logits; its batch normalisation is frozen.
        context: From embeddings to log-odds.
        windows: In a sequence.

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
    """Compares log-odds with what is known of clips and windows, and logits as a student's own loss does.

    ``(1 - window_weight) * clip + window_weight * windows + student_weight * student``: of the clip, the
    binary cross-entropy of the mean of its windows' log-odds, weighed by their softmax; of its windows, the
    mean of theirs where something is known.

    Args:
        student: The student's loss.
        student_weight: Of that.
        window_weight: Of windows against clips, in [0, 1].
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
        # As Keras hands it back.
        loss = keras.saving.deserialize_keras_object(student) if isinstance(student, dict) else student
        self.student: DistillationLoss = loss
        self.student_weight, self.window_weight = student_weight, window_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each sequence.

        Args:
            y_true: Of shape (batch, windows, 3 + targets): what is known of the clip, in each window;
                whether the window is the clip's; what is known of the window, -1 for nothing; and the
                student's targets.
            y_pred: As `joint` gives it.
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
        """Returns what Keras needs to load a compiled model again."""
        return {
            **super().get_config(),
            "student": keras.saving.serialize_keras_object(self.student),
            "student_weight": self.student_weight,
            "window_weight": self.window_weight,
        }


def _cross_entropy(log_odds: Any, probability: Any) -> Any:
    return ops.softplus(log_odds) - probability * log_odds

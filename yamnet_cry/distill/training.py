"""Training of a student, with checkpoints: a killed run loses at most one epoch."""

import json
import logging
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from yamnet_cry.classifier import Classifier
from yamnet_cry.distill import devices, students, weight_bits
from yamnet_cry.distill.losses import DistillationLoss
from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.sampling import Batches, Epochs, labels, select
from yamnet_cry.distill.sections import Train
from yamnet_cry.distill.weight_bits import HeldToBits
from yamnet_cry.distill.windows import Windows
from yamnet_cry.errors import RunError
from yamnet_cry.files import write_whole

_LOG = logging.getLogger(__name__)

HISTORY = "history.json"

# Batch size of validation, in windows.
_VALIDATED = 256

History = list[dict[str, float]]


def fit(
    windows: Windows,
    recipe: Recipe,
    teacher_labels: tuple[str, ...],
    seed: int,
    folder: Path,
    *,
    start: Classifier | None = None,
    device_count: int = 1,
    progress: bool = True,
) -> tuple[keras.Model, History]:
    """Trains a student, continuing from the checkpoints in the folder, if any.

    Args:
        windows: The corpus with the teachers' logits.
        recipe: The recipe; its task has labels.
        teacher_labels: Labels in which the student matches its teachers, if there are any.
        seed: Seed of weights and sampling.
        folder: Folder of the checkpoints.
        start: Model with the initial weights; random weights by default.
        device_count: Number of devices that share every step, see `devices`. A run may be resumed on a
            different number.
        progress: Whether to show a progress bar.

    Returns:
        The student of the epoch with the lowest loss on validation windows, and the losses of every epoch.

    Raises:
        CorpusError: If there is nothing to train on.
    """
    task = recipe.task
    chosen = select(windows, "train", recipe.selection, task)
    if recipe.selection is None:
        _LOG.info("training windows: %s", f"{len(chosen[0]):,}")
    else:
        _LOG.info("training windows: %s positive, %s negative", *(f"{len(part):,}" for part in chosen))
    known = labels(windows, recipe.selection, task)
    checked = np.concatenate(select(windows, "val", recipe.selection, task))
    bits = recipe.export.weight_bits
    loss = DistillationLoss.of(task, recipe.loss, windows.of("windows"), teacher_labels)

    with seeded(seed), devices.sharing(device_count):
        checkpoints = Checkpoints(folder)
        history = checkpoints.history
        if history:
            model = checkpoints.load_last()
            _LOG.info("resuming after epoch %d of %d", len(history), recipe.train.epochs)
        else:
            second = len(teacher_labels) if loss.second_head else 0
            model = students.build(recipe.student, len(task.labels), recipe.front_end, second)
            if start is not None:
                students.begin_with(model, start.keras_model)
            model.compile(keras.optimizers.AdamW(recipe.train.learning_rate, recipe.train.weight_decay), loss)
        first = len(history)
        epochs = Epochs(
            windows,
            chosen,
            known,
            teacher_labels,
            recipe.sampling,
            recipe.train.batch_size,
            seed,
            epoch=first,
        )
        validation = Batches(windows, checked, known, teacher_labels, _VALIDATED - _VALIDATED % device_count)
        fitted(
            model,
            epochs,
            validation,
            checkpoints,
            recipe.train,
            "training",
            # Before the checkpoints, which keep weights in full precision.
            [HeldToBits(bits)] if bits else [],
            device_count=device_count,
            progress=progress,
        )
        student = students.without_second_head(checkpoints.load_best())
        if bits:
            weight_bits.hold(student, bits)
        return student, checkpoints.history


def fitted(
    model: keras.Model,
    batches: devices.Batched,
    validation: devices.Batched,
    checkpoints: "Checkpoints",
    train: Train,
    description: str,
    more: Sequence[keras.callbacks.Callback] = (),
    *,
    device_count: int,
    progress: bool,
) -> None:
    """Trains a compiled model, from the epoch after its last checkpoint.

    Args:
        model: The model; modified.
        batches: Training batches.
        validation: Validation batches, for the loss after each epoch.
        checkpoints: Checkpoints with the finished epochs.
        train: Settings of training.
        description: Text of the progress bar.
        more: Callbacks that run before the checkpoints.
        device_count: Number of devices that share every step.
        progress: Whether to show a progress bar.
    """
    first = len(checkpoints.history)
    callbacks = [
        *more,
        keras.callbacks.LearningRateScheduler(lambda epoch, _rate: learning_rate(train, epoch)),
        checkpoints,
        _Progress(first, train.epochs, description, disable=not progress),
    ]
    data: list[Any] = [batches, validation]
    if device_count > 1:
        data = [devices.Shared(each, device_count) for each in data]
        # First, because the other callbacks read the losses.
        callbacks.insert(0, devices.CountedOnce(*data))
    model.fit(
        data[0],
        validation_data=data[1],
        initial_epoch=first,
        epochs=train.epochs,
        shuffle=False,  # what is fitted to shuffles itself; Keras would shuffle batches, with its own seed
        verbose=0,
        callbacks=callbacks,
    )


def learning_rate(train: Train, epoch: int) -> float:
    """Returns the learning rate of an epoch, counted from 0.

    Examples:
        >>> learning_rate(Train(), 29), learning_rate(Train(), 30)
        (0.001, 0.0001)
        >>> learning_rate(Train(schedule="cosine", epochs=3), 1)
        0.00055
    """
    if train.schedule == "cosine":
        progress = epoch / max(1, train.epochs - 1)
        height = train.learning_rate - train.dropped_learning_rate
        return train.dropped_learning_rate + height * 0.5 * (1 + math.cos(math.pi * progress))
    return train.learning_rate if epoch < train.drop_epoch else train.dropped_learning_rate


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds Keras and makes its computations deterministic, as far as the backend allows.

    The states of Python's and NumPy's generators, which Keras seeds as well, are restored afterwards. The
    seeds of Keras and TensorFlow and TensorFlow's deterministic operations cannot be restored.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (Keras seeds it)
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


class Checkpoints(keras.callbacks.Callback):
    """Keeps the last and the best epoch on disk.

    Each epoch is a separate file; ``history.json``, replaced atomically, lists the finished epochs. A run
    killed between the two writes repeats one epoch.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / HISTORY
        self.history: History = json.loads(path.read_text()) if path.is_file() else []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch, and deletes those no longer needed; called by Keras."""
        self.history.append({name: float(value) for name, value in (logs or {}).items()})
        try:
            self.model.save(self._path(epoch))
            write_whole(self._folder / HISTORY, json.dumps(self.history, indent=1))
        except OSError as error:
            raise RunError(
                f"epoch {epoch + 1} cannot be written to {self._folder} ({error}); "
                "free disk space and run again with --resume"
            ) from None
        for path in self._folder.glob("epoch-*.keras"):
            if path not in (self._path(epoch), self._path(self._best)):
                path.unlink()

    def load_last(self) -> keras.Model:
        """Loads the last finished epoch, with the state of its optimizer."""
        return keras.models.load_model(self._path(len(self.history) - 1))

    def load_best(self) -> keras.Model:
        """Loads the epoch with the lowest validation loss, without its optimizer."""
        return keras.models.load_model(self._path(self._best), compile=False)

    @property
    def _best(self) -> int:
        return min(range(len(self.history)), key=lambda epoch: self.history[epoch]["val_loss"])

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch + 1:04d}.keras"


class _Progress(keras.callbacks.Callback):
    def __init__(self, start: int, epochs: int, description: str, *, disable: bool) -> None:
        super().__init__()
        self._bar = tqdm(initial=start, total=epochs, desc=description, unit="epoch", disable=disable)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        self._bar.set_postfix_str(f"loss {logs['loss']:.3f}, validation {logs['val_loss']:.3f}")
        self._bar.update(1)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._bar.close()

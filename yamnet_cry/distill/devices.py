"""Several devices, such as GPUs, that share the work of every training step.

Keras distributes batches on JAX alone. Every device holds the whole network and takes an equal share of a
batch; means, gradients and batch normalisation are those of the whole, so that a run differs from that on one
device by rounding.
"""

import logging
from collections.abc import Sized
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import keras
import numpy as np

from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.errors import RunError

_LOG = logging.getLogger(__name__)


def check(count: int, recipe: Recipe) -> None:
    """Checks that so many devices can share every step, and says if there are more.

    Raises:
        RunError: If there are fewer, Keras has another backend, or a batch has no equal shares.
    """
    backend = keras.backend.backend()
    if count == 1:
        if backend == "jax" and (there := len(keras.distribution.list_devices())) > 1:
            _LOG.info("training on one of %d devices; use all with --devices %d", there, there)
        return
    if backend != "jax":
        raise RunError(
            "training on several devices needs the JAX backend; set KERAS_BACKEND=jax. "
            f"Received: --devices {count} and KERAS_BACKEND={backend}"
        )
    there = len(keras.distribution.list_devices())
    if not 1 <= count <= there:
        raise RunError(f"expected --devices from 1 to {there}, as many as JAX finds. Received: {count}")
    sizes = {"train.batch_size": recipe.train.batch_size}
    if recipe.context is not None:
        sizes["context.batch_size"] = recipe.context.batch_size
    for key, size in sizes.items():
        if size % count:
            raise RunError(
                f"expected {key} to be a multiple of the {count} devices, for equal shares. "
                f"Received: {size}; use --set {key}={-(-size // count) * count}"
            )
    _LOG.info("training on %d devices", count)


def sharing(count: int) -> AbstractContextManager[None]:
    """Returns the context in which a network is made or loaded, compiled and fitted, for so many devices."""
    if count == 1:
        return nullcontext()
    devices = keras.distribution.list_devices()[:count]
    scope: AbstractContextManager[None] = keras.distribution.DataParallel(devices=devices).scope()
    return scope


class Batched(Sized, Protocol):
    """Batches of the same size each, but for the last one.

    Attributes:
        batch_size: How many windows or sequences are in a batch.
    """

    batch_size: int

    @property
    def total(self) -> int:
        """How many there are in all batches together."""

    def __getitem__(self, number: int) -> tuple[Any, Any]: ...

    def on_epoch_end(self) -> None:
        """Goes on to the next epoch."""


class Shared(keras.utils.PyDataset):
    """Batches of which every device can take an equal share.

    A last batch that cannot be cut so is repeated, once for each device, and each takes all of it: means over
    such a batch, gradients and batch normalisation stay what they are. Only dropout draws anew for each.

    Args:
        batches: Those of one device.
        count: How many devices there are; must divide the size of a batch.
    """

    def __init__(self, batches: Batched, count: int) -> None:
        super().__init__()
        self._batches, self._count = batches, count

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        batch = self._batches[number]
        if number < len(self) - 1 or not self._repeated:
            return batch
        repeated: tuple[Any, Any] = keras.tree.map_structure(
            lambda each: np.concatenate([each] * self._count), batch
        )
        return repeated

    def on_epoch_end(self) -> None:
        """Goes on to the next epoch; Keras calls it."""
        self._batches.on_epoch_end()

    @property
    def _repeated(self) -> int:
        """How many are in the last batch, if it is repeated; else 0."""
        last = self._batches.total % self._batches.batch_size
        return last if last % self._count else 0

    def mean(self, before: float, all_of_it: float) -> float:
        """Returns the mean loss of an epoch, in which what was repeated counts once.

        Args:
            before: The mean loss of all batches but the last.
            all_of_it: That of all batches, of which Keras has weighed the last by its repetitions.
        """
        last = self._repeated
        earlier = self._batches.total - last
        if not last or not earlier:
            return all_of_it
        of_last = (earlier + last * self._count) * all_of_it - earlier * before
        return (earlier * before + of_last / self._count) / self._batches.total


class CountedOnce(keras.callbacks.Callback):
    """Corrects the losses of an epoch, before others read them.

    Args:
        training: What is trained on.
        validation: What is validated on.
    """

    def __init__(self, training: Shared, validation: Shared) -> None:
        super().__init__()
        self._batches = {"loss": training, "val_loss": validation}
        self._before = dict.fromkeys(self._batches, 0.0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the mean before the last batch; Keras calls it."""
        self._remember("loss", batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the mean before the last batch; Keras calls it."""
        self._remember("val_loss", batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Puts the means right; Keras calls it."""
        assert logs is not None
        for name, batches in self._batches.items():
            logs[name] = batches.mean(self._before[name], float(logs[name]))

    def _remember(self, name: str, batch: int, logs: dict[str, Any] | None) -> None:
        # Only of this one: to read a loss is to wait for it.
        if logs is not None and batch == len(self._batches[name]) - 2:
            self._before[name] = float(logs["loss"])

"""Data-parallel training on several devices, such as GPUs.

Keras distributes batches only on JAX. Every device holds the whole network and takes an equal share of a
batch; means, gradients and batch normalisation are computed over the whole batch, so that a run differs from
one on a single device only by rounding.
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
    """Checks that ``count`` devices can share every step; logs if one of several is used.

    Raises:
        RunError: If there are fewer devices, the backend is not JAX, or a batch size is not divisible by
            their number.
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
    """Returns the context in which a network is built or loaded, compiled and fitted on several devices."""
    if count == 1:
        return nullcontext()
    devices = keras.distribution.list_devices()[:count]
    scope: AbstractContextManager[None] = keras.distribution.DataParallel(devices=devices).scope()
    return scope


class Batched(Sized, Protocol):
    """Batches of equal size, except the last one, which may be smaller.

    Attributes:
        batch_size: Number of windows or sequences in a batch.
    """

    batch_size: int

    @property
    def total(self) -> int:
        """Number of windows or sequences in all batches together."""

    def __getitem__(self, number: int) -> tuple[Any, Any]: ...

    def on_epoch_end(self) -> None:
        """Prepares the next epoch."""


class Shared(keras.utils.PyDataset):
    """Batches that can be divided equally among devices.

    A last batch that is not divisible is repeated once per device, so that each takes all of it: means,
    gradients and batch normalisation over the batch do not change. Only dropout is sampled for each device.

    Args:
        batches: Batches for a single device.
        count: Number of devices; must divide the batch size.
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
        """Prepares the next epoch; called by Keras."""
        self._batches.on_epoch_end()

    @property
    def _repeated(self) -> int:
        """Size of the last batch if it is repeated, else 0."""
        last = self._batches.total % self._batches.batch_size
        return last if last % self._count else 0

    def mean(self, before: float, all_of_it: float) -> float:
        """Returns the mean loss of an epoch, counting a repeated batch once.

        Args:
            before: The mean loss of all batches except the last.
            all_of_it: The mean loss of all batches, in which Keras counted every repetition of the last.
        """
        last = self._repeated
        earlier = self._batches.total - last
        if not last or not earlier:
            return all_of_it
        of_last = (earlier + last * self._count) * all_of_it - earlier * before
        return (earlier * before + of_last / self._count) / self._batches.total


class CountedOnce(keras.callbacks.Callback):
    """Corrects the losses of an epoch for repeated batches, before other callbacks read them.

    Args:
        training: The training batches.
        validation: The validation batches.
    """

    def __init__(self, training: Shared, validation: Shared) -> None:
        super().__init__()
        self._batches = {"loss": training, "val_loss": validation}
        self._before = dict.fromkeys(self._batches, 0.0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the mean before the last batch; called by Keras."""
        self._remember("loss", batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stores the mean before the last batch; called by Keras."""
        self._remember("val_loss", batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Corrects the means; called by Keras."""
        assert logs is not None
        for name, batches in self._batches.items():
            logs[name] = batches.mean(self._before[name], float(logs[name]))

    def _remember(self, name: str, batch: int, logs: dict[str, Any] | None) -> None:
        # Only for this batch: reading a loss waits for the device.
        if logs is not None and batch == len(self._batches[name]) - 2:
            self._before[name] = float(logs["loss"])

"""Quantisation-aware training with weights of a few bits.

Each training step computes gradients with rounded weights and applies the update to full-precision weights,
which are kept separately: a straight-through estimator (Polino et al. 2018, arXiv:1802.05668).
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yamnet_cry.frontend import Float32

# Step sizes to try, as shares of the one that represents the largest weight.
_SHARES = np.linspace(0.2, 1.0, 17)


def rounded(weights: Float32, bits: int) -> Float32:
    """Rounds weights to whole multiples of a step, in a range symmetric around 0 that the bits allow.

    Each output, along the last axis, has its own step: the one with the least squared error.

    Args:
        weights: float32 array of any shape.
        bits: From 2, with the multiples -1, 0 and 1, to 8.

    Returns:
        float32 array of the same shape.

    Examples:
        >>> rounded(np.float32([[1.0], [1.0], [-0.2], [0.1]]), 2).ravel().tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    highest = 2 ** (bits - 1) - 1
    rows = weights.reshape(-1, weights.shape[-1])
    largest = np.maximum(np.abs(rows).max(axis=0), np.finfo(np.float32).tiny)
    best, least = np.zeros_like(rows), np.full(rows.shape[1], np.inf)
    for share in _SHARES:
        step = (share * largest / highest).astype(np.float32)
        tried = np.clip(np.round(rows / step), -highest, highest)
        # The best step for these whole numbers, by least squares.
        products = (tried * rows).sum(axis=0), np.maximum((tried**2).sum(axis=0), 1e-30)
        tried = tried * (products[0] / products[1])
        error = ((tried - rows) ** 2).sum(axis=0)
        better = error < least
        best[:, better], least[better] = tried[:, better], error[better]
    # Adding 0 turns negative zeros into positive ones.
    return best.reshape(weights.shape).astype(np.float32) + np.float32(0.0)


def packed_bytes(model: keras.Model, bits: int) -> int:
    """Returns the size in bytes of a student with packed weights; steps and other parameters take 32 bits."""
    held = _held(model)
    weights = sum(int(np.prod(variable.shape)) for variable in held)
    steps = sum(int(variable.shape[-1]) for variable in held)
    return -(-weights * bits // 8) + 4 * (steps + model.count_params() - weights)


class HeldToBits(keras.callbacks.Callback):
    """Rounds weights in the forward and backward pass, and updates them in full precision.

    Args:
        bits: Bits per weight; biases and normalisation are not rounded.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self._bits = bits
        self._full: list[NDArray[Any]] = []
        self._rounded: list[NDArray[Any]] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Rounds the weights; called by Keras."""
        self._full = [np.asarray(variable) for variable in _held(self.model)]
        self._rounded = [rounded(values, self._bits) for values in self._full]
        self._assign(self._rounded)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the update to the full-precision weights; called by Keras."""
        changed = [np.asarray(variable) for variable in _held(self.model)]
        self._assign(
            [full + (new - old) for full, new, old in zip(self._full, changed, self._rounded, strict=True)]
        )

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Rounds the weights; called by Keras."""
        self._full = [np.asarray(variable) for variable in _held(self.model)]
        hold(self.model, self._bits)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restores full-precision weights; called by Keras."""
        self._assign(self._full)

    def _assign(self, values: list[NDArray[Any]]) -> None:
        for variable, value in zip(_held(self.model), values, strict=True):
            variable.assign(value)


def hold(model: keras.Model, bits: int) -> None:
    """Rounds the weights of a model permanently."""
    for variable in _held(model):
        variable.assign(rounded(np.asarray(variable), bits))


def _held(model: keras.Model) -> list[Any]:
    # Matrices and kernels, without vectors: biases, and scales of normalisation.
    return [variable for variable in model.trainable_variables if len(variable.shape) > 1]

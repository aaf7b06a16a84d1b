"""Runs Keras networks in batches of one size, so that the logits of a window are always bit-identical."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from yamnet_cry.frontend import Float32

# Kernels are chosen by batch size: with full batches, a window's logits do not depend on the other windows.
_BATCH = 64


def predicted(model: Any, each: Sequence[Float32]) -> list[Float32]:
    """Runs a network on the windows of several recordings.

    Args:
        model: A Keras model from patches of shape (batch, frames, bands, 1) to logits.
        each: float32 of shape (windows, frames, bands) for each recording.

    Returns:
        float32 of shape (windows, labels) for each recording.
    """
    ends = np.cumsum([len(patches) for patches in each])
    inputs = np.zeros((-(-ends[-1] // _BATCH), _BATCH, *each[0].shape[1:], 1), np.float32)
    np.concatenate(each, out=inputs.reshape(-1, *inputs.shape[2:])[: ends[-1], ..., 0])
    # Not `predict`: the threads of its input pipeline wait for each other, which takes 1.7 times as long on
    # one core.
    result = np.concatenate([np.asarray(model.predict_on_batch(batch), np.float32) for batch in inputs])
    return np.split(result[: ends[-1]], ends[:-1])

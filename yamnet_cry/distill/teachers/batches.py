"""Keras networks asked in batches of one size, so that what they say of a window is the same bits always."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from yamnet_cry.frontend import Float32

# Kernels are chosen by batch size: whole batches make a window's logits independent of its company.
_BATCH = 64


def predicted(model: Any, each: Sequence[Float32]) -> list[Float32]:
    """Asks a network about the windows of several recordings.

    Args:
        model: A Keras model from patches of shape (batch, frames, bands, 1) to logits.
        each: float32 of shape (windows, frames, bands) for each recording.

    Returns:
        float32 of shape (windows, labels) for each.
    """
    ends = np.cumsum([len(patches) for patches in each])
    inputs = np.zeros((-(-ends[-1] // _BATCH), _BATCH, *each[0].shape[1:], 1), np.float32)
    np.concatenate(each, out=inputs.reshape(-1, *inputs.shape[2:])[: ends[-1], ..., 0])
    # Without the pipeline of `predict`, whose threads wait for each other: on one core 1.7 times as long.
    result = np.concatenate([np.asarray(model.predict_on_batch(batch), np.float32) for batch in inputs])
    return np.split(result[: ends[-1]], ends[:-1])

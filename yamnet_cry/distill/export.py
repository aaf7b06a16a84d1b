"""From a Keras student to a full-integer TFLite file."""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from yamnet_cry.features import Float32


def to_int8(model: keras.Model, calibration: Float32) -> bytes:
    """Quantises a student: int8 in, int8 out, weights per channel (Jacob et al. 2018, arXiv:1712.05877).

    Args:
        model: A student.
        calibration: float32 patches of shape (patches, 96, 64, 1), which set the ranges of all
            activations.

    Returns:
        The bytes of the ``.tflite`` file.
    """
    import tensorflow as tf

    def representative_dataset() -> Iterator[list[Float32]]:
        for patch in calibration:
            yield [patch[None]]

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _quiet():
        # TensorFlow announces that tf.lite's interpreter moves; the converter stays.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.tflite"
        model.export(
            path,
            format="litert",
            verbose=False,
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=representative_dataset,
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            inference_input_type=tf.int8,
            inference_output_type=tf.int8,
        )
        return path.read_bytes()


def parameter_counts(model: keras.Model) -> dict[str, int]:
    """Returns the number of parameters, in total and trainable."""
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {"total": int(model.count_params()), "trainable": trainable}


def _quiet() -> contextlib.AbstractContextManager[object]:
    return contextlib.redirect_stdout(io.StringIO())

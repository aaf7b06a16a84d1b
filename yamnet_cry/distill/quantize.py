"""Converts a Keras student to a full-integer TFLite file."""

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from yamnet_cry.distill import fused_lstm
from yamnet_cry.errors import RunError
from yamnet_cry.frontend import Float32


def to_int8(model: keras.Model, representative: Float32, *, dense_per_channel: bool = True) -> bytes:
    """Quantises a student: int8 in, int8 out, weights per channel (Jacob et al. 2018, arXiv:1712.05877).

    The converter is TensorFlow's. With another Keras backend, it runs in a separate process.

    Args:
        model: A student.
        representative: float32 patches of shape (patches, frames, bands, 1), which calibrate the ranges of
            all activations.
        dense_per_channel: Whether dense layers have one scale per output, or a single one.

    Returns:
        The bytes of the ``.tflite`` file.

    Raises:
        RunError: If the converter fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        if keras.backend.backend() == "tensorflow":
            _convert(model, representative, path, dense_per_channel)
        else:
            model.save(Path(folder) / "model.keras")
            np.save(Path(folder) / "representative.npy", representative)
            result = subprocess.run(
                [sys.executable, "-m", "yamnet_cry.distill.quantize", folder, str(int(dense_per_channel))],
                env={**os.environ, "KERAS_BACKEND": "tensorflow"},
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode:
                raise RunError(f"TensorFlow could not convert the student: {result.stderr[-2000:]}")
        return path.read_bytes()


def _convert(model: keras.Model, representative: Float32, path: Path, dense_per_channel: bool) -> None:
    import tensorflow as tf

    def representative_dataset() -> Iterator[list[Float32]]:
        for patch in representative:
            yield [patch[None]]

    if any(isinstance(layer, keras.layers.LSTM) for layer in model.layers):
        path.write_bytes(fused_lstm.to_int8(model, representative_dataset))
        return

    with warnings.catch_warnings():
        # TensorFlow warns that the interpreter of tf.lite moves to another package; the converter does not.
        warnings.simplefilter("ignore")
        model.export(
            path,
            format="litert",
            verbose=False,
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=representative_dataset,
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            inference_input_type=tf.int8,
            inference_output_type=tf.int8,
            _experimental_disable_per_channel_quantization_for_dense_layers=not dense_per_channel,
        )


def parameter_counts(model: keras.Model) -> dict[str, int]:
    """Returns the number of parameters, in total and trainable."""
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {"total": int(model.count_params()), "trainable": trainable}


def multiply_accumulates(model: keras.Model) -> int:
    """Counts the multiply-accumulates of one patch, in convolutions, dense layers and LSTMs.

    Examples:
        >>> from yamnet_cry.distill import recipes, students
        >>> multiply_accumulates(students.build(recipes.get("reference").student, 521))
        1171072
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D):
            # Each output position takes one product per weight of the kernel.
            total += int(np.prod(layer.output.shape[1:3])) * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Dense):
            total += int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.LSTM):
            kernels = layer.cell.kernel, layer.cell.recurrent_kernel
            total += int(layer.output.shape[1]) * sum(int(np.prod(kernel.shape)) for kernel in kernels)
    return total


if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    _convert(
        keras.models.load_model(_folder / "model.keras", compile=False),
        np.load(_folder / "representative.npy"),
        _folder / "model.tflite",
        bool(int(sys.argv[2])),
    )

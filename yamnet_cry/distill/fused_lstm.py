"""Converts an LSTM to one TFLite operator: Keras 3 exports a loop, which microcontrollers cannot run."""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import keras

from yamnet_cry.frontend import Float32


def to_int8(model: keras.Model, representative_dataset: Callable[[], Iterator[list[Float32]]]) -> bytes:
    """Quantises a student of an LSTM, a mean over time and dense layers, as `quantize.to_int8` does others.

    Args:
        model: The student, a sequence of layers.
        representative_dataset: Yields lists of one float32 patch of shape (1, frames, bands, 1).

    Returns:
        The bytes of the ``.tflite`` file.
    """
    import tensorflow as tf

    # As constants, because the converter does not follow variables into the function of the LSTM.
    weights = {layer.name: layer.get_weights() for layer in model.layers}

    def said(patches: Any) -> Any:
        x = patches
        for layer in model.operations:
            values = [tf.constant(each) for each in weights.get(layer.name, ())]
            if isinstance(layer, keras.layers.LSTM):
                x = _lstm(tf, x, *values)
            elif isinstance(layer, keras.layers.Dense):
                x = x @ values[0] + (values[1] if layer.use_bias else 0.0)
            elif not isinstance(layer, keras.layers.InputLayer | keras.layers.Dropout):
                x = layer(x)
        return x

    module = tf.Module()
    shape = (1, *model.input_shape[1:])
    module.said = tf.function(
        said, autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32, name="log_mel")]
    )
    with tempfile.TemporaryDirectory() as folder:
        # The converter reads `api_implements` only from a SavedModel.
        tf.saved_model.save(module, folder, signatures=module.said.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative_dataset
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converted: bytes = converter.convert()
    return converted


def _lstm(tf: Any, x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    """Returns the output of an LSTM at each step, computed by a function that the converter recognises.

    The converter recognises it by the attribute ``api_implements``, and by the order of arguments and
    results, which is that of the LSTM of Keras 2 (TensorFlow, compiler/mlir/lite/utils/lstm_utils.cc).
    """
    steps, units = x.shape[1], recurrent.shape[0]

    def standard(x: Any, hidden: Any, cells: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        outputs = []
        for step in range(steps):
            gates = tf.split(x[:, step] @ kernel + hidden @ recurrent + bias, 4, axis=1)
            enter, forget, leave = (tf.sigmoid(gates[place]) for place in (0, 1, 3))
            cells = forget * cells + enter * tf.tanh(gates[2])
            hidden = leave * tf.tanh(cells)
            outputs.append(hidden)
        return hidden, tf.stack(outputs, axis=1), hidden, cells, tf.constant(0.0)

    fused = tf.function(
        standard,
        autograph=False,
        experimental_attributes={
            "api_implements": f"lstm_{uuid.uuid4()}",
            "api_preferred_device": "CPU",
            "time_major": False,
            "go_backwards": False,
        },
    )
    nothing = tf.zeros((1, units))
    return fused(x, nothing, nothing, kernel, recurrent, bias)[1]

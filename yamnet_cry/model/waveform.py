"""A model as one float32 network from samples to probabilities, including front end and calibration."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from yamnet_cry.errors import ExportError
from yamnet_cry.frontend import FrontEnd
from yamnet_cry.model import context_keras
from yamnet_cry.model.config import ModelConfig

# As in `calibration.log_odds`.
_SMALLEST = 1e-6


def check(config: ModelConfig) -> None:
    """Rejects models that TFLite operators cannot compute from the samples under one patch.

    Raises:
        ExportError: If the front end's frames extend beyond a patch, TFLite does not support its FFT length,
            or the backend of Keras is not TensorFlow.
    """
    front_end = config.front_end
    if front_end.centred:
        raise ExportError(
            "--format waveform needs a front end with frames within a patch; this model has "
            f"{front_end.differences(FrontEnd(**vars(front_end) | {'centred': False}))}. Export its network "
            "alone, with --format tflite"
        )
    if front_end.fft_length & (front_end.fft_length - 1):
        raise ExportError(
            "TFLite supports only FFTs of powers of two; this model has front_end.fft_length "
            f"{front_end.fft_length}. Export its network alone, with --format tflite"
        )
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "TensorFlow writes the file; set KERAS_BACKEND=tensorflow. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )


def log_mel(samples: tf.Tensor, front_end: FrontEnd) -> tf.Tensor:
    """Computes `FrontEnd.log_mel` of the samples under one patch, as a TensorFlow graph.

    Args:
        samples: float32 of shape (``patch_samples``,).
        front_end: A front end that `check` accepts.

    Returns:
        float32 of shape (``patch_frames``, ``mel_bands``).
    """
    # Frames share pieces of `step` samples: one strided slice per piece in a frame yields it for all frames.
    step = math.gcd(front_end.frame_length, front_end.frame_hop)
    hop, pieces = front_end.frame_hop // step, tf.reshape(samples, (-1, step))
    span = (front_end.patch_frames - 1) * hop + 1
    places = range(front_end.frame_length // step)
    frames = tf.concat([pieces[first : first + span : hop] for first in places], axis=1)
    zeros = front_end.fft_length - front_end.frame_length
    padded = tf.pad(frames * front_end.hann_window(), ((0, 0), (0, zeros)))
    # TFLite's kernel computes it in float64, as numpy does.
    spectrum = tf.abs(tf.signal.rfft2d(padded[:, tf.newaxis], (1, front_end.fft_length)))[:, 0]
    if front_end.spectrum == "power":
        spectrum = tf.square(spectrum)
    bands = tf.math.log(tf.matmul(spectrum, front_end.mel_matrix()) + front_end.log_offset)
    if (front_end.mean, front_end.standard_deviation) != (0.0, 1.0):
        bands = (bands - front_end.mean) / front_end.standard_deviation
    return bands


def network(
    config: ModelConfig, student: keras.Model, context: keras.Model | None
) -> Callable[..., tf.Tensor]:
    """Returns a function that computes probabilities from the samples under one patch, without context.

    Args:
        config: The model's configuration.
        student: The student in Keras.
        context: The context network in Keras, or None.

    Returns:
        A function from float32 samples of shape (``patch_samples``,) to the probability of each label, of
        shape (1, labels). All labels of a task's group have the calibrated probability of its target. An
        optional second argument, of shape (1, labels), has the probabilities of another network, which
        replace those of all labels outside the group.
    """
    task, front_end, calibration = config.task, config.front_end, config.calibration
    of_group = np.zeros((1, len(task.labels)), np.float32)
    of_group[:, list(task.group_indices)] = 1.0
    if context is not None:
        student = context_keras.with_embedding(student)
        *inner, last = _newest_taps(context)

    def heard(samples: tf.Tensor, others: tf.Tensor | None = None) -> tf.Tensor:
        patch = log_mel(samples, front_end)[tf.newaxis, :, :, tf.newaxis]
        if context is None:
            logits = student(patch, training=False)
        else:
            logits, embeddings = student(patch, training=False)
        probabilities = tf.nn.softmax(logits) if task.kind == "exclusive" else tf.sigmoid(logits)
        if not task.group:
            return probabilities
        if context is not None:
            for weights, bias in inner:
                embeddings = tf.nn.relu(tf.matmul(embeddings, weights) + bias)
            log_odds = tf.matmul(embeddings, last[0]) + last[1]
        else:
            score = tf.reduce_sum(probabilities * of_group, axis=1, keepdims=True)
            score = tf.clip_by_value(score, _SMALLEST, 1.0 - _SMALLEST)
            log_odds = tf.math.log(score) - tf.math.log(1.0 - score)
        of_target = tf.sigmoid(calibration.slope * log_odds + calibration.intercept)
        rest = probabilities if others is None else others
        return rest * (1.0 - of_group) + of_target * of_group

    return heard


def _newest_taps(context: keras.Model) -> list[list[NDArray[np.float32]]]:
    """Weights and biases of a context network that apply to the first window: the last tap of each kernel."""
    convolutions = [layer for layer in context.layers if isinstance(layer, layers.Conv1D)]
    return [[kernel[-1], bias] for kernel, bias in (layer.get_weights() for layer in convolutions)]


def converted(function: Callable[..., tf.Tensor], samples: int, others: int = 0) -> bytes:
    """Converts a function of samples to a TFLite file in float32.

    Args:
        function: A function of float32 of shape (samples,), with operators that TFLite supports.
        samples: Number of its samples.
        others: Size of its second argument, of shape (1, others), the outputs of another network; 0 for none.

    Raises:
        ExportError: If TensorFlow cannot convert it.
    """
    # Without a batch dimension: Frigate passes one row of samples, and other hosts accept that too.
    taken = [tf.TensorSpec((samples,), tf.float32, name="samples")]
    if others:
        taken.append(tf.TensorSpec((1, others), tf.float32, name="others"))
    graph = tf.function(function, input_signature=taken, autograph=False).get_concrete_function()
    # As variables, weights would be empty in hosts that do not initialise them.
    frozen = convert_variables_to_constants_v2(graph)
    with warnings.catch_warnings():
        # TensorFlow warns that the interpreter of tf.lite moves to another package; the converter does not.
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return bytes(converter.convert())
        # Each stage of the converter raises different exceptions.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ExportError(f"TensorFlow cannot write the model as TFLite in float32 ({reason})") from None


def operators(model: bytes) -> list[str]:
    """Returns the names of the TFLite operators in a file.

    Args:
        model: The bytes of a ``.tflite`` file.
    """
    return sorted({each["op_name"] for each in interpreter(model)._get_ops_details()})


def interpreter(model: bytes) -> Any:
    """Creates a LiteRT interpreter for a file, with the built-in kernels only."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    made = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    made.allocate_tensors()
    return made


def answers(model: bytes, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns output 0 of a file for some windows.

    Args:
        model: The bytes of a ``.tflite`` file.
        windows: float32 of shape (windows, samples).

    Returns:
        float32 of shape (windows, labels).
    """
    made = interpreter(model)
    given, said = (each[0]["index"] for each in (made.get_input_details(), made.get_output_details()))
    found = []
    for window in windows:
        made.set_tensor(given, np.ascontiguousarray(window))
        made.invoke()
        found.append(made.get_tensor(said)[0])
    return np.stack(found)

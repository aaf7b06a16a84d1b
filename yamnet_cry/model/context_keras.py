"""The context network in Keras, for training and export, and its conversion to and from integers."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from yamnet_cry.model.context import STEP, TAPS, Context, ContextLayer

#: Names of the networks, and of the student's layer whose outputs are its embeddings.
STUDENT, CONTEXT, HEAD = "student", "context", "head"


def build(filters: int, dilations: Sequence[int], width: int) -> keras.Model:
    """Builds a context network: causal dilated convolutions over embeddings.

    Args:
        filters: Number of filters of each convolution.
        dilations: Dilation of each convolution, in windows.
        width: Width of the embeddings.

    Returns:
        A model from float32 embeddings of shape (batch, windows, width) to log-odds, (batch, windows).

    Examples:
        >>> build(8, (1, 2), 4).count_params()
        313
    """
    x = inputs = keras.Input((None, width), name="embeddings")
    for number, dilation in enumerate(dilations, start=1):
        x = layers.Conv1D(
            filters,
            TAPS,
            padding="causal",
            dilation_rate=dilation,
            activation="relu",
            name=f"context{number}",
        )(x)
    x = layers.Conv1D(1, 1, name="log_odds")(x)
    return keras.Model(inputs, layers.Reshape((-1,))(x), name=CONTEXT)


def quantized(context: keras.Model, embedding_scale: float) -> Context:
    """Quantizes the weights of a context network to int8, with a scale for each output.

    Args:
        context: A model as returned by `build`.
        embedding_scale: Quantization scale of the INT8 student's embeddings.
    """
    found = []
    convolutions = [layer for layer in context.layers if isinstance(layer, layers.Conv1D)]
    scale = embedding_scale
    for layer in convolutions:
        kernel, bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
        step = STEP if layer is not convolutions[-1] else 1.0
        scales = np.maximum(np.abs(kernel).max(axis=(0, 1)), 1e-12) / 127
        found.append(
            ContextLayer(
                np.rint(kernel / scales).astype(np.int8),
                (scales * scale / step).astype(np.float32),
                (bias / step).astype(np.float32),
                int(layer.dilation_rate[0]),
            )
        )
        scale = step
    return Context(tuple(found))


def dequantized(context: Context, embedding_scale: float) -> keras.Model:
    """Returns a context network in Keras, from its int8 weights.

    Args:
        context: A context network, as in a model folder.
        embedding_scale: Quantization scale of the INT8 student's embeddings.
    """
    *inner, last = context.layers
    model = build(last.weights.shape[1], [layer.dilation for layer in inner], context.inputs)
    scale = embedding_scale
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv1D)]
    for layer, known in zip(convolutions, context.layers, strict=True):
        step = 1.0 if known is last else STEP
        layer.set_weights([known.weights * (known.multiplier * step / scale), known.bias * step])
        scale = step
    return model


def with_embedding(student: keras.Model) -> keras.Model:
    """Returns the student with a second output: the embeddings for a context network."""
    outputs = [student.output, student.get_layer(HEAD).output]
    return keras.Model(student.input, outputs, name=STUDENT)


def over_time(student: keras.Model, context: keras.Model) -> keras.Model:
    """Joins a student and a context network, for a recording of any length.

    Args:
        student: A model from patches to logits.
        context: A model from embeddings to log-odds.

    Returns:
        A model from the patches of one recording, of shape (1, windows, frames, bands, 1), to log-odds of
        shape (1, windows) and logits of shape (1, windows, logits).
    """
    patches = keras.Input(batch_shape=(1, None, *student.input.shape[1:]), name="patches")
    logits, embeddings = with_embedding(student)(ops.reshape(patches, (-1, *student.input.shape[1:])))
    log_odds = context(ops.reshape(embeddings, (1, -1, embeddings.shape[-1])))
    logits = ops.reshape(logits, (1, -1, logits.shape[-1]))
    return keras.Model(patches, [log_odds, logits], name="detector")

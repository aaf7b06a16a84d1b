"""Limits on the content of TFLite files: the model of 0.1.0, changed part by part."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from model_parts import packed, unpacked

from yamnet_cry.audioset import NUM_CLASSES
from yamnet_cry.errors import ModelError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.check import check
from yamnet_cry.model.folder import TFLITE
from yamnet_cry.model.runtime import Student


@pytest.fixture(scope="module")
def model(release_0_1_0) -> bytes:
    return (release_0_1_0 / TFLITE).read_bytes()


def changed(model: bytes, change: Callable[[Any, Any], object]) -> bytes:
    """Applies a function to the model and its subgraph, and serializes the model again."""
    content = unpacked(model)
    change(content, content.subgraphs[0])
    return packed(content)


def test_the_released_model_passes_and_may_be_written_anew(model, released):
    check((released / TFLITE).read_bytes())
    check(model)
    again = changed(model, lambda model, graph: None)
    check(again)
    log_mel = np.random.default_rng(0).uniform(-6.9, 3, (192, 64)).astype(np.float32)
    found, expected = (Student(each, YAMNET, NUM_CLASSES).logits(log_mel) for each in (again, model))
    np.testing.assert_array_equal(found, expected)


def everywhere_at_full_size(model: Any, graph: Any) -> None:
    """A file of the same size with a hundred times the computation."""
    for operator in graph.operators:
        if hasattr(operator.builtinOptions, "strideH"):
            operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
    for tensor in graph.tensors:
        if len(tensor.shape) == 4 and model.buffers[tensor.buffer].data is None:
            tensor.shape = tensor.shapeSignature = np.array([1, 128, 96, tensor.shape[3]], np.int32)


def of_tensor(number: int, **fields: Any) -> Callable[[Any, Any], None]:
    return lambda model, graph: vars(graph.tensors[number]).update(fields)


def of_operator(number: int, **fields: Any) -> Callable[[Any, Any], None]:
    return lambda model, graph: vars(graph.operators[number]).update(fields)


def of_options(number: int, **fields: Any) -> Callable[[Any, Any], None]:
    return lambda model, graph: vars(graph.operators[number].builtinOptions).update(fields)


def of_quantization(number: int, **fields: Any) -> Callable[[Any, Any], None]:
    return lambda model, graph: vars(graph.tensors[number].quantization).update(fields)


def code(name: str) -> Callable[[Any, Any], None]:
    """Changes the first operator to another one."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    value = getattr(BuiltinOperator, name)

    def change(model: Any, graph: Any) -> None:
        model.operatorCodes[0].builtinCode = value
        model.operatorCodes[0].deprecatedBuiltinCode = min(value, 127)

    return change


def large_activations(model: Any, graph: Any) -> None:
    graph.tensors[27].shape = graph.tensors[27].shapeSignature = np.array([1, 2048, 2048, 4], np.int32)
    graph.tensors[28].shape = graph.tensors[28].shapeSignature = np.array([1, 2048, 2048, 4], np.int32)
    graph.tensors[29].shape = graph.tensors[29].shapeSignature = np.array([1, 2048, 2048, 4], np.int32)


INTS = lambda *values: np.array(values, np.int32)  # noqa: E731
FLOATS = lambda *values: np.array(values, np.float32)  # noqa: E731


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            everywhere_at_full_size,
            "is too slow. Expected: at most 300,000,000 .* Received: [3-9]..,...,...",
        ),
        (large_activations, "activations are too large. Expected: at most 33,554,432 bytes. Received: 5"),
        (code("CUSTOM"), "expected only the operators CONV_2D, DEPTHWISE_CONV_2D, .*Received: CUSTOM"),
        (code("WHILE"), "Received: WHILE"),
        (code("VAR_HANDLE"), "Received: VAR_HANDLE"),
        (code("TILE"), "Received: TILE"),
        (code("FULLY_CONNECTED"), "an operator FULLY_CONNECTED of the model has options that cannot"),
        (lambda model, graph: model.subgraphs.append(graph), "at most 1 subgraphs. Received: 2"),
        (lambda model, graph: model.subgraphs.clear(), "with one subgraph"),
        (lambda model, graph: vars(model).update(version=2), "schema version 3. Received: 2"),
        (
            lambda model, graph: graph.tensors.extend(graph.tensors * 30),
            "expected a model with at most 1024 tensors. Received: 1271",
        ),
        (
            lambda model, graph: vars(model.metadata[0]).update(name=b"OfflineMemoryAllocation"),
            "unexpected metadata: b'OfflineMemoryAllocation'",
        ),
        (lambda model, graph: vars(graph.tensors[3]).update(name=b"x" * 5000), "a name in it is too long"),
        (lambda model, graph: vars(model.buffers[4]).update(offset=1), "is outside the file's buffers"),
        (of_tensor(4, buffer=99), "not a readable TFLite file"),
        (of_tensor(4, type=0), "int8 and int32 tensors. Received: type 0 of 4"),
        (of_tensor(4, shape=INTS(521, 47)), "tensor 4 of the model has 9984 bytes and the shape"),
        (of_tensor(30, shape=INTS(1, -24, 16, 24)), "tensor 30 of the model has the shape"),
        (of_tensor(30, shape=INTS(1, 1, 24, 16, 24)), "tensor 30 of the model has the shape"),
        (
            of_tensor(30, shapeSignature=INTS(-1, 9, 16, 24)),
            "tensor 30 of the model has two different shapes",
        ),
        (of_tensor(30, isVariable=True), "tensor 30 of the model is variable, or stored in another file"),
        (of_tensor(30, quantization=None), "tensor 30 of the model is not quantised"),
        (of_quantization(30, scale=FLOATS(np.nan)), "a quantisation that cannot be used"),
        (of_quantization(30, scale=FLOATS(0)), "a quantisation that cannot be used"),
        (of_quantization(7, scale=FLOATS(*[0.1] * 207)), "a quantisation that cannot be used"),
        (of_quantization(7, zeroPoint=np.ones(208, np.int64)), "a quantisation that cannot be used"),
        (of_options(0, strideH=0), "an operator CONV_2D of the model has options that cannot be used"),
        (of_options(0, dilationHFactor=10**6), "an operator CONV_2D of the model has options"),
        (of_options(1, depthMultiplier=2), "an operator DEPTHWISE_CONV_2D of the model has"),
        (of_options(0, padding=9), "an operator CONV_2D of the model has padding"),
        (
            of_options(0, padding=1),
            r"CONV_2D of the model computes the shape \(1, 47, 31, 8\), but the file declares",
        ),
        (of_options(11, keepDims=True), r"MEAN of the model computes the shape \(1, 1, 1, 208\), but the"),
        (
            of_options(12, fusedActivationFunction=4),
            "an operator FULLY_CONNECTED of the model has activation",
        ),
        (of_operator(0, inputs=INTS(40, 26, 25)), "an operator CONV_2D of the model has inputs"),
        (of_operator(0, inputs=INTS(0, 26, 999)), "an operator CONV_2D of the model has inputs"),
        (of_operator(0, inputs=INTS(0, -1, 25)), "an operator CONV_2D of the model has inputs"),
        (of_operator(2, outputs=INTS(27)), "an operator CONV_2D of the model has outputs"),
        (of_operator(2, outputs=INTS(-1)), "an operator CONV_2D of the model has outputs"),
        (of_operator(0, opcodeIndex=77), "not a readable TFLite file"),
        (of_operator(0, customOptions=np.ones(3, np.uint8)), "an operator CONV_2D of the model has options"),
        (lambda model, graph: graph.operators.pop(), "output is not computed by any operator"),
    ],
)
def test_what_a_model_may_not_do(model, change, message):
    content = changed(model, change)
    with pytest.raises(ModelError, match=message) as raised:
        Student(content, YAMNET, NUM_CLASSES)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("cut", [0, 3, 8, 100, 50_000, 109_000])
def test_a_file_cut_short(model, cut):
    with pytest.raises(ModelError, match="not a readable TFLite file"):
        check(model[:cut])


def test_parts_that_overlap_are_not_read_for_ever(model):
    """A vector of as many tables as the file has room for, all of them the same."""
    from ai_edge_litert import schema_py_generated as schema

    content = bytearray(model)
    table = schema.Model.GetRootAs(content)._tab
    where = table.Vector(table.Offset(8)) - 4
    content[where : where + 4] = (2**31).to_bytes(4, "little")
    with pytest.raises(ModelError, match="at most 1 subgraphs. Received: 2147483648"):
        check(bytes(content))


def test_what_other_students_are_made_of_passes():
    """A residual student with pooling, squeeze and excitation, as a fine-tuned model may have."""
    import keras
    from keras import layers

    from yamnet_cry.distill.quantize import to_int8

    inputs = keras.Input((96, 64, 1))
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu6")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.Add()([x, layers.Conv2D(8, 1)(y)])
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.MaxPooling2D(2)(layers.Multiply()([x, gate]))
    x = layers.AveragePooling2D(2)(layers.Activation("hard_swish")(x))
    outputs = layers.Dense(12)(layers.GlobalAveragePooling2D()(x))
    patches = np.random.default_rng(0).uniform(-6.9, 3, (4, 96, 64, 1)).astype(np.float32)
    student = Student(to_int8(keras.Model(inputs, outputs), patches), YAMNET, 12)
    assert student.logits(patches[0, :, :, 0]).shape == (1, 12)

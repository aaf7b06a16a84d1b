"""Checks that a TFLite file is a small network of known operators, before the runtime loads it.

LiteRT does not validate files: a wrong offset crashes the process, and a file of 100 KB can require gigabytes
and minutes. So a model is read first with LiteRT's own schema in Python, where wrong offsets are exceptions.
Only the operators that students use are accepted, each with the shapes that follow from its inputs, so that
memory and time per window are known before anything is allocated.
"""

import math
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from yamnet_cry.errors import ModelError
from yamnet_cry.model import check_lstm
from yamnet_cry.model.check_lstm import LSTM

Shape = tuple[int, ...]

#: Upper limits for a model; YAMNet has 69 million multiply-accumulates and activations of 2 MB.
MAX_MULTIPLY_ACCUMULATES: Final = 300_000_000
MAX_ACTIVATION_BYTES: Final = 32 * 2**20
MAX_TENSORS: Final = 1024
#: Logits, and the embeddings for a context network.
MAX_OUTPUTS: Final = 2
_MAX_DIMENSIONS: Final = 4
_MAX_NAME: Final = 4096
# Scales of real models are between 1e-9 and 1e2. Far beyond, the kernels' fixed-point multipliers overflow.
_SCALES: Final = (1e-15, 1e6)
_INT8, _INT32 = 9, 2
_ITEM_BYTES = {_INT8: 1, _INT32: 4}
_SAME_PADDING, _VALID_PADDING = 0, 1
_FUSED_ACTIVATIONS = range(4)  # none, ReLU, ReLU between -1 and 1, ReLU6


def check(model: bytes) -> None:
    """Rejects a TFLite file that is damaged, too costly, or not a classifier.

    Args:
        model: The bytes of a ``.tflite`` file.

    Raises:
        ModelError: If it is not a network of int8 convolutions, dense layers, pooling, sums, products,
            LSTMs and activations within the limits above; the message says what was found.
    """
    # Imported here because it takes as long as loading the model.
    from ai_edge_litert import schema_py_generated as schema

    try:
        if model[4:8] != b"TFL3":
            raise ModelError("the model is not a readable TFLite file (no TFL3 identifier)")
        root = schema.Model.GetRootAs(model, 0)
        _check_counts(root, model)
        _Graph(schema, schema.ModelT.InitFromObj(root)).check()
    except ModelError:
        raise
    except (struct.error, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ModelError(f"the model is not a readable TFLite file ({error})") from None


def _check_counts(root: Any, model: bytes) -> None:
    """Limits the length of every list, so that reading a file with overlapping parts ends soon."""
    if root.Version() != 3:
        raise ModelError(f"expected a model of TFLite's schema version 3. Received: {root.Version()}")
    counts = [
        ("subgraphs", root.SubgraphsLength(), 1),
        ("operator codes", root.OperatorCodesLength(), MAX_TENSORS),
        ("buffers", root.BuffersLength(), 2 * MAX_TENSORS),
        ("metadata", root.MetadataLength(), 16),
        ("signatures", root.SignatureDefsLength(), 1),
    ]
    # Schemas before LiteRT 2.1 have no external buffers, and neither do their runtimes.
    for name in ("ExternalBuffersLength", "ExternalBufferGroupsLength"):
        counts.append(("external buffers", getattr(root, name, int)(), 0))
    _at_most(counts)
    texts = [root.Description(), *(root.OperatorCodes(n).CustomCode() for n in range(counts[1][1]))]
    texts += [root.Metadata(n).Name() for n in range(root.MetadataLength())]
    for number in range(root.SignatureDefsLength()):
        signature = root.SignatureDefs(number)
        inputs, outputs = signature.InputsLength(), signature.OutputsLength()
        _at_most([("inputs of a signature", inputs, 1), ("outputs of a signature", outputs, MAX_OUTPUTS)])
        names = [signature.Inputs(n) for n in range(inputs)] + [signature.Outputs(n) for n in range(outputs)]
        texts += [signature.SignatureKey(), *(each.Name() for each in names)]
    for number in range(root.SubgraphsLength()):
        graph = root.Subgraphs(number)
        tensors, operators = graph.TensorsLength(), graph.OperatorsLength()
        _at_most([("tensors", tensors, MAX_TENSORS), ("operators", operators, MAX_TENSORS)])
        texts.append(graph.Name())
        for index in range(tensors):
            tensor = graph.Tensors(index)
            texts.append(tensor.Name())
            if tensor.Sparsity() is not None or tensor.VariantTensorsLength():
                raise ModelError(f"tensor {index} of the model is sparse or of variable type")
            _check_text(texts.pop(), model)
    for text in texts:
        _check_text(text, model)


def _at_most(counts: list[tuple[str, int, int]]) -> None:
    for name, count, limit in counts:
        if count > limit:
            raise ModelError(f"expected a model with at most {limit} {name}. Received: {count}")


def _check_text(text: bytes | None, model: bytes) -> None:
    # A zero byte must follow every string; one that reaches the end of the file was truncated by Python.
    if text and (len(text) > _MAX_NAME or model.endswith(text)):
        raise ModelError("the model is not a readable TFLite file (a name in it is too long)")


class _Graph:
    """The only subgraph of a model, read with LiteRT's schema."""

    def __init__(self, schema: Any, model: Any) -> None:
        if len(model.subgraphs or ()) != 1:
            raise ModelError("expected a model with one subgraph. Received: none")
        self._model, self._graph = model, model.subgraphs[0]
        self._tensors = self._graph.tensors or []
        self._names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
        self._shape_of: dict[str, tuple[Any, Callable[[Any, Any], tuple[Shape, int]]]] = {
            "CONV_2D": (schema.Conv2DOptionsT, self._convolution),
            "DEPTHWISE_CONV_2D": (schema.DepthwiseConv2DOptionsT, self._depthwise),
            "FULLY_CONNECTED": (schema.FullyConnectedOptionsT, self._dense),
            "MEAN": (schema.ReducerOptionsT, self._mean),
            "AVERAGE_POOL_2D": (schema.Pool2DOptionsT, self._pool),
            "MAX_POOL_2D": (schema.Pool2DOptionsT, self._pool),
            "ADD": (schema.AddOptionsT, self._broadcast),
            "MUL": (schema.MulOptionsT, self._broadcast),
            "RESHAPE": ((schema.ReshapeOptionsT, type(None)), self._reshape),
            "RELU": (type(None), self._elementwise),
            "RELU6": (type(None), self._elementwise),
            "LOGISTIC": (type(None), self._elementwise),
            "HARD_SWISH": ((schema.HardSwishOptionsT, type(None)), self._elementwise),
            LSTM: (schema.UnidirectionalSequenceLSTMOptionsT, self._lstm),
        }
        self._of_lstm = check_lstm.tensors([each for each in self._operators if self._name(each) == LSTM])

    @property
    def _operators(self) -> list[Any]:
        return self._graph.operators or []

    def _name(self, operator: Any) -> str:
        codes = self._model.operatorCodes
        code = codes[_index(operator.opcodeIndex, len(codes))]
        value = max(code.builtinCode, code.deprecatedBuiltinCode)
        known = code.customCode is None
        return str(self._names.get(value, value)) if known else f"{value} (custom)"

    def check(self) -> None:
        for number in range(len(self._tensors)):
            self._check_tensor(number)
        self._check_metadata()
        activations = sum(
            math.prod(self._shape(n)) for n in range(len(self._tensors)) if self._constant(n) is None
        )
        if activations > MAX_ACTIVATION_BYTES:
            raise ModelError(
                f"the model's activations are too large. Expected: at most {MAX_ACTIVATION_BYTES:,} bytes. "
                f"Received: {activations:,}"
            )
        known = {int(number) for number in self._graph.inputs}
        work = 0
        for operator in self._operators:
            work += self._check_operator(operator, known)
            known.add(int(operator.outputs[0]))
        if work > MAX_MULTIPLY_ACCUMULATES:
            raise ModelError(
                f"the model is too slow. Expected: at most {MAX_MULTIPLY_ACCUMULATES:,} "
                f"multiply-accumulates per window. Received: {work:,}"
            )
        if not {int(number) for number in self._graph.outputs} <= known:
            raise ModelError("the model's output is not computed by any operator")

    def _check_tensor(self, number: int) -> None:
        tensor = self._tensors[number]
        if number in self._of_lstm:
            if (
                not check_lstm.is_usable(self._of_lstm[number], tensor, self._shape(number))
                or self._model.buffers[_index(tensor.buffer, len(self._model.buffers))].data is not None
                or bool(getattr(tensor, "externalBuffer", False))
            ):
                raise ModelError(f"tensor {number} of the model, of an LSTM, cannot be used")
            return
        shape, size = self._shape(number), _ITEM_BYTES.get(tensor.type)
        if size is None:
            raise ModelError(f"expected int8 and int32 tensors. Received: type {tensor.type} of {number}")
        if len(shape) > _MAX_DIMENSIONS or min(shape, default=1) < 1 or math.prod(shape) > 2**24:
            raise ModelError(f"tensor {number} of the model has the shape {shape}, which cannot be used")
        signature = tensor.shapeSignature
        if signature is not None and (
            len(signature) != len(shape)
            or any(one not in (-1, other) for one, other in zip(signature, shape, strict=True))
        ):
            raise ModelError(f"tensor {number} of the model has two different shapes")
        if tensor.isVariable or getattr(tensor, "externalBuffer", 0):
            raise ModelError(f"tensor {number} of the model is variable, or stored in another file")
        buffer = self._model.buffers[_index(tensor.buffer, len(self._model.buffers))]
        if buffer.offset or buffer.size:
            raise ModelError(f"tensor {number} of the model is outside the file's buffers")
        data = self._constant(number)
        if data is not None and len(data) != math.prod(shape) * size:
            raise ModelError(f"tensor {number} of the model has {len(data)} bytes and the shape {shape}")
        self._check_quantization(number)

    def _check_quantization(self, number: int) -> None:
        tensor, shape = self._tensors[number], self._shape(number)
        found = tensor.quantization
        if found is None or found.scale is None or len(found.scale) == 0:
            if tensor.type == _INT8:
                raise ModelError(f"tensor {number} of the model is not quantised")
            return
        dimension = found.quantizedDimension
        channels = shape[dimension] if 0 <= dimension < len(shape) else 1
        lowest, highest = _SCALES
        if (
            len(found.scale) not in (1, channels)
            or found.zeroPoint is None
            or len(found.zeroPoint) != len(found.scale)
            or not np.all((found.scale >= lowest) & (found.scale <= highest))
            or np.any((found.zeroPoint < -128) | (found.zeroPoint > 127))
            or (np.any(found.zeroPoint) and (tensor.type == _INT32 or len(found.scale) > 1))
            or found.details is not None
        ):
            raise ModelError(f"tensor {number} of the model has a quantisation that cannot be used")

    def _check_metadata(self) -> None:
        # TFLite-Micro would trust a memory plan in the metadata.
        for each in self._model.metadata or []:
            if each.name not in (b"min_runtime_version", b"CONVERSION_METADATA"):
                raise ModelError(f"the model has unexpected metadata: {each.name!r}")

    def _check_operator(self, operator: Any, known: set[int]) -> int:
        """Returns the number of its multiply-accumulates."""
        name = self._name(operator)
        if name not in self._shape_of:
            raise ModelError(f"expected only the operators {', '.join(self._shape_of)}. Received: {name}")
        options, shape_of = self._shape_of[name]
        given_options = operator.builtinOptions
        inputs = [] if operator.inputs is None else operator.inputs.tolist()
        outputs = [] if operator.outputs is None else operator.outputs.tolist()
        try:
            _require(isinstance(given_options, options), "options")
            _require(operator.customOptions is None and operator.mutatingVariableInputs is None, "options")
            _require(operator.builtinOptions2 is None, "options")
            _require(name == LSTM or operator.intermediates is None, "intermediates")
            activation = getattr(given_options, "fusedActivationFunction", 0)
            _require(name == LSTM or activation in _FUSED_ACTIVATIONS, "activation")
            _require(len(outputs) == 1 and 0 <= outputs[0] < len(self._tensors), "outputs")
            _require(outputs[0] not in known and self._constant(outputs[0]) is None, "outputs")
            _require(outputs[0] not in self._of_lstm, "outputs")
            for number in inputs:
                _require(-1 <= number < len(self._tensors), "inputs")
                given = number == -1 or number in known or self._constant(number) is not None
                _require(given or (name == LSTM and number in self._of_lstm), "inputs")
            _require(bool(inputs) and inputs[0] in known, "inputs")
            for number in (inputs[0], outputs[0]):
                _require(self._tensors[number].type == _INT8, "types")
                _require(len(self._tensors[number].quantization.scale) == 1, "quantisation")
            shape, work = shape_of(given_options, inputs)
        except _Unusable as error:
            raise ModelError(f"an operator {name} of the model has {error} that cannot be used") from None
        if shape != self._shape(outputs[0]):
            raise ModelError(
                f"an operator {name} of the model computes the shape {shape}, but the file declares "
                f"{self._shape(outputs[0])}"
            )
        return work

    def _shape(self, number: int) -> Shape:
        shape = self._tensors[number].shape
        return () if shape is None else tuple(shape.tolist())

    def _constant(self, number: int) -> Any:
        """Bytes of a constant; None for a computed tensor."""
        data = self._model.buffers[self._tensors[number].buffer].data
        return None if data is None or len(data) == 0 else data

    def _integers(self, number: int) -> list[int]:
        _require(number >= 0 and self._tensors[number].type == _INT32, "inputs")
        data = self._constant(number)
        _require(data is not None, "inputs")
        values: list[int] = np.frombuffer(data.tobytes(), "<i4").tolist()
        return values

    def _weights(self, inputs: list[int], channel_axis: int, dimensions: int) -> Shape:
        """Checks weights and bias; returns the shape of the weights."""
        _require(len(inputs) in (2, 3) and inputs[1] >= 0, "inputs")
        tensor, shape = self._tensors[inputs[1]], self._shape(inputs[1])
        _require(tensor.type == _INT8 and self._constant(inputs[1]) is not None, "weights")
        _require(len(shape) == dimensions, "weights")
        scales = len(tensor.quantization.scale)
        _require(not np.any(tensor.quantization.zeroPoint), "quantisation")
        _require(scales == 1 or tensor.quantization.quantizedDimension == channel_axis, "quantisation")
        if len(inputs) == 3 and inputs[2] >= 0:
            bias = self._tensors[inputs[2]]
            _require(bias.type == _INT32 and self._constant(inputs[2]) is not None, "bias")
            _require(self._shape(inputs[2]) == (shape[channel_axis],), "bias")
        return shape

    def _convolution(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        channels, *kernel, depth = self._weights(inputs, 0, 4)
        _require(self._shape(inputs[0])[3:] == (depth,), "inputs")
        shape = self._slid(options, inputs[0], kernel, channels)
        return shape, math.prod(shape) * math.prod(kernel) * depth

    def _depthwise(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        one, *kernel, channels = self._weights(inputs, 3, 4)
        _require(one == 1 and self._shape(inputs[0])[3:] == (channels // options.depthMultiplier,), "inputs")
        _require(channels % options.depthMultiplier == 0, "options")
        shape = self._slid(options, inputs[0], kernel, channels)
        return shape, math.prod(shape) * math.prod(kernel)

    def _pool(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        _require(len(inputs) == 1 and len(self._shape(inputs[0])) == 4, "inputs")
        kernel = [options.filterHeight, options.filterWidth]
        shape = self._slid(options, inputs[0], kernel, self._shape(inputs[0])[3])
        return shape, math.prod(shape) * math.prod(kernel)

    def _slid(self, options: Any, number: int, kernel: list[int], channels: int) -> Shape:
        """Returns the output shape of a window that slides over height and width."""
        _require(len(self._shape(number)) == 4, "inputs")
        _require(options.padding in (_SAME_PADDING, _VALID_PADDING), "padding")
        batch, *sides, _ = self._shape(number)
        strides = options.strideH, options.strideW
        dilations = getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1)
        found = []
        for side, length, stride, dilation in zip(sides, kernel, strides, dilations, strict=True):
            reach = (length - 1) * dilation + 1
            _require(1 <= stride <= side and dilation >= 1 and 1 <= reach <= 2 * side, "options")
            free = side if options.padding == _SAME_PADDING else side - reach + 1
            _require(free >= 1, "options")
            found.append(-(-free // stride))
        return (batch, *found, channels)

    def _dense(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        channels, depth = self._weights(inputs, 0, 2)
        shape = self._shape(inputs[0])
        _require(options.weightsFormat == 0 and shape[-1:] == (depth,), "inputs")
        rows = math.prod(shape) // depth
        result = (*shape[:-1], channels) if options.keepNumDims else (rows, channels)
        return result, rows * depth * channels

    def _mean(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        _require(len(inputs) == 2, "inputs")
        shape, axes = self._shape(inputs[0]), self._integers(inputs[1])
        _require(len(set(axes)) == len(axes) and all(0 <= axis < len(shape) for axis in axes), "axes")
        sides = [(1,) if options.keepDims else () for _ in shape]
        kept = [sides[axis] if axis in axes else (side,) for axis, side in enumerate(shape)]
        return sum(kept, ()), math.prod(shape)

    def _broadcast(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        _require(len(inputs) == 2 and inputs[1] >= 0, "inputs")
        _require(self._tensors[inputs[1]].type == _INT8, "types")
        _require(len(self._tensors[inputs[1]].quantization.scale) == 1, "quantisation")
        shape = np.broadcast_shapes(*(self._shape(number) for number in inputs))
        return shape, math.prod(shape)

    def _reshape(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        _require(len(inputs) == 2, "inputs")
        shape, wanted = self._shape(inputs[0]), self._integers(inputs[1])
        rest = math.prod(shape) // max(1, math.prod(side for side in wanted if side > 0))
        result = tuple(rest if side == -1 else side for side in wanted)
        _require(wanted.count(-1) <= 1 and math.prod(result) == math.prod(shape), "shape")
        return result, 0

    def _lstm(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        found = check_lstm.shape(
            options,
            inputs,
            self._tensors.__getitem__,
            self._shape,
            lambda number: self._constant(number) is not None,
        )
        if found is None:
            raise _Unusable("inputs or options")
        return found

    def _elementwise(self, options: Any, inputs: list[int]) -> tuple[Shape, int]:
        _require(len(inputs) == 1, "inputs")
        return self._shape(inputs[0]), math.prod(self._shape(inputs[0]))


class _Unusable(Exception):
    """An operator has a part that cannot be used; the text names it."""


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise _Unusable(what)


def _index(value: int, count: int) -> int:
    """Checks an index: Python counts negative indices from the end; the runtime does not."""
    if not 0 <= value < count:
        raise IndexError(f"index {value} of {count}")
    return value

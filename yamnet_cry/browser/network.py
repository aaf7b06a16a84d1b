"""An INT8 student as JSON for the page in the browser: a list of layers, in the order of computation.

The page computes like XNNPACK, on which the detector runs: integer sums, scaled by one float32 per channel
and rounded to the nearest step. Between layers it stores steps minus their zero point, so that padding is
zero and a layer does not depend on the zero points of others.
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.errors import ExportError
from yamnet_cry.model.check import check
from yamnet_cry.model.context import Context

Layer = dict[str, Any]

_LOWEST, _HIGHEST = -128, 127
_SAME_PADDING = 0
_NO_ACTIVATION, _RELU, _RELU6 = 0, 1, 3


def layers(model: bytes, width: int) -> list[Layer]:
    """Converts the layers of a student up to one of its outputs.

    Args:
        model: The bytes of a ``.tflite`` file.
        width: Width of that output: of the embeddings for a context network, or of the logits.

    Returns:
        Data for JSON, one dictionary per layer: its ``kind`` (``convolution``, ``depthwise`` or ``mean``),
        the shapes of its ``input`` and ``output`` (height, width, channels), the ``lowest`` and ``highest``
        step of its output minus the zero point, and ``multiplier``; for the first two kinds also ``kernel``,
        ``stride``, ``padding`` (rows above, columns to the left), ``weights`` and ``bias``. Arrays are in
        base64.

    Raises:
        ModelError: If `model.check.check` rejects the file.
        ExportError: If it has operators or options that the page does not support.
    """
    check(model)
    return _Network(model).layers(width)


def context_layers(context: Context) -> list[Layer]:
    """Returns a context network as data for JSON, one dictionary per layer; arrays are in base64.

    Weights are in the order output, tap (window), input.
    """
    return [
        {
            "taps": layer.weights.shape[0],
            "inputs": layer.weights.shape[1],
            "outputs": layer.weights.shape[2],
            "dilation": layer.dilation,
            "weights": _text(layer.weights.transpose(2, 0, 1), "int8"),
            "multiplier": _text(layer.multiplier, "float32"),
            "bias": _text(layer.bias, "float32"),
        }
        for layer in context.layers
    ]


class _Network:
    def __init__(self, model: bytes) -> None:
        # Imported here because it takes as long as loading the model.
        from ai_edge_litert import schema_py_generated as schema

        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
        (self._graph,) = self._model.subgraphs
        self._names = {value: name for name, value in vars(schema.BuiltinOperator).items()}

    def layers(self, width: int) -> list[Layer]:
        makers = {
            "CONV_2D": self._convolution,
            "DEPTHWISE_CONV_2D": self._depthwise,
            "FULLY_CONNECTED": self._dense,
            "MEAN": self._mean,
        }
        found: list[Layer] = []
        last = int(self._graph.inputs[0])
        wanted = next(int(number) for number in self._graph.outputs if self._shape(number)[-1] == width)
        for operator in self._graph.operators:
            code = self._model.operatorCodes[operator.opcodeIndex]
            name = self._names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if name not in makers:
                raise ExportError(
                    f"the page in the browser supports {', '.join(makers)}. This model has {name}; "
                    "serve it with `yamnet-cry space`"
                )
            if int(operator.inputs[0]) != last:
                raise ExportError("the page in the browser supports only networks without branches")
            found.append(makers[name](operator))
            last = int(operator.outputs[0])
            if last == wanted:
                return found
        raise ExportError("no operator of the model computes its output")

    def _convolution(self, operator: Any) -> Layer:
        return self._slid("convolution", operator, channel_axis=0)

    def _depthwise(self, operator: Any) -> Layer:
        if operator.builtinOptions.depthMultiplier != 1:
            raise ExportError("the page in the browser supports only depthwise convolutions of multiplier 1")
        return self._slid("depthwise", operator, channel_axis=3)

    def _slid(self, kind: str, operator: Any, channel_axis: int) -> Layer:
        options, weights = operator.builtinOptions, self._shape(operator.inputs[1])
        before, after = self._shape(operator.inputs[0])[1:], self._shape(operator.outputs[0])[1:]
        kernel, stride = weights[1:3], [options.strideH, options.strideW]
        if (options.dilationHFactor, options.dilationWFactor) != (1, 1):
            raise ExportError("the page in the browser supports only convolutions without dilation")
        padding = [0, 0]
        if options.padding == _SAME_PADDING:
            sides = zip(before, after, kernel, stride, strict=False)
            padding = [max(0, (new - 1) * step + size - old) // 2 for old, new, size, step in sides]
        return {
            "kind": kind,
            "input": before,
            "output": after,
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            **self._weighed(operator, weights[channel_axis]),
        }

    def _dense(self, operator: Any) -> Layer:
        outputs, inputs = self._shape(operator.inputs[1])
        return {
            "kind": "convolution",
            "input": [1, 1, inputs],
            "output": [1, 1, outputs],
            "kernel": [1, 1],
            "stride": [1, 1],
            "padding": [0, 0],
            **self._weighed(operator, outputs),
        }

    def _mean(self, operator: Any) -> Layer:
        before = self._shape(operator.inputs[0])[1:]
        axes = self._data(operator.inputs[1], "<i4").tolist()
        if sorted(axes) != [1, 2]:
            raise ExportError("the page in the browser supports only means over time and frequency")
        size = np.float32(before[0] * before[1])
        scale = self._scale(operator.inputs[0]) / (self._scale(operator.outputs[0]) * size)
        return {
            "kind": "mean",
            "input": before,
            "output": [1, 1, before[2]],
            **self._range(operator.outputs[0], _NO_ACTIVATION),
            "multiplier": _text(scale, "float32"),
        }

    def _weighed(self, operator: Any, channels: int) -> Layer:
        """Returns the fields that convolutions and dense layers have in common."""
        weights = self._data(operator.inputs[1], "int8")
        has_bias = len(operator.inputs) > 2 and operator.inputs[2] >= 0
        bias = self._data(operator.inputs[2], "<i4") if has_bias else np.zeros(channels, "<i4")
        # In float32 and in this order, as XNNPACK computes it.
        scale = self._scale(operator.inputs[0]) * self._scale(operator.inputs[1])
        multiplier = np.broadcast_to(scale / self._scale(operator.outputs[0]), (channels,))
        return {
            **self._range(operator.outputs[0], operator.builtinOptions.fusedActivationFunction),
            "weights": _text(weights, "int8"),
            "bias": _text(bias, "<i4"),
            "multiplier": _text(multiplier, "float32"),
        }

    def _range(self, number: int, activation: int) -> Layer:
        if activation not in (_NO_ACTIVATION, _RELU, _RELU6):
            raise ExportError("the page in the browser supports only ReLU and ReLU6")
        zero = int(self._graph.tensors[number].quantization.zeroPoint[0])
        lowest, highest = _LOWEST - zero, _HIGHEST - zero
        if activation != _NO_ACTIVATION:
            lowest = max(lowest, 0)
        if activation == _RELU6:
            highest = min(highest, int(np.rint(np.float32(6) / self._scale(number)[0])))
        return {"lowest": lowest, "highest": highest}

    def _scale(self, number: int) -> NDArray[np.float32]:
        return np.asarray(self._graph.tensors[number].quantization.scale, np.float32)

    def _shape(self, number: int) -> list[int]:
        return [int(side) for side in self._graph.tensors[number].shape]

    def _data(self, number: int, dtype: str) -> NDArray[Any]:
        data = self._model.buffers[self._graph.tensors[number].buffer].data
        return np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype)


def _text(array: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(
        np.ascontiguousarray(array).astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    ).decode()

"""Checks LSTMs in a TFLite file, for `check`: they have kinds of tensors that no other operator has."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

Shape = tuple[int, ...]

#: The operator; accepted only in the form that processes a window from start to end.
LSTM: Final = "UNIDIRECTIONAL_SEQUENCE_LSTM"

_FLOAT32, _INT16, _INT8, _INT32 = 0, 7, 9, 2
_TANH = 4
# Indices of its inputs: input and recurrent weights of four gates, their biases, and the state. All other
# inputs are for variants: peepholes, projections, layer normalisation.
_INPUTS = 24
_WEIGHTS, _RECURRENT, _BIASES = range(1, 5), range(5, 9), range(12, 16)
_OUTPUT_STATE, _CELL_STATE = 18, 19
_ABSENT = (*range(9, 12), 16, 17, *range(20, 24))
# Of the tensors for intermediate values, only the last is used.
_INTERMEDIATES = 5

#: Kinds of tensors that only an LSTM may have: their type, and whether they are kept from step to step.
_KINDS = {
    "output state": (_INT8, True),
    "cell state": (_INT16, True),
    "unused": (_FLOAT32, False),
    "intermediate": (_INT8, False),
}


def tensors(operators: Sequence[Any]) -> dict[int, str]:
    """Returns the kinds of tensors that only an LSTM may have, by number.

    Args:
        operators: The LSTM operators of the file.

    Raises:
        ValueError: If a tensor is used twice.
    """
    found: list[tuple[int, str]] = []
    for operator in operators:
        found += [
            (int(operator.inputs[_OUTPUT_STATE]), "output state"),
            (int(operator.inputs[_CELL_STATE]), "cell state"),
        ]
        *unused, inner = operator.intermediates.tolist()
        found += [(number, "unused") for number in unused] + [(inner, "intermediate")]
    if len(dict(found)) != len(found):
        raise ValueError("an LSTM's tensors are used twice")
    return dict(found)


def is_usable(kind: str, tensor: Any, shape: Shape) -> bool:
    """Returns whether a tensor of one of these kinds is valid; `shape` checks the shapes of kept tensors."""
    expected, kept = _KINDS[kind]
    quantized = tensor.quantization
    return (
        tensor.type == expected
        and bool(tensor.isVariable) == kept
        and (len(shape) == 2 if kept else shape == (0,))
        and (
            kind == "unused"
            or (
                quantized is not None
                and quantized.details is None
                and len(quantized.scale) == len(quantized.zeroPoint) == 1
                and 1e-15 <= quantized.scale[0] <= 1e6
                and -128 <= quantized.zeroPoint[0] <= 127
            )
        )
    )


def shape(
    options: Any,
    inputs: Sequence[int],
    tensor_of: Callable[[int], Any],
    shape_of: Callable[[int], Shape],
    is_constant: Callable[[int], bool],
) -> tuple[Shape, int] | None:
    """Returns the output shape of an LSTM and its multiply-accumulates; None if it is invalid.

    Args:
        options: Options of the operator.
        inputs: Numbers of its input tensors.
        tensor_of: Returns the tensor with a number.
        shape_of: Returns the shape of a tensor, by number.
        is_constant: Returns whether the content of a tensor is in the file, by number.
    """
    if (
        len(inputs) != _INPUTS
        or any(inputs[place] != -1 for place in _ABSENT)
        or options.fusedActivationFunction != _TANH
        or options.timeMajor
        or options.projClip
        or options.asymmetricQuantizeInputs
        or options.diagonalRecurrentTensors
    ):
        return None
    given = shape_of(inputs[0])
    if len(given) != 3 or given[0] != 1:
        return None
    _, steps, width = given
    units = shape_of(inputs[_CELL_STATE])[1]

    def weights(places: Sequence[int], expected: Shape, kind: int) -> bool:
        return all(
            inputs[place] >= 0
            and is_constant(inputs[place])
            and shape_of(inputs[place]) == expected
            and tensor_of(inputs[place]).type == kind
            and len(tensor_of(inputs[place]).quantization.scale) == 1
            and not np.any(tensor_of(inputs[place]).quantization.zeroPoint)
            for place in places
        )

    fits = (
        weights(_WEIGHTS, (units, width), _INT8)
        and weights(_RECURRENT, (units, units), _INT8)
        and weights(_BIASES, (units,), _INT32)
        and shape_of(inputs[_OUTPUT_STATE]) == shape_of(inputs[_CELL_STATE]) == (1, units)
        and _is_power_of_two(float(tensor_of(inputs[_CELL_STATE]).quantization.scale[0]))
    )
    return ((1, steps, units), 4 * steps * units * (width + units)) if fits else None


def _is_power_of_two(value: float) -> bool:
    return math.frexp(value)[0] == 0.5

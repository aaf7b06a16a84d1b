"""What of a TFLite file's LSTM must hold, for `check`: it has tensors of kinds that nothing else has."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

Shape = tuple[int, ...]

#: The operator, of which only the form is let through that hears a window from its beginning.
LSTM: Final = "UNIDIRECTIONAL_SEQUENCE_LSTM"

_FLOAT32, _INT16, _INT8, _INT32 = 0, 7, 9, 2
_TANH = 4
# Places among its inputs: four gates' weights of the input, and of what it said before; their biases; what it
# keeps. All others are of variants: peepholes, projections, normalised layers.
_INPUTS = 24
_WEIGHTS, _RECURRENT, _BIASES = range(1, 5), range(5, 9), range(12, 16)
_OUTPUT_STATE, _CELL_STATE = 18, 19
_ABSENT = (*range(9, 12), 16, 17, *range(20, 24))
# Of what is noted of its inner values, only the last is read.
_INTERMEDIATES = 5

#: What a tensor is that only an LSTM may have: its type, and whether it is kept from step to step.
_KINDS = {
    "what it said": (_INT8, True),
    "its cells": (_INT16, True),
    "unused": (_FLOAT32, False),
    "inner values": (_INT8, False),
}


def tensors(operators: Sequence[Any]) -> dict[int, str]:
    """Says which tensors are of a kind that only an LSTM may have, and of which.

    Args:
        operators: Those of the file that are LSTMs.

    Raises:
        ValueError: If one stands in two places.
    """
    found: list[tuple[int, str]] = []
    for operator in operators:
        found += [
            (int(operator.inputs[_OUTPUT_STATE]), "what it said"),
            (int(operator.inputs[_CELL_STATE]), "its cells"),
        ]
        *unused, inner = operator.intermediates.tolist()
        found += [(number, "unused") for number in unused] + [(inner, "inner values")]
    if len(dict(found)) != len(found):
        raise ValueError("an LSTM's tensors are used twice")
    return dict(found)


def is_usable(kind: str, tensor: Any, shape: Shape) -> bool:
    """Tells whether a tensor of one of these kinds is as it must be; shapes of what is kept come later."""
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
    """Returns the shape of what an LSTM gives and its multiply-accumulates; None if it is not as it must be.

    Args:
        options: Of the operator.
        inputs: Numbers of tensors.
        tensor_of: Looks one up.
        shape_of: Gives its shape.
        is_constant: Tells whether its content is in the file.
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

"""The operators and memory that a model needs in TFLite-Micro, measured if it is installed."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from yamnet_cry.errors import ExportError

#: Size in kilobytes of the largest arena that is tried.
LARGEST_ARENA = 8192
_SPECIAL = {"CONV_2D": "Conv2D", "DEPTHWISE_CONV_2D": "DepthwiseConv2D"}


# Kilobytes for TFLite-Micro's other data and scratch buffers of optimised kernels: twice the measured size.
_BESIDES = 32


@dataclass(frozen=True)
class Arena:
    """Memory for the tensors of a model.

    Attributes:
        kilobytes: Its size.
        measured: Whether it was measured with TFLite-Micro; if not, the size is a default with a margin.
    """

    kilobytes: int
    measured: bool

    @property
    def origin(self) -> str:
        """A sentence that says how the size was determined."""
        if self.measured:
            return "Measured with the reference kernels of TFLite-Micro, to the kilobyte."
        return "Arena not measured, because TFLite-Micro was not installed: a default with a margin."


def installed() -> bool:
    """Returns whether TFLite-Micro is installed; it has wheels only for Linux on x86-64."""
    try:
        from tflite_micro.python.tflite_micro import runtime  # noqa: F401
    except ImportError:
        return False
    return True


def reference(model: bytes) -> Interpreter:
    """Returns LiteRT with its reference kernels, which differ from TFLite-Micro's by at most one step."""
    with _quiet():
        interpreter = Interpreter(
            model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        interpreter.allocate_tensors()
    return interpreter


def arena(model: bytes) -> Arena:
    """Measures the tensor arena with TFLite-Micro; without it, returns a default that is large enough.

    Args:
        model: The bytes of a ``.tflite`` file.

    Raises:
        ExportError: If TFLite-Micro is installed and cannot run the model.
    """
    if installed():
        return Arena(arena_kilobytes(model), measured=True)
    return Arena(_default_kilobytes(model), measured=False)


def _default_kilobytes(model: bytes) -> int:
    """Returns twice the largest total size of one operator's tensors, plus room for other data."""
    interpreter = reference(model)
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    each = [(set(map(int, op["inputs"])), set(map(int, op["outputs"]))) for op in _operations(interpreter)]
    computed = {tensor["index"] for tensor in interpreter.get_input_details()}.union(*(o for _, o in each))

    def size(number: int) -> int:
        return int(np.prod(details[number]["shape"])) * np.dtype(details[number]["dtype"]).itemsize

    largest = max(sum(map(size, (given | made) & computed)) for given, made in each)
    return 2 * -(-largest // 1024) + _BESIDES


def _operations(interpreter: Interpreter) -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = interpreter._get_ops_details()
    return operations


def operators(model: bytes) -> list[str]:
    """Returns the methods of ``MicroMutableOpResolver`` that register what a model needs, without ``Add``.

    Args:
        model: The bytes of a ``.tflite`` file.
    """
    with _quiet():
        interpreter = Interpreter(model_content=model)
    names = {each["op_name"] for each in _operations(interpreter)} - {"DELEGATE"}
    return [_SPECIAL.get(name, name.title().replace("_", "")) for name in sorted(names)]


def arena_kilobytes(model: bytes) -> int:
    """Finds the smallest tensor arena, in whole kilobytes, with which TFLite-Micro runs a model.

    Args:
        model: The bytes of a ``.tflite`` file.

    Raises:
        ExportError: If TFLite-Micro is not installed, or cannot run the model in eight megabytes.
    """
    if not runs(model, LARGEST_ARENA):
        raise ExportError(f"TFLite-Micro cannot run the model in an arena of {LARGEST_ARENA} KB")
    low, high = 0, LARGEST_ARENA
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if runs(model, middle) else (middle, high)
    return high


def runs(model: bytes, kilobytes: int) -> bool:
    """Returns whether TFLite-Micro runs a model in a tensor arena of a given size.

    Args:
        model: The bytes of a ``.tflite`` file.
        kilobytes: Size of the arena, at least 1.

    Raises:
        ExportError: If TFLite-Micro is not installed.
    """
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        raise ExportError(
            "the arena is measured with TFLite-Micro (on Linux x86-64 only), "
            "which the base install leaves out: "
            'pip install "yamnet-cry[firmware]"'
        ) from None
    with _quiet():
        try:
            interpreter = runtime.Interpreter.from_bytes(model, arena_size=1024 * kilobytes)
        except RuntimeError:
            return False
        interpreter.set_input(np.zeros(interpreter.get_input_details(0)["shape"], np.int8), 0)
        interpreter.invoke()
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences file descriptor 2, to which TFLite-Micro writes an error for each arena that is too small."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

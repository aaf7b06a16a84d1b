"""What a model needs of TFLite-Micro: operators, and memory measured with the real interpreter."""

import contextlib
import os
from collections.abc import Iterator

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from yamnet_cry.errors import ExportError

_LARGEST_ARENA = 8192
_SPECIAL = {"CONV_2D": "Conv2D", "DEPTHWISE_CONV_2D": "DepthwiseConv2D"}


def operators(model: bytes) -> list[str]:
    """Returns the methods of ``MicroMutableOpResolver`` that register what a model needs, without ``Add``.

    Args:
        model: The bytes of a ``.tflite`` file.
    """
    with _quiet():
        interpreter = Interpreter(model_content=model)
    names = {each["op_name"] for each in interpreter._get_ops_details()} - {"DELEGATE"}
    return [_SPECIAL.get(name, name.title().replace("_", "")) for name in sorted(names)]


def arena_kilobytes(model: bytes) -> int:
    """Finds the smallest tensor arena, in whole kilobytes, with which TFLite-Micro runs a model.

    Args:
        model: The bytes of a ``.tflite`` file.

    Raises:
        ExportError: If TFLite-Micro is not installed, or cannot run it in eight megabytes.
    """
    if not _runs(model, _LARGEST_ARENA):
        raise ExportError(f"TFLite-Micro cannot run the model in an arena of {_LARGEST_ARENA} KB")
    low, high = 0, _LARGEST_ARENA
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _runs(model, middle) else (middle, high)
    return high


def _runs(model: bytes, kilobytes: int) -> bool:
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
    """TFLite-Micro prints each arena that is too small straight to file descriptor 2."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

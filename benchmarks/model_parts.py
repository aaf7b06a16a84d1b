"""Unpacks, mutates and packs TFLite files, for tests and `fuzz.py`."""

from typing import Any

import flatbuffers
import numpy as np

ABSURD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 2**62)


def unpacked(model: bytes) -> Any:
    """Reads a TFLite file into objects that can be changed."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(model)


def packed(model: Any) -> bytes:
    """Packs objects of `unpacked` into a TFLite file."""
    builder = flatbuffers.Builder(200_000)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def mutated_model(data: bytes, generator: np.random.Generator) -> bytes:
    """Changes one to three parts of a TFLite file; the result is a well-formed flatbuffer."""
    while True:
        model = unpacked(data)
        for _ in range(generator.integers(1, 4)):
            _change_part(model, generator)
        try:
            return packed(model)
        except Exception:  # the values do not fit the format; the writer may raise anything
            continue


def _change_part(part: Any, generator: np.random.Generator) -> None:
    while True:
        name = str(generator.choice(list(vars(part))))
        value = getattr(part, name)
        if isinstance(value, list) and value and hasattr(value[0], "__dict__"):
            if generator.random() < 0.1:
                other = value[int(generator.integers(len(value)))]
                value.insert(int(generator.integers(len(value))), other)
                if generator.random() < 0.5:
                    del value[int(generator.integers(len(value)))]
                return
            part = value[int(generator.integers(len(value)))]
        elif hasattr(value, "__dict__"):
            part = value
        else:
            if value is not None or generator.random() < 0.5:
                setattr(part, name, _absurd(value, generator))
            return


def _absurd(value: Any, generator: np.random.Generator) -> Any:
    number = int(generator.choice(ABSURD)) * (1 if generator.random() < 0.7 else -1)
    if isinstance(value, np.ndarray):
        changed = np.resize(value, max(0, len(value) + int(generator.integers(-1, 2)))).astype(value.dtype)
        if len(changed):
            with np.errstate(all="ignore"):
                floats = np.array([0.0, -1.0, np.nan, np.inf, 1e-14, 1e5, 1e-38])
                chosen = generator.choice(floats) if changed.dtype.kind == "f" else np.array(number)
                changed[int(generator.integers(len(changed)))] = chosen.astype(changed.dtype)
        return changed
    if isinstance(value, bool):
        return not value
    if isinstance(value, bytes):
        return generator.bytes(int(generator.choice([0, 3, 5_000])))
    return number

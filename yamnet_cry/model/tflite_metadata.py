"""Writes TFLite metadata, which describes the input of a model and its labels, into the file.

MediaPipe and TensorFlow's Task Library read it. The layout is that of ``metadata_schema.fbs`` (TFLite
Support); only the few tables for audio are written here. The labels are in a ZIP archive appended to the
model.
"""

import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np

_BUFFER, _FILE, _SCHEMA = "TFLITE_METADATA", b"M001", "1.3.0"  # where AudioProperties came
_LABELS = "labels.txt"
# Numbers in the schema: of kinds of content and files, and of fields in their tables.
_AUDIO_PROPERTIES, _TENSOR_AXIS_LABELS = 4, 2
_TFLITE = b"TFL3"


def described(model: bytes, *, name: str, version: str, sample_rate: int, labels: Sequence[str]) -> bytes:
    """Adds metadata to a TFLite file that classifies samples.

    Args:
        model: The bytes of a ``.tflite`` file with one input and one output.
        name: Name of the model.
        version: Version of the model.
        sample_rate: Sample rate of its input of one channel, in hertz.
        labels: The label of each value of its output.

    Returns:
        The bytes of the new file.
    """
    from ai_edge_litert import schema_py_generated as schema

    root = schema.ModelT.InitFromPackedBuf(model)
    text = _metadata(name, version, sample_rate)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text, np.uint8)
    entry.name, entry.buffer = _BUFFER, len(root.buffers)
    root.buffers.append(buffer)
    root.metadata = [*(root.metadata or []), entry]
    return with_files(packed(root), {_LABELS: "".join(f"{label}\n" for label in labels)})


def packed(root: Any) -> bytes:
    """Returns the bytes of a model that was unpacked with LiteRT's schema."""
    builder = _Aligned(2**16)
    builder.Finish(root.Pack(builder), file_identifier=_TFLITE)
    return bytes(builder.Output())


def with_files(model: bytes, files: dict[str, str]) -> bytes:
    """Appends associated files to a model: a ZIP archive that runtimes ignore."""
    content = io.BytesIO(model)
    with zipfile.ZipFile(content, "a") as archive:
        for name, text in files.items():
            # Without a date, so that the same model gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name), text)
    return content.getvalue()


class _Aligned(flatbuffers.Builder):
    """Aligns every list as TFLite's schema requires for weights; Python's generated code does not."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, max(alignment, 16))


def _metadata(name: str, version: str, sample_rate: int) -> bytes:
    builder = flatbuffers.Builder(1024)
    text, offset = builder.CreateString, builder.PrependUOffsetTRelativeSlot

    def table(fields: dict[int, tuple[Callable[..., Any], Any]], size: int) -> int:
        builder.StartObject(size)
        for number, (put, value) in fields.items():
            put(number, value, 0)
        return int(builder.EndObject())

    def offsets(values: list[int]) -> int:
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            builder.PrependUOffsetTRelative(value)
        return int(builder.EndVector())

    audio = table(
        {0: (builder.PrependUint32Slot, sample_rate), 1: (builder.PrependUint32Slot, 1)},
        2,
    )
    content = table({0: (builder.PrependUint8Slot, _AUDIO_PROPERTIES), 1: (offset, audio)}, 3)
    file_name = text(_LABELS)
    labels = table({0: (offset, file_name), 2: (builder.PrependInt8Slot, _TENSOR_AXIS_LABELS)}, 5)
    taken, said = text("samples"), text("probabilities")
    taken_text = text(f"Samples of one channel at {sample_rate} Hz, in [-1, 1].")
    said_text = text("The probability of each label, in [0, 1].")
    files = offsets([labels])
    inputs = offsets([table({0: (offset, taken), 1: (offset, taken_text), 3: (offset, content)}, 7)])
    outputs = offsets([table({0: (offset, said), 1: (offset, said_text), 6: (offset, files)}, 7)])
    graphs = offsets([table({2: (offset, inputs), 3: (offset, outputs)}, 10)])
    words = {0: text(name), 2: text(version), 7: text(_SCHEMA)}
    model = table({3: (offset, graphs), **{number: (offset, word) for number, word in words.items()}}, 8)
    builder.Finish(model, file_identifier=_FILE)
    return bytes(builder.Output())

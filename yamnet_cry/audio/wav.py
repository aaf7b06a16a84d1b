"""Reads WAV and raw samples from a pipe of unknown length."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.errors import AudioError

#: First bytes of WAV, and of its two variants for files beyond 4 GiB, which differ only in chunks that are
#: skipped.
MAGIC = (b"RIFF", b"RF64", b"BW64")

#: Number of bytes needed to recognise WAV.
HEAD_BYTES = 12

# A tenth of a second: short enough for a smooth level meter, long enough for low overhead.
_BLOCKS_PER_SECOND = 10

# Longest accepted header: ffmpeg writes a hundred bytes, others a few kilobytes of tags.
_MAX_HEADER = 1_000_000

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE

#: Sample formats of raw audio, by their names in ffmpeg.
ENCODINGS: dict[str, np.dtype[Any]] = {
    "u8": np.dtype("u1"),
    "s16le": np.dtype("<i2"),
    "s24le": np.dtype("V3"),
    "s32le": np.dtype("<i4"),
    "f32le": np.dtype("<f4"),
    "f64le": np.dtype("<f8"),
}


@dataclass(frozen=True)
class Format:
    """The format of raw samples.

    Attributes:
        sample_rate: In hertz.
        channels: Number of interleaved channels.
        encoding: One of `ENCODINGS`.
    """

    sample_rate: int = 16_000
    channels: int = 1
    encoding: str = "s16le"


def header(stream: BinaryIO, head: bytes, name: str) -> Format:
    """Reads a header up to the samples. Total sizes are ignored: a program cannot know them for a pipe.

    Args:
        stream: A stream positioned after `head`.
        head: The first `HEAD_BYTES` bytes, which begin with one of `MAGIC`.
        name: Name of the stream in messages.

    Raises:
        AudioError: If the header cannot be read, or the encoding is not PCM.
    """
    if head[8:] != b"WAVE":
        raise AudioError(
            f"{name} begins like WAV but is not; it may be AVI or damaged. Use `ffmpeg … -f wav -`"
        )
    found: Format | None = None
    length = 12
    while True:
        chunk_head = read(stream, 8)
        if len(chunk_head) < 8:
            raise AudioError(f"{name} ends within its WAV header")
        kind, size = struct.unpack("<4sI", chunk_head)
        if kind == b"data":
            break
        length += size
        if length > _MAX_HEADER:
            raise AudioError(
                f"{name} has a WAV header that declares {length:,} bytes; use `ffmpeg … -f wav -`"
            )
        chunk = read(stream, size + size % 2)
        if kind == b"fmt ":
            found = _parsed(chunk, name)
    if found is None:
        raise AudioError(f"{name} is WAV without a format chunk; use `ffmpeg … -f wav -`")
    return found


def _parsed(chunk: bytes, name: str) -> Format:
    if len(chunk) < 16:
        raise AudioError(f"{name} ends within its WAV header")
    kind, channels, sample_rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = struct.unpack("<H", chunk[24:26])[0]
    names = {
        (_PCM, 8): "u8",
        (_PCM, 16): "s16le",
        (_PCM, 24): "s24le",
        (_PCM, 32): "s32le",
        (_FLOAT, 32): "f32le",
        (_FLOAT, 64): "f64le",
    }
    if (kind, bits) not in names or channels == 0:
        raise AudioError(
            f"{name} is WAV of format {kind} with {bits} bits and {channels} channels; PCM can be read, "
            "use `ffmpeg … -f wav -`"
        )
    return Format(sample_rate, channels, names[kind, bits])


def blocks(
    stream: BinaryIO, form: Format, head: bytes = b"", *, frames: int | None = None
) -> Iterator[NDArray[Any]]:
    """Yields samples to the end of a stream.

    Args:
        stream: A stream positioned at the first sample, or after ``head``.
        form: Format of the samples.
        head: The first bytes of the samples, already read from the stream.
        frames: Length of a block. Without it, a block is what is available, at most a tenth of a second:
            waiting for full blocks would delay slow pipes.

    Yields:
        Arrays of shape (frames, channels), none empty.
    """
    dtype = ENCODINGS[form.encoding]
    frame = dtype.itemsize * form.channels
    size = frame * (frames or max(1, form.sample_rate // _BLOCKS_PER_SECOND))
    as_it_comes = frames is None and hasattr(stream, "read1")
    pending = head
    while True:
        whole = len(pending) - len(pending) % frame
        if whole:
            yield _samples(pending[:whole], dtype).reshape(-1, form.channels)
            pending = pending[whole:]
        more = stream.read1(size) if as_it_comes else stream.read(size)  # type: ignore[attr-defined]
        if not more:
            return
        pending += more


def _samples(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind != "V":
        return np.frombuffer(data, dtype)
    # The three bytes become the upper three of four, which preserves the sign.
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return wide.view("<i4")[:, 0]


def read(stream: BinaryIO, count: int) -> bytes:
    """Reads the given number of bytes, or fewer at the end; a single read of a pipe may return fewer."""
    parts = b""
    while len(parts) < count and (more := stream.read(count - len(parts))):
        parts += more
    return parts

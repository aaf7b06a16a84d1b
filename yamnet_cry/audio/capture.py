"""Audio as it comes: from a pipe, or from a microphone."""

import queue
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.audio import encoded
from yamnet_cry.errors import AudioError, InputEnded

# A tenth of a second: short enough for a lively meter, long enough to cost nothing.
_BLOCKS_PER_SECOND = 10

# What a header may be long: ffmpeg writes a hundred bytes, others a few kilobytes of tags.
_MAX_HEADER = 1_000_000

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE

# WAV, and the two kinds of it for files beyond 4 GiB, whose header differs in chunks that are skipped.
_WAV = (b"RIFF", b"RF64", b"BW64")

# A microphone that brings nothing for so long has been unplugged; a busy machine is only late.
_GONE_SECONDS = 5.0

# A machine that is too slow loses sound many times a second, and says so once a minute.
_WARN_BLOCKS = 60 * _BLOCKS_PER_SECOND

#: Sample formats of raw audio, by the names that ffmpeg has for them.
ENCODINGS: dict[str, np.dtype[Any]] = {
    "u8": np.dtype("u1"),
    "s16le": np.dtype("<i2"),
    "s24le": np.dtype("V3"),
    "s32le": np.dtype("<i4"),
    "f32le": np.dtype("<f4"),
    "f64le": np.dtype("<f8"),
}


#: Blocks as `CryDetector.stream` takes them, and their sample rate in hertz.
Blocks = tuple[Iterator[NDArray[Any]], int]


@dataclass(frozen=True)
class Format:
    """How raw samples are to be read.

    Attributes:
        sample_rate: In hertz.
        channels: Interleaved.
        encoding: One of `ENCODINGS`.
    """

    sample_rate: int = 16_000
    channels: int = 1
    encoding: str = "s16le"


def pipe(stream: BinaryIO, raw: Format, *, surely_raw: bool = False) -> Blocks:
    """Reads WAV or raw samples from a pipe, as they come.

    Args:
        stream: An open binary pipe or file; what starts like WAV is taken as WAV.
        raw: How to read anything else.
        surely_raw: Whether to take anything else for raw samples even if it looks like encoded audio.

    Returns:
        Blocks as `CryDetector.stream` takes them, and their sample rate.

    Raises:
        AudioError: If a WAV header cannot be read, or names an encoding that is no PCM, or if the pipe
            holds encoded audio, such as MP3.
    """
    head = _read(stream, 12)
    if head.startswith(_WAV):
        found = _wav_format(stream, head)
        return _blocks(stream, found, b""), found.sample_rate
    if not surely_raw:
        head += _read(stream, encoded.HEAD_BYTES - len(head))
        name = encoded.name_of(head)
        if name is not None:
            raise AudioError(
                f"stdin is {name}, which must be decoded first: "
                "`ffmpeg -i INPUT -f wav - | yamnet-cry listen -`, with - as INPUT for a pipe. "
                "If these are raw samples, say so with --format"
            )
    return _blocks(stream, raw, head), raw.sample_rate


def _wav_format(stream: BinaryIO, head: bytes) -> Format:
    """Reads a header up to the samples. Sizes are not believed: who writes to a pipe cannot know them."""
    if head[8:] != b"WAVE":
        raise AudioError(
            "stdin begins like WAV but is not; it may be AVI or damaged. Use `ffmpeg … -f wav -`"
        )
    found: Format | None = None
    length = 12
    while True:
        header = _read(stream, 8)
        if len(header) < 8:
            raise AudioError("stdin ends within its WAV header")
        name, size = struct.unpack("<4sI", header)
        if name == b"data":
            break
        length += size
        if length > _MAX_HEADER:
            raise AudioError(
                f"stdin has a WAV header that announces {length:,} bytes; use `ffmpeg … -f wav -`"
            )
        chunk = _read(stream, size + size % 2)
        if name == b"fmt ":
            found = _parsed(chunk)
    if found is None:
        raise AudioError("stdin is WAV without a format chunk; use `ffmpeg … -f wav -`")
    return found


def _parsed(chunk: bytes) -> Format:
    if len(chunk) < 16:
        raise AudioError("stdin ends within its WAV header")
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
            f"stdin is WAV of format {kind} with {bits} bits and {channels} channels; PCM can be read, "
            "use `ffmpeg … -f wav -`"
        )
    return Format(sample_rate, channels, names[kind, bits])


def _blocks(stream: BinaryIO, form: Format, head: bytes) -> Iterator[NDArray[Any]]:
    dtype = ENCODINGS[form.encoding]
    frame = dtype.itemsize * form.channels
    size = frame * max(1, form.sample_rate // _BLOCKS_PER_SECOND)
    pending = head
    while True:
        whole = len(pending) - len(pending) % frame
        if whole:
            yield _samples(pending[:whole], dtype).reshape(-1, form.channels)
            pending = pending[whole:]
        # Takes what is there already: waiting for whole blocks would delay slow pipes.
        more = stream.read1(size) if hasattr(stream, "read1") else stream.read(size)
        if not more:
            return
        pending += more


def _samples(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind != "V":
        return np.frombuffer(data, dtype)
    # Three bytes become the upper three of four, which keeps the sign.
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return wide.view("<i4")[:, 0]


def _read(stream: BinaryIO, count: int) -> bytes:
    """Reads as many bytes, or fewer at the end; a pipe gives them in parts."""
    parts = b""
    while len(parts) < count and (more := stream.read(count - len(parts))):
        parts += more
    return parts


def microphone(device: str | None, warn: Callable[[str], object]) -> Blocks:
    """Opens a microphone at its own sample rate, until the iterator is closed.

    Args:
        device: Part of its name, or its number; None for the system's default.
        warn: Called with a sentence when sound was lost, at most once a minute.

    Returns:
        Blocks as `CryDetector.stream` takes them, and their sample rate. The iterator raises `InputEnded`
        if the microphone is unplugged, or the machine falls ten seconds behind.

    Raises:
        AudioError: If there is no such microphone, or sounddevice is not installed.
    """
    try:
        import sounddevice
    except ImportError:
        raise AudioError('listening to a microphone needs: pip install "yamnet-cry[listen]"') from None
    except OSError as error:
        raise AudioError(f"listening to a microphone needs the PortAudio library ({error})") from None
    chosen: str | int | None = int(device) if device is not None and device.isdigit() else device
    try:
        info = sounddevice.query_devices(chosen, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        raise AudioError(
            f"no microphone {device if device is not None else 'was found'} ({error}); "
            "`python -m sounddevice` lists them"
        ) from None
    sample_rate = int(info["default_samplerate"])
    return _recorded(sounddevice, chosen, sample_rate, warn), sample_rate


def _recorded(
    sounddevice: Any, device: str | int | None, sample_rate: int, warn: Callable[[str], object]
) -> Iterator[NDArray[np.float32]]:
    waiting: queue.Queue[tuple[NDArray[np.float32], bool]] = queue.Queue(10 * _BLOCKS_PER_SECOND)
    behind = threading.Event()

    def take(samples: NDArray[np.float32], _frames: int, _time: Any, status: Any) -> None:
        try:
            waiting.put_nowait((samples.copy(), bool(status.input_overflow)))
        except queue.Full:
            behind.set()

    size = sample_rate // _BLOCKS_PER_SECOND
    overflows, since_warning = 0, _WARN_BLOCKS
    try:
        with sounddevice.InputStream(
            samplerate=sample_rate, blocksize=size, device=device, channels=1, dtype="float32", callback=take
        ):
            while not behind.is_set():
                try:
                    samples, overflowed = waiting.get(timeout=_GONE_SECONDS)
                except queue.Empty:
                    raise InputEnded("the microphone is gone") from None
                overflows += overflowed
                since_warning += 1
                if overflows and since_warning >= _WARN_BLOCKS:
                    times = "once" if overflows == 1 else f"{overflows} times"
                    warn(f"sound of the microphone was lost {times}: this machine is too busy")
                    overflows = since_warning = 0
                yield samples
        raise InputEnded("this machine is too slow to listen: ten seconds of sound were waiting")
    except sounddevice.PortAudioError as error:
        raise AudioError(f"the microphone cannot be used ({error})") from None

"""Live audio from a pipe or a microphone."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.audio import encoded, wav
from yamnet_cry.audio.wav import ENCODINGS as ENCODINGS
from yamnet_cry.audio.wav import Format as Format
from yamnet_cry.errors import AudioError, InputEnded

# A tenth of a second: short enough for a smooth level meter, long enough for low overhead.
_BLOCKS_PER_SECOND = 10

#: A microphone without samples for this long has been unplugged; a busy machine is late by less.
GONE_SECONDS = 5.0

#: Least number of blocks between warnings, one minute: a slow machine may lose samples many times a second.
WARN_BLOCKS = 60 * _BLOCKS_PER_SECOND

#: Blocks as `CryDetector.stream` takes them, and their sample rate in hertz.
Blocks = tuple[Iterator[NDArray[Any]], int]


def pipe(stream: BinaryIO, raw: Format, *, surely_raw: bool = False) -> Blocks:
    """Reads WAV or raw samples from a pipe as they arrive.

    Args:
        stream: An open binary pipe or file; read as WAV if it starts with a WAV header.
        raw: Format of anything else.
        surely_raw: Whether to read anything else as raw samples even if it looks like encoded audio.

    Returns:
        Blocks as `CryDetector.stream` takes them, and their sample rate.

    Raises:
        AudioError: If a WAV header cannot be read, its encoding is not PCM, or the pipe has encoded audio,
            such as MP3.
    """
    head = wav.read(stream, wav.HEAD_BYTES)
    if head.startswith(wav.MAGIC):
        found = wav.header(stream, head, "stdin")
        return wav.blocks(stream, found), found.sample_rate
    if not surely_raw:
        head += wav.read(stream, encoded.HEAD_BYTES - len(head))
        name = encoded.name_of(head)
        if name is not None:
            raise AudioError(
                f"stdin is {name}; decode it first: "
                "`ffmpeg -i INPUT -f wav - | yamnet-cry listen -`, with - as INPUT for a pipe. "
                "If these are raw samples, set --format"
            )
    return wav.blocks(stream, raw, head), raw.sample_rate


def microphone(device: str | None, warn: Callable[[str], object]) -> Blocks:
    """Records from a microphone at its default sample rate until the iterator is closed.

    Args:
        device: Part of its name, or its number; None for the system's default.
        warn: Called with a message when samples were lost, at most once a minute.

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
            f"{'no microphone found' if device is None else f'no such microphone: {device}'} ({error}); "
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
    overflows, since_warning = 0, WARN_BLOCKS
    try:
        with sounddevice.InputStream(
            samplerate=sample_rate, blocksize=size, device=device, channels=1, dtype="float32", callback=take
        ):
            while not behind.is_set():
                try:
                    samples, overflowed = waiting.get(timeout=GONE_SECONDS)
                except queue.Empty:
                    raise InputEnded("the microphone was disconnected") from None
                overflows += overflowed
                since_warning += 1
                if overflows and since_warning >= WARN_BLOCKS:
                    times = "once" if overflows == 1 else f"{overflows} times"
                    warn(f"microphone samples were lost {times}: this machine is too busy")
                    overflows = since_warning = 0
                yield samples
        raise InputEnded("this machine is too slow: ten seconds of audio are waiting to be processed")
    except sounddevice.PortAudioError as error:
        raise AudioError(f"the microphone cannot be used ({error})") from None

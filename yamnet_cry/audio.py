"""Any file or array becomes blocks of mono float32 samples at 16 kHz, in bounded memory."""

import os
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike, NDArray

from yamnet_cry.errors import AudioError
from yamnet_cry.features import SAMPLE_RATE, Float32

#: A path, an open binary file, or ``(waveform, sample_rate)``.
AudioSource = str | os.PathLike[str] | BinaryIO | tuple[ArrayLike, int]

#: What libsndfile decodes, by the ends of file names, where folders are searched.
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
)

# A header may claim any rate and any number of channels; what it claims is never allocated.
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000
MAX_CHANNELS = 64
_BLOCK_VALUES = 2**19

# Float files may overshoot full scale by a little; +24 dB is no overshoot but integers in float clothing.
_MAX_PEAK = 16.0

# Recorders that write to a pipe leave the largest number there is as the length of a WAV file.
_STREAMED_LENGTH = 0x7FFF_0000


def describe(source: AudioSource) -> str:
    """Returns the name under which messages speak of an audio source.

    Example:
        >>> describe("night.wav"), describe((np.zeros(8), 16_000))
        ('night.wav', 'waveform')
    """
    if isinstance(source, tuple):
        return "waveform"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "audio"))


def blocks(source: AudioSource) -> Iterator[Float32]:
    """Decodes audio block by block.

    Channels are averaged, other sample rates are converted by soxr in high quality.

    Args:
        source: A path or binary file object holding WAV, FLAC, OGG, MP3 or whatever else
            libsndfile decodes; or ``(waveform, sample_rate)`` with a waveform of shape (samples,)
            or (samples, channels), floats in [-1, 1] or integers of any width.

    Yields:
        float32 arrays of shape (samples,) at 16 kHz, none of them empty.

    Raises:
        AudioError: If the source is missing, empty, cut short, no audio, or holds NaN or Inf.

    Example:
        >>> sum(len(block) for block in blocks((np.zeros(48_000, np.int16), 48_000)))
        16000
    """
    name = describe(source)
    if isinstance(source, tuple):
        raw, sample_rate = _array_blocks(name, *source)
    elif isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        raw, sample_rate = _file_blocks(name, source)
    else:
        raise AudioError(
            "audio is a path, a binary file object or (waveform, sample_rate). "
            f"Received: {type(source).__name__}"
        )
    yield from _usable(raw, name, sample_rate)


class LiveAudio:
    """Brings audio that arrives in parts, such as a microphone's, into the form of `blocks`.

    Args:
        sample_rate: In hertz.

    Raises:
        AudioError: If the sample rate cannot be used.

    Example:
        >>> live = LiveAudio(8_000)
        >>> parts = [live.push(np.zeros(8_000, np.float32)), live.finish()]
        >>> sum(len(block) for part in parts for block in part)
        16000
    """

    def __init__(self, sample_rate: int) -> None:
        _check_sample_rate("stream", sample_rate)
        self._sample_rate = sample_rate
        self._conditioner = _Conditioner("stream", sample_rate)

    def push(self, part: ArrayLike) -> list[Float32]:
        """Takes the continuation of the part before, an array as in `blocks`.

        Returns:
            What is known for sure by now: float32 arrays of shape (samples,) at 16 kHz, none empty.

        Raises:
            AudioError: If the samples cannot be used, as in `blocks`.
        """
        raw, _ = _array_blocks("stream", part, self._sample_rate)
        return [block for each in raw for block in self._conditioner.push(each)]

    def finish(self) -> list[Float32]:
        """Ends the audio; returns what the sample rate conversion still held.

        Raises:
            AudioError: If there were no samples at all.
        """
        return self._conditioner.finish()


def _usable(raw: Iterator[Float32], name: str, sample_rate: int) -> Iterator[Float32]:
    conditioner = _Conditioner(name, sample_rate)
    for block in raw:
        yield from conditioner.push(block)
    yield from conditioner.finish()


def read(source: AudioSource) -> Float32:
    """Decodes audio as a whole; arguments and errors are those of `blocks`.

    Returns:
        float32 samples at 16 kHz, of shape (samples,).

    Example:
        >>> read((np.zeros((44_100, 2)), 44_100)).shape
        (16000,)
    """
    return np.concatenate(list(blocks(source)))


def _array_blocks(name: str, waveform: ArrayLike, sample_rate: int) -> tuple[Iterator[Float32], int]:
    array = np.asarray(waveform)
    _check_sample_rate(name, sample_rate)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise AudioError(
            f"{name}: expected floats or integers of shape (samples,) or (samples, channels). "
            f"Received: {array.dtype} of shape {array.shape}"
        )
    if array.ndim == 2:
        if array.shape[1] > MAX_CHANNELS or array.shape[1] == 0:
            raise AudioError(
                f"{name}: expected shape (samples, channels) with 1 to {MAX_CHANNELS} channels. "
                f"Received: {array.shape}; if it is (channels, samples), pass waveform.T"
            )
    else:
        array = array[:, None]
    step = max(1, _BLOCK_VALUES // array.shape[1])
    parts = (array[start : start + step] for start in range(0, len(array), step))
    return (_to_mono(_to_float(part)) for part in parts), int(sample_rate)


def _to_float(array: NDArray[Any]) -> Float32:
    """Scales integers to [-1, 1); floats stay as they are."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    info = np.iinfo(array.dtype)
    middle = (info.max + info.min + 1) // 2
    return ((array.astype(np.float64) - middle) / (info.max - middle + 1)).astype(np.float32)


def _to_mono(array: Float32) -> Float32:
    if array.shape[1] == 1:
        return array[:, 0]
    # What overflows here is refused with its position in `_Conditioner`.
    with np.errstate(over="ignore", invalid="ignore"):
        return array.mean(axis=1, dtype=np.float32)


def _file_blocks(name: str, source: str | os.PathLike[str] | BinaryIO) -> tuple[Iterator[Float32], int]:
    sound = _open(name, source)
    try:
        _check_sample_rate(name, sound.samplerate)
        if not 1 <= sound.channels <= MAX_CHANNELS:
            raise AudioError(f"{name}: expected 1 to {MAX_CHANNELS} channels. Received: {sound.channels}")
    except AudioError:
        sound.close()
        raise
    return _decoded(name, sound), sound.samplerate


def _open(name: str, source: str | os.PathLike[str] | BinaryIO) -> soundfile.SoundFile:
    file: str | BinaryIO
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            raise AudioError(f"{name} is a folder; name the audio files in it")
        try:
            with path.open("rb") as begun:
                _check_length(name, begun)
        except FileNotFoundError:
            raise AudioError(f"{name}: no such file") from None
        except OSError as error:
            raise AudioError(f"{name} cannot be opened: {error.strerror}") from None
        file = os.fspath(path)
    else:
        if isinstance(source.read(0), str):
            raise AudioError(f"{name} is open as text; open it in binary mode, open(path, 'rb')")
        opened = source if source.seekable() else BytesIO(source.read())
        _check_length(name, opened)
        file = cast(BinaryIO, _PatientFile(opened))
    try:
        return soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError) as error:
        reason = getattr(error, "error_string", str(error))
        raise AudioError(
            f"{name} is not audio that can be decoded ({reason.rstrip('.')}); "
            "WAV, FLAC, OGG and MP3 can, other formats after `ffmpeg -i FILE out.wav`"
        ) from None


class _PatientFile:
    """A file that stays where it is when damaged headers send it before its beginning.

    libsndfile notices by itself; an exception in its callback would be printed, with a traceback.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self._file.tell()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _check_length(name: str, file: BinaryIO) -> None:
    """Refuses empty files, and WAV files shorter than announced: libsndfile reads both without a word."""
    start = file.tell()
    head = file.read(12)
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if size == 0:
        raise AudioError(f"{name} is empty (0 bytes)")
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        claimed = struct.unpack("<I", head[4:8])[0] + 8
        # Padding bytes are often miscounted; a real cut takes more than that.
        if size + 64 < claimed < _STREAMED_LENGTH:
            raise AudioError(
                f"{name} is cut short: its header announces {claimed:,} bytes, it has {size:,}. "
                "Copy it again, or keep what is there with `ffmpeg -i FILE out.wav`"
            )


def _decoded(name: str, sound: soundfile.SoundFile) -> Iterator[Float32]:
    decoded = 0
    with sound:
        frames = max(1, _BLOCK_VALUES // sound.channels)
        while True:
            try:
                block = sound.read(frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioError(
                    f"{name} cannot be decoded after {decoded / sound.samplerate:.2f} s "
                    f"({error.error_string.rstrip('.')})"
                ) from None
            if len(block) == 0:
                break
            decoded += len(block)
            yield _to_mono(block)
        if decoded < sound.frames and sound.seekable() and sound.frames < 2**62:
            raise AudioError(
                f"{name} is cut short: its header announces {sound.frames / sound.samplerate:.2f} s, "
                f"{decoded / sound.samplerate:.2f} s could be decoded"
            )


def _check_sample_rate(name: str, sample_rate: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise AudioError(
            f"{name}: expected a sample rate of {MIN_SAMPLE_RATE:,} to {MAX_SAMPLE_RATE:,} Hz. "
            f"Received: {sample_rate:,}"
        )


class _Conditioner:
    """Rejects NaN, Inf and clipping, and resamples to 16 kHz."""

    def __init__(self, name: str, sample_rate: int) -> None:
        self._name, self._sample_rate = name, sample_rate
        self._heard = 0
        self._empty = True
        self._resampler = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")

    def push(self, block: Float32) -> list[Float32]:
        if len(block) == 0:
            return []
        self._check(block)
        self._heard += len(block)
        return self._resampled(block)

    def finish(self) -> list[Float32]:
        rest = self._resampled(np.empty(0, np.float32), last=True)
        if self._empty:
            raise AudioError(f"{self._name} holds no samples")
        return rest

    def _check(self, block: Float32) -> None:
        peak = max(float(block.max()), -float(block.min()))
        if not peak <= _MAX_PEAK:
            index = int(np.argmax(~(np.abs(block) <= _MAX_PEAK)))
            value, where = block[index], (self._heard + index) / self._sample_rate
            hint = "; divide integers kept as floats by their full scale" if np.isfinite(value) else ""
            raise AudioError(
                f"{self._name}: expected finite samples in [-1, 1]. "
                f"Received: {value:g} at {where:.3f} s{hint}"
            )

    def _resampled(self, block: Float32, last: bool = False) -> list[Float32]:
        if self._resampler is not None:
            block = self._resampler.resample_chunk(block, last=last)
        if len(block) == 0:
            return []
        self._empty = False
        return [block]

"""Converts any file or array to blocks of mono float32 samples at 16 kHz, in bounded memory."""

import os
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, BinaryIO

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from yamnet_cry.audio import ffmpeg
from yamnet_cry.audio.decode import opened
from yamnet_cry.errors import AudioError
from yamnet_cry.frontend import YAMNET, Float32

#: A path, an open binary file, or ``(waveform, sample_rate)``.
AudioSource = str | os.PathLike[str] | BinaryIO | tuple[ArrayLike, int]

#: Suffixes of files that libsndfile decodes, for searching folders.
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
)

#: Suffixes of common audio and video files that only ffmpeg decodes.
NEED_FFMPEG = frozenset(
    {".3g2", ".3gp", ".3gpp", ".aac", ".ac3", ".amr", ".ape", ".avi", ".awb", ".flv", ".m2ts", ".m4a", ".m4b"}
    | {".m4v", ".mka", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".spx", ".weba", ".webm", ".wma"}
    | {".wmv", ".wv"}
)

# Bounds for what a header may claim; memory is never allocated from unchecked headers.
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000
MAX_CHANNELS = 64
#: Number of values, over all channels, that are read and resampled at a time.
BLOCK_VALUES = 2**19

# Float files may exceed full scale slightly; above +24 dB, they are integers stored as floats.
_MAX_PEAK = 16.0


def describe(source: AudioSource) -> str:
    """Returns the name of an audio source for messages.

    Examples:
        >>> describe("night.wav"), describe((np.zeros(8), 16_000))
        ('night.wav', 'waveform')
    """
    if isinstance(source, tuple):
        return "waveform"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "audio"))


def suffixes() -> frozenset[str]:
    """Returns the file suffixes to search for in folders: more if ffmpeg is installed.

    Examples:
        >>> ".flac" in suffixes()
        True
    """
    return SUFFIXES | NEED_FFMPEG if ffmpeg.program() is not None else SUFFIXES


def blocks(source: AudioSource, *, on_cut: Callable[[str], object] | None = None) -> Iterator[Float32]:
    """Decodes audio block by block.

    Channels are averaged; other sample rates are converted by soxr in high quality.

    Args:
        source: A path or binary file object with WAV, FLAC, OGG, MP3 or any other format that libsndfile
            decodes or, if ffmpeg is installed, any other audio or video format; also a pipe, except for MP4
            with its index at the end. Or ``(waveform, sample_rate)`` with a waveform of shape (samples,) or
            (samples, channels), floats in [-1, 1] or integers at full scale of their type.
        on_cut: Called with a message if a file is truncated, for example by a power cut; the audio up to
            there is then decoded. Without it, such a file is an error.

    Yields:
        float32 arrays of shape (samples,) at 16 kHz, none of them empty.

    Raises:
        AudioError: If the source is missing, empty, truncated or not audio, or contains NaN or Inf.

    Examples:
        >>> sum(len(block) for block in blocks((np.zeros(48_000, np.int16), 48_000)))
        16000
    """
    name = describe(source)
    if isinstance(source, tuple) and len(source) == 2:
        yield from _usable(*_array_blocks(name, *source), name)
    elif isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        with opened(name, source, on_cut) as sound:
            _check_sample_rate(name, sound.sample_rate)
            if not 1 <= sound.channels <= MAX_CHANNELS:
                raise AudioError(f"{name}: expected 1 to {MAX_CHANNELS} channels. Received: {sound.channels}")
            raw = map(_to_mono, sound.blocks(max(1, BLOCK_VALUES // sound.channels)))
            yield from _usable(raw, sound.sample_rate, name)
    else:
        raise AudioError(
            "audio is a path, a binary file object or (waveform, sample_rate). "
            f"Received: {type(source).__name__}" + (f" of {len(source)}" if isinstance(source, tuple) else "")
        )


class LiveAudio:
    """Converts audio that arrives in parts, such as that of a microphone, to blocks as in `blocks`.

    Args:
        sample_rate: In hertz.

    Raises:
        AudioError: If the sample rate cannot be used.

    Examples:
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
        """Adds the next part, an array as in `blocks`.

        Returns:
            The samples available so far: float32 arrays of shape (samples,) at 16 kHz, none empty.

        Raises:
            AudioError: If the samples cannot be used, as in `blocks`.
        """
        raw, _ = _array_blocks("stream", part, self._sample_rate, whole=False)
        return [block for each in raw for block in self._conditioner.push(each)]

    def finish(self) -> list[Float32]:
        """Ends the audio; returns the samples left in the resampler.

        Raises:
            AudioError: If there were no samples.
        """
        return self._conditioner.finish()


def _usable(raw: Iterator[Float32], sample_rate: int, name: str) -> Iterator[Float32]:
    conditioner = _Conditioner(name, sample_rate)
    for block in raw:
        yield from conditioner.push(block)
    yield from conditioner.finish()


def read(source: AudioSource) -> Float32:
    """Decodes audio into one array; arguments and errors are those of `blocks`.

    Returns:
        float32 samples at 16 kHz, of shape (samples,).

    Examples:
        >>> read((np.zeros((44_100, 2)), 44_100)).shape
        (16000,)
    """
    return np.concatenate(list(blocks(source)))


def _array_blocks(
    name: str, waveform: ArrayLike, sample_rate: int, *, whole: bool = True
) -> tuple[Iterator[Float32], int]:
    try:
        array = np.asarray(waveform)
    except ValueError as error:
        raise AudioError(f"{name}: expected samples of shape (samples,) ({error})") from None
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
    # A part of a stream may be this quiet; but no microphone returns 64-bit integers.
    if whole or array.dtype.itemsize == 8:
        _check_full_scale(name, array)
    step = max(1, BLOCK_VALUES // array.shape[1])
    parts = (array[start : start + step] for start in range(0, len(array), step))
    return (_to_mono(_to_float(part)) for part in parts), int(sample_rate)


def _check_full_scale(name: str, array: NDArray[Any]) -> None:
    """Rejects 16-bit values in wider integers: they would be silence, at -90 dB or less."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 4 or array.size == 0:
        return
    largest = max(int(array.max()), -int(array.min()))
    if 0 < largest < 2 ** (4 * array.dtype.itemsize):
        raise AudioError(
            f"{name}: expected {array.dtype} at full scale, up to {np.iinfo(array.dtype).max:,}. "
            f"Received: at most {largest:,}; 16-bit values are np.int16: waveform.astype(np.int16)"
        )


def _to_float(array: NDArray[Any]) -> Float32:
    """Scales integers to [-1, 1); floats are not scaled."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    info = np.iinfo(array.dtype)
    middle = (info.max + info.min + 1) // 2
    return ((array.astype(np.float64) - middle) / (info.max - middle + 1)).astype(np.float32)


def _to_mono(array: Float32) -> Float32:
    if array.shape[1] == 1:
        return array[:, 0]
    # `_Conditioner` rejects values that overflow here, with their position.
    with np.errstate(over="ignore", invalid="ignore"):
        return array.mean(axis=1, dtype=np.float32)


def _check_sample_rate(name: str, sample_rate: int) -> None:
    if not isinstance(sample_rate, Real):
        raise AudioError(f"{name}: expected a sample rate in hertz. Received: {sample_rate!r}")
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
        if sample_rate != YAMNET.sample_rate:
            self._resampler = soxr.ResampleStream(
                sample_rate, YAMNET.sample_rate, 1, dtype="float32", quality="HQ"
            )

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

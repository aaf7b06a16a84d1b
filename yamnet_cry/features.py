"""YAMNet's front end in numpy: the single place where a log-mel spectrogram is made.

Training, evaluation, the detector and every export call the functions of this module, so that a
student always sees the input it was trained on. The definition is that of ``params.py`` and
``features.py`` in tensorflow/models (research/audioset/yamnet), with which it agrees to 1e-4:

* frames of 25 ms every 10 ms, under a periodic Hann window of 400 samples, zero-padded *at the
  end* to 512 samples (libraries that centre the window in the FFT frame differ by up to 5 in
  log-mel);
* magnitude, not power;
* 64 mel bands from 125 to 7500 Hz;
* ``log(mel + 0.001)``;
* patches of 96 frames (0.96 s), one every 48 frames (0.48 s).
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)

SAMPLE_RATE = 16_000
FRAME_LENGTH = 400
FRAME_HOP = 160
FFT_LENGTH = 512
MEL_BANDS = 64
MEL_MIN_HZ = 125.0
MEL_MAX_HZ = 7500.0
LOG_OFFSET = 0.001
PATCH_FRAMES = 96
PATCH_HOP = 48

#: Samples under one patch: 96 hops, and the 240 samples by which the last frame outlasts its hop.
PATCH_SAMPLES = PATCH_FRAMES * FRAME_HOP + FRAME_LENGTH - FRAME_HOP
PATCH_HOP_SAMPLES = PATCH_HOP * FRAME_HOP
PATCH_SECONDS = PATCH_FRAMES * FRAME_HOP / SAMPLE_RATE
PATCH_HOP_SECONDS = PATCH_HOP_SAMPLES / SAMPLE_RATE

# A patch's worth of frames keeps all arrays of one step (0.5 MB) inside a core's own cache.
_FRAMES_PER_STEP = PATCH_FRAMES


def front_end() -> dict[str, float | int | str]:
    """Returns the definition of this front end, as a model folder's ``config.json`` records it.

    Example:
        >>> front_end()["mel_bands"]
        64
    """
    return {
        "name": "yamnet",
        "sample_rate": SAMPLE_RATE,
        "frame_length": FRAME_LENGTH,
        "frame_hop": FRAME_HOP,
        "fft_length": FFT_LENGTH,
        "window": "hann_periodic",
        "mel_bands": MEL_BANDS,
        "mel_min_hz": MEL_MIN_HZ,
        "mel_max_hz": MEL_MAX_HZ,
        "log_offset": LOG_OFFSET,
        "patch_frames": PATCH_FRAMES,
        "patch_hop": PATCH_HOP,
    }


def hertz_to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the HTK mel scale, with the constants of tf.signal (mel_ops.py): 1127 ln(1 + f / 700).

    Example:
        >>> hertz_to_mel(np.array([0.0, 700.0])).round(1).tolist()
        [0.0, 781.2]
    """
    return 1127.0 * np.log1p(hertz / 700.0)


@cache
def mel_matrix() -> Float32:
    """Returns the weights that turn FFT magnitudes into mel bands.

    The triangles are straight on the mel axis, not in hertz, as in
    ``tf.signal.linear_to_mel_weight_matrix``; the DC bin has no weight.

    Returns:
        float32 array of shape (257, 64), read-only, values in [0, 1].

    Example:
        >>> mel_matrix().shape
        (257, 64)
    """
    bins = hertz_to_mel(np.linspace(0.0, SAMPLE_RATE / 2, FFT_LENGTH // 2 + 1))[:, None]
    low, high = hertz_to_mel(np.array([MEL_MIN_HZ, MEL_MAX_HZ]))
    edges = np.linspace(low, high, MEL_BANDS + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    matrix = weights.astype(np.float32)
    matrix.flags.writeable = False
    return matrix


@cache
def hann_window() -> Float32:
    """Returns the window of a frame: periodic Hann, float32 of shape (400,).

    Example:
        >>> float(hann_window()[200])
        1.0
    """
    phase = 2.0 * np.pi * np.arange(FRAME_LENGTH) / FRAME_LENGTH
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


@cache
def _mel_halves() -> list[tuple[slice, slice, Float32]]:
    """The lower and the upper mel bands: the FFT bins that they read, their columns, their weights.

    Most of the mel matrix is zero; two products over the bins in use cost a third less than one over all.
    """
    halves = []
    for bands in (slice(0, MEL_BANDS // 2), slice(MEL_BANDS // 2, MEL_BANDS)):
        used = np.flatnonzero(mel_matrix()[:, bands].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        halves.append((bins, bands, np.ascontiguousarray(mel_matrix()[bins, bands])))
    return halves


def log_mel(waveform: Float32) -> Float32:
    """Computes YAMNet's log-mel spectrogram.

    Args:
        waveform: float32 samples at 16 kHz in [-1, 1], of shape (samples,).

    Returns:
        float32 array of shape (frames, 64) in nepers (natural logarithm), at least log(0.001);
        ``frames`` is ``1 + (samples - 400) // 160``, and 0 below 400 samples.

    Raises:
        ValueError: If the waveform is not one-dimensional.

    Example:
        >>> log_mel(np.zeros(16_000, np.float32)).shape
        (98, 64)
    """
    waveform = np.ascontiguousarray(waveform, dtype=np.float32)
    if waveform.ndim != 1:
        raise ValueError(f"log_mel takes one channel, of shape (samples,). Received: {waveform.shape}")
    count = max(0, 1 + (len(waveform) - FRAME_LENGTH) // FRAME_HOP)
    result = np.empty((count, MEL_BANDS), np.float32)
    if count == 0:
        return result
    step = waveform.strides[0]
    frames = as_strided(waveform, (count, FRAME_LENGTH), (FRAME_HOP * step, step), writeable=False)
    window = hann_window()
    # A product with a single row is rounded in another way than with many: there are always two at least,
    # so that a frame comes out the same to the last bit whatever it comes together with.
    rows = min(max(count, 2), _FRAMES_PER_STEP)
    padded = np.zeros((rows, FFT_LENGTH), np.float32)
    spectrum = np.empty((rows, FFT_LENGTH // 2 + 1), np.complex64)
    magnitude = np.empty(spectrum.shape, np.float32)
    for start in range(0, count, _FRAMES_PER_STEP):
        stop = min(start + _FRAMES_PER_STEP, count)
        np.multiply(frames[start:stop], window, out=padded[: stop - start, :FRAME_LENGTH])
        rows = max(stop - start, 2)
        # numpy computes this in float64 and rounds, and so agrees with YAMNet on pure tones too, where an FFT
        # in float32 leaves noise of up to 0.003 nepers. Its stubs do not know that complex64 comes out.
        np.fft.rfft(padded[:rows], out=spectrum[:rows])  # type: ignore[arg-type]
        np.abs(spectrum[:rows], out=magnitude[:rows])
        for bins, bands, weights in _mel_halves():
            result[start:stop, bands] = (magnitude[:rows, bins] @ weights)[: stop - start]
    result += np.float32(LOG_OFFSET)
    return np.log(result, out=result)


def patches(spectrogram: NDArray[Scalar]) -> NDArray[Scalar]:
    """Views a log-mel spectrogram as the overlapping patches that YAMNet classifies.

    Args:
        spectrogram: array of shape (frames, 64), any dtype.

    Returns:
        Read-only view of shape (patches, 96, 64), ``patches`` being ``1 + (frames - 96) // 48``,
        and 0 below 96 frames.

    Example:
        >>> patches(np.zeros((240, 64), np.float32)).shape
        (4, 96, 64)
    """
    frames, bands = spectrogram.shape
    count = max(0, 1 + (frames - PATCH_FRAMES) // PATCH_HOP)
    row, column = spectrogram.strides
    shape = (count, PATCH_FRAMES, bands)
    return as_strided(spectrogram, shape, (PATCH_HOP * row, row, column), writeable=False)


def num_patches(samples: int) -> int:
    """Returns how many patches YAMNet makes of a waveform: at least one, the last one padded.

    Example:
        >>> num_patches(0), num_patches(15_600), num_patches(15_601)
        (1, 1, 2)
    """
    return 1 + max(0, -(-(samples - PATCH_SAMPLES) // PATCH_HOP_SAMPLES))


def pad(waveform: Float32) -> Float32:
    """Pads a waveform with silence at its end to a whole number of patches, as YAMNet does.

    Args:
        waveform: float32 samples at 16 kHz, of shape (samples,).

    Returns:
        The waveform followed by zeros: 15,600 samples for the first patch and 7,680 for each
        further one.

    Example:
        >>> pad(np.ones(10, np.float32)).shape
        (15600,)
    """
    target = PATCH_SAMPLES + PATCH_HOP_SAMPLES * (num_patches(len(waveform)) - 1)
    return np.pad(waveform, (0, target - len(waveform)))


class PatchCutter:
    """Cuts a waveform that arrives in blocks so that each piece has whole patches, in bounded memory.

    Put one after the other, the patches of the spectrograms of all pieces are those of the whole,
    padded waveform, whatever the sizes of the blocks; each comes as soon as its last sample is there.
    A piece has 15600 + 7680 * n samples, of which the first 7,920 repeat the last of the piece before.

    Example:
        >>> cutter = PatchCutter()
        >>> [len(patches(log_mel(piece))) for piece in cutter.push(np.zeros(32_000, np.float32))]
        [3]
        >>> [len(patches(log_mel(piece))) for piece in cutter.finish()]
        [1]
    """

    _OVERLAP = PATCH_SAMPLES - PATCH_HOP_SAMPLES

    def __init__(self) -> None:
        # Blocks are joined when there is a piece in them, not one by one: a microphone's are short.
        self._blocks: list[Float32] = []
        self._pending = 0
        self._started = False

    def push(self, block: Float32) -> list[Float32]:
        """Takes float32 samples at 16 kHz, of shape (samples,); returns a piece, or nothing yet."""
        self._blocks.append(block)
        self._pending += len(block)
        complete = (self._pending - self._OVERLAP) // PATCH_HOP_SAMPLES
        if complete <= 0:
            return []
        pending = np.concatenate(self._blocks)
        piece = pending[: self._OVERLAP + complete * PATCH_HOP_SAMPLES]
        # A copy: a view would keep all of a large block alive.
        rest = pending[complete * PATCH_HOP_SAMPLES :].copy()
        self._blocks, self._pending = [rest], len(rest)
        self._started = True
        return [piece]

    def finish(self) -> list[Float32]:
        """Ends the waveform; returns the last piece, padded, if samples are left over."""
        if self._pending > self._OVERLAP or not self._started:
            return [pad(np.concatenate([np.empty(0, np.float32), *self._blocks]))]
        return []


def whole_patches(blocks: Iterable[Float32]) -> Iterator[Float32]:
    """Cuts a waveform that arrives in blocks as `PatchCutter` does.

    Args:
        blocks: float32 samples at 16 kHz, each of shape (samples,).

    Yields:
        float32 arrays of shape (15600 + 7680 * n,).

    Example:
        >>> halves = np.split(np.zeros(32_000, np.float32), 2)
        >>> [len(patches(log_mel(piece))) for piece in whole_patches(halves)]
        [1, 2, 1]
    """
    cutter = PatchCutter()
    for block in blocks:
        yield from cutter.push(block)
    yield from cutter.finish()

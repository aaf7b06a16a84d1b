"""Front ends: convert a waveform to the log-mel patches that a network takes. The only implementation.

Training, evaluation, the detector and every export call the methods of a `FrontEnd`, so that a student
always gets input of the kind it was trained on. A front end is a value; `YAMNET` is that of YAMNet and its
students.
"""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from yamnet_cry import mel
from yamnet_cry.fields import NAME, Rule, check, check_only, integer, number, text

Float32 = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)

# With this many frames, all arrays of one step (0.5 MB) fit into a core's cache.
_FRAMES_PER_STEP = 96

#: Up to this number of weights, OpenBLAS multiplies a row on one thread. A second thread would spin for 30 ms
#: after each product, which costs many times the work of a stream.
SINGLE_THREAD_WEIGHTS = 2**13

# Front ends may come from untrusted model folders; the limits bound the memory they can need.
_RULES = {
    "name": NAME,
    "sample_rate": integer(1_000, 768_000),
    "frame_length": integer(2, 2**14),
    "frame_hop": integer(1, 2**14),
    "fft_length": integer(2, 2**14),
    "window": text("hann_periodic", "hann_periodic"),
    "mel_bands": integer(1, 512),
    "mel_min_hz": number(0, 384_000),
    "mel_max_hz": number(0, 384_000),
    "log_offset": number(1e-12, 1e3),
    "patch_frames": integer(1, 4096),
    "patch_hop": integer(1, 4096),
    "centred": Rule("true or false", lambda value: type(value) is bool, optional=True),
    "spectrum": text("magnitude|power", "magnitude or power", optional=True),
    "mel_scale": text("htk|slaney", "htk or slaney", optional=True),
    "mean": number(-1e6, 1e6, optional=True),
    "standard_deviation": number(1e-6, 1e6, optional=True),
}

# Pairs of settings, of which the first must not exceed the second.
_IN_ORDER = (
    ("frame_hop", "frame_length"),
    ("frame_length", "fft_length"),
    ("patch_hop", "patch_frames"),
)


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """How log-mel patches are computed from a waveform.

    Attributes:
        name: Its name in files, of the characters a-z, 0-9, _ and -; a label only.
        sample_rate: Sample rate of the waveform, in hertz.
        frame_length: Samples in a frame.
        frame_hop: Samples from one frame to the next, at most ``frame_length``.
        fft_length: Samples in an FFT, even, at least ``frame_length``: the frame, zero-padded at its end.
        window: Window function applied to a frame: ``hann_periodic``.
        mel_bands: Number of mel bands.
        mel_min_hz: Lower edge of the lowest band, in hertz.
        mel_max_hz: Upper edge of the highest band, in hertz; at most half the sample rate.
        log_offset: Added to each band before its natural logarithm.
        patch_frames: Frames in a patch, the input of a network.
        patch_hop: Frames from one patch to the next, at most ``patch_frames``.
        centred: Whether frame n is centred on sample n * ``frame_hop``, with silence before the first and
            after the last sample, as in librosa; else it starts there, and no frame exceeds the waveform.
        spectrum: What is summed in mel bands: the ``magnitude`` of the FFT or its ``power``.
        mel_scale: ``htk`` as in TensorFlow or ``slaney`` as in librosa, see `mel.filter_bank`.
        mean: Subtracted from the log-mel values, for example the mean of a training set.
        standard_deviation: Divisor of the log-mel values after that.

    Raises:
        ValueError: If a value is invalid; the message names it.

    Examples:
        >>> dataclasses.replace(YAMNET, mel_bands=0)
        Traceback (most recent call last):
        ...
        ValueError: expected front_end.mel_bands to be a whole number from 1 to 512. Received: 0
    """

    name: str = dataclasses.field(compare=False)
    sample_rate: int
    frame_length: int
    frame_hop: int
    fft_length: int
    window: Literal["hann_periodic"] = "hann_periodic"
    mel_bands: int
    mel_min_hz: float
    mel_max_hz: float
    log_offset: float
    patch_frames: int
    patch_hop: int
    centred: bool = False
    spectrum: Literal["magnitude", "power"] = "magnitude"
    mel_scale: Literal["htk", "slaney"] = "htk"
    mean: float = 0.0
    standard_deviation: float = 1.0

    def __post_init__(self) -> None:
        values = check(vars(self), _RULES, "front_end")
        for lower, higher in _IN_ORDER:
            if values[lower] > values[higher]:
                raise ValueError(
                    f"expected front_end.{lower} to be at most front_end.{higher}, which is "
                    f"{values[higher]}. Received: {values[lower]}"
                )
        if self.fft_length % 2:
            raise ValueError(f"expected front_end.fft_length to be even. Received: {self.fft_length}")
        if not self.mel_min_hz < self.mel_max_hz <= self.sample_rate / 2:
            raise ValueError(
                "expected front_end.mel_max_hz to be above front_end.mel_min_hz, which is "
                f"{self.mel_min_hz:g}, and at most half of front_end.sample_rate, {self.sample_rate / 2:g}. "
                f"Received: {self.mel_max_hz:g}"
            )

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Creates a front end from the dictionary that `to_dict` returned.

        Args:
            values: A dictionary.

        Raises:
            ValueError: If a field is missing, unknown or invalid; the message names it.

        Examples:
            >>> FrontEnd.from_dict(YAMNET.to_dict() | {"mel_bands": 40}).mel_bands
            40
        """
        return cls(**check_only(values, _RULES, "front_end"))

    def to_dict(self) -> dict[str, Any]:
        """Returns the front end as a dictionary, as in the ``config.json`` of a model folder.

        Optional fields with their default value are omitted, so that files of front ends such as YAMNet's
        do not change when optional fields are added.

        Examples:
            >>> FrontEnd.from_dict(YAMNET.to_dict()) == YAMNET
            True
        """
        defaults = {field.name: field.default for field in dataclasses.fields(self) if field.name != "window"}
        return {name: value for name, value in vars(self).items() if value != defaults.get(name)}

    def differences(self, expected: "FrontEnd", names: Collection[str] = tuple(_RULES)) -> str:
        """Describes the fields in which it differs from another front end; empty if it does not.

        Args:
            expected: Another front end.
            names: The fields to compare; defaults to all except the name.

        Examples:
            >>> dataclasses.replace(YAMNET, mel_bands=40).differences(YAMNET)
            'front_end.mel_bands: expected 64, received 40'
        """
        compared = [field.name for field in dataclasses.fields(self) if field.compare and field.name in names]
        pairs = [(name, getattr(expected, name), getattr(self, name)) for name in compared]
        return "; ".join(
            f"front_end.{name}: expected {wanted!r}, received {received!r}"
            for name, wanted, received in pairs
            if wanted != received
        )

    @property
    def patch_samples(self) -> int:
        """Samples under one patch, from the start of its first frame to the end of its last frame."""
        return (self.patch_frames - 1) * self.frame_hop + (0 if self.centred else self.frame_length)

    @property
    def patch_hop_samples(self) -> int:
        """Samples from one patch to the next."""
        return self.patch_hop * self.frame_hop

    @property
    def patch_seconds(self) -> float:
        """Nominal length of a patch, in seconds: the number of its frames times the hop."""
        return self.patch_frames * self.frame_hop / self.sample_rate

    @property
    def patch_hop_seconds(self) -> float:
        """Time from one patch to the next, in seconds."""
        return self.patch_hop_samples / self.sample_rate

    def mel_matrix(self) -> Float32:
        """Returns the weights that turn a frame's spectrum into mel bands.

        Returns:
            float32 array of shape (``fft_length`` / 2 + 1, ``mel_bands``), read-only.

        Examples:
            >>> YAMNET.mel_matrix().shape
            (257, 64)
        """
        return _mel_matrix(self)

    def hann_window(self) -> Float32:
        """Returns the window function: periodic Hann, float32 of shape (``frame_length``,), read-only.

        Examples:
            >>> float(YAMNET.hann_window()[200])
            1.0
        """
        return _hann_window(self)

    def log_mel(self, waveform: Float32) -> Float32:
        """Computes the log-mel spectrogram.

        Args:
            waveform: float32 samples in [-1, 1], of shape (samples,), at ``sample_rate``.

        Returns:
            float32 array of shape (frames, ``mel_bands``) in nepers (natural logarithm), or normalised;
            ``frames`` is ``1 + (samples - frame_length) // frame_hop``, and 0 below ``frame_length``; or
            ``1 + samples // frame_hop`` if frames are centred.

        Raises:
            ValueError: If the waveform is not one-dimensional.

        Examples:
            >>> YAMNET.log_mel(np.zeros(16_000, np.float32)).shape
            (98, 64)
        """
        waveform = np.ascontiguousarray(waveform, dtype=np.float32)
        if waveform.ndim != 1:
            raise ValueError(f"log_mel takes one channel, of shape (samples,). Received: {waveform.shape}")
        if self.centred:
            # Puts the window's middle on the frame's sample, as if the window were centred in the FFT.
            before = self.fft_length // 2 - (self.fft_length - self.frame_length) // 2
            waveform = np.pad(waveform, (before, self.frame_length - before))
        count = max(0, 1 + (len(waveform) - self.frame_length) // self.frame_hop)
        result = np.empty((count, self.mel_bands), np.float32)
        if count == 0:
            return result
        step = waveform.strides[0]
        shape, strides = (count, self.frame_length), (self.frame_hop * step, step)
        frames = as_strided(waveform, shape, strides, writeable=False)
        window, parts = self.hann_window(), mel_parts(self)
        rows = min(count, _FRAMES_PER_STEP)
        padded = np.zeros((rows, self.fft_length), np.float32)
        spectrum = np.empty((rows, self.fft_length // 2 + 1), np.complex64)
        magnitude = np.empty(spectrum.shape, np.float32)
        for start in range(0, count, _FRAMES_PER_STEP):
            stop = min(start + _FRAMES_PER_STEP, count)
            np.multiply(frames[start:stop], window, out=padded[: stop - start, : self.frame_length])
            rows = stop - start
            # numpy computes this in float64 and rounds, so that it agrees with YAMNet on pure tones too,
            # where a float32 FFT leaves noise of up to 0.003 nepers. Its type stubs do not allow complex64.
            np.fft.rfft(padded[:rows], out=spectrum[:rows])  # type: ignore[arg-type]
            np.abs(spectrum[:rows], out=magnitude[:rows])
            if self.spectrum == "power":
                np.square(magnitude[:rows], out=magnitude[:rows])
            # Row by row: on some processors, a product of several rows rounds some of them differently, and
            # a frame's result must be bit-identical whatever frames it is computed with.
            for bins, bands, weights in parts:
                result[start:stop, bands] = np.matmul(magnitude[:rows, None, bins], weights)[:, 0]
        result += np.float32(self.log_offset)
        np.log(result, out=result)
        if (self.mean, self.standard_deviation) != (0.0, 1.0):
            result -= np.float32(self.mean)
            result /= np.float32(self.standard_deviation)
        return result

    def patches(self, spectrogram: NDArray[Scalar]) -> NDArray[Scalar]:
        """Returns the overlapping patches of a log-mel spectrogram, the input of a network, as a view.

        Args:
            spectrogram: array of shape (frames, bands), any dtype.

        Returns:
            Read-only view of shape (patches, ``patch_frames``, bands), ``patches`` being
            ``1 + (frames - patch_frames) // patch_hop``, and 0 below ``patch_frames``.

        Examples:
            >>> YAMNET.patches(np.zeros((240, 64), np.float32)).shape
            (4, 96, 64)
        """
        frames, bands = spectrogram.shape
        count = max(0, 1 + (frames - self.patch_frames) // self.patch_hop)
        row, column = spectrogram.strides
        shape = (count, self.patch_frames, bands)
        return as_strided(spectrogram, shape, (self.patch_hop * row, row, column), writeable=False)

    def waveforms(self, waveform: Float32) -> Float32:
        """Returns the samples under each patch of a padded waveform, as a view.

        Args:
            waveform: float32 samples, as `pad` returns them.

        Returns:
            Read-only view of shape (patches, ``patch_samples``).

        Examples:
            >>> YAMNET.waveforms(YAMNET.pad(np.zeros(16_000, np.float32))).shape
            (2, 15600)
        """
        return sliding_window_view(waveform, self.patch_samples)[:: self.patch_hop_samples]

    def num_patches(self, samples: int) -> int:
        """Returns the number of patches of a waveform: at least one, the last one padded.

        Args:
            samples: Length of the waveform.

        Examples:
            >>> YAMNET.num_patches(0), YAMNET.num_patches(15_600), YAMNET.num_patches(15_601)
            (1, 1, 2)
        """
        return 1 + max(0, -(-(samples - self.patch_samples) // self.patch_hop_samples))

    def pad(self, waveform: Float32) -> Float32:
        """Pads a waveform with silence at its end to a whole number of patches, as YAMNet does.

        Args:
            waveform: float32 samples at ``sample_rate``, of shape (samples,).

        Returns:
            The waveform followed by zeros: for YAMNet, 15,600 samples for the first patch and 7,680 for
            each further one.

        Examples:
            >>> YAMNET.pad(np.ones(10, np.float32)).shape
            (15600,)
        """
        target = self.patch_samples + self.patch_hop_samples * (self.num_patches(len(waveform)) - 1)
        return np.pad(waveform, (0, target - len(waveform)))


#: The front end of ``params.py`` and ``features.py`` in tensorflow/models (research/audioset/yamnet); it
#: agrees with them to 1e-4. The frame is zero-padded *at its end*: libraries that centre the window in the
#: FFT differ by up to 5 in log-mel.
YAMNET = FrontEnd(
    name="yamnet",
    sample_rate=16_000,
    frame_length=400,
    frame_hop=160,
    fft_length=512,
    mel_bands=64,
    mel_min_hz=125.0,
    mel_max_hz=7500.0,
    log_offset=0.001,
    patch_frames=96,
    patch_hop=48,
)


# Caches are keyed by the values of a front end, and kept outside of it so that copies and pickles stay small.
@cache
def _mel_matrix(front_end: FrontEnd) -> Float32:
    bins = np.linspace(0.0, front_end.sample_rate / 2, front_end.fft_length // 2 + 1)
    matrix = mel.filter_bank(
        bins, front_end.mel_min_hz, front_end.mel_max_hz, front_end.mel_bands, front_end.mel_scale
    )
    matrix.flags.writeable = False
    return matrix


@cache
def _hann_window(front_end: FrontEnd) -> Float32:
    phase = 2.0 * np.pi * np.arange(front_end.frame_length) / front_end.frame_length
    window = (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
    window.flags.writeable = False
    return window


@cache
def mel_parts(front_end: FrontEnd) -> list[tuple[slice, slice, Float32]]:
    """Returns the mel matrix in parts: for some of the bands each, their FFT bins, columns and weights.

    Most of the mel matrix is zero; two products over the bins in use cost a third less than one over all. No
    part has more than `SINGLE_THREAD_WEIGHTS` weights unless it is a single band.
    """
    matrix, middle = front_end.mel_matrix(), front_end.mel_bands // 2
    parts = []
    waiting = [slice(middle, front_end.mel_bands), slice(0, middle)]
    while waiting:
        bands = waiting.pop()
        used = np.flatnonzero(matrix[:, bands].any(axis=1))
        # Bands narrower than a bin may have no bin at all.
        bins = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        weights = np.ascontiguousarray(matrix[bins, bands])
        if weights.size > SINGLE_THREAD_WEIGHTS and weights.shape[1] > 1:
            middle = (bands.start + bands.stop) // 2
            waiting += [slice(middle, bands.stop), slice(bands.start, middle)]
        else:
            parts.append((bins, bands, weights))
    return parts

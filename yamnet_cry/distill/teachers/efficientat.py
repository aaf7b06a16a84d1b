"""EfficientAT's taggers on ONNX Runtime, such as mn04_as (Schmid et al. 2023, arXiv:2211.04772)."""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft

from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.task import Kind

MEL_FILE, LABELS_FILE = "mel_128x513_32k.npy", "class_labels_indices.csv"

# The taggers were trained on ten seconds, and are inaccurate on less than three.
_LONGEST, _SHORTEST = 10 * YAMNET.sample_rate, 3 * YAMNET.sample_rate
_SAMPLE_RATE = 32_000
# One minute of frames, because the frames of hours would take gigabytes.
_FRAMES = 6_000


class EfficientAtTeacher:
    """A tagger that scores whole clips: one row of logits for every ten seconds.

    Args:
        folder: A folder with one ``.onnx`` file (input ``mel``, float32 of shape (1, 1, 128, frames); first
            output logits), `MEL_FILE` with its mel matrix, float of shape (128, 513), and `LABELS_FILE` with
            a column ``display_name``.

    Raises:
        TeacherError: If a file is missing, or they do not match each other.
        ImportError: If ONNX Runtime is not installed.
    """

    kind: Kind = "independent"

    def __init__(self, folder: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ImportError('a tagger needs onnxruntime: pip install "yamnet-cry[onnx]"') from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        networks = sorted(folder.glob("*.onnx"))
        if len(networks) != 1:
            raise TeacherError(f"expected one .onnx file in {folder}. Received: {len(networks)}")
        try:
            network = networks[0].read_bytes()
            mel = (folder / MEL_FILE).read_bytes()
            self._mel = np.load(folder / MEL_FILE, allow_pickle=False).astype(np.float32).T
            with (folder / LABELS_FILE).open(encoding="utf-8", newline="") as file:
                self.labels = tuple(row["display_name"] for row in csv.DictReader(file))
            self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
            classes = self._logits(np.zeros(_SHORTEST, np.float32)).shape
        except (OSError, ValueError, KeyError) as error:
            raise TeacherError(f"{folder} does not contain {MEL_FILE} and {LABELS_FILE} ({error})") from None
        except Exception as error:
            raise TeacherError(f"{networks[0]} does not map log-mel to logits ({error})") from error
        if classes != (len(self.labels),):
            raise TeacherError(
                f"expected {networks[0]} to give a logit for each of {len(self.labels)} labels in "
                f"{LABELS_FILE}. Received: {classes}"
            )
        self.name = f"EfficientAT {networks[0].stem}"
        self.fingerprint = hashlib.sha256(network + mel + b"10 s").hexdigest()

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Scores every ten seconds of every waveform; see `Teacher`."""
        return [np.stack([self._logits(piece) for piece in _pieces(waveform)]) for waveform in waveforms]

    def _logits(self, waveform: Float32) -> Float32:
        return self.judged(self.log_mel(waveform))

    def judged(self, log_mel: Float32) -> Float32:
        """Returns the logits of one spectrogram: float32 of shape (labels,).

        Args:
            log_mel: float32 of shape (frames, 128), of three to ten seconds.
        """
        return np.asarray(
            self._session.run(None, {"mel": np.ascontiguousarray(log_mel.T)[None, None]})[0][0], np.float32
        )

    def log_mel(self, waveform: Float32) -> Float32:
        """Computes the log-mel spectrogram of a waveform at 16 kHz: float32 of shape (frames, 128)."""
        wave = soxr.resample(waveform, YAMNET.sample_rate, _SAMPLE_RATE)
        wave = np.pad(wave[1:] - np.float32(0.97) * wave[:-1], (512, 512 + 1), mode="reflect")
        frames = sliding_window_view(wave, 1024)[::320]
        parts = []
        for start in range(0, len(frames), _FRAMES):
            power = np.abs(rfft(frames[start : start + _FRAMES] * _WINDOW)) ** 2
            parts.append(((np.log(power @ self._mel + 1e-5) + 4.5) / 5).astype(np.float32))
        return np.concatenate(parts)


# A Hann window of 25 ms, centred in an FFT of 32 ms.
_WINDOW = np.pad(np.hanning(800), 112).astype(np.float32)


def _pieces(waveform: Float32) -> Iterator[Float32]:
    """Cuts a waveform into pieces of ten seconds; the last one overlaps the one before to be as long."""
    padded = np.pad(waveform, (0, max(0, _SHORTEST - len(waveform))))
    for start in range(0, len(padded), _LONGEST):
        end = min(start + _LONGEST, len(padded))
        yield padded[max(0, end - _LONGEST) : end]

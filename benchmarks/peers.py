"""Other classifiers of the same classes, for comparison: YAMNet as usually run, and the published reference.

Each takes a whole waveform at 16 kHz and returns scores of windows. All run on one thread.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import soxr
from ai_edge_litert.interpreter import Interpreter

from yamnet_cry import CryDetector
from yamnet_cry.audioset import cry_score
from yamnet_cry.frontend import YAMNET, Float32

Scorer = Callable[[Float32], object]

EFFICIENT_AT = "EfficientAT mn04_as on ONNX Runtime, ten seconds at a time"

# Packages to install, and modules to import, for each classifier.
INSTALLS = {
    "yamnet-cry": ("yamnet-cry", "yamnet_cry"),
    "YAMNet: tensorflow, tensorflow-hub": ("tensorflow tensorflow-hub", "tensorflow"),
    "YAMNet on LiteRT: ai-edge-litert, librosa": (
        "ai-edge-litert librosa",
        "ai_edge_litert.interpreter, librosa",
    ),
    "EfficientAT: onnxruntime, librosa": ("onnxruntime librosa", "onnxruntime, librosa"),
}


def scorers(weights: str, detector: CryDetector) -> dict[str, Scorer]:
    """Builds all peers from YAMNet's weights.

    Args:
        weights: ``yamnet_folded.npz``, or its folder.
        detector: The reference runs this detector's student.
    """
    import tensorflow as tf

    from yamnet_cry.distill import teachers

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    path = Path(weights)
    teacher = teachers.YamnetTeacher(path / "yamnet_folded.npz" if path.is_dir() else path).model
    window = tf.signal.hann_window(YAMNET.frame_length, periodic=True)
    mel = tf.constant(YAMNET.mel_matrix())

    def log_mel_graph(waveform: tf.Tensor) -> tf.Tensor:
        frames = tf.signal.frame(waveform, YAMNET.frame_length, YAMNET.frame_hop)
        spectrum = tf.signal.rfft(frames * window, [YAMNET.fft_length])
        return tf.math.log(tf.abs(spectrum) @ mel + YAMNET.log_offset)

    def yamnet_graph(waveform: tf.Tensor) -> tf.Tensor:
        """Has the signature of google/yamnet/1: takes a waveform, returns scores of its windows."""
        patches = tf.signal.frame(log_mel(waveform), YAMNET.patch_frames, YAMNET.patch_hop, axis=0)
        return tf.sigmoid(teacher(patches[..., tf.newaxis]))

    signature = [tf.TensorSpec([None], tf.float32)]
    log_mel = tf.function(log_mel_graph, input_signature=signature)
    yamnet = tf.function(yamnet_graph, input_signature=signature)

    converter = tf.lite.TFLiteConverter.from_keras_model(teacher)
    interpreter = Interpreter(model_content=converter.convert(), num_threads=1)
    interpreter.allocate_tensors()
    given, found = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def on_litert(waveform: Float32) -> Float32:
        patches = YAMNET.patches(YAMNET.log_mel(waveform))[:, None, :, :, None]
        outputs = np.empty((len(patches), 521), np.float32)
        for patch, output in zip(patches, outputs, strict=True):
            interpreter.set_tensor(given, patch)
            interpreter.invoke()
            output[:] = interpreter.get_tensor(found)[0]
        return outputs

    def windows(waveform: Float32) -> list[Float32]:
        starts = range(0, len(waveform) - YAMNET.patch_samples + 1, YAMNET.patch_hop_samples)
        return [waveform[start : start + YAMNET.patch_samples] for start in starts]

    def by_window(waveform: Float32) -> list[np.ndarray]:
        return [yamnet(part).numpy() for part in windows(waveform)]

    def reference(waveform: Float32) -> list[Float32]:
        """For each window, runs the teacher for its front end, and then the student."""
        found = []
        for part in windows(waveform):
            yamnet(part)
            found.append(cry_score(detector.student.logits(log_mel(part).numpy())))
        return found

    return {
        "YAMNet FP32, tf.function, a minute at a time": lambda waveform: yamnet(waveform).numpy(),
        "YAMNet FP32, tf.function, a window at a time": by_window,
        "YAMNet FP32 on LiteRT, with this package's front end": on_litert,
        "reference implementation: the teacher for its front end, then the student": reference,
    }


def efficient_at(folder: str) -> Scorer:
    """Builds EfficientAT's mn04_as (Schmid et al. 2023, arXiv:2211.04772) from an ONNX export.

    Args:
        folder: Folder with ``mn04_as_mel.onnx`` (log-mel in, logits out) and its mel matrix,
            ``mel_128x513_32k.npy``.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(Path(folder) / "mn04_as_mel.onnx"), options, providers=["CPUExecutionProvider"]
    )
    mel = np.load(Path(folder) / "mel_128x513_32k.npy").astype(np.float32).T
    window = np.pad(np.hanning(800), 112).astype(np.float32)

    def score(waveform: Float32) -> list[np.ndarray]:
        wave = soxr.resample(waveform, YAMNET.sample_rate, 32_000)
        found = []
        for start in range(0, len(wave), 320_000):
            part = wave[start : start + 320_000]
            part = np.pad(part[1:] - np.float32(0.97) * part[:-1], 512, mode="reflect")
            frames = np.lib.stride_tricks.sliding_window_view(part, 1024)[::320] * window
            power = np.abs(np.fft.rfft(frames)) ** 2
            log_mel = (np.log(power @ mel + 1e-5) + 4.5) / 5
            found.append(session.run(None, {"mel": log_mel.T[None, None].astype(np.float32)})[0])
        return found

    return score


def installs() -> Iterator[tuple[str, float, float]]:
    """Measures the size of installed packages, and the time to import them in a new process.

    Yields:
        Name, size of the packages with all dependencies in MB, and median of five imports in seconds.
    """
    for name, (packages, modules) in INSTALLS.items():
        files = {
            Path(str(f.locate())) for p in _closure(packages.split()) for f in distribution(p).files or []
        }
        size = sum(path.stat().st_size for path in files if path.is_file())
        times = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {modules}"], check=True, capture_output=True)
            times.append(time.perf_counter() - started)
        yield name, size / 1e6, statistics.median(times)


def _closure(packages: list[str]) -> set[str]:
    from packaging.requirements import Requirement

    found: set[str] = set()
    while packages:
        name = packages.pop()
        if name in found:
            continue
        found.add(name)
        for line in distribution(name).requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                packages.append(needed.name)
    return found

"""Compares the whole chain (C front end, TFLite-Micro, C events) with the Python detector on recordings."""

import ctypes
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from yamnet_cry import CryDetector, Detection
from yamnet_cry.calibration import log_odds
from yamnet_cry.distill import corpus, sources
from yamnet_cry.events import Event, find_events, trigger
from yamnet_cry.firmware.golden import micro_outputs
from yamnet_cry.firmware.kit import BUILDS, c_sources
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.runtime import Outputs

Spans = list[tuple[float, float]]

#: Relative distance from a threshold within which a step of the network's input may change a decision.
NEAR = 0.01


class Firmware:
    """The C code of a kit, called hop by hop as on a device."""

    def __init__(self, library: Path) -> None:
        code = ctypes.CDLL(str(library))
        code.yamnet_cry_frontend_push.restype = ctypes.c_void_p
        code.yamnet_cry_score.restype = ctypes.c_float
        code.yamnet_cry_probability.restype = ctypes.c_double
        code.yamnet_cry_probability.argtypes = [ctypes.c_double]
        code.yamnet_cry_log_odds.argtypes = [ctypes.c_float]
        code.yamnet_cry_log_odds.restype = ctypes.c_double
        if hasattr(code, "yamnet_cry_context_push"):
            code.yamnet_cry_context_push.restype = ctypes.c_float
        code.yamnet_cry_events_reset.argtypes = [ctypes.c_void_p, ctypes.c_double]
        code.yamnet_cry_events_push.argtypes = [ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p]
        code.yamnet_cry_events_push.restype = ctypes.c_bool
        code.yamnet_cry_events_finish.restype = ctypes.c_bool
        self.code = code

    @classmethod
    def compiled(cls, kit: Path, build: str, folder: Path) -> Self:
        """Compiles a kit as a library.

        Args:
            kit: Folder that `yamnet-cry export --format firmware` wrote.
            build: A name in `kit.BUILDS`.
            folder: Folder for the library.
        """
        library = folder / f"{build}.so"
        sources = c_sources(kit)
        flags = ["-std=c99", "-O2", "-fPIC", "-shared", *BUILDS[build]]
        subprocess.run(["gcc", *flags, *sources, "-o", library, "-lm"], check=True)
        return cls(library)

    def log_mel(self, samples: np.ndarray) -> np.ndarray:
        """Converts int16 samples to log-mel, float32 of shape (frames, 64); float build only."""
        frames = 1 + (len(samples) - YAMNET.frame_length) // YAMNET.frame_hop
        found = np.empty((frames, YAMNET.mel_bands), np.float32)
        for number, row in enumerate(found):
            frame = np.ascontiguousarray(samples[number * YAMNET.frame_hop :][: YAMNET.frame_length])
            self.code.yamnet_cry_log_mel(_pointer(frame), _pointer(row))
        return found

    def patches(self, samples: np.ndarray) -> np.ndarray:
        """Converts int16 samples to the network's inputs, int8 of shape (patches, 96, 64)."""
        state = ctypes.create_string_buffer(16_384)
        self.code.yamnet_cry_frontend_reset(state)
        found = []
        for start in range(0, len(samples) - YAMNET.frame_hop + 1, YAMNET.frame_hop):
            patch = self.code.yamnet_cry_frontend_push(state, _pointer(samples[start:]))
            if patch:
                content = ctypes.string_at(patch, YAMNET.patch_frames * YAMNET.mel_bands)
                found.append(np.frombuffer(content, np.int8).reshape(YAMNET.patch_frames, YAMNET.mel_bands))
        return np.array(found, np.int8).reshape(-1, YAMNET.patch_frames, YAMNET.mel_bands)

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Converts int8 logits of shape (windows, 521) to scores."""
        return np.array([self.code.yamnet_cry_score(_pointer(np.ascontiguousarray(row))) for row in logits])

    def log_odds(self, logits: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
        """Converts the network's outputs, int8 of shapes (windows, 521) and (windows, width), to log-odds."""
        if not embeddings.size:
            return np.array([self.code.yamnet_cry_log_odds(score) for score in self.scores(logits)])
        state = ctypes.create_string_buffer(16_384)
        self.code.yamnet_cry_context_reset(state)
        rows = map(np.ascontiguousarray, embeddings)
        return np.array([self.code.yamnet_cry_context_push(state, _pointer(row)) for row in rows])

    def probabilities(self, log_odds: np.ndarray) -> np.ndarray:
        """Converts log-odds to probabilities."""
        return np.array([self.code.yamnet_cry_probability(float(value)) for value in log_odds])

    def events(self, probabilities: np.ndarray, threshold: float) -> list[Event]:
        """Converts probabilities, one per window, to events."""
        state, ended = ctypes.create_string_buffer(4_096), (ctypes.c_double * 4)()
        self.code.yamnet_cry_events_reset(state, threshold)
        found = []
        for probability in probabilities:
            if self.code.yamnet_cry_events_push(state, float(probability), ended):
                found.append(Event(*ended))
        if self.code.yamnet_cry_events_finish(state, ended):
            found.append(Event(*ended))
        return found


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


@dataclass
class Comparison:
    """Differences between the chain and Python.

    Attributes:
        recordings: Number of recordings.
        largest_step: Largest difference of an input of the network from Python's, in quantisation steps.
        share: Share of inputs that differ.
        auc: AUC of the chain, and of the Python detector.
        probability: Largest difference of a window's probability from that of the same network with the
            Python front end.
        others: Pairs of events where the chain differs from the same network with the Python front end.
        unexplained: Number of these pairs that no threshold within `NEAR` of the detector's explains.
        unlike_detector: Number of recordings whose events differ from those of the Python detector, which
            runs on XNNPACK.
    """

    recordings: int
    largest_step: int = 0
    share: float = 0.0
    auc: tuple[float, float] = (0.0, 0.0)
    probability: float = 0.0
    unexplained: int = 0
    others: list[tuple[Spans, Spans]] = field(default_factory=list)
    unlike_detector: int = 0


def recordings(audio: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the test split of a corpus: int16 samples, and whether each clip contains crying."""
    clips = corpus.labelled(sources.load(audio), "test")
    waves = [np.clip(np.rint(clip.read() * 32_768), -32_768, 32_767).astype(np.int16) for clip in clips]
    return waves, np.array(["cry" in clip.labels for clip in clips])


def inputs_of(detector: CryDetector, samples: np.ndarray) -> np.ndarray:
    """Returns the network's inputs as Python computes them: int8 of shape (patches, 96, 64)."""
    log_mel = YAMNET.log_mel(YAMNET.pad(samples.astype(np.float32) / np.float32(32_768)))
    return YAMNET.patches(detector.student.quantize(log_mel))


@dataclass
class Heard:
    """A recording, and Python's results for it.

    Attributes:
        samples: int16 of shape (samples,).
        inputs: Inputs of the network, int8 of shape (patches, 96, 64).
        outputs: Outputs of TFLite-Micro for these: logits and embeddings, int8.
        detected: Result of the detector, which runs on XNNPACK.
    """

    samples: np.ndarray
    inputs: np.ndarray
    outputs: tuple[np.ndarray, np.ndarray]
    detected: Detection


def heard(detector: CryDetector, waves: list[np.ndarray]) -> list[Heard]:
    """Computes Python's results for recordings, the reference for all builds of the C code."""
    found = []
    for samples in waves:
        inputs = inputs_of(detector, samples)
        outputs = micro_outputs(detector.student, detector.model, inputs)
        found.append(Heard(samples, inputs, outputs, detector((samples, YAMNET.sample_rate))))
    return found


def _log_odds_of(outputs: Outputs, detector: CryDetector) -> np.ndarray:
    """Returns the same as `CryDetector.log_odds`, for the outputs of another runtime."""
    if detector.context is not None:
        return detector.context.listen()(outputs.embeddings)
    return log_odds(detector.config.task.score(outputs.logits.dequantized()))


def compare(
    firmware: Firmware, detector: CryDetector, recordings: list[Heard], is_cry: np.ndarray
) -> Comparison:
    """Runs the C code on all recordings, and compares the results."""
    from sklearn.metrics import roc_auc_score

    result = Comparison(len(recordings))
    found, expected, differing, total = [], [], 0, 0
    for each in recordings:
        samples, inputs = each.samples, each.inputs
        # Padded to whole patches as in Python, and to whole hops as from a microphone.
        missing = len(YAMNET.pad(samples.astype(np.float32))) - len(samples) + YAMNET.frame_hop // 2
        patches = firmware.patches(np.concatenate([samples, np.zeros(missing, np.int16)]))
        steps = np.abs(patches.astype(int) - inputs)
        result.largest_step = max(result.largest_step, int(steps.max()))
        differing, total = differing + int((steps > 0).sum()), total + steps.size

        student = detector.student
        track = firmware.probabilities(firmware.log_odds(*micro_outputs(student, detector.model, patches)))
        here = _spans(firmware.events(track, detector.threshold))
        found.append(float(trigger(track, detector.config.events).max()))
        expected.append(each.detected.probability)
        # A microcontroller processes an endless stream; it does not clip events to a recording's end.
        endless = find_events(each.detected.probabilities, detector.threshold, detector.config.events)
        result.unlike_detector += here != _spans(endless)

        outputs = student.said(*each.outputs)
        probabilities = detector.config.calibration.of_log_odds(_log_odds_of(outputs, detector))
        result.probability = max(result.probability, float(np.abs(track - probabilities).max()))
        there = _spans(find_events(probabilities, detector.threshold, detector.config.events))
        if here != there:
            result.others.append((here, there))
            near = detector.threshold * np.linspace(1 - NEAR, 1 + NEAR, 41)
            result.unexplained += all(
                here != _spans(find_events(probabilities, threshold, detector.config.events))
                for threshold in near.tolist()
            )
    result.share = differing / total
    result.auc = (float(roc_auc_score(is_cry, found)), float(roc_auc_score(is_cry, expected)))
    return result


def _spans(events: list[Event]) -> Spans:
    return [(round(event.start, 2), round(event.end, 2)) for event in events]

"""The detectors that are measured: adapters that return a score every 0.48 s, and their rules for events.

An adapter for another detector is a class with three members: `name`; `fingerprint`, which changes when the
weights change; and `scores`, which takes float32 samples at 16 kHz and returns one row per window: float64 in
[0, 1], of shape (windows, tracks), where window k uses the audio until 0.96 s + 0.48 s k. For example:

    class Loudness:
        name, fingerprint = "loudness", "1"

        def scores(self, waveform):
            windows = patch_windows(waveform)
            return np.sqrt(np.mean(windows**2, axis=1))[:, None]

Add it to `Sources.scorers`, and a `Peer` for each of its tracks to `peers`. Adapters have no thresholds: each
peer gets the lowest one with at most the same number of false alarms in the validation nights.
"""

import contextlib
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from yamnet_cry import CryDetector, frontend
from yamnet_cry.audioset import CRY_CLASSES, CRY_TASK, cry_score
from yamnet_cry.events import EventSettings
from yamnet_cry.frontend import Float32

if TYPE_CHECKING:
    import keras

Float64 = NDArray[np.float64]

RELEASED, PREVIOUS, REFERENCE, YAMNET, MN04 = "released", "previous", "reference", "yamnet", "mn04"

#: The rule for detectors that score every window separately.
USUAL = EventSettings()

#: An event starts with one window above the threshold, and ends after two seconds below half of it
#: ("maximum").
ONE_WINDOW = EventSettings(smoothing=1, votes=1, window=1)


class Scorer(Protocol):
    """An adapter: takes audio, returns scores."""

    name: str
    fingerprint: str

    def scores(self, waveform: Float32) -> Float64:
        """Returns float64 of shape (windows, tracks), see the module's docstring."""
        ...


@dataclass(frozen=True)
class Peer:
    """A detector that is measured: a track of scores, and a rule for events.

    Attributes:
        name: Name in tables.
        scorer: Key in `Sources.scorers`.
        track: Index of its track.
        settings: Rule for events.
        threshold: The shipped threshold; None for one chosen on validation.
    """

    name: str
    scorer: str
    track: int = 0
    settings: EventSettings = USUAL
    threshold: float | None = None


def peers(scorers: Sequence[str], released: CryDetector) -> list[Peer]:
    """Returns all peers with an available scorer.

    Args:
        scorers: Keys of the available scorers.
        released: The detector in the package.
    """
    rule = released.config.events
    every = [
        Peer("this detector, as shipped", RELEASED, 0, rule, released.threshold),
        Peer("this detector", RELEASED, 0, rule),
        Peer("release 0.1.0, as shipped", PREVIOUS, 0, USUAL, 0.5),
        Peer("release 0.1.0", PREVIOUS, 0, USUAL),
        Peer("recipe reference", REFERENCE, 0, USUAL),
        Peer("YAMNet, softmax, mean", YAMNET, 0, USUAL),
        Peer("YAMNet, softmax, maximum", YAMNET, 0, ONE_WINDOW),
        Peer("YAMNet, sigmoid, mean", YAMNET, 1, USUAL),
        Peer("YAMNet, sigmoid, maximum", YAMNET, 1, ONE_WINDOW),
        Peer("EfficientAT mn04, mean", MN04, 0, USUAL),
        Peer("EfficientAT mn04, maximum", MN04, 0, ONE_WINDOW),
    ]
    return [peer for peer in every if peer.scorer in scorers]


@dataclass(frozen=True)
class Sources:
    """Paths of the peers' models, from which each process loads them.

    Attributes:
        reference: Model folder of recipe `reference`, if it is measured.
        yamnet: YAMNet, as for `yamnet-cry distill --teacher`, if it is measured.
        mn04: Folder with EfficientAT's mn04 (see `Mn04`), if it is measured.
        previous: Model folder of release 0.1.0, if it is measured.
    """

    reference: str | None = None
    yamnet: str | None = None
    mn04: str | None = None
    previous: str | None = None

    @cached_property
    def scorers(self) -> dict[str, Scorer]:
        """The scorers by key; loaded on first use."""
        found: dict[str, Scorer] = {RELEASED: Detector(None)}
        if self.previous is not None:
            found[PREVIOUS] = Detector(self.previous)
        if self.reference is not None:
            found[REFERENCE] = Detector(self.reference)
        if self.yamnet is not None:
            found[YAMNET] = Yamnet(self.yamnet)
        if self.mn04 is not None:
            found[MN04] = Mn04(Path(self.mn04))
        return found


class Detector:
    """A model folder of this package: the probabilities of `CryDetector`."""

    def __init__(self, folder: str | None) -> None:
        self._detector = CryDetector.from_pretrained(folder)
        config = self._detector.config
        self.name = f"{config.recipe} INT8" if folder else "released INT8"
        context = self._detector.context
        networks = (self._detector.model, b"" if context is None else context.to_bytes())
        self.fingerprint = _sha256(*networks, repr(config.calibration).encode())

    def scores(self, waveform: Float32) -> Float64:
        """See `Scorer`."""
        return self._detector((waveform, frontend.YAMNET.sample_rate)).probabilities[:, None]


class Yamnet:
    """YAMNet, FP32: softmax of classes 19 + 20 over all 521, and the probability of either by its sigmoids.

    Args:
        source: Its weights, a SavedModel, or ``tfhub``.
    """

    def __init__(self, source: str) -> None:
        from yamnet_cry.distill import teachers

        teacher = teachers.load(source)
        self.name, self.fingerprint = "YAMNet", teacher.fingerprint
        # LiteRT is several times as fast as Keras; a SavedModel is not converted.
        if isinstance(teacher, teachers.YamnetTeacher):
            self._logits = _on_litert(teacher.model)
        else:
            self._logits = lambda waveform: teacher.logits([waveform])[0]

    def scores(self, waveform: Float32) -> Float64:
        """See `Scorer`."""
        logits = self._logits(frontend.YAMNET.pad(waveform))
        either = 1 / (1 + np.exp(-logits[:, list(CRY_CLASSES)].astype(np.float64)))
        return np.stack([cry_score(logits).astype(np.float64), 1 - np.prod(1 - either, axis=1)], axis=1)


class Mn04:
    """EfficientAT's mn04_as (Schmid et al. 2023, arXiv:2211.04772), FP32, on the last three seconds.

    It was trained on ten seconds, and is inaccurate on less than three: each score is for the 3 s up to the
    end of the window, with digital silence before the start of the recording. It is the probability of
    "Crying, sobbing" or "Baby cry, infant cry", by the sigmoids.

    Args:
        folder: Folder with ``mn04_as_mel.onnx`` (log-mel in, logits out) and ``mel_128x513_32k.npy``.

    Raises:
        TeacherError: If the files are missing.
    """

    CONTEXT, HOP = 300, 48  # frames of 10 ms

    def __init__(self, folder: Path) -> None:
        from yamnet_cry.distill.teachers import EfficientAtTeacher

        self._tagger = EfficientAtTeacher(folder)
        self._crying = [self._tagger.labels.index(label) for label in CRY_TASK.group]
        network = next(folder.glob("*.onnx")).read_bytes()
        self.name, self.fingerprint = "EfficientAT mn04", _sha256(network, b"3 s")

    def scores(self, waveform: Float32) -> Float64:
        """See `Scorer`."""
        windows = len(patch_windows(waveform))
        ends = frontend.YAMNET.patch_frames + self.HOP * np.arange(windows)
        # Silence before the recording, as context of the first windows.
        lead = self.CONTEXT - frontend.YAMNET.patch_frames
        length = (lead + int(ends[-1])) * frontend.YAMNET.frame_hop
        padded = np.zeros(length, np.float32)
        heard = waveform[: length - lead * frontend.YAMNET.frame_hop]
        padded[lead * frontend.YAMNET.frame_hop :][: len(heard)] = heard
        log_mel = self._tagger.log_mel(padded)
        rows = []
        for end in ends:
            part = log_mel[end - frontend.YAMNET.patch_frames :][: self.CONTEXT]
            logits = self._tagger.judged(part)[self._crying].astype(np.float64)
            rows.append(1 - np.prod(1 - 1 / (1 + np.exp(-logits))))
        return np.array(rows)[:, None]


def _on_litert(model: "keras.Model") -> Callable[[Float32], Float32]:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    with contextlib.redirect_stdout(io.StringIO()):  # it prints every layer's weights
        converted = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = Interpreter(model_content=converted, num_threads=1)
    interpreter.allocate_tensors()
    given, found = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def logits(waveform: Float32) -> Float32:
        rows = []
        for patch in frontend.YAMNET.patches(frontend.YAMNET.log_mel(waveform)):
            interpreter.set_tensor(given, patch[None, :, :, None])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(found)[0].copy())
        return np.stack(rows)

    return logits


def patch_windows(waveform: Float32) -> Float32:
    """Cuts audio into the windows of the scores: float32 of shape (windows, samples)."""
    padded = frontend.YAMNET.pad(waveform)
    return sliding_window_view(padded, frontend.YAMNET.patch_samples)[:: frontend.YAMNET.patch_hop_samples]


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()

"""What a finished student is measured by: calibrated on validation, reported on test, beside its teacher."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from yamnet_cry.classifier import Classifier
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import corpus, evaluate, plots
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.metrics import Float64
from yamnet_cry.distill.sampling import teacher_score
from yamnet_cry.distill.targets import Opinion, Windows
from yamnet_cry.frontend import Float32
from yamnet_cry.model.config import ModelConfig


@dataclass(frozen=True)
class Measured:
    """A student that was measured.

    Attributes:
        config: Its configuration, with the calibration of a detector.
        results: ``evaluation``, how the figures were obtained, and ``models``, the report of each.
        draw: Draws the test clips to a PNG.
    """

    config: ModelConfig
    results: dict[str, Any]
    draw: Callable[[Path], None]


def measure(
    clips: Sequence[Clip],
    windows: Windows,
    student: keras.Model,
    config: ModelConfig,
    tflite: bytes,
    *,
    progress: bool = True,
) -> Measured:
    """Measures a student in INT8 and in full precision, and its teacher, on the same clips in the same way.

    Args:
        clips: The corpus.
        windows: What the teachers say of it, and the spectrograms of its clips.
        student: In Keras.
        config: Of the student; its calibration and recall are not looked at.
        tflite: The student as TFLite.
        progress: Whether to show progress bars.
    """
    used = np.flatnonzero(windows.in_split("val") | windows.in_split("test"))
    logits = {"fp32": np.zeros((len(windows), len(config.task.labels)), np.float32)}
    logits["fp32"][used] = student.predict(windows.patches(used), batch_size=256, verbose=0)
    classifier = Classifier(config, tflite)
    quantized = {
        split: [classifier.logits(own) for own in windows.spectrograms(split)] for split in ("val", "test")
    }
    if config.task.group:
        return _detector(clips, windows, logits["fp32"], quantized, config, tflite, progress=progress)
    return _classifier(clips, windows, logits["fp32"], quantized["test"], config, progress=progress)


def _teacher(windows: Windows, labels: tuple[str, ...]) -> Opinion | None:
    """Returns the first teacher of windows, if it knows the labels: its logits in their order."""
    for opinion in windows.of("windows"):
        if set(labels) <= set(opinion.labels):
            return replace(opinion, labels=labels, logits=opinion.of_labels(labels))
    return None


def _detector(
    clips: Sequence[Clip],
    windows: Windows,
    logits: Float32,
    quantized: dict[str, list[Float32]],
    config: ModelConfig,
    tflite: bytes,
    *,
    progress: bool,
) -> Measured:
    task = config.task
    splits = {split: corpus.labelled(clips, split, task) for split in quantized}
    is_cry = {split: evaluate.labels(own) for split, own in splits.items()}
    window_scores: dict[str, Float32] = {}
    if teacher := _teacher(windows, task.labels):
        window_scores["teacher"] = task.score(teacher.logits)
        if teacher.kind == "independent":
            # Their sum reaches 2; calibration takes scores up to 1.
            window_scores["teacher_sigmoid"] = teacher_score(teacher, task) * np.float32(0.5)
    window_scores["fp32"] = task.score(logits)
    tracks = {
        name: {split: windows.by_clip(values, split) for split in splits}
        for name, values in window_scores.items()
    }
    tracks["int8"] = {split: list(map(task.score, own)) for split, own in quantized.items()}
    models: dict[str, Any] = {}
    probabilities: dict[str, Float64] = {}
    for name, of_split in tracks.items():
        calibration = evaluate.fit_calibration(is_cry["val"], of_split["val"], config.events)
        if name == "int8":
            config = replace(config, calibration=calibration)
        probabilities[name] = evaluate.clip_probabilities(of_split["test"], calibration, config.events)
        models[name] = evaluate.report(
            splits["test"], probabilities[name], config.threshold, progress=progress
        )
    levels = evaluate.clip_probabilities(tracks["int8"]["val"], config.calibration, config.events)
    config = replace(config, event_recall=evaluate.event_recall(splits["val"], levels))
    found = probabilities["int8"] >= config.threshold
    models["int8"]["events"] = evaluate.event_report(CryDetector(config, tflite), splits["test"], found)
    shown: dict[str, Float64] = {
        name: probabilities[name] for name in ("int8", "fp32", "teacher") if name in probabilities
    }
    return Measured(
        config,
        {"evaluation": evaluate.method("test"), "models": models},
        lambda path: plots.evaluation(path, is_cry["test"], shown),
    )


def _classifier(
    clips: Sequence[Clip],
    windows: Windows,
    logits: Float32,
    quantized: list[Float32],
    config: ModelConfig,
    *,
    progress: bool,
) -> Measured:
    task = config.task
    test = corpus.labelled(clips, "test", task)
    of_clips = {"int8": quantized, "fp32": windows.by_clip(logits, "test")}
    if teacher := _teacher(windows, task.labels):
        of_clips["teacher"] = windows.by_clip(teacher.logits, "test")
    models = {
        name: evaluate.classification_report(
            test,
            np.stack([task.probabilities(own).mean(axis=0, dtype=np.float64) for own in each]),
            task,
            progress=progress,
        )
        for name, each in of_clips.items()
    }
    results = {"evaluation": evaluate.classification_method("test"), "models": models}
    return Measured(config, results, partial(evaluate.draw_classification, models["int8"], task))

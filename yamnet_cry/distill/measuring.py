"""Evaluates a finished student and its teacher: calibration on validation clips, reports on test clips."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import keras
import numpy as np

from yamnet_cry.calibration import log_odds
from yamnet_cry.classifier import Classifier
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import corpus, evaluate, plots
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.evaluate import Track
from yamnet_cry.distill.metrics import Float64
from yamnet_cry.distill.rows import blocks
from yamnet_cry.distill.sampling import teacher_score
from yamnet_cry.distill.windows import Opinion, Windows
from yamnet_cry.frontend import Float32
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.context import Context
from yamnet_cry.model.context_keras import HEAD
from yamnet_cry.task import Task

_SPLITS = ("val", "test")


@dataclass(frozen=True)
class Measured:
    """The evaluation of a student.

    Attributes:
        config: Configuration of the student; for a detector, with its calibration.
        results: ``evaluation``, how the figures were obtained, and ``models``, the report of each.
        draw: Writes plots of the evaluation to a PNG.
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
    context: tuple[keras.Model, Context] | None = None,
    prior: float | None = None,
    *,
    previous: CryDetector | None = None,
    progress: bool = True,
) -> Measured:
    """Evaluates a student in INT8 and in full precision, and its teacher, on the same clips.

    Args:
        clips: The corpus.
        windows: Spectrograms and teachers' logits of the clips.
        student: The student in Keras.
        config: Configuration of the student; its calibration and recall are ignored.
        tflite: The student in TFLite.
        context: The context network, in Keras and quantised, if there is one.
        prior: Share of crying for which the detector is calibrated; that of the validation clips by default.
        previous: Another detector to evaluate for comparison, with the same front end.
        progress: Whether to show progress bars.
    """
    if config.task.group:
        detector = CryDetector(config, tflite, None if context is None else context[1])
        of_keras = None if context is None else context[0]
        return _detector(clips, windows, student, of_keras, detector, prior, previous, progress=progress)
    return _classifier(clips, windows, student, Classifier(config, tflite), progress=progress)


def _predicted(network: keras.Model, windows: Windows) -> Iterator[tuple[Clip, Float32]]:
    """Yields each labelled clip of validation and test, with a network's output for its windows."""
    used = np.flatnonzero(windows.in_split("val") | windows.in_split("test"))
    rows = chain.from_iterable(
        network.predict(windows.patches(used[block]), batch_size=256, verbose=0)
        for block in blocks(len(used))
    )
    of_windows = zip(windows.clip_index[used], rows, strict=True)
    for number, of_clip in groupby(of_windows, key=itemgetter(0)):
        said = np.stack([row for _, row in of_clip])
        if windows.clips[number].labels:
            yield windows.clips[number], said


def _in_full_precision(
    windows: Windows, student: keras.Model, context: keras.Model | None, task: Task
) -> dict[str, list[Track]]:
    """Returns the log-odds of the windows of every labelled clip of validation and test, from Keras."""
    tracks: dict[str, list[Track]] = {split: [] for split in _SPLITS}
    if context is None:
        for clip, logits in _predicted(student, windows):
            tracks[clip.split].append(log_odds(task.score(logits)))
        return tracks
    for clip, embeddings in _predicted(keras.Model(student.input, student.get_layer(HEAD).output), windows):
        tracks[clip.split].append(np.asarray(context(embeddings[None]))[0])
    return tracks


def _teacher(windows: Windows, labels: tuple[str, ...]) -> Opinion | None:
    """Returns the first teacher of windows that has all the labels, or None."""
    return next((each for each in windows.of("windows") if set(labels) <= set(each.labels)), None)


def _detector(
    clips: Sequence[Clip],
    windows: Windows,
    student: keras.Model,
    context: keras.Model | None,
    detector: CryDetector,
    prior: float | None,
    previous: CryDetector | None,
    *,
    progress: bool,
) -> Measured:
    config = detector.config
    task = config.task
    splits = {split: corpus.labelled(clips, split, task) for split in _SPLITS}
    is_cry = {split: evaluate.labels(own) for split, own in splits.items()}
    window_scores: dict[str, Float32] = {}
    if teacher := _teacher(windows, task.labels):
        window_scores["teacher"] = np.concatenate(
            [task.score(teacher.of_labels(task.labels, block)) for block in blocks(len(windows))]
        )
        if teacher.kind == "independent":
            # The sum of sigmoids is up to 2; calibration takes scores up to 1.
            window_scores["teacher_sigmoid"] = teacher_score(teacher, task) * np.float32(0.5)
    tracks: dict[str, dict[str, list[Track]]] = {
        name: {split: windows.by_clip(log_odds(values), split) for split in splits}
        for name, values in window_scores.items()
    }
    tracks["fp32"] = _in_full_precision(windows, student, context, task)
    for name, each in (("int8", detector), ("previous", previous)):
        if each is not None:
            tracks[name] = {split: list(map(each.log_odds, windows.spectrograms(split))) for split in splits}
    models: dict[str, Any] = {}
    probabilities: dict[str, Float64] = {}
    for name, of_split in tracks.items():
        events = previous.config.events if previous is not None and name == "previous" else config.events
        calibration = evaluate.fit_calibration(is_cry["val"], of_split["val"], events, prior)
        if name == "int8":
            config = replace(config, calibration=calibration)
        probabilities[name] = evaluate.clip_probabilities(of_split["test"], calibration, events)
        models[name] = evaluate.report(
            splits["test"], probabilities[name], config.threshold, prior, progress=progress
        )
    levels = evaluate.clip_probabilities(tracks["int8"]["val"], config.calibration, config.events)
    config = replace(config, event_recall=evaluate.event_recall(splits["val"], levels))
    found = probabilities["int8"] >= config.threshold
    calibrated = CryDetector(config, detector.model, detector.context)
    models["int8"]["events"] = evaluate.event_report(calibrated, splits["test"], found)
    shown: dict[str, Float64] = {
        name: probabilities[name] for name in ("int8", "fp32", "teacher") if name in probabilities
    }
    return Measured(
        config,
        {"evaluation": evaluate.method("test"), "models": models},
        lambda path: plots.evaluation(path, is_cry["test"], shown, prior),
    )


def _classifier(
    clips: Sequence[Clip],
    windows: Windows,
    student: keras.Model,
    classifier: Classifier,
    *,
    progress: bool,
) -> Measured:
    config = classifier.config
    task = config.task
    test = corpus.labelled(clips, "test", task)
    of_windows = windows.by_clip(np.arange(len(windows)), "test")

    def report(logits: Iterable[Float32]) -> dict[str, Any]:
        means = [task.probabilities(own).mean(axis=0, dtype=np.float64) for own in logits]
        return evaluate.classification_report(test, np.stack(means), task, progress=progress)

    models = {
        "int8": report(map(classifier.logits, windows.spectrograms("test"))),
        "fp32": report(said for clip, said in _predicted(student, windows) if clip.split == "test"),
    }
    if teacher := _teacher(windows, task.labels):
        models["teacher"] = report(teacher.of_labels(task.labels, own) for own in of_windows)
    for judge in windows.of("clips"):
        if set(task.labels) <= set(judge.labels):
            models["judge"] = report(
                judge.of_labels(task.labels, windows.clip_index[own]) for own in of_windows
            )
    results = {"evaluation": evaluate.classification_method("test"), "models": models}
    return Measured(config, results, partial(evaluate.draw_classification, models["int8"], task))

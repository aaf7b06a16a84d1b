"""One command from audio and a teacher to a model folder: prepare, fit, export, evaluate, write."""

import hashlib
import json
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yamnet_cry.audioset import cry_score
from yamnet_cry.calibration import Calibration
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import (
    corpus,
    evaluate,
    fitness,
    plots,
    quantize,
    students,
    targets,
    teachers,
    training,
    views,
)
from yamnet_cry.distill.cache import DEFAULT_LIMIT, default_cache
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.evaluate import Float64
from yamnet_cry.distill.recipes import CRY, Recipe
from yamnet_cry.distill.sampling import select, sigmoid_score
from yamnet_cry.distill.targets import Windows
from yamnet_cry.distill.teachers import Teacher
from yamnet_cry.errors import RecipeError, RunError
from yamnet_cry.events import EventSettings
from yamnet_cry.files import write_whole
from yamnet_cry.frontend import Float32
from yamnet_cry.model import card
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model.check import MAX_MULTIPLY_ACCUMULATES
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.folder import (
    CARD,
    CONFIG,
    EVALUATION_PLOT,
    KERAS,
    KERAS_WEIGHTS,
    LARGEST,
    METRICS,
    RECIPE,
    TFLITE,
    TRAINING_PLOT,
)
from yamnet_cry.model.keras_file import unpack_keras

_LOG = logging.getLogger(__name__)

_RUN = "run.json"

DEFAULT_THRESHOLD = 0.5


def distill(
    audio: str | Sequence[str],
    teacher: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    recipe: Recipe = CRY,
    seed: int = 0,
    resume: bool = False,
    cache: str | os.PathLike[str] | None = None,
    cache_limit: float = DEFAULT_LIMIT,
    license: str | None = None,
    progress: bool = True,
) -> CryDetector:
    """Distils a teacher into a student, and writes the model folder.

    Work in progress is kept in ``<out>.partial``; ``out`` itself appears whole, in one step, at the end. A
    student that is of no use, see `fitness.doubt`, is written as well, and a warning is logged.

    Afterwards the seeds of Keras and TensorFlow in this process are ``seed``, and TensorFlow's operations
    stay deterministic, which makes some of them slower.

    Args:
        audio: The corpus or corpora, see `corpus.load`.
        teacher: The teacher, see `teachers.load`.
        out: The model folder to make; must not exist.
        recipe: What to train, and how.
        seed: Seed of everything random; two runs with one seed give the same model.
        resume: Continue an interrupted run with the same arguments, if there is one.
        cache: SQLite file of the teacher's logits; `default_cache` by default.
        cache_limit: Gigabytes beyond which that file forgets what earlier runs left and none used since.
        license: The model's licence for its card, as the Hugging Face Hub names it, such as ``"mit"``; it
            depends on the audio. By default the card names none.
        progress: Whether to show progress bars.

    Returns:
        The detector in its new folder.

    Raises:
        YamnetCryError: If the corpus, the teacher or the run cannot be used as they are; the message
            says why. Nothing finished is lost.
    """
    if license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,63}", license):
        raise RunError(
            f"expected a licence as the Hugging Face Hub names it, such as mit, cc-by-4.0 or other. "
            f"Received: {license!r}"
        )
    out = Path(out)
    partial = out.with_name(out.name + ".partial")
    _check_free(out, partial, resume)
    _check_size(recipe, seed)
    clips = corpus.load(*([audio] if isinstance(audio, str) else audio))
    for split in ("val", "test"):
        corpus.require(clips, split)
    loaded = teachers.load(teacher)
    _begin(partial, recipe, seed, clips, loaded)

    every = [*clips, *views.make(clips, recipe.augmentation, seed)]
    windows = targets.teacher_pass(
        every, loaded, Path(cache or default_cache()), cache_limit=cache_limit, progress=progress
    )
    student, history = training.fit(windows, recipe, seed, partial / "checkpoints", progress=progress)
    representative = windows.patches(_calibration_windows(windows, recipe, seed))
    tflite = quantize.to_int8(student, representative, dense_per_channel=recipe.export.dense_per_channel)
    config = ModelConfig(
        recipe=recipe.name,
        threshold=DEFAULT_THRESHOLD,
        calibration=Calibration(slope=1.0, intercept=0.0),
        events=EventSettings(),
        parameters=quantize.parameter_counts(student),
        files={},
        package_version=version("yamnet-cry"),
    )
    config, results, probabilities = measure(clips, windows, student, config, tflite, progress=progress)
    metrics = {
        **results,
        "training": {"windows": _counts(windows, recipe), "history": history},
        "size": {
            "int8_bytes": len(tflite),
            "parameters": config.parameters,
            "multiply_accumulates": quantize.multiply_accumulates(student),
        },
    }
    record = _record(recipe, seed, clips, loaded, license)
    is_cry = evaluate.labels(corpus.require(clips, "test"))
    _write(partial / "model", student, tflite, config, record, metrics, is_cry, probabilities)
    try:
        os.rename(partial / "model", out)
    except OSError as error:
        raise RunError(
            f"{out} cannot be made ({error.strerror}); the result is in {partial / 'model'}"
        ) from None
    shutil.rmtree(partial)
    doubt = fitness.doubt(metrics)
    if doubt:
        _LOG.warning("Warning: %s is written, but %s", out, doubt)
    else:
        _LOG.info("%s is ready", out)
    return CryDetector.from_pretrained(out)


def _check_free(out: Path, partial: Path, resume: bool) -> None:
    if out.exists():
        raise RunError(f"{out} exists; name another folder, or move it away first")
    if partial.exists() and not resume:
        raise RunError(f"{partial} holds an unfinished run; continue it with --resume, or delete it")
    # It is deleted in the end, with all that is in it.
    if partial.exists() and not (partial / _RUN).exists() and any(partial.iterdir()):
        raise RunError(f"{partial} is no unfinished run, for it has no {_RUN}; move it away first")


def _check_size(recipe: Recipe, seed: int) -> None:
    """Refuses, before any work, a student that no detector would load in the end."""
    with training.seeded(seed):
        student = students.build(recipe.student)
    for what, received, limit in (
        ("multiply-accumulates a window", quantize.multiply_accumulates(student), MAX_MULTIPLY_ACCUMULATES),
        ("parameters", student.count_params(), LARGEST[TFLITE]),
    ):
        if received > limit:
            raise RecipeError(
                f"expected a student of at most {limit:,} {what}. Received: {received:,}; make "
                "student.blocks smaller, or fewer"
            )


def _identity(recipe: Recipe, seed: int, clips: Sequence[Clip], teacher: Teacher) -> dict[str, Any]:
    listing = "\n".join(f"{clip.name}\t{clip.target}\t{clip.split}\t{clip.group}" for clip in clips)
    return {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "corpus": hashlib.sha256(listing.encode()).hexdigest(),
        "teacher": teacher.fingerprint,
    }


def _begin(partial: Path, recipe: Recipe, seed: int, clips: Sequence[Clip], teacher: Teacher) -> None:
    """Makes the working folder, or checks that it is of the very same run."""
    identity = _identity(recipe, seed, clips, teacher)
    path = partial / _RUN
    try:
        partial.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_whole(path, json.dumps(identity, indent=2))
            return
        before = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{partial} cannot be written ({error.strerror})") from None
    except ValueError:
        raise RunError(f"{path} is damaged; delete {partial} to start afresh") from None
    differing = [key for key in identity if before.get(key) != identity[key]]
    if differing:
        raise RunError(
            f"{partial} is of a run with another {' and '.join(differing)}; resume with the same arguments, "
            "or delete it to start afresh"
        )


def _calibration_windows(windows: Windows, recipe: Recipe, seed: int) -> np.ndarray:
    """Draws from validation audio only: test audio must not shape the model, training audio flatters it."""
    available = np.flatnonzero(windows.in_split("val"))
    count = min(recipe.export.calibration_patches, len(available))
    return np.random.default_rng(seed).choice(available, count, replace=False)


def measure(
    clips: Sequence[Clip],
    windows: Windows,
    student: keras.Model,
    config: ModelConfig,
    tflite: bytes,
    *,
    progress: bool = True,
) -> tuple[ModelConfig, dict[str, Any], dict[str, Float64]]:
    """Calibrates teacher and student on validation in the same way, and measures them on the same clips.

    Args:
        clips: The corpus.
        windows: What the teacher says of it.
        student: In Keras.
        config: Of the student; its calibration and recall are not looked at.
        tflite: The student as TFLite.
        progress: Whether to show progress bars.

    Returns:
        The configuration with the student's calibration, the metrics, and the probabilities of the test
        clips by model.
    """
    splits = {split: corpus.require(clips, split) for split in ("val", "test")}
    is_cry = {split: evaluate.labels(own) for split, own in splits.items()}

    def tracks_of(split: str, window_scores: Float32) -> list[Float32]:
        of_clip = np.split(window_scores, np.flatnonzero(np.diff(windows.clip_index)) + 1)
        chosen = {id(clip) for clip in splits[split]}
        return [scores for clip, scores in zip(windows.clips, of_clip, strict=True) if id(clip) in chosen]

    used = np.flatnonzero(windows.in_split("val") | windows.in_split("test"))
    student_scores = np.zeros(len(windows.logits), np.float32)
    student_scores[used] = cry_score(student.predict(windows.patches(used), batch_size=256, verbose=0))
    window_scores: dict[str, Float32] = {
        "teacher": cry_score(windows.logits),
        # Their sum reaches 2; calibration takes scores up to 1.
        "teacher_sigmoid": sigmoid_score(windows.logits) * np.float32(0.5),
        "fp32": student_scores,
    }
    tracks = {
        name: {split: tracks_of(split, values) for split in splits} for name, values in window_scores.items()
    }
    detector = CryDetector(config, tflite)
    heard = {
        split: evaluate.detector_results(detector, own, progress=progress) for split, own in splits.items()
    }
    tracks["int8"] = {split: [result.scores for result in results] for split, results in heard.items()}
    models: dict[str, Any] = {}
    probabilities: dict[str, Float64] = {}
    for name, of_split in tracks.items():
        calibration = evaluate.fit_calibration(is_cry["val"], of_split["val"], config.events)
        if name == "int8":
            config = replace(config, calibration=calibration)
        probabilities[name] = evaluate.clip_probabilities(of_split["test"], calibration, config.events)
        models[name] = evaluate.report(
            splits["test"], probabilities[name], DEFAULT_THRESHOLD, progress=progress
        )
    levels = evaluate.clip_probabilities(tracks["int8"]["val"], config.calibration, config.events)
    config = replace(config, event_recall=evaluate.event_recall(splits["val"], levels))
    calibrated = [replace(result, calibration=config.calibration) for result in heard["test"]]
    detector = CryDetector(config, tflite)
    models["int8"]["events"] = evaluate.event_report(detector, splits["test"], calibrated)
    return config, {"evaluation": evaluate.method("test"), "models": models}, probabilities


def _counts(windows: Windows, recipe: Recipe) -> dict[str, Any]:
    counts = {}
    for split in ("train", "val"):
        positive, negative = select(windows, split, recipe.selection)
        total = int(windows.in_split(split).sum())
        counts[split] = {"positive": len(positive), "negative": len(negative), "all": total}
    return counts


def _record(
    recipe: Recipe, seed: int, clips: Sequence[Clip], teacher: Teacher, license: str | None
) -> dict[str, Any]:
    """What ``recipe.json`` says: enough to do it again, and to know whose audio went in."""
    sources: dict[str, Any] = {}
    for name in sorted({clip.source for clip in clips}):
        own = [clip for clip in clips if clip.source == name]
        sources[name] = {
            "clips": dict(sorted(Counter(f"{clip.split}/{clip.target}" for clip in own).items())),
            "licences": sorted({clip.extra["licence"] for clip in own if clip.extra.get("licence")}),
        }
    return {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "teacher": {"name": teacher.name, "fingerprint": teacher.fingerprint},
        "license": license,
        "sources": sources,
        "versions": {name: version(name) for name in ("yamnet-cry", "keras", "tensorflow", "numpy")},
    }


def _write(
    folder: Path,
    student: keras.Model,
    tflite: bytes,
    config: ModelConfig,
    recipe: dict[str, Any],
    metrics: dict[str, Any],
    is_cry: NDArray[np.bool_],
    probabilities: dict[str, Float64],
) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        student.save(folder / KERAS)
        (folder / TFLITE).write_bytes(tflite)
        of_keras, weights = unpack_keras(folder / KERAS)
        (folder / KERAS_WEIGHTS).write_bytes(weights)
        models = (TFLITE, KERAS, KERAS_WEIGHTS)
        files = {name: model_folder.fingerprint((folder / name).read_bytes()) for name in models}
        config = replace(config, files=files, keras=of_keras)
        (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
        (folder / RECIPE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
        (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        shown = {name: probabilities[name] for name in ("int8", "fp32", "teacher")}
        plots.evaluation(folder / EVALUATION_PLOT, is_cry, shown)
        plots.training(folder / TRAINING_PLOT, metrics["training"]["history"])
        (folder / CARD).write_text(card.render(config, recipe, metrics), encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror}); "
            "training is safe, so make room and run again with --resume"
        ) from None

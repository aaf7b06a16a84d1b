"""The whole pipeline from audio and a teacher to a model folder: prepare, fit, export, evaluate, write."""

import functools
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from yamnet_cry.classifier import Classifier
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import (
    context,
    corpus,
    devices,
    fitness,
    labelling,
    measuring,
    plots,
    probe,
    quantize,
    record,
    sampling,
    sources,
    students,
    targets,
    teachers,
    training,
    views,
    weight_bits,
)
from yamnet_cry.distill.cache import DEFAULT_LIMIT, default_cache
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.measuring import Measured
from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.recipes import CRY
from yamnet_cry.distill.targets import Known
from yamnet_cry.distill.teacher import Teacher
from yamnet_cry.distill.windows import Windows
from yamnet_cry.errors import ModelError, RecipeError, RunError
from yamnet_cry.files import write_whole
from yamnet_cry.model import card, context_keras
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model.check import MAX_MULTIPLY_ACCUMULATES
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.folder import (
    CARD,
    CONFIG,
    CONTEXT,
    EVALUATION_PLOT,
    KERAS,
    KERAS_METADATA,
    KERAS_WEIGHTS,
    LARGEST,
    METRICS,
    RECIPE,
    TFLITE,
    TRAINING_PLOT,
)
from yamnet_cry.model.keras_file import unpack_keras
from yamnet_cry.model.runtime import embedding_scale

_LOG = logging.getLogger(__name__)

_RUN = "run.json"

#: A teacher, or an argument of `teachers.load`.
Source = str | os.PathLike[str] | Teacher


def distill(
    audio: str | Sequence[str],
    teacher: Source | Sequence[Source] | None,
    out: str | os.PathLike[str],
    *,
    recipe: Recipe = CRY,
    seed: int = 0,
    resume: bool = False,
    cache: str | os.PathLike[str] | None = None,
    cache_limit: float = DEFAULT_LIMIT,
    license: str | None = None,
    start: str | os.PathLike[str] | None = None,
    cluster: str | None = None,
    partitions: str | os.PathLike[str] | None = None,
    device_count: int = 1,
    progress: bool = True,
) -> Classifier:
    """Distils teachers into a student, and writes the model folder.

    Intermediate results are stored in ``<out>.partial``, including the spectrograms and logits of all clips,
    which may be larger than memory; ``out`` is created atomically at the end. An unusable student, see
    `fitness.doubt`, is also written, with a warning in the log.

    The call sets the seeds of Keras and TensorFlow in this process to ``seed``, and leaves TensorFlow's
    operations deterministic, which makes some of them slower.

    Args:
        audio: The corpus or corpora, see `sources.load`.
        teacher: An argument of `teachers.load`, a `teachers.Teacher`, a sequence of these in the order of the
            recipe's ``teaching.roles``, or None for a recipe that learns from labels alone.
        out: The model folder to create; must not exist.
        recipe: The recipe.
        seed: Random seed; two runs with the same seed give the same model.
        resume: Whether to resume an interrupted run with the same arguments, if there is one.
        cache: SQLite file of the teacher's logits; `default_cache` by default.
        cache_limit: Gigabytes of logits above which the least recently used entries of earlier runs are
            deleted.
        license: The model's licence for its card, as an identifier of the Hugging Face Hub such as ``"mit"``;
            it depends on the audio. By default, the card has no licence.
        start: Model folder or repository with the initial weights, for a recipe with
            ``student.start=released``; the released model by default.
        cluster: Address of a Ray cluster that runs the teachers, or ``"auto"`` for that of this machine; by
            default, they run in this process. With a cluster, clips that cannot be read are left out, with a
            warning.
        partitions: Folder or URL of logits computed by a cluster; teachers run only on clips that it lacks.
            With ``cluster``, `clip_pass.default_partitions` by default.
        device_count: Number of devices that share every training step, see `devices`; more than one needs the
            JAX backend. A run may be resumed on a different number.
        progress: Whether to show progress bars.

    Returns:
        The detector or classifier, loaded from its new folder.

    Raises:
        YamnetCryError: If the corpus, the teacher or the run cannot be used; the message says why. Finished
            work is kept.

    Examples:
        >>> distill("my_audio", "yamnet", "my_model")  # takes a while  # doctest: +SKIP
    """
    if license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,63}", license):
        raise RunError(
            "expected a licence identifier of the Hugging Face Hub, such as mit, cc-by-4.0 or other. "
            f"Received: {license!r}"
        )
    out = Path(out)
    partial = out.with_name(out.name + ".partial")
    _check_free(out, partial, resume)
    kind = _kind_of_model(recipe)
    devices.check(device_count, recipe)
    clips = sources.load(*([audio] if isinstance(audio, str) else audio), task=recipe.task)
    recipe = replace(recipe, task=corpus.completed(recipe.task, clips))
    untrained = _of_usable_size(recipe)
    _say_what_there_is(clips, recipe)
    corpus.check(clips, recipe.task)
    loaded = [_loaded(each, recipe) for each in _several(teacher)]
    teacher_labels = teachers.check(loaded, recipe)
    begun = _started(start, recipe, untrained)
    _begin(partial, record.identity(recipe, seed, clips, loaded, begun))

    roles = zip(loaded, recipe.teaching.roles, recipe.teaching.weights, strict=False)
    judged = [*clips, *views.make(clips, recipe.augmentation, seed, recipe.task)]
    known: list[Known] = []
    if cluster is not None or partitions is not None:
        makers = [_maker(each, recipe) for each in _several(teacher)]
        found = labelling.found(
            cluster, judged, loaded, makers, recipe.front_end, partitions, progress=progress
        )
        known, judged = found.known, found.readable
        clips = [clip for clip in judged if clip.source != views.SOURCE]
        corpus.check(clips, recipe.task)
    windows = targets.teacher_pass(
        judged,
        list(roles),
        recipe.front_end,
        Path(cache or default_cache()),
        partial / "windows",
        cache_limit=cache_limit,
        known=known,
        progress=progress,
    )
    windows = probe.fitted(windows, recipe.task)
    checkpoints = partial / "checkpoints"
    student, history = training.fit(
        windows,
        recipe,
        teacher_labels,
        seed,
        checkpoints,
        start=begun,
        device_count=device_count,
        progress=progress,
    )
    representative = windows.patches(_calibration_windows(windows, recipe, seed))
    trained: dict[str, Any] = {"windows": sampling.counts(windows, recipe), "history": history}
    heard, of_context = student, None
    if recipe.context is not None:
        student, of_context, later = context.fit(
            windows,
            student,
            recipe,
            teacher_labels,
            seed,
            checkpoints / "context",
            device_count=device_count,
            progress=progress,
        )
        heard, trained["context_history"] = context_keras.with_embedding(student), later
    tflite = quantize.to_int8(heard, representative, dense_per_channel=recipe.export.dense_per_channel)
    both = None
    if of_context is not None:
        both = (
            of_context,
            context_keras.quantized(of_context, embedding_scale(tflite, recipe.student.head_rank)),
        )
    config = ModelConfig(
        recipe=recipe.name,
        task=recipe.task,
        front_end=recipe.front_end,
        parameters=quantize.parameter_counts(student),
        files={},
        package_version=version("yamnet-cry"),
        events=recipe.events,
    )
    prior = None if recipe.context is None else recipe.context.prior
    measured = measuring.measure(clips, windows, student, config, tflite, both, prior, progress=progress)
    metrics = {
        **measured.results,
        "training": trained,
        "size": {
            "int8_bytes": len(tflite),
            **_packed(student, recipe.export.weight_bits),
            **({} if both is None else {"context_bytes": len(both[1].to_bytes())}),
            "parameters": config.parameters,
            "multiply_accumulates": quantize.multiply_accumulates(student),
        },
    }
    recorded = record.record(recipe, seed, clips, loaded, license, begun, device_count)
    networks = {TFLITE: tflite} | ({} if both is None else {CONTEXT: both[1].to_bytes()})
    _write(partial / "model", student, networks, measured, recorded, metrics)
    try:
        os.rename(partial / "model", out)
    except OSError as error:
        raise RunError(
            f"{out} cannot be created ({error.strerror}); the result is in {partial / 'model'}"
        ) from None
    shutil.rmtree(partial)
    doubt = fitness.doubt(metrics)
    if doubt:
        _LOG.warning("Warning: %s was written, but %s", out, doubt)
    else:
        _LOG.info("%s is ready", out)
    return kind.from_pretrained(out)


def _kind_of_model(recipe: Recipe) -> type[Classifier]:
    """Returns the class that will run the student; rejects a recipe whose model it could not run."""
    kind = CryDetector if recipe.task.group else Classifier
    try:
        kind.check(recipe.task, recipe.front_end)
    except ModelError as error:
        raise RecipeError(f"recipe {recipe.name} would produce an unusable model: {error}") from None
    return kind


def _started(start: str | os.PathLike[str] | None, recipe: Recipe, student: keras.Model) -> Classifier | None:
    """Loads the model with the initial weights, if the recipe needs one; rejects it if no weights fit."""
    if recipe.student.start != "released":
        if start is not None:
            raise RecipeError(
                f"recipe {recipe.name} starts from random weights; to start from a model, use "
                f"--set student.start=released. Received: {os.fspath(start)!r}"
            )
        return None
    model = CryDetector.from_pretrained() if start is None else Classifier.from_pretrained(start)
    students.begin_with(student, model.keras_model)
    return model


def _several(teacher: Source | Sequence[Source] | None) -> list[Source]:
    if teacher is None:
        return []
    alone = isinstance(teacher, str) or not isinstance(teacher, Sequence)
    return [teacher] if alone else list(teacher)  # type: ignore[list-item, arg-type]


def _loaded(source: Source, recipe: Recipe) -> Teacher:
    if isinstance(source, str | os.PathLike):
        return teachers.load(source, recipe.front_end, recipe.task.labels, recipe.teaching.prompts)
    return source


def _maker(source: Source, recipe: Recipe) -> Callable[[], Teacher]:
    """Returns a function that loads a teacher in another process, which may have another working folder."""
    if isinstance(source, str | os.PathLike) and Path(source).exists():
        source = os.path.abspath(source)
    return functools.partial(_loaded, source, recipe)


def _say_what_there_is(clips: Sequence[Clip], recipe: Recipe) -> None:
    if recipe.task.group:
        return
    _LOG.info("%-30s %6s %6s %6s %7s", "label", *corpus.SPLITS, "groups")
    for label, by_split, groups in corpus.counts(clips, recipe.task.labels):
        _LOG.info("%-30s %6d %6d %6d %7d", label[:30], *by_split.values(), groups)


def _check_free(out: Path, partial: Path, resume: bool) -> None:
    if out.exists():
        raise RunError(f"{out} already exists; choose another folder, or move it away first")
    if partial.exists() and not resume:
        raise RunError(f"{partial} contains an unfinished run; continue it with --resume, or delete it")
    # The folder is deleted at the end, with everything in it.
    if partial.exists() and not (partial / _RUN).exists() and any(partial.iterdir()):
        raise RunError(f"{partial} is not an unfinished run (it has no {_RUN}); move it away first")


def _of_usable_size(recipe: Recipe) -> keras.Model:
    """Builds the student before other work; rejects one that is too large for a detector to load."""
    with training.seeded(0):
        student = students.build(recipe.student, len(recipe.task.labels), recipe.front_end)
    for what, received, limit in (
        ("multiply-accumulates per window", quantize.multiply_accumulates(student), MAX_MULTIPLY_ACCUMULATES),
        ("parameters", student.count_params(), LARGEST[TFLITE]),
    ):
        if received > limit:
            raise RecipeError(
                f"expected a student of at most {limit:,} {what}. Received: {received:,}; use "
                "fewer or smaller student.blocks"
            )
    return student


def _begin(partial: Path, identity: dict[str, Any]) -> None:
    """Creates the working folder, or checks that it belongs to the same run."""
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
        raise RunError(f"{path} is damaged; delete {partial} to start again") from None
    differing = [key for key in identity if before.get(key) != identity[key]]
    if differing:
        raise RunError(
            f"{partial} is from a run with another {' and '.join(differing)}; resume with the same "
            "arguments, or delete it to start again"
        )


def _calibration_windows(windows: Windows, recipe: Recipe, seed: int) -> np.ndarray:
    """Samples from validation audio only: test audio must not affect the model; training audio is biased."""
    available = np.flatnonzero(windows.in_split("val"))
    count = min(recipe.export.calibration_patches, len(available))
    return np.random.default_rng(seed).choice(available, count, replace=False)


def _packed(student: keras.Model, bits: int) -> dict[str, int]:
    """Returns the size of the student with weights packed to fewer than 8 bits, which TFLite cannot store."""
    return {"weight_bits": bits, "packed_bytes": weight_bits.packed_bytes(student, bits)} if bits else {}


def _write(
    folder: Path,
    student: keras.Model,
    networks: dict[str, bytes],
    measured: Measured,
    recipe: dict[str, Any],
    metrics: dict[str, Any],
) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        student.save(folder / KERAS)
        for name, content in networks.items():
            (folder / name).write_bytes(content)
        of_keras, weights, metadata = unpack_keras(folder / KERAS)
        (folder / KERAS_WEIGHTS).write_bytes(weights)
        (folder / KERAS_METADATA).write_bytes(metadata)
        models = (*networks, KERAS, KERAS_WEIGHTS, KERAS_METADATA)
        files = {name: model_folder.fingerprint((folder / name).read_bytes()) for name in models}
        config = replace(measured.config, files=files, keras=of_keras)
        (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
        (folder / RECIPE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
        (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        measured.draw(folder / EVALUATION_PLOT)
        trained = metrics["training"]
        histories = {"student": trained["history"]}
        if "context_history" in trained:
            histories["context network"] = trained["context_history"]
        plots.training(folder / TRAINING_PLOT, histories)
        (folder / CARD).write_text(card.render(config, recipe, metrics), encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror}); "
            "the training is saved: free disk space and run again with --resume"
        ) from None

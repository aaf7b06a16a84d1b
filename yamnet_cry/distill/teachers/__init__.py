"""Teachers: anything that returns logits for audio."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yamnet_cry.distill.checkpoint_process import CLAP, SPEECH_MODELS
from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.teacher import EMBEDDING, Teacher
from yamnet_cry.distill.teachers.checkpoint import CheckpointTeacher
from yamnet_cry.distill.teachers.efficientat import EfficientAtTeacher
from yamnet_cry.distill.teachers.fingerprint import fingerprint
from yamnet_cry.distill.teachers.renamed import RenamedTeacher
from yamnet_cry.distill.teachers.saved_model import TFHUB, SavedModelTeacher, from_tfhub
from yamnet_cry.distill.teachers.student import StudentTeacher
from yamnet_cry.distill.teachers.whisper import WhisperTeacher
from yamnet_cry.distill.teachers.yamnet import WEIGHTS_FILE, YamnetTeacher
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET, FrontEnd
from yamnet_cry.model.folder import CONFIG
from yamnet_cry.task import Task

__all__ = [
    "CheckpointTeacher",
    "EfficientAtTeacher",
    "RenamedTeacher",
    "SavedModelTeacher",
    "StudentTeacher",
    "Teacher",
    "WhisperTeacher",
    "YamnetTeacher",
    "check",
    "load",
]

_LOG = logging.getLogger(__name__)


def load(
    source: str | os.PathLike[str],
    front_end: FrontEnd = YAMNET,
    labels: Sequence[str] = (),
    prompts: Sequence[str] = (),
) -> Teacher:
    """Loads a teacher.

    Args:
        source: ``"tfhub"`` for google/yamnet/1 from TensorFlow Hub or, if that fails, from Kaggle; or a path:
            of YAMNet's weights (``yamnet_folded.npz`` or the folder that contains it), of a SavedModel with
            the signature of google/yamnet/1, of a model folder, whose student is then the teacher, of a
            folder with a tagger (see `EfficientAtTeacher`), of Whisper's encoder in ONNX (see
            `WhisperTeacher`), or of a Transformers checkpoint (see `CheckpointTeacher`).
        front_end: The front end that defines the windows to score.
        labels: The labels of the task.
        prompts: For CLAP, a sentence for each label; for a teacher with other labels, see `RenamedTeacher`.

    Raises:
        TeacherError: If the teacher is missing or cannot be loaded.
    """
    teacher = _loaded(source, front_end, labels, prompts)
    by_itself = isinstance(teacher, CheckpointTeacher) or teacher.kind == EMBEDDING
    if prompts and not by_itself and not set(labels) <= set(teacher.labels):
        return RenamedTeacher(teacher, labels, prompts)
    return teacher


def _loaded(
    source: str | os.PathLike[str], front_end: FrontEnd, labels: Sequence[str], prompts: Sequence[str]
) -> Teacher:
    if os.fspath(source) == TFHUB:
        return from_tfhub()
    path = Path(source)
    if (path / "saved_model.pb").is_file():
        return SavedModelTeacher(str(path), fingerprint(path))
    model_type = _model_type(path / CONFIG)
    if model_type == "whisper":
        return WhisperTeacher(path, front_end)
    if model_type in (*SPEECH_MODELS, CLAP):
        return CheckpointTeacher(path, model_type, front_end, labels, prompts)
    if model_type:
        raise TeacherError(
            f"supported Transformers models: whisper, {', '.join(SPEECH_MODELS)} and {CLAP}. Received: "
            f"{model_type} in {path}"
        )
    if (path / CONFIG).is_file():
        return StudentTeacher(path)
    if any(path.glob("*.onnx")):
        return EfficientAtTeacher(path)
    if (path / WEIGHTS_FILE).is_file():
        path /= WEIGHTS_FILE
    if path.is_file():
        return YamnetTeacher(path)
    raise TeacherError(
        f"expected a teacher: {TFHUB}, {WEIGHTS_FILE}, or a folder with that file, a SavedModel, a model "
        "of yamnet-cry, an audio tagger or Whisper encoder in ONNX, or a Transformers checkpoint. "
        f"Received: {os.fspath(source)!r}"
    )


def _model_type(config: Path) -> str:
    """Returns the type of a Transformers model from its ``config.json``; empty if there is none."""
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(found.get("model_type", "")) if isinstance(found, dict) else ""


def check(teachers: Sequence[Teacher], recipe: Recipe) -> tuple[str, ...]:
    """Returns the labels that a student matches, and rejects teachers that do not fit its task.

    Args:
        teachers: In the order of the recipe's roles. Trailing teachers of clips may be missing, and all may
            be missing for a recipe without a selection.
        recipe: With a task that has labels.

    Returns:
        The labels of the teachers of windows: the task's, if all teachers have them, otherwise theirs, in
        the first one's order; empty without such teachers.

    Raises:
        TeacherError: If there are too few or too many, their labels differ, a teacher of clips lacks labels
            of the task, or a teacher of windows does not score the windows of the front end.
    """
    roles = recipe.teaching.roles
    needless = roles[len(teachers) :] if teachers else ()
    if len(teachers) > len(roles) or "windows" in needless or not (teachers or recipe.selection is None):
        raise TeacherError(
            f"recipe {recipe.name} expects {len(roles)} teacher{'s' * (len(roles) > 1)}, for "
            f"{' and '.join(roles)}. Received: {len(teachers)}; pass each with --teacher, and change their "
            "roles with --set teaching.roles=... and --set teaching.weights=..."
        )
    if needless:
        _LOG.info(
            "without a teacher of clips, training uses only their labels: recipe %s accepts one as "
            "the %s --teacher",
            recipe.name,
            "second" if len(teachers) == 1 else "last",
        )
    needed = set(recipe.task.group or recipe.task.labels)
    if recipe.task.group and any(teacher.kind == EMBEDDING for teacher in teachers):
        raise TeacherError(
            "expected teachers with the labels of the task's group: an encoder is probed on the labels of "
            "clips, which contain only whether the group is present"
        )
    waveform = recipe.front_end.pad(np.zeros(2 * recipe.front_end.sample_rate, np.float32))
    windows = len(recipe.front_end.patches(recipe.front_end.log_mel(waveform)))
    of_windows: list[Teacher] = []
    for teacher, role in zip(teachers, roles, strict=False):
        if role == "clips":
            if lacking := sorted(needed - set(_known(teacher, recipe.task))):
                raise TeacherError(
                    f"expected {teacher.name} to have every label of the task for the role clips. It "
                    f"lacks: {_some(lacking)}"
                )
            continue
        if (
            recipe.selection is not None
            and not of_windows
            and (lacking := sorted(set(recipe.task.group) - set(teacher.labels)))
        ):
            raise TeacherError(
                f"expected {teacher.name} to have the labels of the task's group, by which windows are "
                f"selected. It lacks: {_some(lacking)}"
            )
        of_windows.append(teacher)
        rows = len(teacher.logits([waveform])[0])
        if rows != windows:
            raise TeacherError(
                f"expected {teacher.name} to score {windows} windows in two seconds, like the front end. "
                f"Received: {rows}; for a teacher of whole clips use the role clips"
            )
    return _matched(of_windows, recipe.task)


def _known(teacher: Teacher, task: Task) -> tuple[str, ...]:
    """The labels of a teacher during training: those of the task if it returns embeddings."""
    return task.labels if teacher.kind == EMBEDDING else teacher.labels


def _matched(teachers: Sequence[Teacher], task: Task) -> tuple[str, ...]:
    if not teachers:
        return ()
    if all(set(task.labels) <= set(_known(teacher, task)) for teacher in teachers):
        return task.labels
    first = teachers[0]
    for teacher in teachers[1:]:
        if differing := sorted(set(_known(first, task)) ^ set(_known(teacher, task))):
            raise TeacherError(
                f"expected teachers of windows with the same labels. Only one of {first.name} and "
                f"{teacher.name} has: {_some(differing)}"
            )
    return _known(first, task)


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} others" if len(labels) > 5 else "")

"""Teachers: anything that gives logits for audio."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.teachers.efficientat import EfficientAtTeacher
from yamnet_cry.distill.teachers.fingerprint import fingerprint
from yamnet_cry.distill.teachers.saved_model import TFHUB, SavedModelTeacher, from_tfhub
from yamnet_cry.distill.teachers.student import StudentTeacher
from yamnet_cry.distill.teachers.yamnet import WEIGHTS_FILE, YamnetTeacher
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import Float32
from yamnet_cry.model.folder import CONFIG
from yamnet_cry.task import Kind

__all__ = [
    "EfficientAtTeacher",
    "SavedModelTeacher",
    "StudentTeacher",
    "Teacher",
    "YamnetTeacher",
    "check",
    "load",
]

_LOG = logging.getLogger(__name__)


class Teacher(Protocol):
    """Anything that gives logits for waveforms, of every window or of the whole.

    Attributes:
        name: How a run's records call it.
        fingerprint: Changes when its weights do; part of the key under which its logits are cached.
        labels: What each logit stands for.
        kind: ``exclusive`` if softmax makes them probabilities, ``independent`` if the sigmoid of each does.
    """

    name: str
    fingerprint: str
    labels: tuple[str, ...]
    kind: Kind

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Judges every waveform.

        Args:
            waveforms: float32 samples at 16 kHz, each padded by the student's `FrontEnd.pad`.

        Returns:
            One float32 array of shape (n, labels) a waveform: n is the number of its windows, or less for a
            teacher that judges the whole, such as 1.
        """
        ...


def load(source: str | os.PathLike[str]) -> Teacher:
    """Loads a teacher.

    Args:
        source: ``"tfhub"`` for google/yamnet/1 from TensorFlow Hub or, should that fail, from Kaggle;
            the path of YAMNet's weights (``yamnet_folded.npz`` or the folder it is in); that of a
            SavedModel with the signature of google/yamnet/1; that of a model folder, whose student then
            teaches; or that of a folder with a tagger, see `EfficientAtTeacher`.

    Raises:
        TeacherError: If there is none.
    """
    if os.fspath(source) == TFHUB:
        return from_tfhub()
    path = Path(source)
    if (path / "saved_model.pb").is_file():
        return SavedModelTeacher(str(path), fingerprint(path))
    if (path / CONFIG).is_file():
        return StudentTeacher(path)
    if any(path.glob("*.onnx")):
        return EfficientAtTeacher(path)
    if (path / WEIGHTS_FILE).is_file():
        path /= WEIGHTS_FILE
    if path.is_file():
        return YamnetTeacher(path)
    raise TeacherError(
        f"a teacher is {TFHUB}, {WEIGHTS_FILE}, or a folder with that file, a SavedModel, a model of "
        f"yamnet-cry or a tagger in ONNX. Received: {os.fspath(source)!r}"
    )


def check(teachers: Sequence[Teacher], recipe: Recipe) -> tuple[str, ...]:
    """Says what a student matches of its teachers, and refuses those that cannot teach its task.

    Args:
        teachers: In the order of the recipe's roles, of which those of clips at the end may be left out; may
            be none for a recipe without a selection.
        recipe: With a task that has labels.

    Returns:
        The labels that teachers of windows are matched in: the task's own, if all know them, else theirs, in
        the first one's order; nothing without such teachers.

    Raises:
        TeacherError: If there are too few or too many, they tell different labels apart, a teacher of clips
            does not know the task's, or one of windows does not judge those of the front end.
    """
    roles = recipe.teaching.roles
    needless = roles[len(teachers) :] if teachers else ()
    if len(teachers) > len(roles) or "windows" in needless or not (teachers or recipe.selection is None):
        raise TeacherError(
            f"recipe {recipe.name} expects {len(roles)} teacher{'s' * (len(roles) > 1)}, for "
            f"{' and '.join(roles)}. Received: {len(teachers)}; name each with --teacher, and change their "
            "roles with --set teaching.roles=... and --set teaching.weights=..."
        )
    if needless:
        _LOG.info(
            "without a teacher of clips, only labels say what is in them: recipe %s has a place for one, as "
            "the %s --teacher",
            recipe.name,
            "second" if len(teachers) == 1 else "last",
        )
    needed = set(recipe.task.group or recipe.task.labels)
    waveform = recipe.front_end.pad(np.zeros(2 * recipe.front_end.sample_rate, np.float32))
    windows = len(recipe.front_end.patches(recipe.front_end.log_mel(waveform)))
    of_windows: list[Teacher] = []
    for teacher, role in zip(teachers, roles, strict=False):
        if role == "clips":
            if lacking := sorted(needed - set(teacher.labels)):
                raise TeacherError(
                    f"expected {teacher.name} to know every label of the task, for it judges clips. It "
                    f"lacks: {_some(lacking)}"
                )
            continue
        if (
            recipe.selection is not None
            and not of_windows
            and (lacking := sorted(set(recipe.task.group) - set(teacher.labels)))
        ):
            raise TeacherError(
                f"expected {teacher.name} to know the labels of the task's group, by which windows are "
                f"selected. It lacks: {_some(lacking)}"
            )
        of_windows.append(teacher)
        rows = len(teacher.logits([waveform])[0])
        if rows != windows:
            raise TeacherError(
                f"expected {teacher.name} to judge {windows} windows of two seconds, as the front end cuts "
                f"them. Received: {rows}; one that judges whole clips has the role clips"
            )
    return _matched(of_windows, recipe.task.labels)


def _matched(teachers: Sequence[Teacher], own: tuple[str, ...]) -> tuple[str, ...]:
    if not teachers:
        return ()
    if all(set(own) <= set(teacher.labels) for teacher in teachers):
        return own
    first = teachers[0]
    for teacher in teachers[1:]:
        if differing := sorted(set(first.labels) ^ set(teacher.labels)):
            raise TeacherError(
                f"expected teachers of windows to tell the same labels apart. Only one of {first.name} and "
                f"{teacher.name} knows: {_some(differing)}"
            )
    return first.labels


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} others" if len(labels) > 5 else "")

"""A teacher whose labels differ from the task's: each label of the task maps to some of its labels."""

from collections.abc import Sequence

import numpy as np

from yamnet_cry.distill.teacher import Teacher, TeacherKind
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import Float32
from yamnet_cry.task import Kind, Task

_BETWEEN_NAMES = ";"
_LEAST = 1e-6


class RenamedTeacher:
    """Converts the logits of a teacher to the labels of a task.

    The probability of a label is the largest of the teacher's labels that it maps to. The probability of a
    label that maps to none, such as `other`, is one minus the largest of the others.

    Args:
        teacher: Any teacher that returns logits.
        labels: The labels of the task.
        names: For each label, labels of the teacher separated by ``;``, or an empty string.

    Raises:
        TeacherError: If the number of names differs from that of labels, the teacher lacks a name, or more
            than one name is empty.

    Examples:
        >>> class Hears:
        ...     name, fingerprint, kind, labels = "tagger", "1", "independent", ("Bark", "Howl", "Rain")
        ...     def logits(self, waveforms):
        ...         return [np.float32([[2.0, -3.0, -9.0]])]
        >>> renamed = RenamedTeacher(Hears(), ("dog", "other"), ("Bark;Howl", ""))
        >>> Task(renamed.labels).probabilities(renamed.logits([None])[0]).round(2).tolist()
        [[0.8799999952316284, 0.11999999731779099]]
    """

    kind: TeacherKind = "exclusive"

    def __init__(self, teacher: Teacher, labels: Sequence[str], names: Sequence[str]) -> None:
        if len(names) != len(labels) or list(names).count("") > 1:
            raise TeacherError(
                f"expected teaching.prompts to list, for each of {len(labels)} labels of the task, its "
                f"labels of {teacher.name}, separated by ;, with at most one empty text. "
                f"Received: {', '.join(map(repr, names))}"
            )
        self._teacher, self.labels = teacher, tuple(labels)
        own = [[name.strip() for name in each.split(_BETWEEN_NAMES)] if each else [] for each in names]
        lacking = sorted({name for each in own for name in each} - set(teacher.labels))
        if lacking:
            raise TeacherError(
                f"expected labels of {teacher.name} in teaching.prompts. It lacks: {', '.join(lacking[:5])}"
            )
        self._columns = [[teacher.labels.index(name) for name in each] for each in own]
        self.name = f"{teacher.name}, relabelled"
        self.fingerprint = f"{teacher.fingerprint} {self.labels} {self._columns}"

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Scores every waveform, with as many rows as the teacher returns; see `Teacher`."""
        return [self._renamed(rows) for rows in self._teacher.logits(waveforms)]

    def _renamed(self, rows: Float32) -> Float32:
        kind: Kind = "exclusive" if self._teacher.kind == "exclusive" else "independent"
        said = Task(self._teacher.labels, kind).probabilities(rows)
        found = np.stack(
            [said[:, own].max(axis=1) if own else np.zeros(len(rows), np.float32) for own in self._columns],
            axis=1,
        )
        for column, own in enumerate(self._columns):
            if not own:
                found[:, column] = 1.0 - found.max(axis=1)
        return np.asarray(np.log(np.maximum(found, _LEAST)), np.float32)

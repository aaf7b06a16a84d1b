"""The task of a model: its labels, and what its logits mean."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from yamnet_cry import fields
from yamnet_cry.fields import Rule

Float32 = NDArray[np.float32]

#: Whether a window has exactly one of the labels, or any number of them.
Kind = Literal["exclusive", "independent"]

#: Labels for sounds or words that are not among a task's labels, and for silence.
UNKNOWN, SILENCE = "unknown", "silence"
#: Label of clips that are known to have none of a task's independent labels.
NONE = "none"

_LONGEST_LABEL = 200
_MOST_LABELS = 10_000

# Number of labels in a message.
_LABELS_NAMED = 3


def _is_label(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_LABEL
        and value.isprintable()
        and value == value.strip()
    )


LABELS = Rule(
    f"a list of at most {_MOST_LABELS} different names, each of 1 to {_LONGEST_LABEL} printable characters",
    lambda value: (
        isinstance(value, list | tuple)
        and len(value) <= _MOST_LABELS
        and all(map(_is_label, value))
        and len(set(value)) == len(value)
    ),
)
TARGET = fields.text(r"|[a-z0-9_-]{1,64}", fields.NAME.meaning + ", or nothing")


@dataclass(frozen=True)
class Task:
    """The labels of a model, and what its logits mean.

    Attributes:
        labels: The label of each logit, in order; empty in a recipe that takes the labels of the corpus.
        kind: ``exclusive`` if a window has exactly one label: probabilities are the softmax of the logits;
            ``independent`` if it may have several or none: each is the sigmoid of its logit.
        group: The labels whose probabilities add up to the score of a detector; empty for a task without
            a score.
        target: Name of the group in the labels of clips, which are ``target`` or ``not_target``.

    Raises:
        ValueError: If a value is invalid; the message says what is wrong.

    Examples:
        >>> pets = Task(("cat", "dog", "bird"), "exclusive", group=("cat", "dog"), target="pet")
        >>> pets.score(np.float32([[0, 0, -100]])).tolist(), pets.clip_labels
        ([1.0], ('pet', 'not_pet'))
    """

    labels: Annotated[tuple[str, ...], LABELS] = ()
    kind: Annotated[Kind, fields.one_of(get_args(Kind))] = "exclusive"
    group: Annotated[tuple[str, ...], LABELS] = ()
    target: Annotated[str, TARGET] = ""

    def __post_init__(self) -> None:
        fields.check(vars(self), fields.rules(type(self)), "task")
        strangers = [label for label in self.group if label not in self.labels]
        if strangers:
            raise ValueError(f"expected task.group to name labels of the task. Received: {strangers[0]!r}")
        if bool(self.group) != bool(self.target):
            raise ValueError(
                "expected task.group and task.target together, or neither. "
                f"Received: {fields.shortened(list(self.group))} and {self.target!r}"
            )

    @property
    def group_indices(self) -> tuple[int, ...]:
        """The indices of the group's labels among all labels."""
        return tuple(map(self.labels.index, self.group))

    @property
    def clip_labels(self) -> tuple[str, ...]:
        """The labels that clips may have for this task."""
        return (self.target, f"not_{self.target}") if self.group else self.labels

    def probabilities(self, logits: Float32) -> Float32:
        """Returns the probability of each label in each window.

        Args:
            logits: float array of shape (windows, labels).

        Returns:
            float32 array of the same shape, in [0, 1].

        Examples:
            >>> Task(("a", "b")).probabilities(np.zeros((1, 2), np.float32)).tolist()
            [[0.5, 0.5]]
        """
        if self.kind == "independent":
            # tanh keeps the sigmoid of large negative logits from overflowing.
            return (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
        exponentials = _exponentials(logits)
        return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)

    def score(self, logits: Float32) -> Float32:
        """Returns the score of each window: the sum of the probabilities of the group, at most 1.

        Args:
            logits: float array of shape (windows, labels).

        Returns:
            float32 array of shape (windows,), in [0, 1].

        Raises:
            ValueError: If the task has no group.
        """
        if not self.group:
            raise ValueError("this task has no group, so it has no score")
        chosen = list(self.group_indices)
        if self.kind == "independent":
            return np.minimum(self.probabilities(logits)[:, chosen].sum(axis=1), np.float32(1.0))
        exponentials = _exponentials(logits)
        return (exponentials[:, chosen].sum(axis=1) / exponentials.sum(axis=1)).astype(np.float32)

    def __str__(self) -> str:
        """Lists a few labels, and the target, for messages.

        Examples:
            >>> print(Task(("cat", "dog", "bird", "cow", "pig"), group=("cat", "dog"), target="pet"))
            cat, dog, bird and 2 more, of which some are pet
        """
        more = len(self.labels) - _LABELS_NAMED
        named = ", ".join(self.labels[:_LABELS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        return named + (f", of which some are {self.target}" if self.group else "")

    def to_dict(self) -> dict[str, Any]:
        """Returns the task as a dictionary, as in ``config.json``."""
        return {
            "kind": self.kind,
            "target": self.target,
            "group": list(self.group),
            "labels": list(self.labels),
        }

    @classmethod
    def from_dict(cls, values: object) -> "Task":
        """Creates a task from the dictionary that `to_dict` returned.

        Raises:
            ValueError: If it is invalid; the message says what is wrong.
        """
        found = fields.check_only(values, fields.rules(cls), "task")
        return cls(tuple(found["labels"]), found["kind"], tuple(found["group"]), found["target"])


def _exponentials(logits: Float32) -> Float32:
    # Softmax is invariant to a shift; without it large logits would overflow.
    return np.exp(logits - logits.max(axis=1, keepdims=True))

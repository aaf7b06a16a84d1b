"""Recipes: all settings that determine a student, as data.

Creating a recipe checks the rules of its sections.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from yamnet_cry import fields
from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill.sections import (
    Augmentation,
    ContextSettings,
    Export,
    Loss,
    Sampling,
    Selection,
    StudentSettings,
    Teaching,
    Train,
)
from yamnet_cry.distill.settings import sections
from yamnet_cry.errors import RecipeError
from yamnet_cry.events import EventSettings
from yamnet_cry.fields import rules
from yamnet_cry.frontend import YAMNET, FrontEnd
from yamnet_cry.task import Task


def _instance(section: type, *, or_none: bool = False) -> fields.Rule:
    return fields.Rule(
        f"{section.__name__}(...)" + (" or None" if or_none else ""),
        lambda value: isinstance(value, section) or (or_none and value is None),
    )


_PARTS = {
    "name": fields.NAME,
    "front_end": _instance(FrontEnd),
    "task": _instance(Task),
    "teaching": _instance(Teaching),
    "student": _instance(StudentSettings),
    "augmentation": _instance(Augmentation),
    "selection": _instance(Selection, or_none=True),
    "sampling": _instance(Sampling),
    "loss": _instance(Loss),
    "train": _instance(Train),
    "context": _instance(ContextSettings, or_none=True),
    "export": _instance(Export),
    "events": _instance(EventSettings),
}

# Pairs of settings; the first must not exceed the second.
_IN_ORDER = (
    ("selection.negative_below", "selection.positive_above"),
    ("train.dropped_learning_rate", "train.learning_rate"),
    ("context.dropped_learning_rate", "context.learning_rate"),
)


@dataclass(frozen=True)
class Recipe:
    """A complete recipe, from the student's architecture to its quantisation.

    Attributes:
        name: Name in files and cards: 1 to 64 of the characters a-z, 0-9, _ and -.
        front_end: Computes the student's input from audio at 16 kHz.
        task: The student's task and labels.
        teaching: How the teachers are used.
        student: The student's architecture.
        augmentation: Augmented recordings (views) of the training clips.
        selection: Which windows to train on, by the first teacher's score; None for all windows, which needs
            no teacher.
        sampling: The samples of an epoch.
        loss: The loss of the student.
        train: How the student is trained.
        context: The context network over several seconds, for a task with a group; None for none.
        export: How the student is quantised.
        events: How the detector derives events from probabilities.
        about: One-line description.
        needs: The required audio and teachers, and where to get them.

    Raises:
        RecipeError: If a setting breaks its rule, or two settings contradict each other.

    Examples:
        >>> recipe = Recipe("mine", train=Train(epochs=10), about="a shorter training")
        >>> recipe["train.epochs"], recipe.task.target
        (10, 'cry')
    """

    name: str
    front_end: FrontEnd = YAMNET
    task: Task = CRY_TASK
    teaching: Teaching = field(default_factory=Teaching)
    student: StudentSettings = field(default_factory=StudentSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    selection: Selection | None = field(default_factory=Selection)
    sampling: Sampling = field(default_factory=Sampling)
    loss: Loss = field(default_factory=Loss)
    train: Train = field(default_factory=Train)
    context: ContextSettings | None = None
    export: Export = field(default_factory=Export)
    events: EventSettings = field(default_factory=EventSettings)
    about: str = field(default="", compare=False)
    needs: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        try:
            fields.check(vars(self), _PARTS)
            for name, section in sections(self).items():
                fields.check(vars(section), rules(type(section)), name)
        except ValueError as error:
            raise RecipeError(str(error)) from None
        self._check_teaching()
        self._check_context()
        for lower, higher in _IN_ORDER:
            if getattr(self, lower.partition(".")[0]) is None:
                continue
            received, limit = self[lower], self[higher]
            if received > limit:
                raise RecipeError(
                    f"expected {lower} to be at most {higher}, which is {limit!r}. Received: {received!r}"
                )

    def _check_teaching(self) -> None:
        roles, weights = self.teaching.roles, self.teaching.weights
        if len(roles) != len(weights):
            raise RecipeError(
                f"expected teaching.weights to have a weight for each of {len(roles)} roles. "
                f"Received: {len(weights)}"
            )
        if any(weight > 1 for role, weight in zip(roles, weights, strict=True) if role == "clips"):
            raise RecipeError(f"expected weights of clips in [0, 1]. Received: {weights}")
        if self.selection is not None and not (self.task.group and roles[0] == "windows"):
            raise RecipeError(
                "selection needs a task with a group and a first teacher with the role windows. "
                f"Received: task.group of {len(self.task.group)} labels, teaching.roles {roles}"
            )

    def _check_context(self) -> None:
        if self.context is None:
            return
        if not self.task.group or not self.student.head_rank:
            raise RecipeError(
                "expected a task with a group, and student.head_rank of at least 1, because a context "
                f"network reads the head's output. Received: task.group of {len(self.task.group)} labels, "
                f"student.head_rank {self.student.head_rank}"
            )

    def __getitem__(self, key: str) -> Any:
        """Returns a setting by its key, such as ``train.epochs``.

        Args:
            key: Section and name, separated by a dot.

        Raises:
            AttributeError: If there is no such setting.
        """
        section, _, name = key.partition(".")
        return getattr(getattr(self, section), name)

    def to_dict(self) -> dict[str, Any]:
        """Returns the recipe as plain data, as in ``recipe.json``: settings by section and name.

        Examples:
            >>> Recipe("mine").to_dict()["train"]["batch_size"]
            32
        """
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        del plain["about"], plain["needs"]
        return plain

"""Recipes: everything that decides what a student becomes, as data.

A further recipe is a further constant here; if it needs a change of the engine, something is wrong.
"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from yamnet_cry.errors import RecipeError

#: What the student's logits are compared with, see `losses.DistillationLoss`.
Target = Literal["raw_sigmoid", "softmax", "sigmoid"]


@dataclass(frozen=True)
class StudentSettings:
    """The student's shape.

    Attributes:
        architecture: A builder in `students.BUILDERS`.
        stem_filters: Filters of the first 3x3 convolution, of stride 2.
        blocks: Filters and stride of each depthwise-separable block.
    """

    architecture: str = "ds_cnn"
    stem_filters: int = 8
    blocks: tuple[tuple[int, int], ...] = ((16, 1), (32, 2), (64, 2), (128, 2))


@dataclass(frozen=True)
class Selection:
    """Which windows are trained on, by the teacher's sigmoid(19) + sigmoid(20).

    Attributes:
        positive_above: Windows above this are positive.
        negative_below: Windows below this are negative; those between the two are dropped.
    """

    positive_above: float = 0.30
    negative_below: float = 0.05


@dataclass(frozen=True)
class Sampling:
    """What an epoch consists of.

    Attributes:
        negatives_per_positive: Each epoch takes every positive window, and this many negative ones
            for each, drawn anew.
    """

    negatives_per_positive: int = 3


@dataclass(frozen=True)
class Loss:
    """What the student learns to match.

    Attributes:
        target: How the teacher's logits become targets.
        temperature: Divides the logits of both; gradients keep their size (Hinton et al. 2015).
    """

    target: Target = "raw_sigmoid"
    temperature: float = 1.0


@dataclass(frozen=True)
class Train:
    """How the student is fitted: AdamW with one drop of the learning rate.

    Attributes:
        epochs: Number of epochs.
        batch_size: Windows in a step.
        learning_rate: Learning rate until the drop.
        weight_decay: Decoupled weight decay.
        drop_epoch: First epoch, counted from 0, at the lower learning rate.
        dropped_learning_rate: Learning rate from then on.
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    drop_epoch: int = 30
    dropped_learning_rate: float = 1e-4


@dataclass(frozen=True)
class Export:
    """How the student is quantised.

    Attributes:
        calibration_patches: Patches of validation audio that set the ranges of activations.
    """

    calibration_patches: int = 200


@dataclass(frozen=True)
class Recipe:
    """A whole recipe, from the student's shape to its quantisation."""

    name: str
    student: StudentSettings = field(default_factory=StudentSettings)
    selection: Selection = field(default_factory=Selection)
    sampling: Sampling = field(default_factory=Sampling)
    loss: Loss = field(default_factory=Loss)
    train: Train = field(default_factory=Train)
    export: Export = field(default_factory=Export)

    def to_dict(self) -> dict[str, Any]:
        """Returns the recipe as plain data, as ``recipe.json`` holds it."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain


#: The published model chayuto/yamnet-cry-distill-int8 v0.2.0, whose card names these values.
REFERENCE = Recipe(name="reference")

RECIPES = {recipe.name: recipe for recipe in (REFERENCE,)}


def get(name: str, settings: Iterable[str] = ()) -> Recipe:
    """Looks up a recipe and changes some of its settings.

    Args:
        name: Name of a recipe in `RECIPES`.
        settings: Changes such as ``"train.epochs=5"``; values are written as in JSON, plain words
            may go without quotes.

    Raises:
        RecipeError: If there is no such recipe or setting, or the value is of another type.

    Example:
        >>> get("reference", ["train.epochs=5", "loss.target=softmax"]).train.epochs
        5
    """
    if name not in RECIPES:
        raise RecipeError(f"no such recipe; there are: {', '.join(RECIPES)}. Received: {name!r}")
    recipe = RECIPES[name]
    for setting in settings:
        recipe = _changed(recipe, setting)
    return recipe


def _changed(recipe: Recipe, setting: str) -> Recipe:
    key, equals, text = setting.partition("=")
    section_name, _, field_name = key.strip().partition(".")
    known = [
        f"{section.name}.{item.name}"
        for section in dataclasses.fields(Recipe)
        if dataclasses.is_dataclass(value := getattr(recipe, section.name))
        for item in dataclasses.fields(value)
    ]
    if not equals or key.strip() not in known:
        raise RecipeError(f"a setting is KEY=VALUE with one of {', '.join(known)}. Received: {setting!r}")
    section = getattr(recipe, section_name)
    before = getattr(section, field_name)
    return dataclasses.replace(
        recipe, **{section_name: dataclasses.replace(section, **{field_name: _parsed(key, text, before)})}
    )


def _parsed(key: str, text: str, before: object) -> object:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(before, float) and type(value) is int:
        value = float(value)
    if isinstance(before, tuple) and isinstance(value, list):
        value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    if type(value) is not type(before):
        raise RecipeError(f"{key} takes a value such as {before!r}. Received: {text!r}")
    return value

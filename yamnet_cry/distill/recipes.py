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

#: How the learning rate falls, see `training.learning_rate`.
Schedule = Literal["drop", "cosine"]

Range = tuple[float, float]


@dataclass(frozen=True)
class StudentSettings:
    """The student's shape.

    Attributes:
        architecture: A builder in `students.BUILDERS`.
        stem_filters: Filters of the first 3x3 convolution, of stride 2.
        blocks: Filters and stride of each depthwise-separable block.
        head_rank: Width of a linear layer before the logits, which factorises the last layer; 0 for none.
    """

    architecture: str = "ds_cnn"
    stem_filters: int = 8
    blocks: tuple[tuple[int, int], ...] = ((16, 1), (32, 2), (64, 2), (128, 2))
    head_rank: int = 0


@dataclass(frozen=True)
class Augmentation:
    """Augmented recordings that are made of the training clips, and judged by the teacher as well.

    Attributes:
        views: How many; 0 for none.
        seconds: Longest part of a clip that a view shows.
        cry_share: Share of views with a crying clip in the foreground.
        pitch: Probability of a shift in pitch, by ``semitones``.
        speed: Probability of another tempo, ``rates`` times the clip's.
        mix: Probability of another clip under it, at ``snr_db``.
        room: Probability of an echo of ``room_seconds``, with the direct sound at ``direct_db`` over it.
        noise: Probability of coloured noise, at ``noise_snr_db``.
        clip: Probability of clipped peaks.
        curve: Probability of a microphone's frequency response, of standard deviation ``curve_db``.
        low_pass: Probability of a low-pass at ``low_pass_hertz``: without it, a corpus in which only one
            class comes from telephones teaches bandwidth instead of crying.
        level_dbfs: Level of every view, in decibels below full scale.
    """

    views: int = 0
    seconds: float = 5.0
    cry_share: float = 0.5
    pitch: float = 0.3
    semitones: Range = (-3.0, 3.0)
    speed: float = 0.2
    rates: Range = (0.8, 1.25)
    mix: float = 0.6
    snr_db: Range = (-5.0, 20.0)
    room: float = 0.4
    room_seconds: Range = (0.1, 0.8)
    direct_db: Range = (-3.0, 12.0)
    noise: float = 0.4
    noise_snr_db: Range = (0.0, 30.0)
    clip: float = 0.1
    curve: float = 0.5
    curve_db: float = 6.0
    low_pass: float = 0.4
    low_pass_hertz: Range = (3000.0, 8000.0)
    level_dbfs: Range = (-50.0, -10.0)


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
        label_weight: Weight, in [0, 1], of "is it crying?" against all 521 classes: a window of a clip
            without crying is a negative one, a window of a crying clip is a positive one if the teacher's
            score there is not below `Selection.negative_below`, and of an unlabelled clip the teacher's
            score is the answer. 0 for pure distillation.
    """

    target: Target = "raw_sigmoid"
    temperature: float = 1.0
    label_weight: float = 0.0


@dataclass(frozen=True)
class Train:
    """How the student is fitted, by AdamW.

    Attributes:
        epochs: Number of epochs.
        batch_size: Windows in a step.
        learning_rate: Learning rate at the start.
        weight_decay: Decoupled weight decay.
        schedule: ``drop`` keeps the rate until ``drop_epoch``, ``cosine`` lowers it all along.
        drop_epoch: First epoch, counted from 0, at the lower learning rate.
        dropped_learning_rate: Learning rate from then on, or at the end of the cosine.
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: Schedule = "drop"
    drop_epoch: int = 30
    dropped_learning_rate: float = 1e-4


@dataclass(frozen=True)
class Export:
    """How the student is quantised.

    Attributes:
        calibration_patches: Patches of validation audio that set the ranges of activations.
        dense_per_channel: Whether dense layers have a scale for each output, as convolutions do. It costs
            24 bytes an output, and older microcontroller runtimes cannot run it.
    """

    calibration_patches: int = 200
    dense_per_channel: bool = True


@dataclass(frozen=True)
class Recipe:
    """A whole recipe, from the student's shape to its quantisation."""

    name: str
    student: StudentSettings = field(default_factory=StudentSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
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

#: The released model: a wider body under a factorised head, taught on augmented audio and by labels too.
CRY = Recipe(
    name="cry",
    student=StudentSettings(blocks=((24, 2), (32, 1), (64, 2), (128, 2), (208, 2)), head_rank=48),
    augmentation=Augmentation(views=20_000),
    selection=Selection(positive_above=0.1, negative_below=0.1),
    sampling=Sampling(negatives_per_positive=2),
    loss=Loss(label_weight=0.75),
    export=Export(dense_per_channel=False),
    train=Train(epochs=44, batch_size=128, learning_rate=2e-3, schedule="cosine", dropped_learning_rate=2e-5),
)

RECIPES = {recipe.name: recipe for recipe in (CRY, REFERENCE)}


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

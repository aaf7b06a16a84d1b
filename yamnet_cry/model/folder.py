"""The model folder: what is in it, and whether what is in it can be trusted.

One layout serves as the result of a training run, as the bundled model and as a Hub repository::

    model_int8.tflite   the student that detectors and microcontrollers run
    model.keras         the same student in float32, to fine-tune or convert
    model.weights.h5    its weights alone: with config.json, what keras.models.load_model("hf://...") reads
    config.json         front end, classes, calibration, threshold, size and hash of the models; and Keras's
                        own description of the student, which Keras looks for in a file of this name
    recipe.json         how it was trained, in full
    metrics.json        how well it does, with intervals
    evaluation.png      the same as pictures
    training.png        the losses of every epoch
    README.md           the model card, generated from the three
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from yamnet_cry.audioset import CRY_CLASSES, NUM_CLASSES
from yamnet_cry.calibration import Calibration, EventRecall
from yamnet_cry.errors import ModelError
from yamnet_cry.events import EventSettings
from yamnet_cry.fields import (
    NAME,
    OBJECT,
    OPTIONAL_OBJECT,
    VERSION,
    Rule,
    check,
    check_only,
    exactly,
    integer,
    number,
    numbers,
    parse,
    shortened,
    text,
)
from yamnet_cry.files import whole
from yamnet_cry.frontend import YAMNET, FrontEnd

TFLITE = "model_int8.tflite"
KERAS = "model.keras"
KERAS_WEIGHTS = "model.weights.h5"
CONFIG = "config.json"
RECIPE = "recipe.json"
METRICS = "metrics.json"
EVALUATION_PLOT = "evaluation.png"
TRAINING_PLOT = "training.png"
CARD = "README.md"

#: What a detector reads; the rest is for people and for training.
DETECTOR_FILES = (CONFIG, TFLITE)

#: All that is published of a model folder.
RELEASE_FILES = (
    TFLITE,
    KERAS,
    KERAS_WEIGHTS,
    CONFIG,
    RECIPE,
    METRICS,
    EVALUATION_PLOT,
    TRAINING_PLOT,
    CARD,
)

# What Keras writes into its own files, and how large each may be.
_KERAS_PARTS = {"metadata.json": 2**16, CONFIG: 2**20, KERAS_WEIGHTS: 2**27}

#: Size limits in bytes: larger files are neither downloaded nor read.
LARGEST = {
    CONFIG: 2**20,
    TFLITE: 2**24,
    KERAS: 2**27,
    KERAS_WEIGHTS: 2**27,
    RECIPE: 2**20,
    METRICS: 2**24,
    CARD: 2**20,
}

# As keras.saving.serialize_keras_object writes them.
_KERAS_KEYS = ("module", "class_name", "config", "registered_name", "build_config", "compile_config")

FORMAT = "yamnet-cry"
FORMAT_VERSION = 1
SCORE = "softmax(logits)[19] + softmax(logits)[20]"
# What a detector reads of config.json. Names and versions end up in C, YAML and Markdown.
_FIELDS = {
    "classes": OBJECT,
    # 0.1.0 wrote behind it how it pooled the windows of a clip.
    "score": Rule(repr(SCORE), lambda value: isinstance(value, str) and value.split(", ")[0] == SCORE),
    "recipe": NAME,
    "threshold": number(0, 1),
    "calibration": OBJECT,
    "events": OBJECT,
    "parameters": OBJECT,
    "files": OBJECT,
    "package_version": VERSION,
    "event_recall": OPTIONAL_OBJECT,
}
_CLASSES = {"count": exactly(NUM_CLASSES), "cry": exactly(list(CRY_CLASSES))}
_CALIBRATION = {"slope": number(1e-6, 1e6), "intercept": number(-1e6, 1e6)}
# The firmware has room for as many windows: YAMNET_CRY_LONGEST_SMOOTHING and _VOTE.
_EVENTS = {
    "smoothing": integer(1, 16, optional=True),
    "votes": integer(1, 16, optional=True),
    "window": integer(1, 16, optional=True),
    "release": number(0, 1, optional=True),
    "hold_seconds": number(0, 3600, optional=True),
}
_EVENT_RECALL = {
    "clips": integer(1, 10**9),
    "groups": integer(1, 10**9),
    "thresholds": numbers(0, 1, 1000),
    "recall": numbers(0, 1, 1000),
}
_PARAMETERS = {"total": integer(0, 10**9), "trainable": integer(0, 10**9)}
_FILE = {
    "bytes": integer(0, 10**10),
    "sha256": text("[0-9a-f]{64}", "64 hexadecimal digits"),
}


@dataclass(frozen=True)
class ModelConfig:
    """What a detector must know about a model besides its weights.

    Attributes:
        recipe: Name of the recipe that trained it.
        threshold: Probability from which a recording counts as crying, in [0, 1].
        calibration: What turns scores into probabilities.
        events: How events are made of probabilities.
        parameters: Number of parameters, ``total`` and ``trainable``.
        files: Size in bytes and SHA-256 of each model file.
        package_version: Version of the package that wrote the folder.
        event_recall: What a higher threshold costs; None in older folders.
        front_end: What makes the model's input of audio.
        keras: What Keras's own ``config.json`` says of the student, or nothing.
    """

    recipe: str
    threshold: float
    calibration: Calibration
    events: EventSettings
    parameters: dict[str, int]
    files: dict[str, dict[str, int | str]]
    package_version: str
    event_recall: EventRecall | None = None
    front_end: FrontEnd = YAMNET
    keras: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns the text of ``config.json``."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "front_end": self.front_end.to_dict(),
            "classes": {"count": NUM_CLASSES, "cry": list(CRY_CLASSES)},
            "score": SCORE,
            **{key: value for key, value in dataclasses.asdict(self).items() if key != "front_end"},
        }
        del content["keras"]
        if self.event_recall is None:
            del content["event_recall"]
        # A line each: Keras describes every layer, and people read the rest of this file.
        of_keras = "".join(
            f",\n  {json.dumps(key)}: {json.dumps(value)}" for key, value in self.keras.items()
        )
        return json.dumps(content, indent=2).removesuffix("\n}") + of_keras + "\n}\n"


def fingerprint(content: bytes) -> dict[str, int | str]:
    """Returns the size and SHA-256 by which a file is known again.

    Example:
        >>> fingerprint(b"")["bytes"]
        0
    """
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def unpack_keras(path: Path) -> tuple[dict[str, Any], bytes]:
    """Takes a saved Keras model apart, without Keras.

    Args:
        path: A ``.keras`` file.

    Returns:
        Keras's description of the model, and the bytes of its weights in HDF5.

    Raises:
        ModelError: If it is no such file, or too large once decompressed.
    """
    # Imported here because no detector needs it to start.
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(BytesIO(read(path.parent, path.name))) as archive:
            names = sorted(archive.namelist())
            if names != sorted(_KERAS_PARTS):
                raise ModelError(f"{path} is no Keras model: it holds {shortened(names)}")
            for part, limit in _KERAS_PARTS.items():
                size = archive.getinfo(part).file_size
                if archive.getinfo(part).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ModelError(f"{path} is no Keras model: {part} is compressed in another way")
                if size > limit:
                    raise ModelError(
                        f"{path}: {part} exceeds the size limit. Expected: at most {limit:,} bytes. "
                        f"Received: {size:,}"
                    )
            return parse(archive.read("config.json")), archive.read(KERAS_WEIGHTS)
    except ModelError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path} is no Keras model ({error})") from None


def load(folder: Path) -> tuple[ModelConfig, bytes]:
    """Reads what a detector needs from a model folder, and checks it.

    Args:
        folder: An existing model folder.

    Returns:
        The configuration and the bytes of the TFLite model.

    Raises:
        ModelError: If a file is missing, corrupt, of a foreign format or of a newer version.
    """
    config = _read_config(folder)
    model = read(folder, TFLITE)
    expected = config.files.get(TFLITE)
    if fingerprint(model) != expected:
        raise ModelError(
            f"{folder / TFLITE} is not the file that {CONFIG} describes. Expected: {expected}. "
            f"Received: {fingerprint(model)}. Copy or download the folder again"
        )
    return config, model


def save(folder: Path, config: ModelConfig, model: bytes) -> None:
    """Writes what a detector needs to a new folder, whole or not at all.

    Args:
        folder: Must not exist.
        config: Its sizes and hashes are replaced by those of the model.
        model: The bytes of the TFLite model.

    Raises:
        ModelError: If the folder exists, or cannot be written.
    """
    if folder.exists():
        raise ModelError(f"{folder} exists; name another folder")
    config = dataclasses.replace(config, files={TFLITE: fingerprint(model)}, keras={})
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole(folder) as unfinished:
            unfinished.mkdir()
            (unfinished / TFLITE).write_bytes(model)
            (unfinished / CONFIG).write_text(config.to_json(), encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{folder} cannot be written ({error.strerror})") from None


def read(folder: Path, name: str) -> bytes:
    """Reads a file of a model folder that is not larger than such files are.

    Raises:
        ModelError: If it is missing, too large, or cannot be read.
    """
    try:
        size = (folder / name).stat().st_size
        if size > LARGEST[name]:
            raise ModelError(
                f"{folder / name} exceeds the size limit. Expected: at most {LARGEST[name]:,} bytes. "
                f"Received: {size:,}"
            )
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"{folder} is no model folder: it has no {name} (a detector needs {' and '.join(DETECTOR_FILES)})"
        ) from None
    except OSError as error:
        raise ModelError(f"{folder / name} cannot be read: {error.strerror}") from None


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Reads a JSON object, see `fields.parse`.

    Raises:
        ModelError: If the file is missing, too large, or holds no object.
    """
    path, content = folder / name, read(folder, name)
    try:
        value = parse(content)
    except ValueError as error:
        raise ModelError(f"{path} is not JSON ({error}). Copy or download the folder again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected an object. Received: {shortened(value)}")
    return value


def _read_config(folder: Path) -> ModelConfig:
    path, values = folder / CONFIG, read_json(folder, CONFIG)
    if values.get("format") != FORMAT:
        raise ModelError(
            f'{path} is of a foreign format. Expected: "format": "{FORMAT}". '
            f"Received: {shortened(values.get('format'))}"
        )
    version = values.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        newer = type(version) is int and version > FORMAT_VERSION
        raise ModelError(
            f"{path} is of format version {shortened(version)}; this package reads {FORMAT_VERSION}"
            + (": pip install --upgrade yamnet-cry" if newer else "")
        )
    try:
        front_end = FrontEnd.from_dict(values.get("front_end"))
    except ValueError as error:
        raise ModelError(f"{path} asks for another front end than this package has: {error}") from None
    try:
        return dataclasses.replace(_config(values), front_end=front_end)
    except ValueError as error:
        raise ModelError(f"{path}: {error}. Copy or download the folder again") from None


def _config(values: dict[str, Any]) -> ModelConfig:
    found = check(values, _FIELDS)
    # A detector knows no other classes and no other score: a model of others would be misheard.
    check_only(found["classes"], _CLASSES, "classes")
    calibration = check_only(found["calibration"], _CALIBRATION, "calibration")
    recall = found.get("event_recall")
    files = {name: check(entry, _FILE, f"files.{name[:80]}") for name, entry in found["files"].items()}
    return ModelConfig(
        recipe=found["recipe"],
        threshold=float(found["threshold"]),
        calibration=Calibration(float(calibration["slope"]), float(calibration["intercept"])),
        events=EventSettings(**check_only(found["events"], _EVENTS, "events")),
        parameters=check(found["parameters"], _PARAMETERS, "parameters"),
        files=files,
        package_version=found["package_version"],
        event_recall=None if recall is None else _event_recall(recall),
        keras={key: values[key] for key in _KERAS_KEYS if key in values},
    )


def _event_recall(values: dict[str, Any]) -> EventRecall:
    found = check_only(values, _EVENT_RECALL, "event_recall")
    thresholds, recall = (tuple(map(float, found[key])) for key in ("thresholds", "recall"))
    return EventRecall(found["clips"], found["groups"], thresholds, recall)

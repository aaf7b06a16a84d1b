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
from pathlib import Path
from typing import Any

from yamnet_cry.calibration import Calibration
from yamnet_cry.classes import CRY_CLASSES, NUM_CLASSES
from yamnet_cry.errors import ModelError
from yamnet_cry.events import EventSettings
from yamnet_cry.features import front_end
from yamnet_cry.files import whole

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

#: Size limits in bytes: larger files are neither downloaded nor read.
LARGEST = {CONFIG: 2**20, TFLITE: 2**24}

# As keras.saving.serialize_keras_object writes them.
_KERAS_KEYS = ("module", "class_name", "config", "registered_name", "build_config", "compile_config")

FORMAT = "yamnet-cry"
FORMAT_VERSION = 1
SCORE = "softmax(logits)[19] + softmax(logits)[20], quadratic mean over the loudest 10 s"


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
        keras: What Keras's own ``config.json`` says of the student, or nothing.
    """

    recipe: str
    threshold: float
    calibration: Calibration
    events: EventSettings
    parameters: dict[str, int]
    files: dict[str, dict[str, int | str]]
    package_version: str
    keras: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns the text of ``config.json``."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "front_end": front_end(),
            "classes": {"count": NUM_CLASSES, "cry": list(CRY_CLASSES)},
            "score": SCORE,
            **dataclasses.asdict(self),
        }
        del content["keras"]
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
        ModelError: If it is no such file.
    """
    # Imported here because no detector needs it to start.
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json")), archive.read(KERAS_WEIGHTS)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
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
    config = _parse_config(folder, _read(folder, CONFIG))
    model = _read(folder, TFLITE)
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


def _read(folder: Path, name: str) -> bytes:
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


def _parse_config(folder: Path, content: bytes) -> ModelConfig:
    path = folder / CONFIG
    try:
        fields: Any = json.loads(content)
    except ValueError as error:
        raise ModelError(f"{path} is not JSON ({error}). Copy or download the folder again") from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        received = fields.get("format") if isinstance(fields, dict) else fields
        raise ModelError(
            f'{path} is of a foreign format. Expected: "format": "{FORMAT}". Received: {received!r}'
        )
    version = fields.get("format_version")
    if version != FORMAT_VERSION:
        mend = (
            ": pip install --upgrade yamnet-cry"
            if isinstance(version, int) and version > FORMAT_VERSION
            else ""
        )
        raise ModelError(
            f"{path} is of format version {version!r}; this package reads {FORMAT_VERSION}{mend}"
        )
    if fields.get("front_end") != front_end():
        raise ModelError(
            f"{path} asks for another front end. Expected: {front_end()}. Received: {fields.get('front_end')}"
        )
    try:
        of_keras = {key: fields[key] for key in _KERAS_KEYS if key in fields}
        own = [each.name for each in dataclasses.fields(ModelConfig) if each.name != "keras"]
        config = ModelConfig(**{name: fields[name] for name in own}, keras=of_keras)
    except KeyError as error:
        raise ModelError(f"{path} lacks the field {error}. Copy or download the folder again") from None
    if not isinstance(config.threshold, int | float) or not 0 <= config.threshold <= 1:
        raise ModelError(f"{path}: expected a threshold in [0, 1]. Received: {config.threshold!r}")
    try:
        calibration = Calibration(**fields["calibration"])
        events = EventSettings(**fields["events"])
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: calibration or events cannot be used: {error}") from None
    if not isinstance(config.files, dict):
        raise ModelError(f"{path}: expected files to be an object. Received: {config.files!r}")
    return dataclasses.replace(config, calibration=calibration, events=events)

"""The model folder: what is in it, and whether what is in it can be trusted.

One layout serves as the result of a training run, as the bundled model and as a Hub repository::

    model_int8.tflite   the student that detectors and microcontrollers run
    model.keras         the same student in float32, to fine-tune or convert
    model.weights.h5    its weights alone: with config.json, what keras.models.load_model("hf://...") reads
    config.json         task, front end, calibration, threshold, size and hash of the models; and Keras's
                        own description of the student, which Keras looks for in a file of this name
    recipe.json         how it was trained, in full
    metrics.json        how well it does, with intervals
    evaluation.png      the same as pictures
    training.png        the losses of every epoch
    README.md           the model card, generated from the three
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from yamnet_cry.errors import ModelError
from yamnet_cry.fields import parse, shortened
from yamnet_cry.files import whole
from yamnet_cry.model.config import ModelConfig

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
LARGEST = {
    CONFIG: 2**20,
    TFLITE: 2**24,
    KERAS: 2**27,
    KERAS_WEIGHTS: 2**27,
    RECIPE: 2**20,
    METRICS: 2**24,
    CARD: 2**20,
}


def fingerprint(content: bytes) -> dict[str, int | str]:
    """Returns the size and SHA-256 by which a file is known again.

    Example:
        >>> fingerprint(b"")["bytes"]
        0
    """
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


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
    values = read_json(folder, CONFIG)
    try:
        return ModelConfig.from_dict(values)
    except ValueError as error:
        raise ModelError(f"{folder / CONFIG}: {error}") from None

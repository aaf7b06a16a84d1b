"""The model folder: reads, checks and writes its files.

The result of a training run, the bundled model and a Hub repository have the same layout::

    model_int8.tflite   the student for detectors and microcontrollers
    context.npz         the context network over the student's embeddings, in models with one
    model.keras         the same student in float32, to fine-tune or convert
    model.weights.h5    its weights alone; keras.models.load_model("hf://...") reads this and config.json
    metadata.json       version of Keras and date of saving, written by Keras beside the two; since 0.2.0
    config.json         task, front end, calibration, threshold, size and hash of the models; and Keras's
                        description of the student, which Keras expects in a file of this name
    recipe.json         the training recipe, with all settings
    metrics.json        the metrics, with intervals
    evaluation.png      plots of the metrics
    training.png        the losses of every epoch
    README.md           the model card, generated from config.json, recipe.json and metrics.json
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from yamnet_cry.errors import ModelError
from yamnet_cry.fields import parse, shortened
from yamnet_cry.files import whole
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.context import Context
from yamnet_cry.model.runtime import Student

TFLITE = "model_int8.tflite"
CONTEXT = "context.npz"
KERAS = "model.keras"
KERAS_WEIGHTS = "model.weights.h5"
KERAS_METADATA = "metadata.json"
CONFIG = "config.json"
RECIPE = "recipe.json"
METRICS = "metrics.json"
EVALUATION_PLOT = "evaluation.png"
TRAINING_PLOT = "training.png"
CARD = "README.md"

#: Files that a detector reads; the others are for users and for training.
DETECTOR_FILES = (CONFIG, TFLITE)

#: Files that a detector also reads, if the model has them.
OPTIONAL_FILES = (CONTEXT,)

#: Files of a model folder that are published, except optional ones.
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

#: Files that are also published, if the model has them.
OPTIONAL_RELEASE_FILES = (*OPTIONAL_FILES, KERAS_METADATA)

#: Size limits in bytes: larger files are neither downloaded nor read.
LARGEST = {
    CONFIG: 2**20,
    TFLITE: 2**24,
    CONTEXT: 2**20,
    KERAS: 2**27,
    KERAS_WEIGHTS: 2**27,
    KERAS_METADATA: 2**16,
    RECIPE: 2**20,
    METRICS: 2**24,
    CARD: 2**20,
}


def fingerprint(content: bytes) -> dict[str, int | str]:
    """Returns the size and SHA-256 that identify the content of a file.

    Examples:
        >>> fingerprint(b"")["bytes"]
        0
    """
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def load(folder: Path) -> tuple[ModelConfig, bytes, Context | None]:
    """Reads and checks the files of a model folder that a detector needs.

    Args:
        folder: An existing model folder.

    Returns:
        The configuration, the bytes of the TFLite model, and its context network if it has one.

    Raises:
        ModelError: If a file is missing or corrupt, or has another format or a newer version.
    """
    config = _read_config(folder)
    model = _read_described(folder, TFLITE, config)
    if CONTEXT not in config.files:
        return config, model, None
    content = _read_described(folder, CONTEXT, config)
    try:
        return config, model, Context.from_bytes(content)
    except ValueError as error:
        raise ModelError(f"{folder / CONTEXT}: {error}. Copy or download the folder again") from None


def student(config: ModelConfig, model: bytes, context: Context | None = None) -> Student:
    """Loads the INT8 student of a folder, with its embeddings if there is a context network.

    Args:
        config: The configuration, as returned by `load`.
        model: The bytes of the TFLite model, as returned by `load`.
        context: The context network, as returned by `load`.

    Raises:
        ModelError: If the network does not match its configuration.
    """
    width = 0 if context is None else context.inputs
    return Student(model, config.front_end, len(config.task.labels), width)


def release_files(config: ModelConfig) -> tuple[str, ...]:
    """Returns the names of all files of a model folder that are published."""
    return (*RELEASE_FILES, *(name for name in OPTIONAL_RELEASE_FILES if name in config.files))


def _read_described(folder: Path, name: str, config: ModelConfig) -> bytes:
    content, expected = read(folder, name), config.files.get(name)
    if fingerprint(content) != expected:
        raise ModelError(
            f"{folder / name} is not the file that {CONFIG} describes. Expected: {expected}. "
            f"Received: {fingerprint(content)}. Copy or download the folder again"
        )
    return content


def save(folder: Path, config: ModelConfig, model: bytes, context: Context | None = None) -> None:
    """Writes the files that a detector needs to a new folder, atomically.

    Args:
        folder: The folder to create; must not exist.
        config: The configuration; its sizes and hashes are replaced by those of the model.
        model: The bytes of the TFLite model.
        context: The context network, if the model has one.

    Raises:
        ModelError: If the folder exists, or cannot be written.
    """
    if folder.exists():
        raise ModelError(f"{folder} already exists; choose another folder")
    contents = {TFLITE: model} | ({} if context is None else {CONTEXT: context.to_bytes()})
    files = {name: fingerprint(content) for name, content in contents.items()}
    config = dataclasses.replace(config, files=files, keras={})
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole(folder) as unfinished:
            unfinished.mkdir()
            for name, content in contents.items():
                (unfinished / name).write_bytes(content)
            (unfinished / CONFIG).write_text(config.to_json(), encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{folder} cannot be written ({error.strerror})") from None


def read(folder: Path, name: str) -> bytes:
    """Reads a file of a model folder, up to its size limit.

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
            f"{folder} is not a model folder: it has no {name} (expected {' and '.join(DETECTOR_FILES)})"
        ) from None
    except OSError as error:
        raise ModelError(f"{folder / name} cannot be read: {error.strerror}") from None


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Reads a JSON object, see `fields.parse`.

    Raises:
        ModelError: If the file is missing, too large, or not a JSON object.
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

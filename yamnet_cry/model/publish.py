"""Collects the files of a model folder to publish, checks that they are consistent, and pushes them."""

import shutil
from pathlib import Path
from typing import Any

from yamnet_cry.errors import HubError, ModelError
from yamnet_cry.files import write_whole
from yamnet_cry.model import card, hub
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.folder import (
    CARD,
    CONFIG,
    CONTEXT,
    KERAS,
    KERAS_METADATA,
    KERAS_WEIGHTS,
    METRICS,
    OPTIONAL_RELEASE_FILES,
    RECIPE,
    RELEASE_FILES,
    TFLITE,
)
from yamnet_cry.model.keras_file import unpack_keras

# What rendering a card raises if a field is missing or has another type.
_UNFIT = (KeyError, TypeError, AttributeError, ValueError, OverflowError)


def check(folder: Path) -> dict[str, Path]:
    """Rejects a model folder that is incomplete or inconsistent.

    Models must be those that ``config.json`` describes, ``metrics.json`` must be of this model, and
    ``README.md`` must contain every line of the card that is generated from the other files; further lines
    may be between them.

    Args:
        folder: A model folder, as `distill` writes it.

    Returns:
        The files to publish: paths by name.

    Raises:
        HubError: If a file is missing or differs; the message lists all of them.
    """
    missing = [name for name in (*RELEASE_FILES, *_optional(folder)) if not (folder / name).is_file()]
    if missing:
        raise HubError(
            f"{folder} is incomplete: it has no {', '.join(missing)}. Push the whole folder as "
            "`yamnet-cry distill` wrote it"
        )
    try:
        config, *_ = model_folder.load(folder)
    except ModelError as error:
        raise HubError(str(error)) from None
    try:
        recipe = model_folder.read_json(folder, RECIPE)
        metrics = model_folder.read_json(folder, METRICS)
        differing = [
            f"{name} is not the file that {CONFIG} describes"
            for name in (TFLITE, KERAS, KERAS_WEIGHTS, *_optional(folder))
            if model_folder.fingerprint(model_folder.read(folder, name)) != config.files.get(name)
        ]
        weights = model_folder.read(folder, KERAS_WEIGHTS)
        description, of_archive, metadata = unpack_keras(folder / KERAS)
        if (description, of_archive) != (config.keras, weights):
            differing.append(f"{KERAS} is not the model of {CONFIG} and {KERAS_WEIGHTS}")
        if KERAS_METADATA in config.files and model_folder.read(folder, KERAS_METADATA) != metadata:
            differing.append(f"{KERAS_METADATA} is not that of {KERAS}")
        differing += _contradictions(folder, config, recipe, metrics)
    except ModelError as error:
        raise HubError(str(error)) from None
    except _UNFIT as error:
        raise HubError(f"{folder / METRICS} or {RECIPE} lacks values for the card ({error!r})") from None
    if differing:
        raise HubError(f"{folder} is inconsistent: {'; '.join(differing)}")
    return {name: folder / name for name in model_folder.release_files(config)}


def plan(folder: Path) -> tuple[dict[str, Path], str, str]:
    """Returns what a push would upload: the files by name, the commit message and the tag.

    Raises:
        HubError: If the folder is incomplete or inconsistent.
    """
    files = check(folder)
    config, *_ = model_folder.load(folder)
    return files, f"yamnet-cry {config.package_version}, recipe {config.recipe}", f"v{config.package_version}"


def space_files() -> dict[str, Path]:
    """Returns the files of the Space: paths by name."""
    package = Path(__file__).parents[1]
    # A wheel has space/ inside the package; in a checkout it is beside it.
    installed = package / "space" / "files"
    folder = installed if installed.is_dir() else package.parent / "space"
    return {name: folder / name for name in ("app.py", "README.md", "requirements.txt")}


def push(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    create_pr: bool = False,
    token: str | None = None,
) -> hub.Pushed:
    """Checks a model folder and pushes it, see `CryDetector.push_to_hub`.

    Raises:
        HubError: If it is incomplete or inconsistent, or the Hub cannot be reached or rejects the push.
    """
    files, message, tag = plan(folder)
    return hub.push(
        files,
        repo_id,
        commit_message or message,
        tag=tag,
        private=private,
        revision=revision,
        create_pr=create_pr,
        token=token,
    )


def write_card(folder: Path) -> None:
    """Regenerates the card of a model folder from its other files.

    Raises:
        HubError: If they cannot be read, or the card cannot be written.
    """
    try:
        config, *_ = model_folder.load(folder)
        recipe, metrics = model_folder.read_json(folder, RECIPE), model_folder.read_json(folder, METRICS)
        text = card.render(config, recipe, metrics)
        write_whole(folder / CARD, text)
    except ModelError as error:
        raise HubError(str(error)) from None
    except OSError as error:
        raise HubError(f"{error.filename}: {error.strerror}") from None
    except _UNFIT as error:
        raise HubError(f"{folder / METRICS} or {RECIPE} lacks values for the card ({error!r})") from None


def with_config(folder: Path, target: Path, config: ModelConfig) -> Path:
    """Copies the published files of a model folder, with another threshold or prior and an updated card.

    Args:
        folder: A complete model folder.
        target: An existing, empty folder.
        config: The changed configuration.

    Returns:
        The target.
    """
    for path in check(folder).values():
        shutil.copyfile(path, target / path.name)
    write_whole(target / CONFIG, config.to_json())
    write_card(target)
    return target


def _optional(folder: Path) -> list[str]:
    """Returns the optional files in the folder's configuration; none if it cannot be read."""
    try:
        named = model_folder.read_json(folder, CONFIG).get("files")
    except ModelError:
        return []
    return [name for name in OPTIONAL_RELEASE_FILES if isinstance(named, dict) and name in named]


def _contradictions(
    folder: Path, config: ModelConfig, recipe: dict[str, Any], metrics: dict[str, Any]
) -> list[str]:
    size: dict[str, Any] = {"int8_bytes": config.files[TFLITE]["bytes"], "parameters": config.parameters}
    if CONTEXT in config.files:
        size["context_bytes"] = config.files[CONTEXT]["bytes"]
    found = [
        f"{METRICS} was measured on a model with {key} {metrics['size'].get(key)}, but {CONFIG} has {value}"
        for key, value in size.items()
        if metrics["size"].get(key) != value
    ]
    if recipe["recipe"]["name"] != config.recipe:
        found.append(f"{RECIPE} is for {recipe['recipe']['name']!r}, but {CONFIG} for {config.recipe!r}")
    written = set(model_folder.read(folder, CARD).decode().splitlines())
    lacking = [line for line in card.render(config, recipe, metrics).splitlines() if line not in written]
    if lacking:
        found.append(
            f"{CARD} does not match {METRICS}: it lacks {len(lacking)} lines, the first being "
            f"{lacking[0][:120]!r}; `yamnet-cry push --write-card` regenerates it"
        )
    return found

"""The files of the page that runs in a browser: those of ``space/static``, and those made from the model."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from yamnet_cry.browser.network import context_layers, layers
from yamnet_cry.demo import SAMPLE_RATE, nursery
from yamnet_cry.errors import ExportError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.context import Context
from yamnet_cry.model.folder import CONTEXT, TFLITE

MODEL = "model.json"

#: File with the names of the files that the service worker caches, and their hash, which names the cache.
RELEASE = "release.js"

# Part of the Space, not of the page.
_README = "README.md"
_EXAMPLE = "example.mp3"


def folder() -> Path:
    """Returns the folder of the files that are the same for all models."""
    package = Path(__file__).parents[1]
    # A wheel has space/ inside the package; a checkout has it next to the package.
    installed = package / "space" / "files" / "static"
    return installed if installed.is_dir() else package.parent / "space" / "static"


def files(config: ModelConfig, network: bytes, context: Context | None) -> dict[str, bytes]:
    """Returns the page for a cry detection model: all files of a static Space.

    Args:
        config: Configuration of the model, from `model.folder.load`.
        network: The bytes of its TFLite file.
        context: Its context network, if it has one.

    Returns:
        Contents by file name.

    Raises:
        ExportError: If the page cannot compute the model.
    """
    found = {path.name: path.read_bytes() for path in sorted(folder().iterdir()) if path.is_file()}
    found[MODEL] = json.dumps(model(config, network, context), separators=(",", ":")).encode()
    found[_EXAMPLE] = _example()
    found[RELEASE] = _release({name: content for name, content in found.items() if name != _README})
    return found


def model(config: ModelConfig, network: bytes, context: Context | None) -> dict[str, Any]:
    """Returns the data of a model that the page needs, for JSON.

    Raises:
        ExportError: If the page cannot compute the model.
    """
    if differing := config.front_end.differences(YAMNET):
        raise ExportError(
            f"the page in the browser supports only YAMNet's front end; this model's has {differing}. "
            "Serve it with `yamnet-cry space`"
        )
    student = model_folder.student(config, network, context)
    size = sum(int(file["bytes"]) for name, file in config.files.items() if name in (TFLITE, CONTEXT))
    found: dict[str, Any] = {
        "kilobytes": round(size / 1024),
        "threshold": config.threshold,
        "calibration": {"slope": config.calibration.slope, "intercept": config.calibration.intercept},
        "events": vars(config.events),
        "input": {
            "steps_per_neper": float(np.float32(1.0 / student.input_scale)),
            "zero_point": student.input_zero_point,
        },
    }
    if context is not None:
        # The layer after the embeddings computes the classes, which the context network does not need.
        return {**found, "layers": layers(network, context.inputs), "context": context_layers(context)}
    score = {"step": student.output_scale, "group": config.task.group_indices}
    return {**found, "layers": layers(network, len(config.task.labels)), "score": score}


def _example() -> bytes:
    """Returns a synthesised recording to try the page with, in a format that every browser decodes."""
    file = io.BytesIO()
    soundfile.write(file, nursery(), SAMPLE_RATE, format="MP3")
    return file.getvalue()


def _release(content: dict[str, bytes]) -> bytes:
    """Returns the list of files and their common hash, as JavaScript for the service worker."""
    hashes = {name: hashlib.sha256(each).hexdigest() for name, each in content.items()}
    digest = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode())
    names = ["./", *sorted(name for name in content if name not in ("index.html", "service-worker.js"))]
    return (
        "// Written by the Python package: hash and files of this release of the page.\n"
        f'const RELEASE = "{digest.hexdigest()[:16]}";\n'
        f"const FILES = {json.dumps(names, indent=2)};\n"
    ).encode()

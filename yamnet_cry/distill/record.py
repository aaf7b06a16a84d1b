"""Records of a run: its identity, for resuming, and its settings, for reproducing it."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import keras

from yamnet_cry.classifier import Classifier
from yamnet_cry.distill import corpus
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.teacher import Teacher
from yamnet_cry.model.folder import KERAS


def identity(
    recipe: Recipe, seed: int, clips: Sequence[Clip], teachers: Sequence[Teacher], start: Classifier | None
) -> dict[str, Any]:
    """Returns what identifies a run, so that only the same run can be resumed."""
    listing = "\n".join(f"{clip.name}\t{clip.labels}\t{clip.split}\t{clip.group}" for clip in clips)
    return {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "corpus": hashlib.sha256(listing.encode()).hexdigest(),
        "teacher": [teacher.fingerprint for teacher in teachers],
        "start": _began_with(start),
    }


def _began_with(start: Classifier | None) -> dict[str, Any] | None:
    """Returns what identifies the model that a run starts from, or None."""
    if start is None:
        return None
    config = start.config
    return {"recipe": config.recipe, "package_version": config.package_version, **config.files[KERAS]}


def record(
    recipe: Recipe,
    seed: int,
    clips: Sequence[Clip],
    teachers: Sequence[Teacher],
    license: str | None,
    start: Classifier | None,
    device_count: int,
) -> dict[str, Any]:
    """Returns the content of ``recipe.json``: what is needed to repeat the run, and the sources of audio."""
    settings = recipe.to_dict()
    # These are in config.json.
    del settings["task"]["labels"]
    of_sources: dict[str, Any] = {}
    for name in sorted({clip.source for clip in clips}):
        own = [clip for clip in clips if clip.source == name]
        of_sources[name] = {
            "clips": dict(sorted(Counter(_counted_as(clip, recipe) for clip in own).items())),
            "licences": sorted({clip.extra["licence"] for clip in own if clip.extra.get("licence")}),
        }
    return {
        "recipe": settings,
        "seed": seed,
        "teachers": [{"name": teacher.name, "fingerprint": teacher.fingerprint} for teacher in teachers],
        **({} if start is None else {"began_with": _began_with(start)}),
        "trained_on": {"backend": keras.backend.backend(), "devices": device_count},
        "license": license,
        "sources": of_sources,
        "versions": {name: version(name) for name in ("yamnet-cry", "keras", "tensorflow", "numpy")},
    }


def _counted_as(clip: Clip, recipe: Recipe) -> str:
    # metrics.json counts clips by label; here, every clip counts once.
    if not recipe.task.group:
        return f"{clip.split}{'' if clip.labels else '/' + corpus.UNLABELLED}"
    return f"{clip.split}/{(*clip.labels, corpus.UNLABELLED)[0]}"

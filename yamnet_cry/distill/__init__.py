"""Distillation: trains a model folder from a teacher, a recipe and a corpus.

Recipes and the cache of logits work with the base install. The rest needs the extra ``distill``:
``pip install "yamnet-cry[distill]"``.
"""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.recipes import RECIPES

if TYPE_CHECKING:
    from yamnet_cry.distill.engine import distill

__all__ = ["RECIPES", "Recipe", "distill", "require_extra"]

_NEEDED = (
    "datasets",
    "keras",
    "librosa",
    "matplotlib",
    "scipy",
    "sklearn",
    "tensorflow",
    "tensorflow_hub",
    "tqdm",
)

# TensorFlow reads this when imported: its log lines on GPUs and rounding would hide all other output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def require_extra() -> None:
    """Checks that the extra is installed.

    Raises:
        ImportError: If a package is missing; the message says which, and how to install the extra.

    Examples:
        >>> require_extra()
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"distillation needs {', '.join(missing)}, which the base install leaves out: "
            'pip install "yamnet-cry[distill]"'
        )


def __getattr__(name: str) -> Any:
    """Imports what needs the extra on first access: `distill`, and modules named in a from-import."""
    if not name.startswith("__"):
        require_extra()
    if name == "distill":
        from yamnet_cry.distill.engine import distill

        return distill
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Distillation: a teacher, a recipe and a corpus become a model folder.

Needs the extra ``distill``: ``pip install "yamnet-cry[distill]"``.
"""

import os
from importlib.util import find_spec

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
_missing = [name for name in _NEEDED if find_spec(name) is None]
if _missing:
    raise ImportError(
        f"distillation needs {', '.join(_missing)}, which the base install leaves out: "
        'pip install "yamnet-cry[distill]"'
    )

# TensorFlow reads this when imported: its notes on GPUs and rounding would drown everything else.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from yamnet_cry.distill.engine import distill  # noqa: E402
from yamnet_cry.distill.recipes import RECIPES, Recipe  # noqa: E402

__all__ = ["RECIPES", "Recipe", "distill"]

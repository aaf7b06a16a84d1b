"""The 521 AudioSet classes that YAMNet and its students tell apart, and the score of crying among them.

Names and ids are those of ``yamnet_class_map.csv`` in tensorflow/models
(research/audioset/yamnet), taken from the AudioSet ontology.
"""

import csv
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

NUM_CLASSES = 521

#: "Crying, sobbing" and "Baby cry, infant cry": the two classes whose probabilities add up to the score.
CRY_CLASSES = (19, 20)


@cache
def _class_map() -> tuple[dict[str, str], ...]:
    text = files("yamnet_cry").joinpath("class_map.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def class_names() -> tuple[str, ...]:
    """Returns the display names of all classes, in the order of the logits.

    Example:
        >>> [class_names()[index] for index in CRY_CLASSES]
        ['Crying, sobbing', 'Baby cry, infant cry']
    """
    return tuple(row["display_name"] for row in _class_map())


def class_ids() -> tuple[str, ...]:
    """Returns the AudioSet ids (MIDs) of all classes, in the order of the logits.

    Example:
        >>> [class_ids()[index] for index in CRY_CLASSES]
        ['/m/0463cq4', '/t/dd00002']
    """
    return tuple(row["mid"] for row in _class_map())


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the share of each class in each window: float32 of shape (windows, 521), rows adding up to 1.

    Example:
        >>> softmax(np.zeros((1, 2), np.float32)).tolist()
        [[0.5, 0.5]]
    """
    exponentials = _exponentials(logits)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def cry_score(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns softmax(logits)[19] + softmax(logits)[20] for each window.

    Args:
        logits: float array of shape (windows, 521).

    Returns:
        float32 array of shape (windows,), in [0, 1].

    Example:
        >>> cry_score(np.zeros((1, NUM_CLASSES), np.float32))[0] * NUM_CLASSES
        np.float32(2.0)
    """
    exponentials = _exponentials(logits)
    crying = exponentials[:, list(CRY_CLASSES)].sum(axis=1)
    return (crying / exponentials.sum(axis=1)).astype(np.float32)


def _exponentials(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    # Softmax does not change with a shift; without it large logits would overflow.
    return np.exp(logits - logits.max(axis=1, keepdims=True))

"""The 521 AudioSet classes of YAMNet and its students, and the score of crying.

Names and ids are those of ``yamnet_class_map.csv`` in tensorflow/models
(research/audioset/yamnet), taken from the AudioSet ontology.
"""

import csv
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.task import Task

NUM_CLASSES = 521

#: "Crying, sobbing" and "Baby cry, infant cry": the two classes whose probabilities add up to the score.
CRY_CLASSES = (19, 20)


@cache
def _class_map() -> tuple[dict[str, str], ...]:
    text = files("yamnet_cry").joinpath("class_map.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def class_names() -> tuple[str, ...]:
    """Returns the display names of all classes, in the order of the logits.

    Examples:
        >>> [class_names()[index] for index in CRY_CLASSES]
        ['Crying, sobbing', 'Baby cry, infant cry']
    """
    return tuple(row["display_name"] for row in _class_map())


def class_ids() -> tuple[str, ...]:
    """Returns the AudioSet ids (MIDs) of all classes, in the order of the logits.

    Examples:
        >>> [class_ids()[index] for index in CRY_CLASSES]
        ['/m/0463cq4', '/t/dd00002']
    """
    return tuple(row["mid"] for row in _class_map())


#: The task of YAMNet and its students, with crying as the target. Windows may have several sounds at once,
#: but the score is defined by softmax.
CRY_TASK = Task(
    labels=class_names(),
    kind="exclusive",
    group=tuple(class_names()[index] for index in CRY_CLASSES),
    target="cry",
)


def cry_score(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns softmax(logits)[19] + softmax(logits)[20] for each window.

    Args:
        logits: float array of shape (windows, 521).

    Returns:
        float32 array of shape (windows,), in [0, 1].

    Examples:
        >>> cry_score(np.zeros((1, NUM_CLASSES), np.float32))[0] * NUM_CLASSES
        np.float32(2.0)
    """
    return CRY_TASK.score(logits)

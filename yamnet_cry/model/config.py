"""Reads, validates and writes ``config.json`` of a model folder."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Self

from yamnet_cry.audioset import CRY_CLASSES, CRY_TASK, NUM_CLASSES
from yamnet_cry.calibration import Calibration, EventRecall
from yamnet_cry.events import EventSettings
from yamnet_cry.fields import (
    NAME,
    OBJECT,
    OPTIONAL_OBJECT,
    VERSION,
    Rule,
    check,
    check_only,
    exactly,
    integer,
    number,
    numbers,
    rules,
    shortened,
    text,
)
from yamnet_cry.frontend import YAMNET, FrontEnd
from yamnet_cry.task import Task

FORMAT = "yamnet-cry"

#: The version that is written. Version 1, which has no task other than crying, is still read.
FORMAT_VERSION = 2
_VERSIONS = (1, 2)

# Names and versions are inserted into C, YAML and Markdown.
_FIELDS = {"recipe": NAME, "parameters": OBJECT, "files": OBJECT, "package_version": VERSION}

# Fields of tasks with a group only: they convert a score to probabilities and events.
_GROUP_FIELDS = {
    "threshold": number(0, 1),
    "calibration": OBJECT,
    "events": OBJECT,
    "event_recall": OPTIONAL_OBJECT,
}

# In version 1, these fields define the task.
SCORE = "softmax(logits)[19] + softmax(logits)[20]"
_CRY_FIELDS = {
    "classes": OBJECT,
    # 0.1.0 appended how it pooled the windows of a clip.
    "score": Rule(repr(SCORE), lambda value: isinstance(value, str) and value.split(", ")[0] == SCORE),
}
_CLASSES = {"count": exactly(NUM_CLASSES), "cry": exactly(list(CRY_CLASSES))}

_CALIBRATION = {
    "slope": number(1e-6, 1e6),
    "intercept": number(-1e6, 1e6),
    "prior": number(1e-6, 1 - 1e-6, optional=True),
}
_EVENTS = {name: dataclasses.replace(rule, optional=True) for name, rule in rules(EventSettings).items()}
_EVENT_RECALL = {
    "clips": integer(1, 10**9),
    "groups": integer(1, 10**9),
    "thresholds": numbers(0, 1, 1000),
    "recall": numbers(0, 1, 1000),
}
_PARAMETERS = {"total": integer(0, 10**9), "trainable": integer(0, 10**9)}
_FILE = {
    "bytes": integer(0, 10**10),
    "sha256": text("[0-9a-f]{64}", "64 hexadecimal digits"),
}

# As keras.saving.serialize_keras_object writes them.
_KERAS_KEYS = ("module", "class_name", "config", "registered_name", "build_config", "compile_config")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The configuration of a model.

    Attributes:
        task: Its labels, and what its logits mean.
        front_end: Converts audio to its input.
        recipe: Name of the recipe that trained it.
        parameters: Number of parameters, ``total`` and ``trainable``.
        files: Size in bytes and SHA-256 of each model file.
        package_version: Version of the package that wrote the folder.
        threshold: Probability from which a recording counts as one of the task's group, in [0, 1]. This,
            ``calibration``, ``events`` and ``event_recall`` are unused, and not written, without a group.
        calibration: Converts scores to probabilities.
        events: How events are found in probabilities.
        event_recall: Recall at each threshold; None in older folders.
        keras: The content of Keras's own ``config.json`` for the student, or empty.

    Raises:
        ValueError: If the task has no labels.

    Examples:
        >>> pets = Task(("cat", "dog"))
        >>> config = ModelConfig(task=pets, recipe="pets", parameters={}, files={}, package_version="1.2.3")
        >>> json.loads(config.to_json())["task"]["labels"]
        ['cat', 'dog']
    """

    task: Task = CRY_TASK
    front_end: FrontEnd = YAMNET
    recipe: str
    parameters: dict[str, int]
    files: dict[str, dict[str, int | str]]
    package_version: str
    threshold: float = 0.5
    calibration: Calibration = field(default_factory=lambda: Calibration(1.0, 0.0))
    events: EventSettings = field(default_factory=EventSettings)
    event_recall: EventRecall | None = None
    keras: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.task.labels:
            raise ValueError("expected task.labels to name each logit. Received: no labels")

    def to_json(self) -> str:
        """Returns the text of ``config.json``."""
        own = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        if self.calibration.prior is None:
            del own["calibration"]["prior"]
        names = (*_FIELDS, *(_GROUP_FIELDS if self.task.group else ()))
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "front_end": self.front_end.to_dict(),
            "task": self.task.to_dict(),
            **{name: own[name] for name in names if name in own},
            **self.keras,
        }
        # Hundreds of labels and Keras's description of every layer take one line each, so that the rest is
        # readable.
        long = ("task", *self.keras)
        lines = [
            f"  {json.dumps(key)}: "
            + (json.dumps(value) if key in long else json.dumps(value, indent=2).replace("\n", "\n  "))
            for key, value in content.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Creates a configuration from ``config.json``, of this or an older version.

        Args:
            values: The content of ``config.json``.

        Raises:
            ValueError: If it has another format or a newer version, or a field is missing or invalid; the
                message says what to do.
        """
        if values.get("format") != FORMAT:
            raise ValueError(
                f'it is not a yamnet-cry configuration. Expected: "format": "{FORMAT}". '
                f"Received: {shortened(values.get('format'))}"
            )
        version = values.get("format_version")
        if type(version) is not int or version not in _VERSIONS:
            newer = type(version) is int and version > FORMAT_VERSION
            raise ValueError(
                f"it has format version {shortened(version)}; this package reads "
                f"{' and '.join(map(str, _VERSIONS))}"
                + (": pip install --upgrade yamnet-cry" if newer else "")
            )
        try:
            front_end = FrontEnd.from_dict(values.get("front_end"))
        except ValueError as error:
            raise ValueError(f"this package does not support its front end: {error}") from None
        try:
            task = _cry_task(values) if version == 1 else _task(values)
            return cls(task=task, front_end=front_end, **_of_model(values), **_of_group(values, task))
        except ValueError as error:
            raise ValueError(f"{error}. Copy or download the folder again") from None


def _cry_task(values: dict[str, Any]) -> Task:
    # The outputs of a model with other classes or another score would be misinterpreted.
    found = check(values, _CRY_FIELDS)
    check_only(found["classes"], _CLASSES, "classes")
    return CRY_TASK


def _task(values: dict[str, Any]) -> Task:
    return Task.from_dict(check(values, {"task": OBJECT})["task"])


def _of_model(values: dict[str, Any]) -> dict[str, Any]:
    found = check(values, _FIELDS)
    return {
        **found,
        "parameters": check(found["parameters"], _PARAMETERS, "parameters"),
        "files": {name: check(entry, _FILE, f"files.{name[:80]}") for name, entry in found["files"].items()},
        "keras": {key: values[key] for key in _KERAS_KEYS if key in values},
    }


def _of_group(values: dict[str, Any], task: Task) -> dict[str, Any]:
    if not task.group:
        needless = [name for name in _GROUP_FIELDS if name in values]
        if needless:
            raise ValueError(
                f"expected no field {needless[0]!r}, which only a task with a group has. "
                f"Received: {shortened(values[needless[0]])}"
            )
        return {}
    found = check(values, _GROUP_FIELDS)
    calibration = check_only(found["calibration"], _CALIBRATION, "calibration")
    recall = found.get("event_recall")
    return {
        "threshold": float(found["threshold"]),
        "calibration": Calibration(**{name: float(value) for name, value in calibration.items()}),
        "events": EventSettings(**check_only(found["events"], _EVENTS, "events")),
        "event_recall": None if recall is None else _event_recall(recall),
    }


def _event_recall(values: dict[str, Any]) -> EventRecall:
    found = check_only(values, _EVENT_RECALL, "event_recall")
    thresholds, recall = (tuple(map(float, found[key])) for key in ("thresholds", "recall"))
    return EventRecall(found["clips"], found["groups"], thresholds, recall)

"""The result of a model for one recording: the probability of each label, per window and overall."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.frontend import YAMNET, Float32, FrontEnd
from yamnet_cry.model.runtime import QuantizedLogits
from yamnet_cry.task import Task

# Dequantizing hours of audio at once would take gigabytes.
_WINDOWS_PER_STEP = 4096

# Number of labels in a line of text.
_NAMED = 3


def shares(found: list[tuple[str, float]]) -> str:
    """Formats labels and their probabilities as one line.

    Examples:
        >>> shares([("dog", 0.934), ("rooster", 0.04)])
        'dog 0.93, rooster 0.04'
    """
    return ", ".join(f"{label} {share:.2f}" for label, share in found)


@dataclass(frozen=True, eq=False, kw_only=True)
class Classification:
    """The result of a model for one recording.

    Attributes:
        task: The model's labels and what its logits mean.
        front_end: The front end that defines the windows.
        logits: The logits of every window, int8 of shape (windows, labels), with their scale. May be None
            only in a `Detection`, which then has only its score.
        truncated: Whether the file is truncated, for example by a power cut.
        seconds: Length of the audio, in seconds; at most, and by default, the length covered by the windows.

    Examples:
        >>> logits = QuantizedLogits(np.int8([[40, 0, 0], [40, 20, 0]]), scale=0.1, zero_point=0)
        >>> result = Classification(task=Task(("dog", "cat", "rooster")), logits=logits)
        >>> print(result)
        dog 0.92, cat 0.07, rooster 0.02
        >>> result.label, result.times.tolist(), result.window_probabilities.shape
        ('dog', [0.0, 0.48], (2, 3))
    """

    task: Task
    front_end: FrontEnd = YAMNET
    logits: QuantizedLogits | None = None
    truncated: bool = False
    seconds: float = math.inf

    def __post_init__(self) -> None:
        windows = (self._windows - 1) * self.front_end.patch_hop_seconds + self.front_end.patch_seconds
        object.__setattr__(self, "seconds", min(self.seconds, windows))

    @property
    def _windows(self) -> int:
        return len(self._kept.values)

    @property
    def _kept(self) -> QuantizedLogits:
        if self.logits is None:
            raise ValueError("this result has no classes; call the detector with classes=True")
        return self.logits

    @property
    def times(self) -> NDArray[np.float64]:
        """Start times of the windows, in seconds: float64 of shape (windows,).

        With YAMNet's front end, windows are 0.96 s long and 0.48 s apart.
        """
        return np.arange(self._windows, dtype=np.float64) * self.front_end.patch_hop_seconds

    @property
    def window_probabilities(self) -> Float32:
        """The probability of each label in each window: float32 of shape (windows, labels), in [0, 1].

        Computed on each access.

        Raises:
            ValueError: If the logits were not kept.
        """
        return np.concatenate(list(self._parts(0, self._windows)))

    @cached_property
    def label_probabilities(self) -> NDArray[np.float64]:
        """The mean of each label's probability over all windows: float64 of shape (labels,), in [0, 1].

        Raises:
            ValueError: If the logits were not kept.
        """
        return self._mean(0, self._windows)

    @property
    def label(self) -> str:
        """The label with the largest mean probability.

        Raises:
            ValueError: If the logits were not kept.
        """
        return self.task.labels[int(self.label_probabilities.argmax())]

    def labels(self, threshold: float = 0.5) -> list[str]:
        """Returns every label whose mean probability is at least a threshold, the most probable first.

        For tasks with independent labels: a recording may have several of them, or none.

        Args:
            threshold: In [0, 1].

        Returns:
            Labels of the task; empty if none reaches the threshold.

        Raises:
            ValueError: If the logits were not kept.

        Examples:
            >>> logits = QuantizedLogits(np.int8([[20, -40, 40]]), scale=0.1, zero_point=0)
            >>> task = Task(("dog", "cat", "rooster"), "independent")
            >>> Classification(task=task, logits=logits).labels()
            ['rooster', 'dog']
        """
        return [label for label, share in self.top(count=len(self.task.labels)) if share >= threshold]

    def top(self, start: float = 0.0, end: float = math.inf, *, count: int = 5) -> list[tuple[str, float]]:
        """Returns the labels with the largest mean probability in a section of the recording.

        Args:
            start: In seconds; windows whose middle is earlier are ignored.
            end: In seconds; windows whose middle is later are ignored.
            count: Number of labels.

        Returns:
            Labels and probabilities in [0, 1], the largest first; empty if no window's middle is in the
            section.

        Raises:
            ValueError: If the logits were not kept.

        Examples:
            >>> logits = QuantizedLogits(np.int8([[20, 0], [20, 0], [0, 40]]), scale=0.1, zero_point=0)
            >>> result = Classification(task=Task(("dog", "cat")), logits=logits)
            >>> shares(result.top()), shares(result.top(1.0, 2.0, count=1))
            ('dog 0.59, cat 0.41', 'cat 0.98')
        """
        middle, hop = self.front_end.patch_seconds / 2, self.front_end.patch_hop_seconds
        first = max(0, math.ceil(round((start - middle) / hop, 6)))
        last = len(self._kept.values)
        if math.isfinite(end):
            last = min(last, math.floor(round((end - middle) / hop, 6)) + 1)
        if last <= first:
            return []
        found = self._mean(first, last)
        # Stable: equally probable labels keep their order on every machine.
        in_order = np.argsort(-found, kind="stable")[:count]
        return [(self.task.labels[index], float(found[index])) for index in in_order]

    def _parts(self, first: int, last: int) -> Iterator[Float32]:
        for start in range(first, last, _WINDOWS_PER_STEP):
            part = self._kept[start : min(start + _WINDOWS_PER_STEP, last)]
            yield self.task.probabilities(part.dequantized())

    def _mean(self, first: int, last: int) -> NDArray[np.float64]:
        total = sum(part.sum(axis=0, dtype=np.float64) for part in self._parts(first, last))
        return np.asarray(total) / (last - first)

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as numbers, strings, lists and dictionaries that can be written as JSON.

        Each window has only its most probable label: all `window_probabilities` of an hour would be megabytes
        of text.

        Returns:
            ``label``, ``probabilities`` in [0, 1] by label, ``seconds``, ``truncated``, ``window_seconds``,
            and ``windows``: for each, its start in seconds as ``time``, its most probable ``label``, and the
            ``probability`` of that label.

        Raises:
            ValueError: If the logits were not kept.

        Examples:
            >>> logits = QuantizedLogits(np.int8([[40, 0]]), scale=0.1, zero_point=0)
            >>> told = Classification(task=Task(("dog", "cat")), logits=logits).to_dict()
            >>> told["label"], told["windows"][0]["time"], round(told["probabilities"]["dog"], 2)
            ('dog', 0.0, 0.98)
        """
        surest = [
            (self.task.labels[number], probability)
            for part in self._parts(0, self._windows)
            for number, probability in zip(part.argmax(axis=1), part.max(axis=1).tolist(), strict=True)
        ]
        return {
            "label": self.label,
            "probabilities": dict(zip(self.task.labels, self.label_probabilities.tolist(), strict=True)),
            "seconds": round(self.seconds, 2),
            "truncated": self.truncated,
            "window_seconds": self.front_end.patch_seconds,
            "windows": [
                {"time": round(time, 2), "label": label, "probability": probability}
                for time, (label, probability) in zip(self.times.tolist(), surest, strict=True)
            ],
        }

    def __str__(self) -> str:
        return shares(self.top(count=_NAMED))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self} in {self._windows} windows>"

"""What a model heard in one recording: how probable each of its labels is, and when."""

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

# Floats of hours at once would take gigabytes.
_WINDOWS_PER_STEP = 4096

# So many labels are named in a line of text.
_NAMED = 3


def shares(found: list[tuple[str, float]]) -> str:
    """Writes labels and their probabilities in a line.

    Examples:
        >>> shares([("dog", 0.934), ("rooster", 0.04)])
        'dog 0.93, rooster 0.04'
    """
    return ", ".join(f"{label} {share:.2f}" for label, share in found)


@dataclass(frozen=True, eq=False, kw_only=True)
class Classification:
    """What a model heard in one recording.

    Attributes:
        task: What the model tells apart.
        front_end: Whose windows these are.
        logits: Those of every window, int8 of shape (windows, labels) with their scale. Only a `Detection`
            may be without, which then knows its score alone.
        truncated: Whether the file ended before its audio did, as after a power cut.
        seconds: Length of the audio, in seconds; that of its windows, if nobody knows better.

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
        """Starts of the windows, in seconds: float64 of shape (windows,).

        With YAMNet's front end, windows are 0.96 s long and 0.48 s apart.
        """
        return np.arange(self._windows, dtype=np.float64) * self.front_end.patch_hop_seconds

    @property
    def window_probabilities(self) -> Float32:
        """The probability of each label in each window: float32 of shape (windows, labels), in [0, 1].

        Made anew each time.

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
        """Names every label whose mean probability reaches a threshold, the most probable first.

        This is for tasks whose labels are independent: a recording may have several, or none.

        Args:
            threshold: In [0, 1].

        Returns:
            Labels of the task; empty if none is so probable.

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
        """Tells what was heard in a stretch of the recording: the labels with the largest mean probability.

        Args:
            start: In seconds; windows whose middle lies before it do not count.
            end: In seconds; windows whose middle lies after it do not count.
            count: How many labels.

        Returns:
            Labels and probabilities in [0, 1], the largest first; empty if no window's middle lies between.

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
        # Stable: of equally probable labels, the first one comes first on every machine.
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
        """Returns everything as plain numbers, names and lists, ready for JSON.

        Of each window there is its most probable label alone: all of them, `window_probabilities`, would make
        megabytes of text of an hour.

        Returns:
            ``label``, ``probabilities`` in [0, 1] by label, ``seconds``, ``truncated``, ``window_seconds``,
            and ``windows``: of each its start in seconds, ``time``, its ``label``, and the ``probability``
            of that.

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

"""The detector: audio in, crying or not out."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yamnet_cry import audio, features, hub, model_folder
from yamnet_cry.ambient import MIN_SECONDS, AmbientReport, fit_threshold
from yamnet_cry.audio import AudioSource
from yamnet_cry.calibration import Calibration, pooled
from yamnet_cry.classes import cry_score
from yamnet_cry.errors import AudioError
from yamnet_cry.events import Event, EventSettings, EventTracker, find_events
from yamnet_cry.features import PATCH_HOP_SECONDS, PATCH_SECONDS, Float32
from yamnet_cry.model_folder import ModelConfig
from yamnet_cry.runtime import Student
from yamnet_cry.streaming import Update, follow


def clock(seconds: float) -> str:
    """Formats a time for people.

    Example:
        >>> clock(2.4), clock(3723.0)
        ('0:02.4', '1:02:03.0')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{rest / 10:04.1f}"


@dataclass(frozen=True, eq=False)
class Detection:
    """What a detector heard in one recording.

    Attributes:
        scores: float32 array of shape (windows,), each softmax(logits)[19] + softmax(logits)[20],
            in [0, 1].
        threshold: The probability from which the recording counts as crying.
        calibration: What turns scores into probabilities.
        event_settings: How events are made of probabilities.
    """

    scores: Float32
    threshold: float
    calibration: Calibration
    event_settings: EventSettings = field(default_factory=EventSettings)

    @property
    def times(self) -> NDArray[np.float64]:
        """Starts of the windows, 0.96 s long and 0.48 s apart, in seconds: float64 of shape (windows,)."""
        return np.arange(len(self.scores), dtype=np.float64) * PATCH_HOP_SECONDS

    @property
    def score(self) -> float:
        """The mean score of all windows, in [0, 1]."""
        return float(self.scores.mean(dtype=np.float64))

    @property
    def probability(self) -> float:
        """How probable it is that a baby cries in the recording, in [0, 1].

        The quadratic mean of the windows' scores, over the loudest ten seconds, calibrated.
        """
        return float(self.calibration(pooled(self.scores)))

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The scores of the windows through the same calibration, float64 of shape (windows,)."""
        return self.calibration(self.scores)

    @cached_property
    def events(self) -> list[Event]:
        """The stretches of crying, in the order of time."""
        return find_events(self.probabilities, self.threshold, self.event_settings)

    @property
    def is_cry(self) -> bool:
        """Whether the probability reaches the threshold."""
        return self.probability >= self.threshold

    @property
    def peak(self) -> float:
        """The highest probability of any window."""
        return float(self.probabilities.max())

    @property
    def peak_time(self) -> float:
        """Start of the window with the highest probability, in seconds."""
        return float(self.times[self.scores.argmax()])

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain numbers and lists, ready for JSON."""
        return {
            "is_cry": self.is_cry,
            "probability": self.probability,
            "score": self.score,
            "threshold": self.threshold,
            "peak": self.peak,
            "peak_time": self.peak_time,
            "events": [asdict(event) for event in self.events],
            "window_seconds": PATCH_SECONDS,
            "times": [round(time, 2) for time in self.times.tolist()],
            "scores": self.scores.tolist(),
            "probabilities": self.probabilities.tolist(),
        }

    def __str__(self) -> str:
        verdict = "crying" if self.is_cry else "no crying"
        heard = ""
        if self.events:
            count = "once" if len(self.events) == 1 else f"{len(self.events)} times"
            heard = f"; heard {count}, {sum(event.seconds for event in self.events):.1f} s in all"
        return (
            f"{verdict}: probability {self.probability:.2f} (threshold {self.threshold:.2f}), "
            f"peak {self.peak:.2f} at {clock(self.peak_time)}{heard}"
        )

    def __repr__(self) -> str:
        return f"<Detection {self} in {len(self.scores)} windows>"


class CryDetector:
    """Hears a baby cry, with YAMNet's front end and a student of YAMNet.

    Objects come from `from_pretrained`, and may be shared between threads.

    Attributes:
        config: What the model folder says of its model.
        threshold: Probability from which a recording counts as crying; the model's own, changeable.

    Example:
        >>> detector = CryDetector.from_pretrained()
        >>> result = detector((np.zeros(32_000, np.float32), 16_000))
        >>> result.is_cry, len(result.scores), result.times.tolist()
        (False, 4, [0.0, 0.48, 0.96, 1.44])
    """

    def __init__(self, config: ModelConfig, model: bytes) -> None:
        self.config = config
        self.threshold = config.threshold
        self._model = model
        self._student = Student(model)

    @classmethod
    def from_pretrained(
        cls, model: str | PathLike[str] | None = None, *, revision: str | None = None
    ) -> Self:
        """Loads a detector.

        Args:
            model: A model folder, a repository on the Hugging Face Hub such as ``"user/model"``,
                or None for the model that comes with the package and needs no network.
            revision: Branch, tag or commit of a repository.

        Raises:
            ModelError: If the model is missing, incomplete, corrupt or foreign.
        """
        return cls(*model_folder.load(hub.locate(model, revision)))

    def __call__(self, source: AudioSource) -> Detection:
        """Scores a recording of any length, in memory that does not grow with the audio.

        Args:
            source: A path, a binary file object, or ``(waveform, sample_rate)`` with floats in
                [-1, 1] or integers, of shape (samples,) or (samples, channels). Audio shorter than
                a window is padded with silence, as YAMNet does.

        Returns:
            The scores of all windows, and the verdict.

        Raises:
            AudioError: If the audio cannot be read or used.
        """
        scores = list(self._scores(audio.blocks(source)))
        return Detection(np.concatenate(scores), self.threshold, self.config.calibration, self.config.events)

    def stream(self, blocks: Iterable[ArrayLike], sample_rate: int) -> Iterator[Update]:
        """Listens to audio as it comes, such as a microphone's, for as long as it comes.

        Probabilities and events are those of the same audio in one recording, whatever the sizes of
        the blocks.

        Args:
            blocks: Arrays of any length, each the continuation of the one before: floats in [-1, 1] or
                integers, of shape (samples,) or (samples, channels).
            sample_rate: Their sample rate in hertz.

        Yields:
            What is known after each window, every 0.48 s.

        Raises:
            AudioError: If the audio cannot be used, or there is none.

        Example:
            >>> detector = CryDetector.from_pretrained()
            >>> silence = (np.zeros(441, np.float32) for _ in range(300))
            >>> [update.time for update in detector.stream(silence, 44_100)]
            [0.96, 1.44, 1.92, 2.4, 2.88, 3.36]
        """

        def probabilities_of(log_mel: Float32) -> NDArray[np.float64]:
            return self.config.calibration(cry_score(self._student.logits(log_mel)))

        tracker = EventTracker(self.threshold, self.config.events)
        return follow(audio.live_blocks(blocks, sample_rate), probabilities_of, tracker)

    def calibrate(self, ambient: AudioSource, *, false_alarms_per_hour: float = 0.5) -> AmbientReport:
        """Raises the threshold, if it must, so that a room's own sound seldom raises an alarm.

        Args:
            ambient: The room without crying, best for ten minutes or more; at least one.
            false_alarms_per_hour: How many are tolerable.

        Returns:
            The threshold, which the detector now has, and the false alarms an hour expected of it.

        Raises:
            AudioError: If the audio cannot be read, or is shorter than a minute.
            ValueError: If ``false_alarms_per_hour`` is not positive.
        """
        result = self(ambient)
        seconds = len(result.scores) * PATCH_HOP_SECONDS
        if seconds < MIN_SECONDS:
            raise AudioError(
                f"{audio.describe(ambient)}: expected at least {MIN_SECONDS:.0f} s of the room, best ten "
                f"minutes. Received: {seconds:.1f} s"
            )
        report = fit_threshold(
            result.probabilities, self.config.events, self.threshold, false_alarms_per_hour
        )
        self.threshold = report.threshold
        return report

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Writes what a detector needs to a new model folder, with the threshold as it is now.

        Raises:
            ModelError: If the folder exists, or cannot be written.
        """
        model_folder.save(Path(folder), replace(self.config, threshold=self.threshold), self._model)

    def _scores(self, blocks: Iterable[Float32]) -> Iterator[Float32]:
        for piece in features.whole_patches(blocks):
            yield cry_score(self._student.logits(features.log_mel(piece)))

    def __repr__(self) -> str:
        total = self.config.parameters["total"]
        return f"<CryDetector {self.config.recipe}: {total:,} parameters, threshold {self.threshold:.2f}>"

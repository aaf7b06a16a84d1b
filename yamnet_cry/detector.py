"""The detector: from audio to whether and when a baby cries."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yamnet_cry import audio
from yamnet_cry.audio import AudioSource
from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.calibration import NO_PRIOR, EventRecall, log_odds
from yamnet_cry.classifier import Classifier
from yamnet_cry.errors import AudioError, ModelError
from yamnet_cry.events import EventTracker, checked_threshold
from yamnet_cry.false_alarms import MIN_SECONDS, AmbientReport, fit_room
from yamnet_cry.frontend import YAMNET, Float32, FrontEnd
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model import hub
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.context import Context, Listening
from yamnet_cry.model.runtime import Outputs, QuantizedLogits
from yamnet_cry.results import Detection
from yamnet_cry.streaming import Listener, Update
from yamnet_cry.task import Task

# Settings that must equal YAMNet's, because its windows are the unit of events, streams and calibration.
_WINDOWS = ("sample_rate", "frame_length", "frame_hop", "patch_frames", "patch_hop", "centred")


class CryDetector(Classifier):
    """Detects a crying baby with a student of YAMNet and its front end.

    Load one with `from_pretrained`. Objects may be shared between threads, copied and pickled.

    Args:
        config: The configuration of the model folder.
        model: The bytes of the INT8 TFLite model.
        context: The context network, or None.
        source: Where these were loaded from, as for a `Classifier`.

    Attributes:
        config: The configuration of the model folder.
        model: The bytes of the INT8 TFLite model.
        student: That model on LiteRT, a `yamnet_cry.model.runtime.Student`; each object has its own.
        context: The context network over the student's embeddings of the last seconds; None in older models,
            which classify every window alone.

    Raises:
        ModelError: If the model has another task than crying among the AudioSet classes, its front end has
            other windows than YAMNet's, its input is not that of its front end, or its output is not 521
            classes.

    Examples:
        >>> detector = CryDetector.from_pretrained()
        >>> result = detector((np.zeros(32_000, np.float32), 16_000))
        >>> result.is_cry, len(result.scores), result.times.tolist()
        (False, 4, [0.0, 0.48, 0.96, 1.44])
    """

    def __init__(
        self,
        config: ModelConfig,
        model: bytes,
        context: Context | None = None,
        source: hub.Source | None = None,
    ) -> None:
        super().__init__(config, model, context, source)
        self.threshold = config.threshold
        self._calibration = config.calibration

    @classmethod
    def check(cls, task: Task, front_end: FrontEnd) -> None:
        """Rejects models with another task or other windows.

        Args:
            task: The task of a model.
            front_end: The front end of the model.

        Raises:
            ModelError: If one is not supported; the message says what is required.

        Examples:
            >>> CryDetector.check(CRY_TASK, YAMNET)
        """
        if task != CRY_TASK:
            raise ModelError(
                f"this model classifies {task}; CryDetector needs a cry detection model. "
                "Use Classifier or `yamnet-cry classify`"
            )
        if differing := front_end.differences(YAMNET, _WINDOWS):
            raise ModelError(f"expected a model with YAMNet's windows; this one has {differing}")
        super().check(task, front_end)

    def __reduce__(self) -> tuple[Any, ...]:
        return *super().__reduce__(), {"_threshold": self.threshold, "_calibration": self._calibration}

    @property
    def threshold(self) -> float:
        """Probability from which an event starts, and a recording counts as crying, in [0, 1].

        Defaults to the model's threshold.

        Raises:
            ValueError: If it is set to a value that is not a number in [0, 1].
        """
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._threshold = checked_threshold(value)

    @property
    def prior(self) -> float | None:
        """Expected share of crying in the audio, for which probabilities are calibrated, in (0, 1).

        Defaults to the model's prior. None for older models without one, for which it cannot be set.

        Raises:
            ValueError: If it is set to a value that is not a number in (0, 1), or the model has no prior.
        """
        return self._calibration.prior

    @prior.setter
    def prior(self, value: float) -> None:
        self._calibration = self._calibration.for_prior(value)

    def set(self, *, threshold: float | None = None, prior: float | None = None) -> None:
        """Sets threshold, prior or both; None leaves a value unchanged.

        Args:
            threshold: See `threshold`; in [0, 1].
            prior: See `prior`; in (0, 1).

        Raises:
            ValueError: If one is out of its range.
            ModelError: If ``prior`` is given, and the model has no calibration prior.

        Examples:
            >>> detector = CryDetector.from_pretrained()
            >>> detector.set(threshold=0.7, prior=0.02)
            >>> detector.threshold, detector.prior
            (0.7, 0.02)
        """
        if threshold is not None:
            self.threshold = threshold
        if prior is not None:
            if self.prior is None:
                raise ModelError(NO_PRIOR)
            self.prior = prior

    @classmethod
    def from_pretrained(
        cls,
        model: str | PathLike[str] | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Loads a detector, as `Classifier.from_pretrained` loads a classifier.

        Args:
            model: A model folder, a repository on the Hugging Face Hub such as ``"user/model"``,
                or None for the model that comes with the package and needs no network.
            revision: Branch, tag or commit of a repository.
            cache_dir: Folder for downloads; defaults to the Hub's cache.
            token: For private repositories; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.
            local_files_only: Whether to use only files that were downloaded before, without network access.

        Raises:
            ModelError: If the model is missing, incomplete, corrupt, too large or not a model of yamnet-cry.

        Examples:
            >>> CryDetector.from_pretrained()
            <CryDetector context: 78,593 parameters, threshold 0.50>
        """
        source = hub.locate(
            model, revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only
        )
        return cls(*model_folder.load(source.folder), source)

    def __call__(
        self,
        source: AudioSource,
        *,
        classes: bool = False,
        progress: Callable[[float], object] | None = None,
        strict: bool = False,
    ) -> Detection:
        """Scores a recording of any length, in memory that does not grow with the audio.

        If a file is truncated, for example by a power cut, the audio up to there is scored, with a Python
        warning.

        Args:
            source: A path, a binary file object, or ``(waveform, sample_rate)``, as for a `Classifier`.
            classes: Whether to keep the logits of all classes, for `Detection.top`; they take
                3.8 MB per hour.
            progress: Called from time to time with the seconds of audio processed so far.
            strict: Whether a truncated file is an error.

        Returns:
            The scores of all windows, the probability of crying and the events.

        Raises:
            AudioError: If the audio cannot be read or used.

        Examples:
            >>> from yamnet_cry.demo import nursery  # 20 s, a cry in the middle
            >>> detector = CryDetector.from_pretrained()
            >>> print(detector((nursery(), 16_000)))
            crying for 7.7 s in 1 event: 0:06.2-0:13.9 (probability 0.99, threshold 0.50)
        """
        scores: list[Float32] = []
        tracks: list[Float32] = []
        kept: list[QuantizedLogits] = []
        listening = self._listen()

        def take(outputs: Outputs) -> None:
            scores.append(self.config.task.score(outputs.logits.dequantized()))
            if listening is not None:
                tracks.append(listening(outputs.embeddings))
            if classes:
                kept.append(outputs.logits)

        seconds, truncated = self._hear(source, take, progress, strict)
        return Detection(
            np.concatenate(scores),
            self.threshold,
            self._calibration,
            self.config.events,
            track=np.concatenate(tracks) if tracks else None,
            task=self.config.task,
            front_end=self.config.front_end,
            logits=QuantizedLogits.joined(kept) if kept else None,
            truncated=truncated,
            seconds=seconds,
        )

    def stream(self, blocks: Iterable[ArrayLike], sample_rate: int) -> Iterator[Update]:
        """Runs the detector on live audio, such as that of a microphone, until the blocks end.

        Probabilities and events equal those of the same audio in one recording, for any block sizes.

        Args:
            blocks: Arrays of any length, each the continuation of the one before: floats in [-1, 1] or
                integers, of shape (samples,) or (samples, channels).
            sample_rate: Their sample rate in hertz.

        Yields:
            One update after each window, every 0.48 s.

        Raises:
            AudioError: If the audio cannot be used, or there is none.

        Examples:
            >>> detector = CryDetector.from_pretrained()
            >>> silence = (np.zeros(441, np.float32) for _ in range(300))
            >>> [update.time for update in detector.stream(silence, 44_100)]
            [0.96, 1.44, 1.92, 2.4, 2.88, 3.36]
        """
        listener = self.listener(sample_rate)
        for block in blocks:
            yield from listener.push(block)
        yield from listener.finish()

    def listener(self, sample_rate: int, *, threshold: float | None = None) -> Listener:
        """Returns an object that works as `stream` does, for programs that receive audio in callbacks.

        Args:
            sample_rate: Sample rate of the audio, in hertz.
            threshold: For events, in [0, 1]; defaults to the detector's present threshold.

        Returns:
            An object to push blocks into; use one for each microphone.

        Raises:
            AudioError: If the sample rate cannot be used.
            ValueError: If the threshold is not a number in [0, 1].

        Examples:
            >>> listener = CryDetector.from_pretrained().listener(44_100)
            >>> [update.time for update in listener.push(np.zeros(66_150, np.int16))]
            [0.96, 1.44]
        """
        listening, calibration = self._listen(), self._calibration

        def probabilities_of(piece: Float32) -> NDArray[np.float64]:
            outputs = self.student.outputs(self.config.front_end.log_mel(piece))
            return calibration.of_log_odds(self._log_odds(outputs, listening))

        chosen = self.threshold if threshold is None else checked_threshold(threshold)
        tracker = EventTracker(chosen, self.config.events)
        return Listener(sample_rate, probabilities_of, tracker)

    def log_odds(self, log_mel: Float32) -> NDArray[np.floating[Any]]:
        """Returns the log-odds of crying at each patch of a log-mel spectrogram, before calibration.

        They come from the context network or, for models without one, from the scores.

        Args:
            log_mel: float32 array of shape (frames, bands), a whole recording, as
                ``config.front_end.log_mel`` returns it.

        Returns:
            Array of shape (patches,) in nepers: float32, or float64 without a context network.

        Examples:
            >>> detector = CryDetector.from_pretrained()
            >>> log_mel = detector.config.front_end.log_mel(np.zeros(32_000, np.float32))
            >>> odds = detector.log_odds(log_mel)
            >>> odds.shape, bool(odds.max() < 0)
            ((3,), True)
        """
        return self._log_odds(self.student.outputs(log_mel), self._listen())

    def _listen(self) -> Listening | None:
        return None if self.context is None else self.context.listen()

    def _log_odds(self, outputs: Outputs, listening: Listening | None) -> NDArray[np.floating[Any]]:
        if listening is not None:
            return listening(outputs.embeddings)
        return log_odds(self.config.task.score(outputs.logits.dequantized()))

    def calibrate(
        self,
        ambient: AudioSource,
        *,
        false_alarms_per_hour: float = 0.5,
        min_recall: float = 0.8,
        progress: Callable[[float], object] | None = None,
    ) -> AmbientReport:
        """Raises the threshold, if needed, so that a room's own sounds rarely raise an alarm.

        Args:
            ambient: A recording of the room without crying: at least one minute, ideally ten or more.
            false_alarms_per_hour: The acceptable rate; positive.
            min_recall: Least share of crying clips that must still raise an event, in [0, 1], as measured
                on the validation split; 0 accepts any recall.
            progress: Called from time to time with the seconds of audio processed so far.

        Returns:
            The new threshold, which is set on the detector, the false alarms per hour expected at it, and
            its recall.

        Raises:
            CalibrationError: If no threshold gives the acceptable rate, or its recall is below
                ``min_recall``. The threshold is then unchanged.
            AudioError: If the audio cannot be read, or is shorter than a minute.
            ValueError: If ``false_alarms_per_hour`` or ``min_recall`` is out of its range.

        Examples:
            >>> from yamnet_cry.demo import nursery
            >>> detector = CryDetector.from_pretrained()
            >>> quiet = nursery(seconds=120.0, first=120.0)  # nobody cries
            >>> report = detector.calibrate((quiet, 16_000))
            >>> report.threshold, report.false_alarms_per_hour < 0.5
            (0.5, True)
        """
        result = self(ambient, classes=True, progress=progress, strict=True)
        seconds = len(result.scores) * YAMNET.patch_hop_seconds
        if seconds < MIN_SECONDS:
            raise AudioError(
                f"{audio.describe(ambient)}: expected at least {MIN_SECONDS:.0f} s of the room, ideally ten "
                f"minutes. Received: {seconds:.1f} s"
            )
        report = fit_room(result, self._event_recall, false_alarms_per_hour, min_recall)
        self.threshold = report.threshold
        return report

    @property
    def _event_recall(self) -> EventRecall | None:
        """The recall at each threshold, for the present prior."""
        shift = self._calibration.intercept - self.config.calibration.intercept
        recall = self.config.event_recall
        return recall if recall is None or not shift else recall.moved(shift)

    def _present_config(self) -> ModelConfig:
        return replace(
            self.config,
            threshold=self.threshold,
            calibration=self._calibration,
            event_recall=self._event_recall,
        )

    def _summary(self) -> str:
        return f"{self.config.parameters['total']:,} parameters, threshold {self.threshold:.2f}"

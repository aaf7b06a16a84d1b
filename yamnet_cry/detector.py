"""The detector: audio in, crying or not out."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yamnet_cry import audio
from yamnet_cry.ahead import ahead
from yamnet_cry.audio import AudioSource
from yamnet_cry.audioset import cry_score
from yamnet_cry.errors import AudioError, ModelError
from yamnet_cry.events import EventTracker, checked_threshold
from yamnet_cry.false_alarms import MIN_SECONDS, AmbientReport, fit_room
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model import hub
from yamnet_cry.model.folder import CONFIG, KERAS, RELEASE_FILES, ModelConfig
from yamnet_cry.model.runtime import QuantizedLogits, Student
from yamnet_cry.patches import whole_patches
from yamnet_cry.results import Detection
from yamnet_cry.streaming import Listener, Update

if TYPE_CHECKING:
    import keras

# What must be as with YAMNet, for its windows are the unit of events, streams and calibration.
_WINDOWS = ("sample_rate", "frame_length", "frame_hop", "patch_frames", "patch_hop", "centred")


def _copied(
    kind: "type[CryDetector]", config: ModelConfig, model: bytes, source: hub.Source | None, threshold: float
) -> "CryDetector":
    detector = kind(config, model, source)
    detector.threshold = threshold
    return detector


class CryDetector:
    """Hears a baby cry, with a student of YAMNet and the front end that goes with it.

    Objects come from `from_pretrained`, and may be shared between threads.

    Attributes:
        config: What the model folder says of its model.
        threshold: Probability from which an event starts, and with it a recording counts as crying; the
            model's own, changeable, in [0, 1].
        model: The bytes of the INT8 TFLite model.

    Raises:
        ModelError: If the model's front end cuts audio into other windows than YAMNet's, or the model takes
            something else than its front end makes, or gives something else than 521 classes.

    Example:
        >>> detector = CryDetector.from_pretrained()
        >>> result = detector((np.zeros(32_000, np.float32), 16_000))
        >>> result.is_cry, len(result.scores), result.times.tolist()
        (False, 4, [0.0, 0.48, 0.96, 1.44])
    """

    def __init__(self, config: ModelConfig, model: bytes, source: hub.Source | None = None) -> None:
        if differing := config.front_end.differences(YAMNET, _WINDOWS):
            raise ModelError(f"expected a model that hears windows as YAMNet does; this one has {differing}")
        self.config = config
        self.threshold = config.threshold
        self.model = model
        self._source = source
        self._student = Student(model, config.front_end)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, in this process or another, has an interpreter of its own from the same bytes.
        return _copied, (type(self), self.config, self.model, self._source, self.threshold)

    @property
    def threshold(self) -> float:  # noqa: D102 (documented with the class)
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._threshold = checked_threshold(value)

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
        """Loads a detector.

        Of a repository, the configuration and the INT8 model are downloaded, once. No code in it is run:
        every field is checked, and the network's operators, sizes and cost before LiteRT gets it.

        Args:
            model: A model folder, a repository on the Hugging Face Hub such as ``"user/model"``,
                or None for the model that comes with the package and needs no network.
            revision: Branch, tag or commit of a repository.
            cache_dir: Where downloads are kept; the Hub's own cache by default.
            token: For private repositories; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.
            local_files_only: Whether to take what was downloaded before, and stay off the network.

        Raises:
            ModelError: If the model is missing, incomplete, corrupt, too large or foreign.
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

        Of a file that is cut short, as by a power cut, what there is is scored, with a Python warning.

        Args:
            source: A path, a binary file object, or ``(waveform, sample_rate)`` with floats in
                [-1, 1] or integers at full scale of their type, of shape (samples,) or
                (samples, channels). Audio shorter than a window is padded with silence, as YAMNet does.
            classes: Whether to keep the logits of all classes, for `Detection.top_classes`; they take
                3.8 MB an hour.
            progress: Called now and then with the seconds of audio heard so far.
            strict: Whether a file that is cut short is an error.

        Returns:
            The scores of all windows, and the verdict.

        Raises:
            AudioError: If the audio cannot be read or used.
        """
        scores: list[Float32] = []
        kept: list[QuantizedLogits] = []
        windows = 0
        cuts: list[str] = []
        samples = 0

        def counted() -> Iterator[Float32]:
            nonlocal samples
            for block in audio.blocks(source, on_cut=None if strict else cuts.append):
                samples += len(block)
                yield block

        front_end = self.config.front_end
        for log_mel in ahead(map(front_end.log_mel, whole_patches(counted(), front_end))):
            logits = self._student.quantized_logits(log_mel)
            scores.append(cry_score(logits.dequantized()))
            windows += len(logits.values)
            if classes:
                kept.append(logits)
            if progress is not None:
                progress(windows * YAMNET.patch_hop_seconds)
        every = replace(kept[0], values=np.concatenate([part.values for part in kept])) if kept else None
        for cut in cuts:
            warnings.warn(f"{cut}; scored as far as it goes", stacklevel=2)
        return Detection(
            np.concatenate(scores),
            self.threshold,
            self.config.calibration,
            self.config.events,
            every,
            truncated=bool(cuts),
            seconds=samples / YAMNET.sample_rate,
        )

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
        listener = self.listener(sample_rate)
        for block in blocks:
            yield from listener.push(block)
        yield from listener.finish()

    def listener(self, sample_rate: int, *, threshold: float | None = None) -> Listener:
        """Listens as `stream` does, for programs that are called with audio and do not fetch it.

        Args:
            sample_rate: Of the audio, in hertz.
            threshold: For events, in [0, 1]; the detector's of now by default.

        Returns:
            An object to push blocks into, one a microphone.

        Raises:
            AudioError: If the sample rate cannot be used.
            ValueError: If the threshold is none.

        Example:
            >>> listener = CryDetector.from_pretrained().listener(44_100)
            >>> [update.time for update in listener.push(np.zeros(66_150, np.int16))]
            [0.96, 1.44]
        """

        def probabilities_of(piece: Float32) -> NDArray[np.float64]:
            logits = self._student.logits(self.config.front_end.log_mel(piece))
            return self.config.calibration(cry_score(logits))

        chosen = self.threshold if threshold is None else checked_threshold(threshold)
        tracker = EventTracker(chosen, self.config.events)
        return Listener(sample_rate, probabilities_of, tracker)

    def logits(self, log_mel: Float32) -> Float32:
        """Classifies every patch of a log-mel spectrogram.

        Args:
            log_mel: float32 array of shape (frames, 64), as ``config.front_end.log_mel`` makes it.

        Returns:
            float32 array of shape (patches, 521): logits of AudioSet's classes, `classes.class_names`.
        """
        return self._student.logits(log_mel)

    def calibrate(
        self,
        ambient: AudioSource,
        *,
        false_alarms_per_hour: float = 0.5,
        min_recall: float = 0.8,
        progress: Callable[[float], object] | None = None,
    ) -> AmbientReport:
        """Raises the threshold, if it must, so that a room's own sound seldom raises an alarm.

        Args:
            ambient: The room without crying, best for ten minutes or more; at least one.
            false_alarms_per_hour: How many are acceptable; positive.
            min_recall: Least share of crying clips that must still raise an event, in [0, 1], as measured
                on validation; 0 accepts any cost.
            progress: Called now and then with the seconds of audio scored so far.

        Returns:
            The threshold, which the detector now has, the false alarms an hour expected of it, and the
            share of crying that it still finds.

        Raises:
            CalibrationError: If no threshold gives so few false alarms, or only one that misses too much
                crying. The threshold is then unchanged.
            AudioError: If the audio cannot be read, or is shorter than a minute.
            ValueError: If ``false_alarms_per_hour`` or ``min_recall`` is out of its range.
        """
        result = self(ambient, classes=True, progress=progress, strict=True)
        seconds = len(result.scores) * YAMNET.patch_hop_seconds
        if seconds < MIN_SECONDS:
            raise AudioError(
                f"{audio.describe(ambient)}: expected at least {MIN_SECONDS:.0f} s of the room, best ten "
                f"minutes. Received: {seconds:.1f} s"
            )
        report = fit_room(result, self.config.event_recall, false_alarms_per_hour, min_recall)
        self.threshold = report.threshold
        return report

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Writes what a detector needs to a new model folder, with the threshold as it is now.

        Raises:
            ModelError: If the folder exists, or cannot be written.
        """
        model_folder.save(Path(folder), replace(self.config, threshold=self.threshold), self.model)

    @property
    def keras_model(self) -> "keras.Model":
        """The same student in Keras, to fine-tune or convert: a new copy each time.

        It takes float32 patches of shape (batch, 96, 64, 1) and gives logits of shape (batch, 521). Keras
        must be there (``pip install "yamnet-cry[distill]"``); of a repository, the model is downloaded now.
        It is loaded in Keras's safe mode, which refuses code; Keras itself is as safe as its version.

        Raises:
            ModelError: If the detector comes from no model folder, or its folder has no Keras model,
                another one than its configuration describes, one that is too large, or one that Keras
                refuses.
            ImportError: If Keras is not installed.
        """
        try:
            import keras
        except ImportError:
            raise ImportError('the Keras model needs keras: pip install "yamnet-cry[distill]"') from None
        path = self._folder_with((KERAS,)) / KERAS
        if not path.is_file():
            raise ModelError(f"{path.parent} has no {KERAS}")
        if model_folder.fingerprint(model_folder.read(path.parent, KERAS)) != self.config.files.get(KERAS):
            raise ModelError(f"{path} is not the file that {CONFIG} describes. Copy or download it again")
        # Bounds what it unpacks to.
        model_folder.unpack_keras(path)
        try:
            return keras.models.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise ModelError(f"{path} cannot be loaded by Keras ({reason})") from error

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        create_pr: bool = False,
        token: str | None = None,
    ) -> hub.Pushed:
        """Pushes the model folder to the Hugging Face Hub, with the threshold as it is now.

        The repository is made if it is not there. All files go in one commit, which on the main branch is
        tagged with the version, such as ``v0.1.0``; what the repository has already is not sent again.

        Args:
            repo_id: Such as ``"user/model"``.
            private: Whether nobody else may see it; by default, what the Hub does or the repository is.
            revision: The branch, made if it is not there; ``main`` by default.
            commit_message: Its first line.
            create_pr: Whether to propose the commit in a pull request instead.
            token: What to log in with; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.

        Returns:
            The page of the commit or pull request, the commit and the tag.

        Raises:
            ModelError: If the detector comes from no model folder.
            HubError: If the folder is incomplete or contradicts itself, or the Hub cannot be reached or
                refuses.
        """
        # Imported here because no detector needs them to start.
        from tempfile import TemporaryDirectory

        from yamnet_cry.model import publish

        folder = self._folder_with(RELEASE_FILES)
        with TemporaryDirectory() as aside:
            if self.threshold != self.config.threshold:
                folder = publish.with_threshold(folder, Path(aside), self.threshold)
            return publish.push(
                folder,
                repo_id,
                private=private,
                revision=revision,
                commit_message=commit_message,
                create_pr=create_pr,
                token=token,
            )

    def _folder_with(self, names: Sequence[str]) -> Path:
        if self._source is None:
            raise ModelError("this detector comes from no model folder; use CryDetector.from_pretrained")
        return self._source.fetch(names)

    def __repr__(self) -> str:
        total = self.config.parameters["total"]
        return f"<CryDetector {self.config.recipe}: {total:,} parameters, threshold {self.threshold:.2f}>"

"""The classifier: from audio to the probability of each label of a model."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from yamnet_cry import audio
from yamnet_cry.ahead import ahead
from yamnet_cry.audio import AudioSource
from yamnet_cry.classification import Classification
from yamnet_cry.errors import ModelError
from yamnet_cry.frontend import YAMNET, Float32, FrontEnd
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model import hub
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.context import Context
from yamnet_cry.model.folder import CONFIG, KERAS
from yamnet_cry.model.keras_file import unpack_keras
from yamnet_cry.model.runtime import Outputs, QuantizedLogits
from yamnet_cry.patches import whole_patches
from yamnet_cry.task import Task

if TYPE_CHECKING:
    import keras

# Settings that must equal YAMNet's: audio is 16 kHz and in blocks, at whose ends frames cannot be centred.
_AUDIO = ("sample_rate", "centred")


class Classifier:
    """Classifies sounds with a model of any task and its front end.

    Load one with `from_pretrained`. Objects may be shared between threads, copied and pickled.

    Args:
        config: The configuration of the model folder.
        model: The bytes of the INT8 TFLite model.
        context: The context network of a detector, or None.
        source: Where the model was loaded from, for files that are fetched only when needed; `keras_model`
            and `push_to_hub` need it.

    Attributes:
        config: The configuration of the model folder.
        model: The bytes of the INT8 TFLite model.
        student: That model on LiteRT, a `yamnet_cry.model.runtime.Student`; each object has its own.
        context: The context network of a detector, or None.

    Raises:
        ModelError: If the front end is not for 16 kHz or has centred frames, the model's input is not that of
            its front end, or the number of logits is not that of the task's labels.

    Examples:
        >>> import numpy as np
        >>> classifier = Classifier.from_pretrained(hub.locate().folder)  # that of the released model
        >>> result = classifier((np.zeros(32_000, np.float32), 16_000))
        >>> result.label, len(result.times)
        ('Silence', 4)
    """

    def __init__(
        self,
        config: ModelConfig,
        model: bytes,
        context: Context | None = None,
        source: hub.Source | None = None,
    ) -> None:
        self.check(config.task, config.front_end)
        self.config = config
        self.model = model
        self.context = context
        self._source = source
        self.student = model_folder.student(config, model, context)

    @classmethod
    def check(cls, task: Task, front_end: FrontEnd) -> None:
        """Rejects models that this class does not support.

        Args:
            task: The task of a model.
            front_end: The front end of the model.

        Raises:
            ModelError: If one is not supported; the message says what is required.

        Examples:
            >>> Classifier.check(Task(("dog", "cat")), YAMNET)
        """
        if differing := front_end.differences(YAMNET, _AUDIO):
            raise ModelError(
                f"streaming needs a model for 16 kHz with non-centred frames; this one has {differing}"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, in this process or another, creates its own interpreter from the same bytes.
        return type(self), (self.config, self.model, self.context, self._source)

    @classmethod
    def from_pretrained(
        cls,
        model: str | PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Loads a classifier.

        From a repository, the configuration and the INT8 model are downloaded and cached. No code in it is
        run: every field is checked, as are the network's operators, sizes and cost before LiteRT loads it.

        Args:
            model: A model folder, or a repository on the Hugging Face Hub such as ``"user/model"``.
            revision: Branch, tag or commit of a repository.
            cache_dir: Folder for downloads; defaults to the Hub's cache.
            token: For private repositories; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.
            local_files_only: Whether to use only files that were downloaded before, without network access.

        Raises:
            ModelError: If the model is missing, incomplete, corrupt, too large or not a model of yamnet-cry.

        Examples:
            >>> folder = hub.locate().folder  # that of the released model
            >>> Classifier.from_pretrained(folder).config.task.labels[:2]
            ('Speech', 'Child speech, kid speaking')
        """
        source = hub.locate(
            model, revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only
        )
        return cls(*model_folder.load(source.folder), source)

    def __call__(
        self,
        source: AudioSource,
        *,
        progress: Callable[[float], object] | None = None,
        strict: bool = False,
    ) -> Classification:
        """Classifies every window of a recording of any length.

        Only the logits are kept in memory, one byte per label and window. If a file is truncated, for example
        by a power cut, the audio up to there is classified, with a Python warning.

        Args:
            source: A path, a binary file object, or ``(waveform, sample_rate)`` with floats in
                [-1, 1] or integers at full scale of their type, of shape (samples,) or
                (samples, channels). Audio shorter than a window is padded with silence, as YAMNet does.
            progress: Called from time to time with the seconds of audio processed so far.
            strict: Whether a truncated file is an error.

        Returns:
            The probabilities of all labels, per window and overall.

        Raises:
            AudioError: If the audio cannot be read or used.

        Examples:
            >>> from yamnet_cry.demo import nursery  # 20 s, a cry in the middle
            >>> classifier = Classifier.from_pretrained(hub.locate().folder)
            >>> result = classifier((nursery(), 16_000))
            >>> result.window_probabilities.shape, result.seconds
            ((41, 521), 20.0)
        """
        parts: list[QuantizedLogits] = []

        def take(outputs: Outputs) -> None:
            parts.append(outputs.logits)

        seconds, truncated = self._hear(source, take, progress, strict)
        return Classification(
            task=self.config.task,
            front_end=self.config.front_end,
            logits=QuantizedLogits.joined(parts),
            truncated=truncated,
            seconds=seconds,
        )

    def _hear(
        self,
        source: AudioSource,
        take: Callable[[Outputs], object],
        progress: Callable[[float], object] | None,
        strict: bool,
    ) -> tuple[float, bool]:
        """Runs the student on a recording, and passes its outputs to a function part by part.

        Returns:
            The length of the audio in seconds, and whether the file is truncated.
        """
        cuts: list[str] = []
        samples = windows = 0

        def counted() -> Iterator[Float32]:
            nonlocal samples
            for block in audio.blocks(source, on_cut=None if strict else cuts.append):
                samples += len(block)
                yield block

        front_end = self.config.front_end
        for log_mel in ahead(map(front_end.log_mel, whole_patches(counted(), front_end))):
            outputs = self.student.outputs(log_mel)
            take(outputs)
            windows += len(outputs.logits.values)
            if progress is not None:
                progress(windows * front_end.patch_hop_seconds)
        for cut in cuts:
            # The warning names the line that called the object, two calls up.
            warnings.warn(f"{cut}; only this part is scored", stacklevel=3)
        return samples / front_end.sample_rate, bool(cuts)

    def logits(self, log_mel: Float32) -> Float32:
        """Classifies every patch of a log-mel spectrogram.

        Args:
            log_mel: float32 array of shape (frames, bands), as ``config.front_end.log_mel`` returns it.

        Returns:
            float32 array of shape (patches, labels): logits of the labels of ``config.task``.

        Examples:
            >>> import numpy as np
            >>> classifier = Classifier.from_pretrained(hub.locate().folder)
            >>> log_mel = classifier.config.front_end.log_mel(np.zeros(32_000, np.float32))
            >>> classifier.logits(log_mel).shape
            (3, 521)
        """
        return self.student.logits(log_mel)

    @property
    def fingerprint(self) -> str:
        """A hash of everything that determines results: the networks and the present settings.

        SHA-256, of 64 hexadecimal digits.
        """
        parts = [self._present_config().to_json().encode(), self.model]
        parts += [] if self.context is None else [self.context.to_bytes()]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    def _present_config(self) -> ModelConfig:
        """The configuration to save and push, with the settings changed since it was loaded."""
        return self.config

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Writes the files that `from_pretrained` needs to a new model folder.

        Args:
            folder: The folder to create; must not exist.

        Raises:
            ModelError: If the folder exists, or cannot be written.

        Examples:
            >>> from tempfile import TemporaryDirectory
            >>> classifier = Classifier.from_pretrained(hub.locate().folder)
            >>> with TemporaryDirectory() as folder:
            ...     classifier.save_pretrained(Path(folder) / "mine")
            ...     again = Classifier.from_pretrained(Path(folder) / "mine")
            >>> again.model == classifier.model
            True
        """
        model_folder.save(Path(folder), self._present_config(), self.model, self.context)

    @property
    def keras_model(self) -> "keras.Model":
        """The same student in Keras, to fine-tune or convert: a new copy each time.

        It takes float32 patches of shape (batch, ``patch_frames``, ``mel_bands``, 1), which is
        (batch, 96, 64, 1) for YAMNet's front end, and returns float32 logits of shape (batch, labels). Keras
        must be installed (``pip install "yamnet-cry[distill]"``). From a repository, the model is downloaded
        on first access. It is loaded in Keras's safe mode, which rejects code; this protects only as well as
        the installed Keras version does.

        Raises:
            ModelError: If the object was not loaded from a model folder, or if the Keras model is missing,
                not the one that the configuration describes, too large, or rejected by Keras.
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
        # Limits the unpacked size.
        unpack_keras(path)
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
        """Pushes the model folder to the Hugging Face Hub.

        The repository is created if it does not exist. All files are pushed in one commit, which on the main
        branch is tagged with the version, such as ``v0.1.0``; unchanged files are not uploaded again.

        Args:
            repo_id: Repository id, such as ``"user/model"``.
            private: Whether the repository is private; defaults to its present visibility or, for a new one,
                the Hub's default.
            revision: The branch, created if it does not exist; defaults to ``main``.
            commit_message: First line of the commit message.
            create_pr: Whether to open a pull request with the commit instead.
            token: Access token; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.

        Returns:
            The URL of the commit or pull request, the commit and the tag.

        Raises:
            ModelError: If the object was not loaded from a model folder.
            HubError: If the folder is incomplete or inconsistent, or the Hub cannot be reached or rejects the
                push.

        Examples:
            >>> classifier = Classifier.from_pretrained("my_model")  # doctest: +SKIP
            >>> classifier.push_to_hub("user/model").url  # doctest: +SKIP
            'https://huggingface.co/user/model/commit/...'
        """
        # Imported here so that loading a classifier stays fast.
        from tempfile import TemporaryDirectory

        from yamnet_cry.model import publish

        folder = self._folder_with(model_folder.release_files(self.config))
        with TemporaryDirectory() as temporary:
            if (present := self._present_config()) != self.config:
                folder = publish.with_config(folder, Path(temporary), present)
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
            name = type(self).__name__
            raise ModelError(f"this {name} was not loaded from a model folder; use {name}.from_pretrained")
        return self._source.fetch(names)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config.recipe}: {self._summary()}>"

    def _summary(self) -> str:
        return f"{self.config.parameters['total']:,} parameters, {len(self.config.task.labels):,} labels"

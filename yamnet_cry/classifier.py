"""The classifier: audio in, how probable each label of a model is out."""

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

# What must be as with YAMNet: audio comes at 16 kHz and in blocks, at whose ends frames cannot be centred.
_AUDIO = ("sample_rate", "centred")


class Classifier:
    """Tells apart whatever sounds a model was made for, with the front end that goes with it.

    Objects come from `from_pretrained`, and may be shared between threads, copied and pickled.

    Args:
        config: What the model folder says of its model.
        model: The bytes of the INT8 TFLite model.
        context: The context network of a detector, or None.
        source: Where both come from, for files that are only fetched when they are asked for; without it,
            there is neither `keras_model` nor `push_to_hub`.

    Attributes:
        config: What the model folder says of its model.
        model: The bytes of the INT8 TFLite model.
        student: That model on LiteRT, a `yamnet_cry.model.runtime.Student`; each object has its own.
        context: The context network of a detector, or None.

    Raises:
        ModelError: If the model's front end takes audio otherwise than at 16 kHz and in blocks, or the model
            takes something else than its front end makes, or gives another number of logits than its task
            has labels.

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
        """Refuses models that objects of this class cannot hear with.

        Args:
            task: What a model tells apart.
            front_end: What makes its input.

        Raises:
            ModelError: If they are not what is needed; the message says what is.

        Examples:
            >>> Classifier.check(Task(("dog", "cat")), YAMNET)
        """
        if differing := front_end.differences(YAMNET, _AUDIO):
            raise ModelError(
                f"streaming needs a model for 16 kHz with non-centred frames; this one has {differing}"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, in this process or another, has an interpreter of its own from the same bytes.
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

        Of a repository, the configuration and the INT8 model are downloaded, once. No code in it is run:
        every field is checked, and the network's operators, sizes and cost before LiteRT gets it.

        Args:
            model: A model folder, or a repository on the Hugging Face Hub such as ``"user/model"``.
            revision: Branch, tag or commit of a repository.
            cache_dir: Where downloads are kept; the Hub's own cache by default.
            token: For private repositories; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.
            local_files_only: Whether to take what was downloaded before, and stay off the network.

        Raises:
            ModelError: If the model is missing, incomplete, corrupt, too large or foreign.

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

        Of the audio nothing is kept but the logits, a byte for each label and window. Of a file that is cut
        short, as by a power cut, what there is is classified, with a Python warning.

        Args:
            source: A path, a binary file object, or ``(waveform, sample_rate)`` with floats in
                [-1, 1] or integers at full scale of their type, of shape (samples,) or
                (samples, channels). Audio shorter than a window is padded with silence, as YAMNet does.
            progress: Called now and then with the seconds of audio heard so far.
            strict: Whether a file that is truncated is an error.

        Returns:
            The probabilities of all labels, in every window and on the whole.

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
        """Gives what the student says of a recording, part by part, to a function.

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
            # It names the line that called the object, two calls up.
            warnings.warn(f"{cut}; only this part is scored", stacklevel=3)
        return samples / front_end.sample_rate, bool(cuts)

    def logits(self, log_mel: Float32) -> Float32:
        """Classifies every patch of a log-mel spectrogram.

        Args:
            log_mel: float32 array of shape (frames, bands), as ``config.front_end.log_mel`` makes it.

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
        """A hash of whatever decides what is heard: the networks, and what was set since they were loaded.

        SHA-256, of 64 hexadecimal digits.
        """
        parts = [self._present_config().to_json().encode(), self.model]
        parts += [] if self.context is None else [self.context.to_bytes()]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    def _present_config(self) -> ModelConfig:
        """What is saved and pushed: the configuration, with whatever was changed since it was loaded."""
        return self.config

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Writes what `from_pretrained` needs to a new model folder.

        Args:
            folder: Where to; must not exist.

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

        It takes float32 patches of shape (batch, ``patch_frames``, ``mel_bands``, 1), of YAMNet's front end
        (batch, 96, 64, 1), and gives float32 logits of shape (batch, labels). Keras
        must be there (``pip install "yamnet-cry[distill]"``); of a repository, the model is downloaded now.
        It is loaded in Keras's safe mode, which refuses code; Keras itself is as safe as its version.

        Raises:
            ModelError: If it comes from no model folder, or that has no Keras model,
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
            ModelError: If it comes from no model folder.
            HubError: If the folder is incomplete or contradicts itself, or the Hub cannot be reached or
                refuses.

        Examples:
            >>> classifier = Classifier.from_pretrained("my_model")  # doctest: +SKIP
            >>> classifier.push_to_hub("user/model").url  # doctest: +SKIP
            'https://huggingface.co/user/model/commit/...'
        """
        # Imported here because no classifier needs them to start.
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

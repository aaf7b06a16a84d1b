"""YAMNet as a SavedModel, from a folder or from TensorFlow Hub."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yamnet_cry.audioset import NUM_CLASSES, class_names
from yamnet_cry.distill.teachers.fingerprint import fingerprint
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.task import Kind

TFHUB = "tfhub"
TFHUB_HANDLES = (
    "https://tfhub.dev/google/yamnet/1",
    "https://www.kaggle.com/models/google/yamnet/tensorFlow2/yamnet/1",
)


class SavedModelTeacher:
    """A SavedModel with the signature of google/yamnet/1.

    It maps a float32 waveform at 16 kHz to scores of shape (windows, 521), embeddings and a log-mel
    spectrogram. The scores are sigmoids, from which the logits are recovered.

    Args:
        folder: Folder of the SavedModel.
        fingerprint: Hash that identifies the weights.
        name: Name of the teacher in the records of a run; defaults to one with the folder's name.

    Raises:
        TeacherError: If it is not such a model.
    """

    kind: Kind = "independent"

    def __init__(self, folder: str, fingerprint: str, name: str = "") -> None:
        import tensorflow_hub

        self.name, self.labels = name or f"SavedModel {Path(folder).name}", class_names()
        self.fingerprint = fingerprint
        try:
            self._model: Any = tensorflow_hub.load(folder)
        except Exception as error:
            raise TeacherError(f"{folder} cannot be loaded ({_reason(error)})") from error
        try:
            shape = self._scores(np.zeros(YAMNET.patch_samples, np.float32)).shape
        except Exception as error:
            raise TeacherError(
                f"{folder} does not map a waveform to scores, embeddings and log-mel ({_reason(error)})"
            ) from error
        if shape != (1, NUM_CLASSES):
            raise TeacherError(
                f"{folder} should give scores of shape (1, {NUM_CLASSES}) for one window. Received: {shape}"
            )

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Classifies every window; see `Teacher`."""
        return [logit(self._scores(waveform)) for waveform in waveforms]

    def _scores(self, waveform: Float32) -> Float32:
        scores, _embeddings, _log_mel = self._model(waveform)
        return np.asarray(scores, dtype=np.float32)


def logit(scores: Float32) -> Float32:
    """Inverts the sigmoid; the result is finite for scores of 0 and 1 too.

    Args:
        scores: float32 of any shape, in [0, 1].

    Returns:
        float32 of the same shape.

    Examples:
        >>> logit(np.float32([0.5, 0.0, 1.0])).round().tolist()
        [0.0, -69.0, 17.0]
    """
    # The bounds are close to 0 and 1, and keep the result finite.
    p = np.clip(scores.astype(np.float64), 1e-30, 1 - 6e-8)
    return (np.log(p) - np.log1p(-p)).astype(np.float32)


def default_download_cache() -> Path:
    """Returns the cache folder for TensorFlow Hub: ``TFHUB_CACHE_DIR``, or a folder in the user's cache.

    TensorFlow Hub's default is a folder in the system's temporary directory, shared with all users, any of
    whom could put a model there first.
    """
    chosen = os.environ.get("TFHUB_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(base) / "yamnet-cry" / "tfhub_modules"


def from_tfhub() -> SavedModelTeacher:
    """Downloads google/yamnet/1 from TensorFlow Hub or, if that fails, from Kaggle.

    Raises:
        TeacherError: If it cannot be downloaded from either, or is not YAMNet.
    """
    import tensorflow_hub

    failures = []
    for handle in TFHUB_HANDLES:
        try:
            with _environment("TFHUB_CACHE_DIR", str(default_download_cache())):
                path = Path(tensorflow_hub.resolve(handle))
        except Exception as error:
            failures.append(f"{handle} cannot be downloaded ({_reason(error)})")
            continue
        try:
            return SavedModelTeacher(str(path), fingerprint(path), name=f"SavedModel {handle}")
        except TeacherError as error:
            failures.append(f"{handle}: {error}")
    raise TeacherError(
        "YAMNet cannot be downloaded; pass a copy of it with --teacher PATH. " + "; ".join(failures)
    )


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _reason(error: Exception) -> str:
    # TensorFlow's messages have dozens of lines; the first one has the reason.
    return (
        f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        if str(error)
        else type(error).__name__
    )

"""Teachers: YAMNet from its weights, from a SavedModel, or from TensorFlow Hub."""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from keras import layers

from yamnet_cry.audioset import NUM_CLASSES
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET, Float32

TFHUB = "tfhub"
TFHUB_HANDLES = (
    "https://tfhub.dev/google/yamnet/1",
    "https://www.kaggle.com/models/google/yamnet/tensorFlow2/yamnet/1",
)

WEIGHTS_FILE = "yamnet_folded.npz"

# Output filters and stride of layers 2 to 14, from yamnet.py in tensorflow/models (research/audioset/yamnet).
_SEPARABLE_LAYERS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)

_BATCH = 64


class Teacher(Protocol):
    """Anything that gives logits for every window of a waveform."""

    #: How a run's records name it.
    name: str
    #: Changes when its weights do; part of the key under which its logits are cached.
    fingerprint: str

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Classifies every window of every waveform.

        Args:
            waveforms: float32 samples at 16 kHz, each padded by `YAMNET.pad`.

        Returns:
            One float32 array of shape (windows, 521) a waveform.
        """
        ...


def load(source: str | os.PathLike[str]) -> Teacher:
    """Loads a teacher.

    Args:
        source: ``"tfhub"`` for google/yamnet/1 from TensorFlow Hub or, should that fail, from Kaggle;
            the path of YAMNet's weights (``yamnet_folded.npz`` or the folder it is in); or that of a
            SavedModel with the signature of google/yamnet/1.

    Raises:
        TeacherError: If there is none, or it is no YAMNet.
    """
    if os.fspath(source) == TFHUB:
        return _from_tfhub()
    path = Path(source)
    if (path / "saved_model.pb").is_file():
        return SavedModelTeacher(str(path), _fingerprint(path))
    if (path / WEIGHTS_FILE).is_file():
        path /= WEIGHTS_FILE
    if path.is_file():
        return YamnetTeacher(path)
    raise TeacherError(
        f"a teacher is {TFHUB}, {WEIGHTS_FILE}, or a folder with that file or a SavedModel. "
        f"Received: {os.fspath(source)!r}"
    )


class YamnetTeacher:
    """YAMNet in Keras, with weights into which batch normalisation is folded.

    Args:
        path: An npz file with the kernel ``W|layer`` and bias ``B|layer`` of each layer:
            ``layer1/conv``, ``layer2/dw``, ``layer2/pw`` to ``layer14/pw``, and ``dense``.

    Raises:
        TeacherError: If the file does not hold them.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as weights:
                self.model = yamnet(dict(weights))
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
            raise TeacherError(f"{path} does not hold YAMNet's weights ({error})") from None
        self.name = "YAMNet v1 (Keras, folded weights)"
        self.fingerprint = _fingerprint(path)

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Classifies every window; see `Teacher`."""
        each = [YAMNET.patches(YAMNET.log_mel(waveform)) for waveform in waveforms]
        ends = np.cumsum([len(patches) for patches in each])
        # Kernels are chosen by batch size: whole batches make a window's logits independent of its company.
        inputs = np.zeros(
            (-(-ends[-1] // _BATCH) * _BATCH, YAMNET.patch_frames, YAMNET.mel_bands, 1), np.float32
        )
        np.concatenate(each, out=inputs[: ends[-1], ..., 0])
        result = self.model.predict(inputs, batch_size=_BATCH, verbose=0)
        return np.split(result[: ends[-1]], ends[:-1])


def yamnet(weights: dict[str, np.ndarray]) -> keras.Model:
    """Builds YAMNet from a log-mel patch to logits.

    Args:
        weights: Kernels and biases as `YamnetTeacher` reads them.

    Returns:
        A model from float32 patches of shape (batch, 96, 64, 1) to logits of shape (batch, 521).

    Raises:
        KeyError: If a weight is missing.
        ValueError: If one is of another shape.
    """
    inputs = keras.Input((YAMNET.patch_frames, YAMNET.mel_bands, 1), name="log_mel")
    x = layers.Conv2D(32, 3, 2, padding="same", activation="relu", name="layer1-conv")(inputs)
    for number, (filters, stride) in enumerate(_SEPARABLE_LAYERS, start=2):
        x = layers.DepthwiseConv2D(3, stride, padding="same", activation="relu", name=f"layer{number}-dw")(x)
        # A 1x1 convolution; as a dense layer over channels it rounds less (logits of silence reach 600).
        x = layers.Dense(filters, activation="relu", name=f"layer{number}-pw")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(NUM_CLASSES, name="dense")(x), name="yamnet")
    for layer in model.layers:
        if layer.weights:
            key = layer.name.replace("-", "/")
            kernel, bias = weights[f"W|{key}"], weights[f"B|{key}"]
            layer.set_weights([kernel.reshape(layer.weights[0].shape), bias])
    return model


class SavedModelTeacher:
    """A SavedModel with the signature of google/yamnet/1.

    It maps a float32 waveform at 16 kHz to scores of shape (windows, 521), embeddings and a log-mel
    spectrogram. The scores are sigmoids, from which the logits are recovered.

    Args:
        folder: That of the SavedModel.
        fingerprint: Identity of the weights.
        name: What a run's records call it; by default, after the folder.

    Raises:
        TeacherError: If it is no such model.
    """

    def __init__(self, folder: str, fingerprint: str, name: str = "") -> None:
        import tensorflow_hub

        self.name = name or f"SavedModel {Path(folder).name}"
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
        return [_logit(self._scores(waveform)) for waveform in waveforms]

    def _scores(self, waveform: Float32) -> Float32:
        scores, _embeddings, _log_mel = self._model(waveform)
        return np.asarray(scores, dtype=np.float32)


def _logit(scores: Float32) -> Float32:
    # Inverts the sigmoid; the bounds are the float32 next to 0 and to 1 that keep the result finite.
    p = np.clip(scores.astype(np.float64), 1e-30, 1 - 6e-8)
    return (np.log(p) - np.log1p(-p)).astype(np.float32)


def default_download_cache() -> Path:
    """Returns where TensorFlow Hub's downloads are kept: in ``TFHUB_CACHE_DIR``, or the user's own cache.

    TensorFlow Hub itself would share a folder in the system's temporary directory with all users, any of whom
    could put a model there first.
    """
    chosen = os.environ.get("TFHUB_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(base) / "yamnet-cry" / "tfhub_modules"


def _from_tfhub() -> SavedModelTeacher:
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
            return SavedModelTeacher(str(path), _fingerprint(path), name=f"SavedModel {handle}")
        except TeacherError as error:
            failures.append(f"{handle}: {error}")
    raise TeacherError(
        "YAMNet is out of reach; pass a copy of it with --teacher PATH. " + "; ".join(failures)
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
    # TensorFlow's messages run over dozens of lines, of which the first one says what happened.
    return (
        f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        if str(error)
        else type(error).__name__
    )


def _fingerprint(path: Path) -> str:
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()

"""YAMNet in Keras, from its weights."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers

from yamnet_cry.audioset import NUM_CLASSES, class_names
from yamnet_cry.distill.teachers.batches import predicted
from yamnet_cry.distill.teachers.fingerprint import fingerprint
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.task import Kind

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


class YamnetTeacher:
    """YAMNet in Keras, with batch normalisation folded into the weights.

    Args:
        path: An npz file with the kernel ``W|layer`` and bias ``B|layer`` of each layer:
            ``layer1/conv``, ``layer2/dw``, ``layer2/pw`` to ``layer14/pw``, and ``dense``.

    Raises:
        TeacherError: If the file does not contain them.
    """

    kind: Kind = "independent"

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as weights:
                self.model = yamnet(dict(weights))
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
            raise TeacherError(f"{path} does not contain YAMNet's weights ({error})") from None
        self.name, self.labels = "YAMNet v1 (Keras, folded weights)", class_names()
        self.fingerprint = fingerprint(path)

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Classifies every window; see `Teacher`."""
        each = [YAMNET.patches(YAMNET.log_mel(waveform)) for waveform in waveforms]
        return predicted(self.model, each)


def yamnet(weights: dict[str, np.ndarray]) -> keras.Model:
    """Builds YAMNet from a log-mel patch to logits.

    Args:
        weights: Kernels and biases as `YamnetTeacher` reads them.

    Returns:
        A model from float32 patches of shape (batch, 96, 64, 1) to logits of shape (batch, 521).

    Raises:
        KeyError: If a weight is missing.
        ValueError: If a weight has another shape.
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

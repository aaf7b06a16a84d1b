"""Students: small Keras networks from a log-mel patch to 521 logits."""

from collections.abc import Callable

import keras
from keras import layers

from yamnet_cry.audioset import NUM_CLASSES
from yamnet_cry.distill.recipes import StudentSettings
from yamnet_cry.errors import RecipeError
from yamnet_cry.frontend import YAMNET


def build(settings: StudentSettings) -> keras.Model:
    """Builds the student that a recipe asks for.

    Returns:
        A model from float32 patches of shape (batch, 96, 64, 1) to logits of shape (batch, 521).

    Raises:
        RecipeError: If the architecture is unknown.

    Example:
        >>> build(StudentSettings()).count_params()
        80713
    """
    if settings.architecture not in BUILDERS:
        raise RecipeError(
            f"no such architecture; there are: {', '.join(BUILDERS)}. Received: {settings.architecture!r}"
        )
    return BUILDERS[settings.architecture](settings)


def ds_cnn(settings: StudentSettings) -> keras.Model:
    """Builds a depthwise-separable CNN (Zhang et al. 2017, arXiv:1711.07128).

    A strided 3x3 convolution, blocks of a depthwise 3x3 and a pointwise 1x1 convolution, each
    followed by batch normalisation and ReLU, global average pooling and a dense layer.
    """
    inputs = keras.Input((YAMNET.patch_frames, YAMNET.mel_bands, 1), name="log_mel")
    x = layers.Conv2D(settings.stem_filters, 3, 2, padding="same", use_bias=False, name="stem")(inputs)
    x = _normalised(x, "stem")
    for number, (filters, stride) in enumerate(settings.blocks, start=1):
        depthwise, pointwise = f"block{number}_depthwise", f"block{number}_pointwise"
        x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=depthwise)(x)
        x = _normalised(x, depthwise)
        x = layers.Conv2D(filters, 1, use_bias=False, name=pointwise)(x)
        x = _normalised(x, pointwise)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    if settings.head_rank:
        x = layers.Dense(settings.head_rank, use_bias=False, name="head")(x)
    return keras.Model(inputs, layers.Dense(NUM_CLASSES, name="logits")(x), name="ds_cnn")


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


BUILDERS: dict[str, Callable[[StudentSettings], keras.Model]] = {"ds_cnn": ds_cnn}

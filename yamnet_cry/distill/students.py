"""Students: small Keras networks from a log-mel patch to logits."""

from collections.abc import Callable

import keras
from keras import layers, ops

from yamnet_cry.distill.sections import StudentSettings
from yamnet_cry.errors import RecipeError
from yamnet_cry.frontend import YAMNET, FrontEnd
from yamnet_cry.model.context_keras import HEAD

#: Name of the second head, which matches teachers with other labels and is removed after training.
SECOND_HEAD = "teacher"


def build(
    settings: StudentSettings, classes: int, front_end: FrontEnd = YAMNET, teacher_classes: int = 0
) -> keras.Model:
    """Builds the student of a recipe.

    Args:
        settings: Architecture of the student.
        classes: Number of the student's labels.
        front_end: Front end that computes its input.
        teacher_classes: Number of the teachers' labels, if they differ from the student's; 0 for no second
            head.

    Returns:
        A model from float32 patches of shape (batch, frames, bands, 1) to logits of shape (batch, classes),
        or (batch, classes + teacher_classes) with a second head.

    Raises:
        RecipeError: If the architecture is unknown.

    Examples:
        >>> build(StudentSettings(), 521).count_params()
        80713
    """
    if settings.architecture not in BUILDERS:
        raise RecipeError(
            f"expected one of the architectures {', '.join(BUILDERS)}. Received: {settings.architecture!r}"
        )
    inputs = keras.Input((front_end.patch_frames, front_end.mel_bands, 1), name="log_mel")
    embedding = BUILDERS[settings.architecture](settings, inputs)
    if len(embedding.shape) > 2:
        embedding = _pooled(settings, embedding)
    if settings.dropout:
        embedding = layers.Dropout(settings.dropout, name="dropout")(embedding)
    x = embedding
    if settings.head_rank:
        x = layers.Dense(settings.head_rank, use_bias=False, name=HEAD)(x)
    logits = layers.Dense(classes, name="logits")(x)
    if not teacher_classes:
        return keras.Model(inputs, logits, name=settings.architecture)
    of_teacher = layers.Dense(teacher_classes, name=SECOND_HEAD)(embedding)
    return keras.Model(inputs, layers.Concatenate()([logits, of_teacher]), name=settings.architecture)


def begin_with(model: keras.Model, other: keras.Model) -> int:
    """Copies the weights of another model into every layer of the same name and shape.

    Args:
        model: The model to modify.
        other: The model to copy from.

    Returns:
        Number of layers whose weights were copied.

    Raises:
        RecipeError: If no layer matches.
    """
    known = {layer.name: layer for layer in other.layers if layer.weights}
    copied = 0
    for layer in model.layers:
        before = known.get(layer.name)
        if before is not None and [w.shape for w in before.weights] == [w.shape for w in layer.weights]:
            layer.set_weights(before.get_weights())
            copied += 1
    if not copied:
        raise RecipeError(
            "expected student.stem_filters and student.blocks to match the initial model in at least one "
            "layer. Received: no layer that matches; use --set student.start=random"
        )
    return copied


def without_second_head(model: keras.Model) -> keras.Model:
    """Returns the student without its second head; the same model if it has none."""
    if all(layer.name != SECOND_HEAD for layer in model.layers):
        return model
    return keras.Model(model.input, model.get_layer("logits").output, name=model.name)


def ds_cnn(settings: StudentSettings, inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Builds a depthwise-separable CNN (Zhang et al. 2017, arXiv:1711.07128), without its pooling.

    A strided convolution, over bands that may be folded into channels, and blocks of a depthwise 3x3 and a
    pointwise 1x1 convolution, each followed by batch normalisation and ReLU.
    """
    x = inputs
    if settings.fold > 1:
        frames, bands = inputs.shape[1:3]
        # Not layers.Reshape, which reads the batch size at run time, so that TFLite needs more operators.
        x = ops.reshape(x, (-1, frames, bands // settings.fold, settings.fold))
    x = _stem(settings, x)
    for number, (filters, stride) in enumerate(settings.blocks, start=1):
        depthwise, pointwise = f"block{number}_depthwise", f"block{number}_pointwise"
        x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=depthwise)(x)
        x = _normalised(settings, x, depthwise)
        x = layers.Conv2D(filters, 1, use_bias=False, name=pointwise)(x)
        x = _normalised(settings, x, pointwise)
    return x


def vgg(settings: StudentSettings, inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Builds a CNN of plain convolutions, as in Wav2Small (arXiv:2408.13920), without its pooling.

    Each convolution except the stem is 3x3, and is followed by batch normalisation, ReLU and, if its stride
    is above 1, 3x3 max-pooling.
    """
    x = _stem(settings, inputs)
    for number, (filters, stride) in enumerate(settings.blocks, start=1):
        name = f"block{number}"
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
        x = _normalised(settings, x, name)
        if stride > 1:
            x = layers.MaxPooling2D(3, stride, padding="same", name=f"{name}_pooling")(x)
    return x


def lstm(settings: StudentSettings, inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Builds an LSTM layer over frames, and the mean of its output over time."""
    frames, bands = inputs.shape[1:3]
    steps = ops.reshape(inputs, (-1, frames, bands))
    return ops.mean(layers.LSTM(settings.units, return_sequences=True, name="lstm")(steps), axis=1)


def _stem(settings: StudentSettings, x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Conv2D(
        settings.stem_filters,
        settings.stem_kernel,
        settings.stem_stride,
        padding="same",
        use_bias=False,
        name="stem",
    )(x)
    return _normalised(settings, x, "stem")


def _pooled(settings: StudentSettings, x: keras.KerasTensor) -> keras.KerasTensor:
    """Pools a feature map of shape (batch, time, bands, channels) into one vector per patch."""
    if settings.pooling == "average":
        return layers.GlobalAveragePooling2D(name="pooling")(x)
    time, bands, channels = x.shape[1:]
    width = bands * channels
    if settings.pooling == "over_time":
        x = layers.Conv2D(channels, 1, name="projection")(x)
        return ops.reshape(ops.mean(x, axis=1), (-1, width))
    # As in Wav2Small, except that its gate is a softmax over time: with hundreds of time steps, even weights
    # would be smaller than 1/256, the resolution of a softmax in INT8.
    steps = ops.reshape(x, (-1, time, 1, width))
    values = layers.Conv2D(width, 1, name="projection")(steps)
    gate = layers.Conv2D(width, 1, activation="sigmoid", name="gate")(steps)
    return layers.GlobalAveragePooling2D(name="pooling")(layers.Multiply(name="gated")([values, gate]))


def _normalised(settings: StudentSettings, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=settings.norm_momentum, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


BUILDERS: dict[str, Callable[[StudentSettings, keras.KerasTensor], keras.KerasTensor]] = {
    "ds_cnn": ds_cnn,
    "vgg": vgg,
    "lstm": lstm,
}

import dataclasses

import numpy as np
import pytest

from yamnet_cry.distill import students
from yamnet_cry.distill.quantize import multiply_accumulates, parameter_counts
from yamnet_cry.distill.sections import StudentSettings
from yamnet_cry.errors import RecipeError
from yamnet_cry.frontend import YAMNET


def test_the_reference_student():
    model = students.build(StudentSettings(), 521)
    assert parameter_counts(model) == {"total": 80_713, "trainable": 79_977}
    assert model.output_shape == (None, 521)
    assert model(np.zeros((2, 96, 64, 1), np.float32)).shape == (2, 521)


def test_multiplications_of_the_reference_student():
    """1.17 M multiply-accumulates per patch, as published."""
    import keras

    total = 0
    for layer in students.build(StudentSettings(), 521).layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D):
            _, height, width, _ = layer.output.shape
            total += height * width * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Dense):
            total += int(np.prod(layer.kernel.shape))
    assert round(total / 1e6, 2) == 1.17


def test_shapes_follow_the_settings():
    model = students.build(StudentSettings(stem_filters=4, blocks=((6, 2),)), 521)
    assert model.get_layer("block1_pointwise").output.shape == (None, 24, 16, 6)


def test_an_unknown_architecture():
    with pytest.raises(RecipeError, match="architectures ds_cnn, vgg, lstm. Received: 'transformer'"):
        students.build(StudentSettings(architecture="transformer"), 521)


def test_a_second_head_is_cut_off():
    settings = StudentSettings(stem_filters=4, blocks=((6, 2),), head_rank=3)
    both = students.build(settings, 2, teacher_classes=7)
    assert both.output_shape == (None, 9)
    alone = students.without_second_head(both)
    patches = np.random.default_rng(0).normal(size=(3, 96, 64, 1)).astype(np.float32)
    np.testing.assert_array_equal(alone.predict(patches, verbose=0), both.predict(patches, verbose=0)[:, :2])
    assert students.without_second_head(alone) is alone
    assert parameter_counts(alone) == parameter_counts(students.build(settings, 2))


def test_another_front_end_is_another_input():
    front_end = dataclasses.replace(YAMNET, mel_bands=40, patch_frames=98)
    assert students.build(StudentSettings(), 12, front_end).input_shape == (None, 98, 40, 1)


def test_a_student_may_begin_with_anothers_weights():
    settings = StudentSettings(stem_filters=4, blocks=((6, 2), (8, 1)), head_rank=3)
    before = students.build(settings, 5)
    wider = dataclasses.replace(settings, blocks=((6, 2), (9, 1)))
    after = students.build(wider, 2)
    new = after.get_layer("block2_pointwise").get_weights()[0].copy()
    # The stem, the first block and the depthwise layer of the second, each with its batch normalization.
    assert students.begin_with(after, before) == 8
    for name in ("stem", "block1_pointwise", "block2_depthwise", "block2_depthwise_norm"):
        for own, other in zip(
            after.get_layer(name).get_weights(), before.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(after.get_layer("block2_pointwise").get_weights()[0], new)


def test_nothing_fits():
    other = students.build(StudentSettings(stem_filters=5, blocks=((7, 2),)), 5)
    with pytest.raises(RecipeError, match="one layer. Received: no layer that matches; use --set student"):
        students.begin_with(students.build(StudentSettings(stem_filters=4, blocks=((6, 2),)), 2), other)


def test_convolutions_that_keep_bands_apart():
    settings = StudentSettings(
        architecture="vgg", stem_filters=4, stem_stride=(1, 1), blocks=((4, 1), (6, 2)), pooling="over_time"
    )
    model = students.build(settings, 3)
    assert model.get_layer("block2_pooling").output.shape == (None, 48, 32, 6)
    # The mean over time of 6 channels in 32 bands.
    assert model.get_layer("logits").kernel.shape == (192, 3)
    gated = students.build(dataclasses.replace(settings, pooling="gated", dropout=0.5), 3)
    assert gated.get_layer("gate").kernel.shape == (1, 1, 192, 192)
    assert gated.get_layer("dropout").rate == 0.5
    patches = np.random.default_rng(0).normal(size=(2, 96, 64, 1)).astype(np.float32)
    assert gated.predict(patches, verbose=0).shape == (2, 3)


def test_an_lstm_of_33_000_parameters():
    model = students.build(StudentSettings(architecture="lstm", units=64), 3)
    # Four gates of 64 units, which read 64 bands and 64 units and have a bias; three logits.
    assert parameter_counts(model)["total"] == 4 * 64 * (64 + 64 + 1) + 65 * 3
    assert multiply_accumulates(model) == 96 * 4 * 64 * (64 + 64) + 64 * 3


def test_averages_of_normalisation_may_follow_faster():
    for settings in (
        StudentSettings(norm_momentum=0.9),
        StudentSettings(architecture="vgg", norm_momentum=0.9),
    ):
        model = students.build(settings, 3)
        norms = [layer for layer in model.layers if layer.name.endswith("_norm")]
        assert len(norms) > 4
        assert {layer.momentum for layer in norms} == {0.9}

"""Whisper's encoder in ONNX: a tiny one with the same names and shapes, cut to a window's length."""

import json
from dataclasses import replace

import numpy as np
import pytest

from yamnet_cry.distill import teachers
from yamnet_cry.distill.recipes import WAV2SMALL
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET

WIDTH = 4


@pytest.fixture
def encoder(tmp_path):
    """Each two frames give one position: their projection plus the position's embedding."""
    from onnx import TensorProto, helper, numpy_helper, save

    generator = np.random.default_rng(0)
    tables = {
        "conv.weight": generator.standard_normal((WIDTH, 80, 2)).astype(np.float32) / 10,
        "embed_positions.weight": generator.standard_normal((1500, WIDTH)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["input_features", "conv.weight"], ["convolved"], strides=[2]),
        helper.make_node("Transpose", ["convolved"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Add", ["turned", "embed_positions.weight"], ["last_hidden_state"]),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("input_features", TensorProto.FLOAT, ["batch", 80, "frames"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", 1500, WIDTH])],
        [numpy_helper.from_array(values, name) for name, values in tables.items()],
        value_info=[helper.make_tensor_value_info("turned", TensorProto.FLOAT, ["batch", 1500, WIDTH])],
    )
    (tmp_path / "onnx").mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save(model, tmp_path / "onnx" / "encoder_model_quantized.onnx")
    config = {"model_type": "whisper", "_name_or_path": "openai/whisper-none"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path, tables


def test_each_window_has_an_embedding(encoder):
    folder, tables = encoder
    teacher = teachers.load(folder, WAV2SMALL)
    assert (teacher.name, teacher.kind) == ("encoder of openai/whisper-none", "embedding")
    assert teacher.labels == tuple(f"embedding {number}" for number in range(WIDTH))
    silence = WAV2SMALL.pad(np.zeros(40_000, np.float32))
    heard, short = teacher.logits([silence, silence[: WAV2SMALL.patch_samples]])
    assert (heard.shape, short.shape) == ((2, WIDTH), (1, WIDTH))
    np.testing.assert_array_equal(short[0], heard[0])
    # Silence is -10 bels everywhere: (-10 + 4) / 4 of each band, in two seconds of a hundred positions.
    expected = -1.5 * tables["conv.weight"].sum(axis=(1, 2)) + tables["embed_positions.weight"][:100].mean(
        axis=0
    )
    np.testing.assert_allclose(heard[0], expected, atol=1e-4)


def test_what_is_far_below_the_loudest_moment_is_not_heard(encoder):
    teacher = teachers.load(encoder[0], YAMNET)
    generator = np.random.default_rng(0)
    loud = generator.standard_normal(YAMNET.patch_samples).astype(np.float32)
    loud[8_000:] = 0
    faint = loud.copy()
    faint[8_000:] = 1e-6 * generator.standard_normal(len(faint) - 8_000)
    first, second = teacher.logits([loud, faint])
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_other_windows_are_another_teacher(encoder):
    assert teachers.load(encoder[0], YAMNET).fingerprint != teachers.load(encoder[0], WAV2SMALL).fingerprint


def test_windows_of_more_than_half_a_minute(encoder):
    long = replace(YAMNET, patch_frames=3_500)
    with pytest.raises(TeacherError, match=r"expected windows of at most 30 s. Received: 35.02 s"):
        teachers.load(encoder[0], long)


def test_a_folder_that_is_no_encoder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "whisper", "_name_or_path": "none"}')
    with pytest.raises(TeacherError, match=r"expected one encoder_model\*.onnx in .*such as .*Received: 0"):
        teachers.load(tmp_path)
    (tmp_path / "encoder_model.onnx").write_bytes(b"no network")
    with pytest.raises(TeacherError, match="encoder_model.onnx is not a Whisper encoder"):
        teachers.load(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(
        TeacherError, match="supported Transformers models: whisper, wav2vec2.*. Received: bert"
    ):
        teachers.load(tmp_path)

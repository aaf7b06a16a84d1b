"""Removing voices from recordings: spectra as htdemucs expects them, and clips that share a segment."""

import sys

import numpy as np
import pytest
import separate
import soundfile

pytest.importorskip("onnxruntime")


def noise(samples, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def test_a_spectrum_is_of_the_networks_shape_and_can_be_inverted():
    wave = np.stack([noise(separate.SEGMENT), noise(separate.SEGMENT, 1)])
    found = separate.spectrum(wave)
    assert (found.shape, found.dtype) == ((2, 2048, 336), np.complex64)
    # Without the ends, whose padding is left out; the spectrum lacks the highest bin.
    inner = slice(4_096, -4_096)
    np.testing.assert_allclose(separate.waveform(found)[:, inner], wave[:, inner], atol=5e-3)


def test_a_tone_is_where_it_belongs():
    time = np.arange(separate.SEGMENT) / separate.NETWORK_RATE
    found = np.abs(separate.spectrum(np.sin(2 * np.pi * 1_000 * time)[None].astype(np.float32)))
    assert found[0, :, 100].argmax() == round(1_000 / separate.NETWORK_RATE * 4096)


@pytest.fixture
def network(tmp_path):
    """A network whose voices are half of a segment's samples plus a quarter of its spectrum."""
    from onnx import TensorProto, helper, numpy_helper, save

    def of_stem(shape, share):
        only = np.zeros((1, 4, *([1] * len(shape))), np.float32)
        only[0, 3] = share
        return only

    wave, spectrum = [1, 2, separate.SEGMENT], [1, 4, 2048, 336]
    graph = helper.make_graph(
        [
            helper.make_node("Unsqueeze", ["spectrum", "stem"], ["spectra"]),
            helper.make_node("Mul", ["spectra", "quarter"], ["of_spectrum"]),
            helper.make_node("Unsqueeze", ["input", "stem"], ["waves"]),
            helper.make_node("Mul", ["waves", "half"], ["of_wave"]),
        ],
        "halves",
        [
            helper.make_tensor_value_info("input", TensorProto.FLOAT, wave),
            helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, spectrum),
        ],
        [
            helper.make_tensor_value_info("of_spectrum", TensorProto.FLOAT, [1, 4, 4, 2048, 336]),
            helper.make_tensor_value_info("of_wave", TensorProto.FLOAT, [1, 4, 2, separate.SEGMENT]),
        ],
        [
            numpy_helper.from_array(np.array([1]), "stem"),
            numpy_helper.from_array(of_stem((4, 2048, 336), 0.25), "quarter"),
            numpy_helper.from_array(of_stem((2, separate.SEGMENT), 0.5), "half"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save(model, tmp_path / "htdemucs.onnx")
    return tmp_path / "htdemucs.onnx"


def test_voices_are_the_sum_of_both_branches(network):
    segment = noise(separate.SEGMENT)
    voices = separate.Separator(network).voices(segment)
    inner = slice(4_096, -4_096)
    np.testing.assert_allclose(voices[inner], 0.75 * segment[inner], atol=5e-3)


def test_clips_come_back_in_their_order_and_length(network):
    time = np.arange(9 * separate.RATE) / separate.RATE
    waves = [
        (0.3 * np.sin(2 * np.pi * hertz * time[:samples])).astype(np.float32)
        for hertz, samples in (
            (300, 16_000),
            (500, 16_000),
            (700, 9 * 16_000),
            (900, 100_000),
            (1_100, 40_000),
        )
    ]
    found = list(separate.separated(separate.Separator(network), waves))
    assert [len(wave) for wave in found] == [len(wave) for wave in waves]
    for before, after in zip(waves, found, strict=True):
        middle = slice(4_000, len(before) - 4_000)
        assert np.corrcoef(before[middle], after[middle])[0, 1] > 0.99
        assert 0.5 < after[middle].std() / before[middle].std() < 0.85
    assert list(separate.separated(separate.Separator(network), [])) == []


def test_the_command(network, tmp_path, monkeypatch, capsys):
    soundfile.write(tmp_path / "some.wav", noise(20_000), 16_000)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["separate.py", *map(str, arguments)])
        separate.main()

    run(network, tmp_path / "some.wav", tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").frames == 20_000
    for arguments, message in (
        ((network, tmp_path / "some.wav", tmp_path / "out.wav"), "exists; choose another file"),
        ((tmp_path / "none.onnx", tmp_path / "some.wav", tmp_path / "new.wav"), "none.onnx does not exist"),
    ):
        with pytest.raises(SystemExit):
            run(*arguments)
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"none.wav"):
        run(network, tmp_path / "none.wav", tmp_path / "new.wav")

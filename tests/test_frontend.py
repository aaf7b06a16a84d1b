import dataclasses
import json
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yamnet_cry import frontend
from yamnet_cry.distill.recipes import EVENTS, KEY_WORDS, WAV2SMALL
from yamnet_cry.frontend import YAMNET, FrontEnd
from yamnet_cry.patches import PatchCutter, whole_patches


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.1).astype(np.float32)


def test_golden_log_mel(shared):
    with np.load(shared / "teacher/yamnet/golden.npz") as golden:
        for name in ("silence", "noise", "sine440", "chirp"):
            patches = YAMNET.patches(YAMNET.log_mel(YAMNET.pad(golden[f"{name}_wave"])))
            expected = golden[f"{name}_logmel"]
            assert patches.shape == expected.shape
            np.testing.assert_allclose(patches, expected, rtol=0, atol=1e-4)


def test_mel_matrix_is_the_teachers(shared):
    with np.load(shared / "teacher/yamnet/yamnet_folded.npz") as weights:
        np.testing.assert_allclose(YAMNET.mel_matrix(), weights["mel_257x64"], rtol=0, atol=1e-5)


def test_mel_matrix_is_tensorflows():
    import tensorflow as tf

    expected = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125.0, 7500.0)
    np.testing.assert_allclose(YAMNET.mel_matrix(), expected, rtol=0, atol=1e-5)


def test_log_mel_is_tensorflows():
    import tensorflow as tf

    wave = noise(20_000)
    magnitude = tf.abs(tf.signal.stft(wave, 400, 160, 512))
    expected = tf.math.log(magnitude @ YAMNET.mel_matrix() + 0.001)
    np.testing.assert_allclose(YAMNET.log_mel(wave), expected, rtol=0, atol=1e-4)


def test_silence_is_the_floor():
    assert np.all(YAMNET.log_mel(np.zeros(1_600, np.float32)) == np.log(np.float32(0.001)))


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98)]
)
def test_number_of_frames(samples, frames):
    assert YAMNET.log_mel(np.zeros(samples, np.float32)).shape == (frames, 64)


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"one channel.*Received: \(10, 2\)"):
        YAMNET.log_mel(np.zeros((10, 2), np.float32))


def test_a_strided_waveform_gives_the_same():
    wave = noise(32_000)
    np.testing.assert_array_equal(YAMNET.log_mel(wave[::2]), YAMNET.log_mel(wave[::2].copy()))


@given(samples=st.integers(0, 100_000))
def test_padding_makes_whole_patches(samples):
    padded = YAMNET.pad(np.ones(samples, np.float32))
    assert len(padded) - samples < max(YAMNET.patch_hop_samples, YAMNET.patch_samples - samples + 1)
    frames = 1 + (len(padded) - YAMNET.frame_length) // YAMNET.frame_hop
    assert 1 + (frames - YAMNET.patch_frames) / YAMNET.patch_hop == YAMNET.num_patches(samples)
    assert padded.sum() == samples


@settings(max_examples=30)
@given(
    samples=st.integers(1, 60_000), cuts=st.lists(st.integers(0, 60_000), max_size=6), seed=st.integers(0, 9)
)
def test_a_stream_gives_the_patches_of_the_whole(samples, cuts, seed):
    wave = noise(samples, seed)
    blocks = np.split(wave, sorted(min(cut, samples) for cut in cuts))
    streamed = np.concatenate([YAMNET.patches(YAMNET.log_mel(piece)) for piece in whole_patches(blocks)])
    whole = YAMNET.patches(YAMNET.log_mel(YAMNET.pad(wave)))
    np.testing.assert_array_equal(streamed, whole)


@given(hops=st.integers(1, 20))
def test_shifting_by_hops_shifts_frames(hops):
    wave = noise(16_000)
    shifted = YAMNET.log_mel(wave[hops * YAMNET.frame_hop :])
    np.testing.assert_allclose(shifted, YAMNET.log_mel(wave)[hops:], rtol=0, atol=1e-6)


KEYWORDS = dataclasses.replace(
    YAMNET,
    name="keywords",
    mel_min_hz=20.0,
    mel_max_hz=7600.0,
    centred=True,
    spectrum="power",
    mel_scale="slaney",
    log_offset=1e-6,
    patch_frames=101,
    patch_hop=101,
)


@pytest.mark.parametrize(
    ("rate", "fft_length", "low", "high", "bands"),
    [(16_000, 512, 0.0, 8000.0, 64), (16_000, 400, 20.0, 7600.0, 26), (22_050, 2048, 300.0, 11_025.0, 128)],
)
def test_slaneys_mel_matrix_is_librosas(rate, fft_length, low, high, bands):
    import librosa

    front_end = dataclasses.replace(
        YAMNET,
        sample_rate=rate,
        fft_length=fft_length,
        mel_min_hz=low,
        mel_max_hz=high,
        mel_bands=bands,
        mel_scale="slaney",
    )
    expected = librosa.filters.mel(sr=rate, n_fft=fft_length, fmin=low, fmax=high, n_mels=bands)
    np.testing.assert_allclose(front_end.mel_matrix(), expected.T, rtol=0, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("frame_length", [400, 401, 512])
@pytest.mark.parametrize("samples", [16_000, 16_001, 15_999, 100])
def test_centred_power_is_librosas(samples, frame_length):
    import librosa

    front_end = dataclasses.replace(KEYWORDS, frame_length=frame_length)
    wave = noise(samples)
    with warnings.catch_warnings():
        # librosa warns of waveforms shorter than an FFT.
        warnings.simplefilter("ignore")
        mel = librosa.feature.melspectrogram(
            y=wave,
            sr=16_000,
            n_fft=512,
            hop_length=160,
            win_length=frame_length,
            n_mels=64,
            fmin=20.0,
            fmax=7600.0,
            center=True,
            pad_mode="constant",
            power=2.0,
        )
    log_mel = front_end.log_mel(wave)
    assert log_mel.shape == (1 + samples // 160, 64)
    np.testing.assert_allclose(log_mel, np.log(mel.T + 1e-6), rtol=0, atol=2e-4)


def test_a_second_of_key_words_is_one_patch():
    padded = KEYWORDS.pad(noise(16_000))
    assert len(padded) == 16_000
    assert KEYWORDS.num_patches(16_000) == len(KEYWORDS.patches(KEYWORDS.log_mel(padded))) == 1
    assert KEYWORDS.num_patches(16_001) == 2


@pytest.mark.parametrize("spectrum", ["magnitude", "power"])
def test_log_mel_is_that_of_the_definition(spectrum):
    front_end = dataclasses.replace(YAMNET, spectrum=spectrum, mean=-2.5, standard_deviation=1.7)
    wave = noise(4_000)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for number, row in enumerate(front_end.log_mel(wave)):
        magnitude = np.abs(np.fft.rfft(wave[number * 160 :][:400] * window, 512))
        summed = (magnitude if spectrum == "magnitude" else magnitude**2) @ YAMNET.mel_matrix()
        np.testing.assert_allclose(row, (np.log(summed + 0.001) + 2.5) / 1.7, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bands", [1, 2, 3, 200])
def test_any_number_of_bands(bands):
    front_end = dataclasses.replace(YAMNET, mel_bands=bands)
    log_mel = front_end.log_mel(noise(4_000))
    assert log_mel.shape == (23, bands)
    assert np.isfinite(log_mel).all()
    empty = ~front_end.mel_matrix().any(axis=0)
    assert np.all(log_mel[:, empty] == np.log(np.float32(0.001)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 0}, "expected front_end.sample_rate to be a whole number from 1000 .* Received: 0"),
        ({"mel_bands": 64.0}, "expected front_end.mel_bands to be a whole number .* Received: 64.0"),
        ({"mel_scale": "bark"}, "expected front_end.mel_scale to be htk or slaney. Received: 'bark'"),
        ({"spectrum": None}, "expected front_end.spectrum to be magnitude or power. Received: None"),
        ({"window": "hamming"}, "expected front_end.window to be hann_periodic. Received: 'hamming'"),
        ({"centred": 1}, "expected front_end.centred to be true or false. Received: 1"),
        ({"log_offset": 0.0}, "expected front_end.log_offset to be a number from 1e-12 .* Received: 0.0"),
        ({"mean": float("nan")}, "expected front_end.mean to be a number .* Received: nan"),
        ({"standard_deviation": 0.0}, "expected front_end.standard_deviation to be .* Received: 0.0"),
        ({"name": "Key words"}, "expected front_end.name to be 1 to 64 of the characters"),
        ({"frame_hop": 401}, "front_end.frame_hop to be at most front_end.frame_length, which is 400.* 401"),
        ({"frame_length": 513}, "front_end.frame_length to be at most front_end.fft_length"),
        ({"patch_hop": 97}, "front_end.patch_hop to be at most front_end.patch_frames"),
        ({"fft_length": 511}, "expected front_end.fft_length to be even. Received: 511"),
        ({"mel_max_hz": 8000.5}, "at most half of front_end.sample_rate, 8000. Received: 8000.5"),
        ({"mel_min_hz": 7500.0}, "above front_end.mel_min_hz, which is 7500"),
    ],
)
def test_values_that_cannot_be_used(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(YAMNET, **changes)


def test_plain_data_and_back():
    for front_end in (YAMNET, dataclasses.replace(KEYWORDS, mean=-2, standard_deviation=1.5)):
        assert FrontEnd.from_dict(json.loads(json.dumps(front_end.to_dict()))) == front_end
    assert "centred" not in YAMNET.to_dict()
    assert KEYWORDS.to_dict()["centred"] is True


def test_the_name_decides_nothing():
    renamed = dataclasses.replace(YAMNET, name="other")
    assert renamed == YAMNET
    assert not renamed.differences(YAMNET)
    assert KEYWORDS.differences(YAMNET, ("patch_frames", "centred")) == (
        "front_end.patch_frames: expected 96, received 101; front_end.centred: expected False, received True"
    )


@pytest.mark.parametrize("overlap", ["some", "none"])
def test_a_stream_of_another_front_end(overlap):
    front_end = dataclasses.replace(YAMNET, mel_bands=40, patch_frames=30, patch_hop=20, spectrum="power")
    if overlap == "none":
        front_end = dataclasses.replace(front_end, frame_hop=400, patch_hop=30)
    wave = noise(30_001)
    streamed = [
        front_end.patches(front_end.log_mel(piece))
        for piece in whole_patches(np.array_split(wave, 37), front_end)
    ]
    whole = front_end.patches(front_end.log_mel(front_end.pad(wave)))
    assert len(whole) == front_end.num_patches(len(wave))
    np.testing.assert_array_equal(np.concatenate(streamed), whole)


def test_centred_frames_cannot_come_in_blocks():
    with pytest.raises(ValueError, match="expected front_end.centred to be false"):
        PatchCutter(KEYWORDS)


def test_copies_stay_small():
    YAMNET.log_mel(noise(1_000))
    assert len(pickle.dumps(YAMNET)) < 1_000
    assert pickle.loads(pickle.dumps(YAMNET)) == YAMNET


@pytest.mark.parametrize("front_end", [YAMNET, EVENTS, KEY_WORDS, WAV2SMALL], ids=lambda each: each.name)
def test_no_product_wakes_a_second_thread(front_end):
    """OpenBLAS computes small products in one thread; benchmarks/soak.py measures a spinning thread's CPU."""
    parts = frontend.mel_parts(front_end)
    assert all(weights.size <= frontend.SINGLE_THREAD_WEIGHTS for _, _, weights in parts)
    bands = np.concatenate([np.arange(front_end.mel_bands)[own] for _, own, _ in parts])
    assert sorted(bands) == list(range(front_end.mel_bands))


@pytest.mark.parametrize("front_end", [YAMNET, EVENTS, KEY_WORDS, WAV2SMALL], ids=lambda each: each.name)
@given(start=st.integers(0, 199), count=st.integers(1, 150))
@settings(max_examples=50)
def test_a_frame_is_the_same_whatever_it_comes_together_with(front_end, start, count):
    count = min(count, 200 - start)
    wave = noise(front_end.frame_length + 199 * front_end.frame_hop)
    whole = front_end.log_mel(wave)
    begin = start * front_end.frame_hop
    part = front_end.log_mel(wave[begin : begin + front_end.frame_length + (count - 1) * front_end.frame_hop])
    np.testing.assert_array_equal(part, whole[start : start + count])

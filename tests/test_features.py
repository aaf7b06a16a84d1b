import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yamnet_cry import features


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.1).astype(np.float32)


def test_golden_log_mel(shared):
    with np.load(shared / "teacher/yamnet/golden.npz") as golden:
        for name in ("silence", "noise", "sine440", "chirp"):
            patches = features.patches(features.log_mel(features.pad(golden[f"{name}_wave"])))
            expected = golden[f"{name}_logmel"]
            assert patches.shape == expected.shape
            np.testing.assert_allclose(patches, expected, rtol=0, atol=1e-4)


def test_mel_matrix_is_the_teachers(shared):
    with np.load(shared / "teacher/yamnet/yamnet_folded.npz") as weights:
        np.testing.assert_allclose(features.mel_matrix(), weights["mel_257x64"], rtol=0, atol=1e-5)


def test_mel_matrix_is_tensorflows():
    import tensorflow as tf

    expected = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125.0, 7500.0)
    np.testing.assert_allclose(features.mel_matrix(), expected, rtol=0, atol=1e-5)


def test_log_mel_is_tensorflows():
    import tensorflow as tf

    wave = noise(20_000)
    magnitude = tf.abs(tf.signal.stft(wave, 400, 160, 512))
    expected = tf.math.log(magnitude @ features.mel_matrix() + 0.001)
    np.testing.assert_allclose(features.log_mel(wave), expected, rtol=0, atol=1e-4)


def test_silence_is_the_floor():
    assert np.all(features.log_mel(np.zeros(1_600, np.float32)) == np.log(np.float32(0.001)))


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98)]
)
def test_number_of_frames(samples, frames):
    assert features.log_mel(np.zeros(samples, np.float32)).shape == (frames, 64)


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"one channel.*Received: \(10, 2\)"):
        features.log_mel(np.zeros((10, 2), np.float32))


def test_a_strided_waveform_gives_the_same():
    wave = noise(32_000)
    np.testing.assert_array_equal(features.log_mel(wave[::2]), features.log_mel(wave[::2].copy()))


@given(samples=st.integers(0, 100_000))
def test_padding_makes_whole_patches(samples):
    padded = features.pad(np.ones(samples, np.float32))
    assert len(padded) - samples < max(features.PATCH_HOP_SAMPLES, features.PATCH_SAMPLES - samples + 1)
    frames = 1 + (len(padded) - features.FRAME_LENGTH) // features.FRAME_HOP
    assert 1 + (frames - features.PATCH_FRAMES) / features.PATCH_HOP == features.num_patches(samples)
    assert padded.sum() == samples


@settings(max_examples=30)
@given(
    samples=st.integers(1, 60_000), cuts=st.lists(st.integers(0, 60_000), max_size=6), seed=st.integers(0, 9)
)
def test_a_stream_gives_the_patches_of_the_whole(samples, cuts, seed):
    wave = noise(samples, seed)
    blocks = np.split(wave, sorted(min(cut, samples) for cut in cuts))
    streamed = np.concatenate(
        [features.patches(features.log_mel(piece)) for piece in features.whole_patches(blocks)]
    )
    whole = features.patches(features.log_mel(features.pad(wave)))
    np.testing.assert_array_equal(streamed, whole)


@given(hops=st.integers(1, 20))
def test_shifting_by_hops_shifts_frames(hops):
    wave = noise(16_000)
    shifted = features.log_mel(wave[hops * features.FRAME_HOP :])
    np.testing.assert_allclose(shifted, features.log_mel(wave)[hops:], rtol=0, atol=1e-6)

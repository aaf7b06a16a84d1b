import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.distill import augment

TIME = np.arange(32_000) / 16_000


def tone(hertz: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * TIME)).astype(np.float32)


def decibels(ratio: float) -> float:
    return 20 * np.log10(max(ratio, 1e-12))


def pitch(wave: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return np.argmax(spectrum) * 16_000 / len(wave)


@given(st.floats(-60, 0))
def test_level(dbfs):
    assert decibels(augment.rms(augment.at_level(tone(440), dbfs))) == pytest.approx(dbfs, abs=1e-3)


@given(st.floats(-20, 40), st.integers(1, 50_000))
def test_signal_to_noise_ratio(snr_db, length):
    background = np.random.default_rng(length).uniform(-0.1, 0.1, length).astype(np.float32)
    mixed = augment.mix(tone(440), background, snr_db)
    added = mixed - tone(440)
    assert mixed.shape == tone(440).shape
    assert decibels(augment.rms(tone(440)) / augment.rms(added)) == pytest.approx(snr_db, abs=0.05)


def test_silence_is_left_alone():
    silence = np.zeros(100, np.float32)
    assert not augment.at_level(silence, -20).any()
    assert not augment.mix(silence, tone(440), 0).any()
    np.testing.assert_array_equal(augment.mix(tone(440), silence, 0), tone(440))
    assert not augment.clipped(silence, 0.5).any()


def test_a_room_echoes_after_the_sound_and_decays():
    click = np.zeros(16_000, np.float32)
    click[1_000] = 1.0
    wet = augment.in_room(click, 0.5, 0.0, np.random.default_rng(0))
    assert not np.abs(wet[:1_000]).max() > 1e-6
    assert wet[1_000] == pytest.approx(1.0, abs=1e-5)
    early, late = augment.rms(wet[1_001:2_000]), augment.rms(wet[7_000:8_000])
    assert decibels(early / late) == pytest.approx(60 * 6_000 / 8_000, abs=4)
    assert augment.rms(wet[1_001:]) * np.sqrt(len(wet) - 1_001) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("hertz", "gain"), [(250, 0), (500, -6), (1000, -12), (2000, -12)])
def test_a_curve_runs_straight_over_log_frequency(hertz, gain):
    heard = augment.through_curve(tone(hertz), np.float32([250, 1000]), np.float32([0, -12]))
    assert decibels(augment.rms(heard) / augment.rms(tone(hertz))) == pytest.approx(gain, abs=0.1)


@pytest.mark.parametrize(("hertz", "least", "most"), [(1000, -0.1, 0.1), (3900, -0.1, 0.1), (5400, -80, -55)])
def test_a_low_pass(hertz, least, most):
    heard = augment.low_passed(tone(hertz), 4000.0)
    assert least <= decibels(augment.rms(heard) / augment.rms(tone(hertz))) <= most


@given(st.floats(0.05, 1))
def test_clipping(share):
    wave = tone(440)
    heard = augment.clipped(wave, share)
    assert np.abs(heard).max() <= share * np.abs(wave).max() * 1.0001
    kept = np.abs(wave) < share * np.abs(wave).max()
    np.testing.assert_array_equal(heard[kept], wave[kept])


@pytest.mark.parametrize("semitones", [-3.0, 2.0])
def test_pitch_moves_and_tempo_stays(semitones):
    heard = augment.repitched(tone(440), semitones)
    assert len(heard) == 32_000
    assert heard.dtype == np.float32
    assert pitch(heard) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_tempo_moves_and_pitch_stays(rate):
    heard = augment.at_speed(tone(440), rate)
    assert len(heard) == pytest.approx(32_000 / rate, abs=600)
    assert pitch(heard) == pytest.approx(440, rel=0.01)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_colour_of_noise(exponent):
    noise = augment.coloured_noise(160_000, exponent, np.random.default_rng(0))
    assert augment.rms(noise) == pytest.approx(1.0, abs=1e-3)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octave_low, octave_high = power[1_000:2_000].mean(), power[16_000:32_000].mean()
    assert 10 * np.log10(octave_low / octave_high) == pytest.approx(10 * exponent * np.log10(16), abs=1.0)

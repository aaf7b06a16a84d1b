import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry import CryDetector, Detection
from yamnet_cry.calibration import Calibration
from yamnet_cry.demo import nursery
from yamnet_cry.frontend import YAMNET
from yamnet_cry.report.plot import band_of, overview, picture, tick_seconds, verdict

UNCHANGED = Calibration(slope=1.0, intercept=0.0)


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


@pytest.mark.parametrize("samples", [1, 16_000, 320_000])
def test_a_picture_is_a_square_png(detector, samples):
    source = (nursery()[:samples], 16_000)
    png = picture(detector(source), source, "nursery.wav")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1350, 1350)


def test_short_recordings_are_shown_frame_by_frame(detector):
    wave = nursery()[: 16_000 * 5]
    columns = overview((wave, 16_000), YAMNET.num_patches(len(wave)))
    np.testing.assert_array_equal(columns, YAMNET.log_mel(YAMNET.pad(wave)))


def test_a_long_recording_keeps_its_loudest_moments():
    wave = np.zeros(16_000 * 600, np.float32)
    wave[16_000 * 300 : 16_000 * 300 + 160] = 0.5
    columns = overview((wave, 16_000), YAMNET.num_patches(len(wave)))
    assert len(columns) <= 1_200
    loud = np.flatnonzero(columns.max(axis=1) > 0)
    assert len(loud)
    assert abs(loud / len(columns) * 600 - 300).max() < 1.5
    assert np.isfinite(columns).all()


def test_frequencies_stand_where_their_band_is():
    for band in (5, 30, 60):
        centre = int(YAMNET.mel_matrix()[:, band].argmax()) * 16_000 / 512
        assert band_of(centre) == pytest.approx(band + 0.5, abs=0.6)


@given(st.floats(0.01, 1e6))
def test_there_are_neither_no_ticks_nor_too_many(seconds):
    step = tick_seconds(seconds)
    assert math.floor(seconds / step) <= 6 or step == 0.2


def test_verdicts():
    def say(*track: float) -> str:
        return verdict(Detection(np.array(track, np.float32), 0.5, UNCHANGED))

    assert say(0, 0, 0) == "No crying heard"
    assert say(0.9, 0, 0) == "No crying heard"
    assert say(0.9) == "Crying heard once, 1.0 s in all"
    assert say(0, 1, 1, 1, 0) == "Crying heard once, 2.4 s in all"
    two = say(0.9, 0.9, 0.9, *[0] * 9, 1, 1, 1, 0, 0)
    assert two == "Crying heard 2 times, 3.4 s in all"


def test_ticks_are_steps_of_the_clock():
    lengths = [10, 60, 600, 3_600, 36_000, 10 * 86_400]
    steps = [tick_seconds(length) for length in lengths]
    assert steps == [2, 10, 120, 600, 7_200, 172_800]

"""False alarms per hour, with exact intervals."""

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from yamnet_cry.audio import ffmpeg
from yamnet_cry.cli import main
from yamnet_cry.demo import cry
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import intervals, nights
from yamnet_cry.errors import AudioError
from yamnet_cry.events import EventSettings


@given(st.integers(0, 200), st.floats(0.1, 100))
def test_a_poisson_interval_leaves_the_count_its_tails(count, hours):
    rate = intervals.poisson(count, hours)
    assert rate["low"] <= rate["value"] <= rate["high"]
    assert poisson.cdf(count, rate["high"] * hours) == pytest.approx(0.025)
    if count:
        assert poisson.sf(count - 1, rate["low"] * hours) == pytest.approx(0.025)


def test_six_hours_without_an_alarm_confirm_the_rule_of_three():
    # The rule of three (3 / 6) is one-sided at 95 %; the two-sided interval is a little wider.
    assert intervals.poisson(0, 6.0)["high"] == pytest.approx(3.69 / 6, rel=1e-2)


@given(st.integers(1, 60), st.data())
def test_a_share_lies_in_its_interval(total, data):
    count = data.draw(st.integers(0, total))
    found = intervals.share(count, total)
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1


def test_a_share_by_hand():
    # Newcombe 1998, table I: 81 of 263.
    found = intervals.share(81, 263)
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.2553, 0.3662)
    assert binom.cdf(81, 263, found["high"]) < 0.05


def test_a_bootstrap_draws_groups():
    values = np.array([1.0, 1.0, 1.0, 0.0])

    def mean(weights):
        return float(np.average(values, weights=weights))

    together = intervals.over_groups(["a", "a", "a", "a"], mean)
    assert together == {"value": 0.75, "low": 0.75, "high": 0.75}
    apart = intervals.over_groups(["a", "b", "c", "d"], mean)
    assert apart["low"] < 0.5 < apart["high"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.floats(0, 500))
def test_a_threshold_keeps_false_alarms_as_rare_as_wanted(track, per_hour):
    settings = EventSettings(smoothing=1, votes=1, window=1, release=1.0, hold_seconds=0.0)
    threshold = nights.threshold_for([track], settings, per_hour)
    if max(track) < 1:
        assert nights.false_alarms([track], threshold, settings) <= per_hour * nights.hours_of([track])


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "nights"
    (inside / "deep").mkdir(parents=True)
    generator = np.random.default_rng(0)
    hiss = 0.01 * generator.standard_normal(60 * 16_000)
    soundfile.write(inside / "deep" / "hiss.wav", hiss, 16_000)
    loud = hiss.copy()
    for second in (10, 40):
        wave = 0.3 * np.concatenate([cry(1.2, 450, generator) for _ in range(4)])
        loud[second * 16_000 :][: len(wave)] += wave
    soundfile.write(inside / "not quiet.wav", loud, 16_000)
    return inside


def test_false_alarms_are_counted_and_named(folder):
    detector = CryDetector.from_pretrained()
    measured = nights.measure(detector, folder, progress=False)
    assert measured["recordings"] == 2
    assert measured["hours"] == pytest.approx(2 / 60, rel=0.02)
    assert measured["false_alarms"] == 2
    assert measured["false_alarms_per_hour"] == intervals.poisson(2, measured["hours"])
    quiet, loud = measured["by_recording"]
    assert (quiet["file"], quiet["events"]) == ("deep/hiss.wav", [])
    assert [round(event["start"]) for event in loud["events"]] == pytest.approx([10, 40], abs=1)
    thresholds = [point["threshold"] for point in measured["curve"]]
    assert thresholds == sorted(thresholds)
    assert detector.threshold in thresholds
    recalls = [point["recall"] for point in measured["curve"]]
    assert recalls == sorted(recalls, reverse=True)


def test_evaluate_takes_nights(folder, released, tmp_path):
    out = tmp_path / "nights.json"
    arguments = ["evaluate", str(released), "--nights", str(folder)]
    result = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "2 false alarms in 0.0 hours (2 recordings) at threshold 0.500" in result.stdout
    assert json.loads(out.read_text())["false_alarms"] == 2
    again = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert "would be overwritten" in again.output
    printed = CliRunner().invoke(main, arguments)
    assert json.loads(printed.stdout)["recordings"] == 2


@pytest.mark.parametrize("arguments", [[], ["--audio", "a", "--nights", "b"]])
def test_evaluate_wants_a_corpus_or_nights(released, arguments):
    result = CliRunner().invoke(main, ["evaluate", str(released), *arguments])
    assert result.exit_code == 2
    assert "expected either --audio (a corpus) or --nights (long recordings)" in result.output


def test_nights_that_cannot_be_heard(tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    detector = CryDetector.from_pretrained()
    with pytest.raises(AudioError, match="is not a folder; pass a folder of long recordings"):
        nights.measure(detector, tmp_path / "nothing")
    (tmp_path / "a.m4a").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(AudioError, match="holds 1 file in a format that needs ffmpeg: .m4a .*; install"):
            nights.measure(detector, tmp_path)
        # The second time, a readable file is beside it.
        soundfile.write(tmp_path / "b.wav", np.zeros(16_000), 16_000)

import copy
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry import CryDetector, Detection
from yamnet_cry.audioset import cry_score
from yamnet_cry.calibration import Calibration
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError, ModelError
from yamnet_cry.events import find_events, trigger
from yamnet_cry.frontend import YAMNET
from yamnet_cry.report.plot import verdict
from yamnet_cry.report.text import csv_rows
from yamnet_cry.results import clock, duration

UNCHANGED = Calibration(slope=1.0, intercept=0.0)


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


def test_the_nursery_cries_when_it_should(detector):
    result = detector((nursery(), 16_000))
    assert result.is_cry
    assert 5.0 < result.peak_time < 14.0
    quiet = (result.times < 4.5) | (result.times > 15.5)
    assert result.probabilities[quiet].max() < 0.5 < result.peak


def test_path_file_object_and_waveform_agree(detector, tmp_path):
    path = tmp_path / "night.wav"
    soundfile.write(path, nursery(), 16_000, subtype="FLOAT")
    expected = detector((nursery(), 16_000))
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(detector(source).scores, expected.scores)


def test_scores_are_the_softmax_of_the_students_logits(detector):
    wave = nursery()
    logits = detector.student.logits(YAMNET.log_mel(YAMNET.pad(wave)))
    result = detector((wave, 16_000))
    np.testing.assert_allclose(result.scores, cry_score(logits), rtol=0, atol=1e-6)
    assert result.score == pytest.approx(cry_score(logits).mean(), abs=1e-6)


def test_a_model_is_heard_with_its_own_front_end(detector, tmp_path):
    front_end = replace(YAMNET, name="other", spectrum="power", mel_scale="slaney", mean=-3.0)
    other = CryDetector(replace(detector.config, front_end=front_end), detector.model, detector.context)
    other.save_pretrained(tmp_path / "other")
    wave = nursery()
    expected = cry_score(detector.logits(front_end.log_mel(front_end.pad(wave))))
    loaded = CryDetector.from_pretrained(tmp_path / "other")
    result = loaded((wave, 16_000))
    assert loaded.config.front_end == front_end
    np.testing.assert_array_equal(result.scores, expected)
    assert not np.array_equal(result.scores, detector((wave, 16_000)).scores)
    streamed = [update.probability for update in loaded.stream(np.array_split(wave, 99), 16_000)]
    np.testing.assert_array_equal(streamed, result.probabilities)


@pytest.mark.parametrize(("samples", "windows"), [(1, 1), (15_600, 1), (15_601, 2), (160_000, 20)])
def test_windows_and_their_times(detector, samples, windows):
    result = detector((np.zeros(samples, np.int16), 16_000))
    assert len(result.scores) == windows
    np.testing.assert_allclose(result.times, 0.48 * np.arange(windows))


def test_eight_threads_that_share_a_detector_get_the_answers_of_one(detector):
    wave = nursery()
    # Each thread has its own recording, of a different length and rate, whole and as a stream.
    sources = [(wave[number * 8_000 :], 16_000 + 2_000 * number) for number in range(8)]
    alone = [detector(source) for source in sources]

    def work(number: int) -> None:
        source, expected = sources[number], alone[number]
        for _ in range(3):
            result = detector(source)
            np.testing.assert_array_equal(result.scores, expected.scores)
            assert result.events == expected.events
            updates = list(detector.stream(np.array_split(source[0], 50), source[1]))
            heard = [update.probability for update in updates]
            np.testing.assert_array_equal(heard, expected.probabilities[: len(heard)])

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(work, range(8)))


def test_audio_that_breaks_off_in_decoding_is_explained(detector, tmp_path):
    path = tmp_path / "broken.flac"
    soundfile.write(path, np.tile(nursery(), 10), 16_000)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4_000] = bytes(4_000)
    path.write_bytes(content)
    with pytest.raises(AudioError, match="broken.flac"):
        detector(path)


def test_a_recording_cut_short_is_scored_as_far_as_it_goes(detector, tmp_path):
    path = tmp_path / "night.wav"
    soundfile.write(path, nursery(), 16_000)
    whole = detector(path)
    assert whole.truncated is whole.to_dict()["truncated"] is False
    path.write_bytes(path.read_bytes()[: 44 + 2 * 160_000])
    with pytest.warns(UserWarning, match=r"night.wav is truncated: .*; only this part is scored"):
        result = detector(path)
    assert result.truncated is result.to_dict()["truncated"] is True
    soundfile.write(tmp_path / "part.wav", nursery()[:160_000], 16_000)
    np.testing.assert_array_equal(result.scores, detector(tmp_path / "part.wav").scores)
    with pytest.raises(AudioError, match="night.wav is truncated.*Copy the file again"):
        detector(path, strict=True)
    with pytest.raises(AudioError, match="is truncated"):
        detector.calibrate(path)


def test_a_short_clip_is_padded_as_yamnet_pads(detector):
    clip = nursery()[100_000:108_000]
    padded = np.concatenate([clip, np.zeros(7_600, np.float32)])
    np.testing.assert_array_equal(detector((clip, 16_000)).scores, detector((padded, 16_000)).scores)


def test_the_threshold_can_be_changed(detector):
    changed = CryDetector.from_pretrained()
    changed.threshold = 1.0
    assert not changed((nursery(), 16_000)).is_cry
    assert detector.threshold == detector.config.threshold == 0.5


def test_probabilities_are_the_calibrated_track(detector):
    result = detector((nursery(), 16_000))
    calibration = detector.config.calibration
    np.testing.assert_array_equal(result.probabilities, calibration.of_log_odds(result.track))
    assert result.probability == trigger(result.probabilities, detector.config.events).max()


@given(
    track=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60),
    threshold=st.floats(0, 1),
)
def test_verdict_events_and_probability_tell_one_story(track, threshold):
    result = Detection(np.array(track, np.float32), threshold, Calibration(1.6, 1.0))
    assert result.is_cry == bool(result.events) == (result.probability >= threshold)
    data = result.to_dict()
    assert data["is_cry"] == bool(data["events"]) == (data["probability"] >= data["threshold"])
    assert str(result).startswith("crying for " if result.is_cry else "no crying (")
    assert verdict(result).startswith("Crying heard " if result.is_cry else "No crying heard")
    assert csv_rows("a.wav", result).startswith(f"a.wav,{int(result.is_cry)},")
    assert (",1," in csv_rows("a.wav", result)[8:]) == result.is_cry


def test_a_result_prints_itself():
    result = Detection(np.array([0.1, 0.8, 0.4, 0, 0, 0], np.float32), 0.25, UNCHANGED)
    assert str(result) == "crying for 1.2 s in 1 event: 0:00.5-0:01.7 (probability 0.45, threshold 0.25)"
    assert repr(result) == f"<Detection {result} in 6 windows>"
    quiet = Detection(np.array([0.1], np.float32), 0.25, UNCHANGED)
    assert str(quiet) == "no crying (probability 0.10, threshold 0.25)"
    many = Detection(np.tile(np.repeat(np.float32([1, 0]), 8), 12), 0.5, UNCHANGED)
    shown = ", ".join(f"{clock(event.start)}-{clock(event.end)}" for event in many.events[:3])
    until = clock(many.events[-1].end)
    total = duration(sum(event.seconds for event in many.events))
    assert many.when() == f"{total} in 12 events: {shown}, 9 more until {until}"


def test_a_result_becomes_plain_data():
    data = Detection(np.array([0.25, 0.75], np.float32), 0.5, UNCHANGED, seconds=1.2).to_dict()
    assert data.pop("probabilities") == pytest.approx([0.25, 0.75])
    assert data == {
        "is_cry": False,
        "probability": 0.25,
        "score": 0.5,
        "threshold": 0.5,
        "peak": pytest.approx(0.75),
        "peak_time": 0.48,
        "events": [],
        "seconds": 1.2,
        "truncated": False,
        "window_seconds": 0.96,
        "times": [0.0, 0.48],
        "scores": [0.25, 0.75],
    }
    assert all(type(value) in (bool, float, list) for value in data.values())


@pytest.mark.parametrize("samples", [1, 8_000, 16_000, 40_000])
def test_no_event_outlasts_its_recording(detector, samples):
    crying = nursery()[16_000 * 9 :][:samples]
    result = detector((crying, 16_000))
    assert result.seconds == samples / 16_000
    assert all(0 <= event.start <= event.end <= round(result.seconds, 2) for event in result.events)
    assert samples < 16_000 or result.events[-1].end == result.seconds


def test_the_nurserys_crying_is_found_to_a_third_of_a_second(detector):
    (event,) = detector((nursery(), 16_000)).events
    assert (event.start, event.end) == (pytest.approx(6.0, abs=0.33), pytest.approx(14.0, abs=0.33))


def test_thresholds_are_checked_when_they_are_set():
    detector = CryDetector.from_pretrained()
    for value in (2, -1, "a", None, float("nan")):
        with pytest.raises(ValueError, match="expected a threshold in"):
            detector.threshold = value
    with pytest.raises(ValueError, match="expected a threshold in"):
        detector.listener(16_000, threshold=2)
    assert detector.threshold == 0.5


@pytest.mark.slow
def test_detectors_can_be_copied_and_sent_to_other_processes(detector):
    original = CryDetector.from_pretrained()
    original.threshold = 0.25
    expected = original((nursery(), 16_000))
    for other in (copy.deepcopy(original), copy.copy(original), pickle.loads(pickle.dumps(original))):
        assert other.student is not original.student
        result = other((nursery(), 16_000))
        np.testing.assert_array_equal(result.scores, expected.scores)
        assert (result.threshold, result.events) == (0.25, expected.events)
        assert other.config == original.config


def test_events_of_the_nursery(detector):
    """The crying lasts from 0:06 to 0:14, with pauses for breath."""
    result = detector((nursery(), 16_000))
    assert result.events
    assert result.events == find_events(result.probabilities, 0.5, detector.config.events)
    assert 4.8 < result.events[0].start < 7.0
    assert 11.0 < result.events[-1].end < 15.5
    assert not detector((nursery()[:80_000], 16_000)).events


def noisy_room(seconds: int) -> np.ndarray:
    """A room in which a toy occasionally sounds faintly like the nursery's baby."""
    generator = np.random.default_rng(0)
    wave = generator.standard_normal(seconds * 16_000).astype(np.float32) * 0.001
    for start in range(5, seconds - 10, 25):
        toy = nursery()[96_000:128_000] * generator.uniform(0.002, 0.1)
        wave[start * 16_000 : start * 16_000 + len(toy)] += toy
    return wave


@pytest.mark.slow
def test_a_noisy_room_raises_the_threshold(tmp_path):
    detector = CryDetector.from_pretrained()
    room = noisy_room(600)
    before = detector((room, 16_000))
    report = detector.calibrate((room, 16_000), false_alarms_per_hour=6.0, min_recall=0.0)
    assert before.events
    assert report.before > 6.0 == pytest.approx(report.false_alarms_per_hour)
    assert detector.threshold == report.threshold > 0.5
    assert report.hours == pytest.approx(1 / 6, rel=0.01)
    assert len(detector((room, 16_000)).events) < len(before.events)
    assert report.recall < 0.8 < report.recall_before

    detector.save_pretrained(tmp_path / "room")
    saved = CryDetector.from_pretrained(tmp_path / "room")
    assert saved.threshold == report.threshold
    np.testing.assert_array_equal(saved((nursery(), 16_000)).scores, detector((nursery(), 16_000)).scores)


def test_a_quiet_room_leaves_the_threshold():
    detector = CryDetector.from_pretrained()
    hiss = np.random.default_rng(0).standard_normal(600 * 16_000).astype(np.float32) * 0.001
    report = detector.calibrate((hiss, 16_000))
    assert detector.threshold == report.threshold == 0.5
    assert report.false_alarms_per_hour <= 0.5


def test_too_little_of_a_room():
    with pytest.raises(AudioError, match="waveform: expected at least 60 s of the room.*Received: 19.7 s"):
        CryDetector.from_pretrained().calibrate((nursery(), 16_000))


def test_folders_are_not_overwritten(detector, tmp_path):
    with pytest.raises(ModelError, match="exists; choose another folder"):
        detector.save_pretrained(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        detector.save_pretrained(tmp_path / "file" / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_detector_prints_itself(detector):
    total = detector.config.parameters["total"]
    assert repr(detector) == f"<CryDetector {detector.config.recipe}: {total:,} parameters, threshold 0.50>"


def test_bad_audio_is_an_error(detector, tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        detector(tmp_path / "missing.wav")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recording(detector):
    import tracemalloc

    def peak(minutes: int) -> int:
        wave = np.zeros(16_000 * 60 * minutes, np.int16)
        tracemalloc.start()
        detector((wave, 16_000))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    # The peak of two threads varies by a tenth; keeping samples or log-mel would multiply it.
    assert peak(48) < 1.4 * peak(12)


def test_real_recordings(detector, shared):
    """The first 40 clips of each kind in the test split, in the manifest's order."""
    import csv

    with (shared / "audio/manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    found: dict[str, list[float]] = {}
    for target in ("cry", "not_cry"):
        chosen = [row for row in rows if row["target"] == target][:40]
        found[target] = [detector(shared / "audio" / row["file"]).probability for row in chosen]
    assert np.median(found["cry"]) > detector.threshold > np.median(found["not_cry"])

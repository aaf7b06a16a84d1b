import gc
import tracemalloc

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from yamnet_cry import CryDetector
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError
from yamnet_cry.events import EventSettings, EventTracker
from yamnet_cry.frontend import YAMNET
from yamnet_cry.streaming import SILENCE_DBFS, Listener, level_dbfs


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    return nursery()


@settings(max_examples=15)
@given(
    rate=st.sampled_from([8_000, 16_000, 22_050, 48_000]),
    dtype=st.sampled_from([np.float32, np.int16]),
    channels=st.integers(0, 2),
    sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=8),
    seconds=st.floats(0.01, 14.0),
)
def test_a_stream_hears_what_is_heard_in_the_whole(detector, wave, rate, dtype, channels, sizes, seconds):
    part = wave[16_000 * 5 :][: max(1, int(16_000 * seconds))]
    audio = soxr.resample(part, 16_000, rate) if rate != 16_000 else part
    audio = (audio * 32_000).astype(dtype) if dtype == np.int16 else audio
    if channels:
        audio = np.stack([audio] * channels, axis=1)
    if len(audio) == 0:
        return
    cuts = np.cumsum(np.resize(sizes, 1 + len(audio) // min(sizes)))
    blocks = np.split(audio, cuts[cuts < len(audio)])
    updates = list(detector.stream(blocks, rate))
    whole = detector((audio, rate))
    heard = [update for update in updates if not update.closing]
    np.testing.assert_allclose([u.probability for u in heard], whole.probabilities, rtol=0, atol=1e-6)
    np.testing.assert_allclose([u.time for u in heard], whole.times + 0.96, atol=1e-6)
    assert [event for update in updates for event in update.finished] == whole.events


def test_an_event_is_told_when_it_starts_and_when_it_ends(detector, wave):
    updates = list(detector.stream(np.array_split(wave, 50), 16_000))
    (event,) = detector((wave, 16_000)).events
    assert [update.started for update in updates if update.started is not None] == [event.start]
    assert [update.finished for update in updates if update.finished] == [(event,)]
    begin = next(i for i, update in enumerate(updates) if update.started is not None)
    end = next(i for i, update in enumerate(updates) if update.finished)
    assert [update.crying for update in updates] == [begin <= i < end for i in range(len(updates))]
    assert not updates[end].closing


def test_a_stream_that_ends_within_an_event_says_so(detector, wave):
    *before, last = detector.stream([wave[: 16_000 * 10]], 16_000)
    assert last.closing
    assert last.finished == tuple(detector((wave[: 16_000 * 10], 16_000)).events)
    assert (last.time, last.probability, last.level) == (
        before[-1].time,
        before[-1].probability,
        before[-1].level,
    )
    assert not any(update.closing for update in before)


def test_each_update_comes_with_the_last_sample_of_its_window(detector):
    read = 0

    def blocks():
        nonlocal read
        while True:
            read += 160
            yield np.zeros(160, np.float32)

    stream = detector.stream(blocks(), 16_000)
    next(stream)
    assert read - 160 < YAMNET.patch_samples <= read
    next(stream)
    assert read - 160 < YAMNET.patch_samples + 7_680 <= read


def test_levels_are_of_what_is_new():
    loud = np.concatenate([np.full(15_600, 0.01), np.full(7_680, 0.1)]).astype(np.float32)
    tracker = EventTracker(0.5, EventSettings())
    listener = Listener(16_000, lambda piece: [0.0] * YAMNET.num_patches(len(piece)), tracker)
    updates = listener.push(loud)
    assert [update.level for update in updates] == pytest.approx([-40.0, -20.0], abs=1e-4)
    assert level_dbfs(np.zeros(5, np.float32)) == level_dbfs(np.full(5, 1e-9, np.float32)) == SILENCE_DBFS


@pytest.mark.slow
def test_memory_does_not_grow(detector):
    block = (np.random.default_rng(0).standard_normal(8_000) * 0.01).astype(np.float32)
    stream = detector.stream((block for _ in range(1_200)), 16_000)
    for _ in range(20):
        next(stream)
    tracemalloc.start()
    growths, peaks = [], []
    for _ in range(2):
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(570):
            next(stream)
        # Python keeps up to 2,000 freed tuples of each size until it collects garbage.
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
        growths.append(after - before)
        peaks.append(peak - before)
    tracemalloc.stop()
    # A table of the interpreter may grow once, by megabytes; a leak grows in both halves.
    assert min(growths) < 25_000
    assert min(peaks) < 2_000_000


def test_bad_audio_in_the_middle_is_explained(detector):
    good, bad = np.zeros(16_000, np.float32), np.full(10, np.nan, np.float32)
    stream = detector.stream([good, bad], 16_000)
    assert next(stream).time == 0.96
    with pytest.raises(AudioError, match=r"stream: expected finite samples.*Received: nan at 1\.000 s"):
        list(stream)


@pytest.mark.parametrize(
    ("blocks", "rate", "message"),
    [
        ([], 16_000, "stream holds no samples"),
        ([np.zeros(5)], 10, "stream: expected a sample rate of 1,000 to 768,000 Hz. Received: 10"),
        ([np.zeros((2, 2, 2))], 16_000, "stream: expected floats or integers of shape"),
        ([np.array(["a"])], 16_000, "stream: expected floats or integers of shape"),
    ],
)
def test_unusable_streams_are_refused(detector, blocks, rate, message):
    with pytest.raises(AudioError, match=message):
        list(detector.stream(blocks, rate))


def test_a_listener_says_what_a_stream_says(detector):
    wave, rate = np.tile(nursery(), 2), 16_000
    listener = detector.listener(rate)
    parts = np.array_split(wave, 173)
    pushed = [update for part in parts for update in listener.push(part)] + listener.finish()
    assert pushed == list(detector.stream([wave], rate))
    assert [update.finished for update in pushed if update.finished]


def test_listeners_of_one_detector_do_not_hear_each_other(detector):
    crying, silent = detector.listener(16_000), detector.listener(48_000)
    wave = nursery()
    heard = []
    for part in np.array_split(wave, 100):
        heard += crying.push(part)
        assert all(update.probability < 0.5 for update in silent.push(np.zeros(3 * len(part), np.float32)))
    assert heard + crying.finish() == list(detector.stream([wave], 16_000))


def test_a_listener_that_heard_nothing(detector):
    listener = detector.listener(16_000)
    assert listener.push(np.empty(0, np.float32)) == []
    with pytest.raises(AudioError, match="stream holds no samples"):
        listener.finish()
    with pytest.raises(AudioError, match="expected a sample rate"):
        detector.listener(0)

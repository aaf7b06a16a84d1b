"""The state behind the microphone tab, without a page."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

import yamnet_cry
from yamnet_cry import CryDetector
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError
from yamnet_cry.space.live import MAX_PIECE_SECONDS, Session, piece, show

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


def feed(session: Session, wave: np.ndarray, rate: int, seed: int = 0) -> None:
    """Pushes pieces of random lengths, as browsers do."""
    generator = np.random.default_rng(seed)
    while len(wave):
        count = int(generator.integers(1, 2 * rate))
        session.push(wave[:count], rate)
        wave = wave[count:]
    session.finish()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_any_rate_and_any_pieces_hear_the_baby_once(detector, rate):
    import soxr

    session = Session(detector, sensitivity=0.5)
    feed(session, soxr.resample(nursery(), 16_000, rate), rate)
    assert session.count == len(session.events) == 1
    (event,) = session.events
    assert 5.0 < event.start < 7.0 < 13.0 < event.end < 15.5
    assert "Cried once" in show(session)


def test_two_visitors_do_not_hear_each_other(detector):
    one, other = Session(detector, 0.5), Session(detector, 0.5)
    for part in np.array_split(nursery(), 40):
        one.push(part, 16_000)
        other.push(np.zeros(len(part), np.float32), 16_000)
    one.finish()
    other.finish()
    assert (one.count, other.count) == (1, 0)
    assert "Cried once" in show(one)
    assert "No event yet." in show(other)
    assert max(update.probability for update in other.recent) < 0.5


def held() -> int:
    """Bytes allocated by the package; allocations of other tests' threads do not count."""
    ours = tracemalloc.Filter(True, str(Path(yamnet_cry.__file__).parent / "*"))
    traces = tracemalloc.take_snapshot().filter_traces([ours])
    return sum(trace.size for trace in traces.traces)


def test_an_hour_takes_no_more_memory_than_a_minute(detector):
    session = Session(detector, 0.5)
    minute = np.tile(nursery(), 3).astype(np.float32)
    tracemalloc.start()
    for _ in range(20):  # until the maximum number of events is kept
        session.push(minute, 16_000)
    before = held()
    for _ in range(40):
        session.push(minute, 16_000)
    after = held()
    tracemalloc.stop()
    assert before < 500_000
    assert after - before < 20_000
    assert len(session.recent) == 125
    assert len(session.events) == 20 < session.count
    assert len(show(session)) < 30_000


def test_a_microphone_that_changes_its_rate(detector):
    session = Session(detector, 0.5)
    session.push(np.zeros(32_000, np.float32), 16_000)
    session.push(np.zeros(96_000, np.float32), 48_000)
    assert [update.time for update in session.recent][:4] == [0.96, 1.44, 1.92, 2.04 + 0.36]


def test_sensitivity_decides_what_an_event_is(detector):
    counts = []
    for sensitivity in (0.02, 0.5, 0.98):
        session = Session(detector, sensitivity)
        feed(session, 0.02 * nursery(), 16_000)
        counts.append(sum(event.seconds for event in session.events))
    assert counts == sorted(counts)


def test_what_nobody_can_hear(detector):
    session = Session(detector, 0.5)
    with pytest.raises(AudioError, match="expected finite samples"):
        session.push(np.full(100, np.nan, np.float32), 16_000)
    session.finish()
    assert "Press record" in show(session) == show(None)


@pytest.mark.parametrize(("rate", "channels", "seconds"), [(8_000, 1, 3_600), (384_000, 8, 10)])
def test_a_small_file_that_is_long_is_not_decoded_whole(tmp_path, rate, channels, seconds):
    path = tmp_path / "piece.flac"
    silence = np.zeros((rate, channels), np.int16)
    with soundfile.SoundFile(path, "w", rate, channels) as file:
        for _ in range(seconds):
            file.write(silence)
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(AudioError, match=f"the audio chunk is longer than {MAX_PIECE_SECONDS} s"):
        piece(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000


@pytest.mark.parametrize("content", [b"", b"RIFF nothing of the kind" * 100])
def test_a_piece_that_is_no_sound(tmp_path, content):
    (tmp_path / "piece.wav").write_bytes(content)
    for name in ("piece.wav", "gone.wav"):
        with pytest.raises(AudioError, match="part of the microphone's audio was lost; record again"):
            piece(tmp_path / name)

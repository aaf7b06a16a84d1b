"""Clips of events on a real disk: exact to the sample, whole or not at all, other files untouched."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from disk import full_after
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yamnet_cry import CryDetector
from yamnet_cry.demo import nursery
from yamnet_cry.errors import CorpusError, RunError
from yamnet_cry.files import lock
from yamnet_cry.home import archive, clips
from yamnet_cry.home.clips import SAMPLE_RATE, Recorder
from yamnet_cry.home.labels import Labels, locked
from yamnet_cry.home.retention import Retention, parse_bytes, parse_seconds

RATE = SAMPLE_RATE
BEGAN = datetime(2026, 11, 26, 3, 12, 0, tzinfo=UTC)
HELD = sys.platform == "win32"


def messages(key: str, start: float, end: float, *, interrupted: bool = False, began: datetime = BEGAN):
    """The messages about an event: its start and its end."""

    def at(seconds: float) -> str:
        return (began + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")

    common = {"id": key, "source": "nursery", "start": start, "started_at": at(start)}
    return (
        {"event": "started", **common, "probability": 0.8},
        {
            "event": "ended",
            **common,
            "end": end,
            "ended_at": at(end),
            "seconds": round(end - start, 2),
            "peak": 0.93,
            "mean": 0.71,
            "interrupted": interrupted,
        },
    )


def counted(length: int) -> np.ndarray:
    """Sound whose samples differ from each other for four seconds, so that each shows its position."""
    return ((np.arange(length) * 7919) % 65_521 - 32_760).astype(np.float32) / 32_768


def make(
    folder: Path, start: float = 2.0, *, began: datetime = BEGAN, source: str = "nursery"
) -> archive.Clip:
    """Records one event of one second."""
    known = {clip.file for clip in archive.clips(folder)} if folder.exists() else set()
    started, ended = messages("1", start, start + 1, began=began)
    recorder = Recorder(folder, source, 1.0, pytest.fail)
    recorder.push(counted(round((start + 5) * RATE)))
    recorder.started(started)
    recorder.ended(ended)
    recorder.close()
    (clip,) = (clip for clip in archive.clips(folder) if clip.file not in known)
    return clip


def about(clip: archive.Clip) -> dict:
    return json.loads(clip.description.read_text())


def read(clip: archive.Clip) -> np.ndarray:
    samples, rate = soundfile.read(clip.audio, dtype="float32")
    assert rate == RATE
    return samples


def names(folder: Path) -> list[str]:
    """Names of the files in a folder, except the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".manifest.csv.lock")


@pytest.mark.slow
@settings(max_examples=60)
@given(
    blocks=st.lists(st.integers(1, 4 * RATE), min_size=1, max_size=6),
    pre_roll=st.sampled_from([0.0, 0.3, 5.0]),
    events=st.lists(
        st.tuples(st.integers(0, 3000), st.integers(20, 1500), st.integers(0, 1300), st.integers(0, 1100)),
        min_size=1,
        max_size=4,
    ),
)
@example(blocks=[60 * RATE], pre_roll=5.0, events=[(100, 200, 0, 0), (250, 200, 0, 0), (250, 300, 0, 0)])
@example(blocks=[160], pre_roll=5.0, events=[(2000, 100, 1400, 1400)])
def test_every_clip_is_exact_to_the_sample(blocks, pre_roll, events):
    """Events have start, length, and delays of the two messages, in hundredths of a second."""
    total = 62 * RATE
    wave = counted(total)
    due = []
    for number, (start, length, late, later) in enumerate(events):
        told = messages(str(number), start / 100, (start + length) / 100)
        first = start + late
        due += [(first, number, 0, told[0]), (max(first, start + length + later), number, 1, told[1])]
    due.sort(key=lambda each: each[:3])
    with tempfile.TemporaryDirectory() as name:
        recorder = Recorder(Path(name), "nursery", pre_roll, pytest.fail)
        place = count = 0
        while place < total:
            block = wave[place : place + blocks[count % len(blocks)]]
            place, count = place + len(block), count + 1
            recorder.push(block)
            while due and due[0][0] * RATE / 100 <= place:
                _, _, is_end, message = due.pop(0)
                (recorder.ended if is_end else recorder.started)(message)
        for _, _, is_end, message in due:
            (recorder.ended if is_end else recorder.started)(message)
        recorder.close()
        found = {about(clip)["id"]: clip for clip in archive.clips(Path(name))}
        assert len(found) == len(events)
        for number, (start, length, _, _) in enumerate(events):
            at, stop = start * RATE // 100, (start + length) * RATE // 100
            first = max(0, at - round(pre_roll * RATE))
            clip = found[str(number)]
            np.testing.assert_array_equal(read(clip), wave[first : stop + RATE])
            assert clip.about["event_start"] == (at - first) / RATE
            assert clip.about["event_end"] == (stop - first) / RATE
            assert not clip.about["cut"]
        # Two files for each event, and nothing else.
        assert len(names(Path(name))) == 2 * len(events)


@pytest.mark.parametrize("length", [1_600, 16_000, 400_000])
def test_what_the_detector_hears_becomes_a_clip(tmp_path, length):
    """With the messages of a real listener and their real delays."""
    wave = np.concatenate([nursery(40.0, 20.0, 28.0), np.zeros(10 * RATE)]).astype(np.float32)
    recorder = Recorder(tmp_path, "nursery", 5.0, pytest.fail)
    listener = CryDetector.from_pretrained().listener(RATE)
    found = []

    def tell(updates) -> None:
        for update in updates:
            if update.started is not None:
                recorder.started(messages("1", update.started, update.started)[0])
            for event in update.finished:
                found.append(event)
                recorder.ended(messages("1", event.start, event.end)[1])

    for place in range(0, len(wave), length):
        recorder.push(wave[place : place + length])
        tell(listener.push(wave[place : place + length]))
    tell(listener.finish())
    recorder.close()
    (event,), (clip,) = found, archive.clips(tmp_path)
    first, stop = round((event.start - 5) * RATE), round((event.end + 1) * RATE)
    np.testing.assert_allclose(read(clip), wave[first:stop], atol=1 / 32_768)
    assert 19 < event.start < 21
    assert (clip.about["event_start"], clip.about["event_end"]) == (5.0, 5.0 + event.seconds)


def test_what_lies_beside_a_clip(tmp_path):
    clip = make(tmp_path / "new" / "folder", 2.0)
    assert names(tmp_path / "new" / "folder") == [
        "nursery-20261126T031202.000.flac",
        "nursery-20261126T031202.000.json",
    ]
    assert soundfile.info(clip.audio).subtype == "PCM_16"
    told = messages("1", 2.0, 3.0)[1]
    written = about(clip)
    assert {key: written[key] for key in told} == told
    rest = {key: value for key, value in written.items() if key not in told}
    assert rest.pop("made_by").startswith("yamnet-cry ")
    assert rest == {
        "yamnet_cry_clip": 1,
        "file": "nursery-20261126T031202.000.flac",
        "sample_rate": 16_000,
        "clip_seconds": 3.0,
        "event_start": 1.0,
        "event_end": 2.0,
        "cut": False,
    }


def test_a_tail_is_waited_for_and_cut_off_by_the_end(tmp_path):
    started, ended = messages("1", 2.0, 3.0)
    recorder = Recorder(tmp_path, "nursery", 1.0, pytest.fail)
    recorder.push(counted(3 * RATE))
    recorder.started(started)
    recorder.ended(ended)
    recorder.push(counted(RATE // 2))
    assert archive.clips(tmp_path) == []
    recorder.push(counted(RATE // 2))
    (clip,) = archive.clips(tmp_path)
    assert clip.about["clip_seconds"] == 3.0
    recorder.started(messages("2", 3.5, 4.0)[0])
    recorder.ended(messages("2", 3.5, 4.0, interrupted=True)[1])
    recorder.close()
    last = archive.clips(tmp_path)[0]
    assert (last.about["clip_seconds"], last.about["interrupted"]) == (1.5, True)


def test_an_event_that_was_never_said_to_end_is_no_clip(tmp_path):
    recorder = Recorder(tmp_path, "nursery", 1.0, pytest.fail)
    recorder.push(counted(30 * RATE))
    recorder.started(messages("1", 28.0, 29.0)[0])
    recorder.ended(messages("another", 28.0, 29.0)[1])
    recorder.push(counted(30 * RATE))
    assert len(names(tmp_path)) == 1
    recorder.close()
    assert names(tmp_path) == []


def test_hours_of_crying_are_cut_and_take_no_memory(tmp_path):
    """A clip is streamed to disk, and ends after ten minutes."""
    started, ended = messages("1", 2.0, 7_000.0)
    recorder = Recorder(tmp_path, "nursery", 1.0, pytest.fail)
    block = counted(RATE)
    tracemalloc.start()
    with closing(recorder):
        recorder.push(np.tile(block, 4))
        recorder.started(started)
        for _ in range(7_000):
            recorder.push(block)
        recorder.ended(ended)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6
    (clip,) = archive.clips(tmp_path)
    assert len(read(clip)) == 600 * RATE
    assert clip.about["cut"]
    assert (clip.about["event_start"], clip.about["event_end"]) == (1.0, 600.0)
    assert clip.about["seconds"] == 6_998.0


def test_memory_does_not_grow_with_small_blocks(tmp_path):
    recorder = Recorder(tmp_path, "nursery", 5.0, pytest.fail)
    block = counted(160)
    tracemalloc.start()
    for _ in range(20_000):
        recorder.push(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6


def test_names_that_are_taken_are_left_alone(tmp_path):
    (tmp_path / "nursery-20261126T031202.000.flac").write_bytes(b"somebody's")
    (tmp_path / "nursery-20261126T031202.000-2.json").write_bytes(b"somebody's")
    clip = make(tmp_path)
    assert clip.file == "nursery-20261126T031202.000-3.flac"
    assert make(tmp_path).file == "nursery-20261126T031202.000-4.flac"
    assert (tmp_path / "nursery-20261126T031202.000.flac").read_bytes() == b"somebody's"


@pytest.mark.parametrize(
    ("source", "expected"),
    [("../../etc/cron.d/x", "_etc_cron_d_x-"), ("Küche & Bad", "K_che_Bad-"), (".", "_-")],
)
def test_sources_may_be_called_anything(tmp_path, source, expected):
    clip = make(tmp_path / "clips", source=source)
    assert clip.file.startswith(expected)
    assert clip.about["source"] == source
    assert names(tmp_path) == ["clips"]


@pytest.mark.parametrize("source", ["", "a" * 201, "two\nlines"])
def test_sources_that_could_not_be_written_down(tmp_path, source):
    with pytest.raises(
        ValueError, match="expected the source name to be 1 to 200 printable characters. Received: "
    ):
        Recorder(tmp_path, source, 1.0, pytest.fail)
    assert names(tmp_path) == []


def test_a_full_disk_is_told_once_and_forgotten_when_there_is_room(tmp_path):
    told: list[str] = []
    recorder = Recorder(tmp_path, "nursery", 1.0, told.append)
    noise = np.random.default_rng(0).uniform(-1, 1, 20 * RATE).astype(np.float32)

    def event(number: int) -> None:
        start = 20.0 * number + 10
        for message in messages(str(number), start, start + 8):
            (recorder.started if message["event"] == "started" else recorder.ended)(message)

    with full_after(50_000):
        for number in range(3):
            recorder.push(noise)
            event(number)
            assert names(tmp_path) == []
    assert len(told) == 1
    assert told[0].startswith(f"clips cannot be written to {tmp_path} (")
    assert told[0].endswith("; listening continues")
    for number in (3, 4):
        recorder.push(noise)
        event(number)
    assert told[1:] == [f"clips are saved to {tmp_path} again"]
    assert [len(read(clip)) for clip in archive.clips(tmp_path)] == [10 * RATE] * 2


@pytest.mark.parametrize("size", [0, 10, 300])
def test_a_disk_that_is_full_at_once_or_at_last_leaves_nothing(tmp_path, size):
    """Even the few bytes of header and description may not fit."""
    told: list[str] = []
    recorder = Recorder(tmp_path, "nursery", 1.0, told.append)
    recorder.push(np.zeros(5 * RATE, np.float32))
    with full_after(size):
        for message in messages("1", 2.0, 3.0):
            (recorder.started if message["event"] == "started" else recorder.ended)(message)
    recorder.close()
    assert names(tmp_path) == []
    assert len(told) == 1


def test_a_folder_that_comes_late(tmp_path):
    """For example on a drive that is plugged in again."""
    told: list[str] = []
    (tmp_path / "clips").write_text("no folder")
    recorder = Recorder(tmp_path / "clips", "nursery", 1.0, told.append)
    recorder.push(counted(5 * RATE))
    for number in ("1", "2"):
        started, ended = messages(number, 2.0, 3.0)
        recorder.started(started)
        recorder.ended(ended)
        if number == "1":
            (tmp_path / "clips").unlink()
            (tmp_path / "clips").mkdir()
    assert told[0].startswith(f"clips cannot be written to {tmp_path / 'clips'} (")
    assert told[-1] == f"clips are saved to {tmp_path / 'clips'} again"
    assert len(archive.clips(tmp_path / "clips")) == 1


def test_a_folder_that_cannot_be_used_is_refused_before_listening(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as raised:
        clips.prepare(tmp_path / "file")
    assert str(raised.value).startswith(f"clips cannot be written to {tmp_path / 'file'} (")


# Records an event and crashes at a call of os.replace, or during the event.
_DYING = """
import os, sys
import numpy as np
from pathlib import Path
from yamnet_cry.home.clips import Recorder
sys.path.insert(0, {tests!r})
from home.test_clips import counted, messages
count, replace = 0, os.replace
def dying(*arguments):
    global count
    count += 1
    if count == {call}:
        os._exit(9)
    replace(*arguments)
os.replace = dying
recorder = Recorder(Path({folder!r}), "nursery", 1.0, print)
recorder.push(counted(80_000))
started, ended = messages("1", 2.0, 3.0)
recorder.started(started)
if {call} == 0:
    recorder.push(np.zeros(480_000, np.float32))
    os._exit(9)
recorder.ended(ended)
"""


@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_program_that_dies_leaves_nothing_that_lies(tmp_path, call):
    make(tmp_path, 9.0)
    (tmp_path / f".mine{archive.UNFINISHED}").write_text("")
    (tmp_path / ".nursery-20261126T031202.000.flac.part").write_text("")
    before = names(tmp_path)
    code = _DYING.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path), call=call)
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 9
    assert len(names(tmp_path)) > len(before)
    assert len(archive.clips(tmp_path)) == 1
    clips.prepare(tmp_path)
    assert names(tmp_path) == before


def test_leftovers_are_only_what_nobody_writes(tmp_path):
    """Another source, of this process or another, may be recording."""
    recorder = Recorder(tmp_path, "kitchen", 1.0, pytest.fail)
    recorder.push(counted(4 * RATE))
    started, ended = messages("1", 2.0, 3.0)
    recorder.started(started)
    Recorder(tmp_path, "nursery", 1.0, pytest.fail).close()
    recorder.ended(ended)
    assert len(archive.clips(tmp_path)) == 1


def make_at(folder: Path, *ages: float, now: datetime) -> list[archive.Clip]:
    return [make(folder, began=now - timedelta(seconds=age)) for age in ages]


def test_old_clips_go_first_and_labelled_ones_stay(tmp_path):
    now = datetime(2026, 12, 1, tzinfo=UTC)
    old, labelled, skipped, new = make_at(tmp_path, 9_000, 8_000, 7_000, 100, now=now)
    labels = Labels(tmp_path)
    labels.set(labelled, "not_cry")
    labels.set(skipped, "unknown")
    labels.save()
    gone = Retention(keep_seconds=3_600).apply(tmp_path, now.timestamp())
    assert [clip.stem for clip in gone] == [old.stem, skipped.stem]
    assert archive.clips(tmp_path) == [new, labelled]
    assert dict(Labels(tmp_path).targets()) == {labelled.file: "not_cry"}
    assert f"{skipped.file}" not in (tmp_path / "manifest.csv").read_text()


def test_so_many_bytes_are_kept(tmp_path):
    now = datetime(2026, 12, 1, tzinfo=UTC)
    *_, third, newest = made = make_at(tmp_path, 400, 300, 200, 100, now=now)
    room = sum(clip.bytes() for clip in made[2:])
    assert Retention(keep_bytes=sum(clip.bytes() for clip in made)).apply(tmp_path) == []
    assert len(Retention(keep_bytes=room).apply(tmp_path)) == 2
    assert archive.clips(tmp_path) == [newest, third]
    assert len(Retention(keep_bytes=room - 1).apply(tmp_path)) == 1
    # Labelled clips do not count towards the limit of unlabelled ones.
    labels = Labels(tmp_path)
    labels.set(newest, "cry")
    labels.save()
    assert Retention(keep_bytes=0).apply(tmp_path) == []
    assert Retention().apply(tmp_path) == []


def test_a_recorder_keeps_to_it(tmp_path):
    recorder = Recorder(tmp_path, "nursery", 0.0, pytest.fail, Retention(keep_bytes=100_000))
    noise = np.random.default_rng(0).uniform(-1, 1, 5 * RATE).astype(np.float32)
    for number in range(5):
        recorder.push(noise)
        for message in messages(str(number), 5.0 * number + 2, 5.0 * number + 3):
            (recorder.started if message["event"] == "started" else recorder.ended)(message)
    assert [clip.stem[-6:] for clip in archive.clips(tmp_path)] == ["22.000"]


def test_a_manifest_that_cannot_be_read_keeps_everything(tmp_path):
    clip = make(tmp_path)
    (tmp_path / "manifest.csv").write_text("file;target\n")
    with pytest.raises(CorpusError, match="manifest.csv lacks the column file, target, split, group"):
        Retention(keep_bytes=0).apply(tmp_path)
    told: list[str] = []
    recorder = Recorder(tmp_path, "nursery", 0.0, told.append, Retention(keep_bytes=0))
    for number in range(2):
        recorder.push(counted(5 * RATE))
        for message in messages(str(number), 5.0 * number + 2, 5.0 * number + 3):
            (recorder.started if message["event"] == "started" else recorder.ended)(message)
    assert len(told) == 1
    assert told[0].startswith(f"old clips in {tmp_path} cannot be deleted ({tmp_path / 'manifest.csv'} lacks")
    assert len(archive.clips(tmp_path)) == 3
    assert clip.audio.exists()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=5,
)
_STEM = "nursery-20261126T031202.000"


@pytest.mark.slow
@given(
    foreign=st.dictionaries(
        st.from_regex(r"[a-z0-9]{1,8}(-20261126T031207\.250)?\.(flac|json|wav|csv)", fullmatch=True)
        | st.sampled_from([f"{_STEM}-{n}{suffix}" for n in (2, 3) for suffix in (".flac", ".json")]),
        st.binary(max_size=40) | _JSON.map(lambda value: json.dumps(value).encode()),
        max_size=8,
    ),
    damage=st.sampled_from(
        [{}, {"yamnet_cry_clip": 2}, {"file": "o.flac"}, {"peak": "high"}, {"seconds": None}]
    ),
)
def test_nobody_elses_files_are_ever_deleted(foreign, damage):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make(folder)
        foreign = {other: content for other, content in foreign.items() if other != "manifest.csv"}
        for other, content in foreign.items():
            (folder / other).write_bytes(content)
        # Files of another program or version with similar names.
        (folder / f"{_STEM}-4.flac").write_bytes(b"audio")
        (folder / f"{_STEM}-4.json").write_text(
            json.dumps({**about(clip), "file": f"{_STEM}-5.flac", **damage})
        )
        clips.prepare(folder)
        gone = Retention(keep_seconds=0, keep_bytes=0).apply(folder, now=4e9)
        assert gone == [clip]
        assert names(folder) == sorted([*foreign, f"{_STEM}-4.flac", f"{_STEM}-4.json"])
        assert all((folder / other).read_bytes() == content for other, content in foreign.items())


@pytest.mark.skipif(HELD, reason="links need rights on Windows")
def test_links_are_not_ours(tmp_path):
    clip = make(tmp_path / "clips")
    elsewhere = tmp_path / "elsewhere.flac"
    clip.audio.rename(elsewhere)
    clip.audio.symlink_to(elsewhere)
    assert archive.clips(tmp_path / "clips") == []
    assert Retention(keep_bytes=0).apply(tmp_path / "clips") == []
    assert archive.clip(tmp_path / "clips", clip.file) is None


def test_who_labels_waits_for_who_deletes(tmp_path):
    order: list[str] = []

    def label() -> None:
        with locked(tmp_path):
            order.append("second")

    with locked(tmp_path):
        other = threading.Thread(target=label)
        other.start()
        time.sleep(0.1)
        order.append("first")
    other.join(timeout=60)
    assert order == ["first", "second"]


def test_a_lock_that_is_never_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr("yamnet_cry.home.labels.PATIENCE", 0.1)
    with (tmp_path / ".manifest.csv.lock").open("ab") as file:
        lock(file)
        with pytest.raises(BlockingIOError), locked(tmp_path):
            pytest.fail("it was locked twice")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), (" 0.5h ", 1_800)],
)
def test_times_to_keep(value, expected):
    assert parse_seconds(value) == expected


@pytest.mark.parametrize(
    "value", ["", "7", "d", "-1d", "7 d", "7D", "1e3d", "0d", "0.0h", "nan", "7dd", "\u0667d"]
)
def test_times_that_are_none(value):
    with pytest.raises(RunError) as raised:
        parse_seconds(value)
    assert str(raised.value) == f"expected a time such as 30m, 12h, 7d or 2w. Received: {value!r}"


@pytest.mark.parametrize(
    ("value", "expected"), [("500M", 5e8), ("1G", 1e9), ("1.5G", 1.5e9), ("2t", 2e12), ("20m", 2e7)]
)
def test_sizes_to_keep(value, expected):
    assert parse_bytes(value) == expected
    assert type(parse_bytes(value)) is int


@pytest.mark.parametrize("value", ["", "1", "G", "-1G", "1 G", "1K", "1GB", "0G"])
def test_sizes_that_are_none(value):
    with pytest.raises(RunError) as raised:
        parse_bytes(value)
    assert str(raised.value) == f"expected a size such as 500M or 1.5G. Received: {value!r}"


def test_a_size_in_which_no_clip_fits():
    with pytest.raises(
        RunError, match="expected a size of at least 20M, what a long clip takes. Received: '5M'"
    ):
        parse_bytes("5M")


def test_no_descriptor_stays_open(tmp_path):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("Linux counts them")
    make(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        make(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_recent_sound_is_moved_and_not_allocated_again(tmp_path):
    recorder = Recorder(tmp_path, "nursery", 5.0, pytest.fail)
    sound = np.arange(100 * RATE, dtype=np.float32)
    recent, buffers = recorder.recent, []
    for block in np.split(sound, 1_000):
        recorder.push(block)
        buffers.append(recent.between(recent.begin, recent.end).base)
    assert buffers[0] is not None
    assert all(buffer is buffers[0] for buffer in buffers)
    np.testing.assert_array_equal(recent.between(recent.begin, recent.end), sound[recent.begin :])
    assert recent.end - recent.begin >= 20 * RATE

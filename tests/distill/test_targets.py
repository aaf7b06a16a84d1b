import itertools
from dataclasses import replace

import numpy as np
import pyarrow
import pytest
import soundfile
from disk import full_after
from pyarrow import dataset, parquet

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill import corpus, sources, targets
from yamnet_cry.distill.cache import in_half_precision
from yamnet_cry.errors import CorpusError, RunError
from yamnet_cry.frontend import YAMNET


class CountingTeacher:
    """Returns the mean of each window's log-mel as logit 19, and counts the waveforms it is run on."""

    name = "counting"
    fingerprint = "counting-1"
    labels, kind = CRY_TASK.labels, "independent"

    def __init__(self):
        self.asked = 0

    def logits(self, waveforms):
        self.asked += len(waveforms)
        result = []
        for waveform in waveforms:
            patches = YAMNET.patches(YAMNET.log_mel(waveform))
            logits = np.zeros((len(patches), 521), np.float32)
            logits[:, 19] = patches.mean(axis=(1, 2))
            result.append(logits)
        return result


def alone(teacher):
    return [(teacher, "windows", 1.0)]


NUMBERS = itertools.count()


def passed(clips, teachers, cache, folder=None, **more):
    """A teacher pass that shares only the cache with other passes, unless a folder is given."""
    folder = folder or cache.with_name(f"windows-{next(NUMBERS)}")
    return targets.teacher_pass(clips, teachers, YAMNET, cache, folder, progress=False, **more)


@pytest.fixture
def clips(synthetic_corpus):
    return sources.load(str(synthetic_corpus))


def test_every_window_of_every_clip(clips, tmp_path):
    windows = passed(clips, alone(CountingTeacher()), tmp_path / "c.sqlite")
    assert windows.clips == clips
    for number, clip in enumerate(clips):
        own = np.flatnonzero(windows.clip_index == number)
        expected = YAMNET.patches(YAMNET.log_mel(YAMNET.pad(clip.read())))
        np.testing.assert_array_equal(windows.patches(own)[..., 0], expected)
        # Rounded to float16, the precision of a cluster's partitions.
        means = in_half_precision(expected.mean(axis=(1, 2)))
        np.testing.assert_array_equal(windows.opinions[0].logits[own, 19], means)
    for split in corpus.SPLITS:
        of_clip = {clips[index].split for index in windows.clip_index[windows.in_split(split)]}
        assert of_clip == {split}


def test_the_teacher_is_asked_once(clips, tmp_path):
    teacher = CountingTeacher()
    first = passed(clips, alone(teacher), tmp_path / "c.sqlite")
    assert teacher.asked == len(clips)
    second = passed(clips, alone(teacher), tmp_path / "c.sqlite")
    assert teacher.asked == len(clips)
    np.testing.assert_array_equal(first.opinions[0].logits, second.opinions[0].logits)


def test_another_teacher_is_asked_again(clips, tmp_path):
    passed(clips, alone(CountingTeacher()), tmp_path / "c.sqlite")
    other = CountingTeacher()
    other.fingerprint = "counting-2"
    passed(clips, alone(other), tmp_path / "c.sqlite")
    assert other.asked == len(clips)


def test_a_pass_that_dies_keeps_its_chunks(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "CLIPS_PER_CHUNK", 8)

    class Dying(CountingTeacher):
        def logits(self, waveforms):
            if self.asked >= 16:
                raise KeyboardInterrupt
            return super().logits(waveforms)

    with pytest.raises(KeyboardInterrupt):
        passed(clips, alone(Dying()), tmp_path / "c.sqlite")
    teacher = CountingTeacher()
    passed(clips, alone(teacher), tmp_path / "c.sqlite")
    assert teacher.asked == len(clips) - 16


def write_manifest(folder, rows):
    (folder / "manifest.csv").write_text("file,target,split,group\n" + "\n".join(rows) + "\n")


def test_clips_that_cannot_be_decoded_are_all_named(tmp_path):
    soundfile.write(tmp_path / "good.wav", np.zeros(16_000), 16_000)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("hello")
    write_manifest(tmp_path, ["good.wav,cry,train,a", "empty.wav,cry,train,b", "text.wav,cry,train,c"])
    teacher = CountingTeacher()
    with pytest.raises(
        CorpusError, match=r"(?s)2 of 3 clips cannot be used.*empty.wav.*0 bytes.*text.wav.*not audio"
    ):
        passed(sources.load(str(tmp_path)), alone(teacher), tmp_path / "c.sqlite")
    assert teacher.asked == 1


def test_the_same_recording_in_two_splits(tmp_path):
    wave = np.random.default_rng(0).integers(-3_000, 3_000, 16_000, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    soundfile.write(tmp_path / "b.flac", wave, 16_000)
    write_manifest(tmp_path, ["a.wav,cry,train,a", "b.flac,cry,test,b"])
    with pytest.raises(CorpusError, match=r"a.wav \(train\) and b.flac \(test\) are the same recording"):
        passed(sources.load(str(tmp_path)), alone(CountingTeacher()), tmp_path / "c.sqlite")


def test_a_teacher_with_other_windows(clips, tmp_path):
    class Other(CountingTeacher):
        def logits(self, waveforms):
            return [logits[:-1] for logits in super().logits(waveforms)]

    with pytest.raises(RunError, match=r"expected \d+ rows of logits .*Received: \d+ from counting; .* role"):
        passed(clips, alone(Other()), tmp_path / "c.sqlite")


def test_a_cache_that_cannot_be_used(clips, tmp_path):
    (tmp_path / "c.sqlite").write_text("not a database, but long enough to look like one\n" * 50)
    with pytest.raises(RunError, match="cannot be used .*; set another with --cache"):
        passed(clips, alone(CountingTeacher()), tmp_path / "c.sqlite")


def test_the_views_of_earlier_seeds_are_forgotten(clips, tmp_path, caplog):
    caplog.set_level("INFO")
    cache = tmp_path / "c.sqlite"
    corpus_of = clips[:-4]
    passed(clips, alone(CountingTeacher()), cache)
    passed(corpus_of, alone(CountingTeacher()), cache, cache_limit=0)
    assert (
        "deleted 4 recordings and views of earlier runs from the cache, to stay within --cache-limit"
        in caplog.text
    )
    teacher = CountingTeacher()
    passed(clips, alone(teacher), cache)
    assert teacher.asked == 4


class Judge:
    """A clip teacher that predicts a dog for every clip."""

    name, fingerprint, labels, kind = "judge", "judge-1", ("cat", "dog"), "exclusive"

    def logits(self, waveforms):
        return [np.float32([[-1, 1]]) for _ in waveforms]


def test_several_teachers_share_a_cache_and_keep_their_roles(clips, tmp_path):
    teacher = CountingTeacher()
    asked = [(teacher, "windows", 2.0), (Judge(), "clips", 0.5)]
    for _ in range(2):
        windows = passed(clips, asked, tmp_path / "c.sqlite")
    assert teacher.asked == len(clips)
    of_windows, of_clips = windows.opinions
    assert (of_windows.role, of_windows.weight, of_windows.logits.shape) == (
        "windows",
        2.0,
        (len(windows), 521),
    )
    assert (of_clips.role, of_clips.weight, of_clips.labels) == ("clips", 0.5, ("cat", "dog"))
    assert of_clips.logits[:].tolist() == [[-1, 1]] * len(clips)


def test_a_teacher_of_windows_may_judge_clips(clips, tmp_path):
    asked = [(CountingTeacher(), "clips", 1.0)]
    windows = passed(clips, asked, tmp_path / "c.sqlite")
    teacher = CountingTeacher()
    for clip, row in zip(clips, windows.opinions[0].logits[:], strict=True):
        expected = in_half_precision(teacher.logits([YAMNET.pad(clip.read())])[0]).mean(axis=0)
        np.testing.assert_allclose(row, expected, rtol=1e-5)
    assert windows.opinions[0].logits.shape == (len(clips), 521)


def test_no_teacher_at_all(clips, tmp_path):
    windows = passed(clips, [], tmp_path / "c.sqlite")
    assert windows.opinions == []
    assert not (tmp_path / "c.sqlite").exists()


def test_spectrograms_are_those_of_the_labelled_clips(clips, tmp_path):
    windows = passed(clips, [], tmp_path / "c.sqlite")
    labelled = [clip for clip in clips if clip.split == "test" and clip.labels]
    for clip, own in zip(labelled, windows.spectrograms("test"), strict=True):
        np.testing.assert_array_equal(own, YAMNET.log_mel(YAMNET.pad(clip.read()))[: len(own)])
        assert YAMNET.patch_hop > len(YAMNET.log_mel(YAMNET.pad(clip.read()))) - len(own) >= 0


def same(first, second):
    assert first.clips == second.clips
    for name in ("first_frame", "clip_index"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for one, other in zip(
        [first.log_mel, *(opinion.logits for opinion in first.opinions)],
        [second.log_mel, *(opinion.logits for opinion in second.opinions)],
        strict=True,
    ):
        np.testing.assert_array_equal(one[:], other[:])


def test_finished_windows_are_used_again(clips, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    folder, asked = tmp_path / "windows", [(CountingTeacher(), "windows", 1.0), (Judge(), "clips", 0.5)]
    first = passed(clips, asked, tmp_path / "c.sqlite", folder)
    with monkeypatch.context() as patched:
        patched.setattr(corpus.Clip, "read", None)
        again = passed(clips, asked, tmp_path / "none.sqlite", folder)
    same(first, again)
    assert f"resuming with the windows of {len(clips)} clips in {folder}" in caplog.text
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["log_mel.f32", "logits-1.f32", "index.json", "clips", "audio", "teacher"])
def test_windows_that_are_damaged_or_of_others_are_made_anew(clips, tmp_path, caplog, damage):
    caplog.set_level("INFO")
    folder, asked, expected = tmp_path / "windows", alone(CountingTeacher()), clips
    passed(clips, asked, tmp_path / "c.sqlite", folder)
    if damage == "clips":
        expected = clips[:-1]
    elif damage == "audio":
        expected = [replace(clips[0], open=clips[1].open), *clips[1:]]
    elif damage == "teacher":
        asked[0][0].fingerprint = "another"
    else:
        content = (folder / damage).read_bytes()
        (folder / damage).write_bytes(content[: len(content) // 2])
    again = passed(expected, asked, tmp_path / "c.sqlite", folder)
    same(again, passed(expected, asked, tmp_path / "c.sqlite"))
    assert f"{folder} is damaged or from another run and will be rebuilt" in caplog.text


def test_what_a_killed_pass_has_written_is_removed(clips, tmp_path):
    folder = tmp_path / "windows"
    folder.mkdir()
    (folder / "logits-7.f32").write_bytes(b"half")
    passed(clips[:2], alone(CountingTeacher()), tmp_path / "c.sqlite", folder)
    assert {path.name for path in folder.iterdir()} == {"log_mel.f32", "logits-1.f32", "index.json"}

    class Dying(CountingTeacher):
        def logits(self, waveforms):
            assert folder.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        passed(clips, alone(Dying()), tmp_path / "other.sqlite", folder)
    assert not folder.exists()


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_full_disk_is_named_and_nothing_is_left(clips, tmp_path, size):
    with (
        full_after(size),
        pytest.raises(
            RunError,
            match=r"windows of the corpus cannot be written to .*windows \(.*too large\); free disk space",
        ),
    ):
        passed(clips, [], tmp_path / "c.sqlite", tmp_path / "windows")
    assert not (tmp_path / "windows").exists()


class Partitions:
    """Logits of some clips from an earlier pass: Parquet files with a row of float16 for each window."""

    def __init__(self, folder, clips, teacher):
        self.asked = []
        for number, start in enumerate(range(0, len(clips), 5)):
            rows = [
                {"clip": clip.name, "window": window, "logits": logits.astype(np.float16)}
                for clip in clips[start : start + 5]
                for window, logits in enumerate(teacher.logits([YAMNET.pad(clip.read())])[0])
            ]
            parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"part-{number}.parquet")
        self.partitions = dataset.dataset(folder, format="parquet")

    def __call__(self, clip):
        self.asked.append(clip.name)
        found = self.partitions.to_table(filter=dataset.field("clip") == clip.name).sort_by("window")
        return np.float32(found["logits"].to_pylist()) if len(found) else None


def test_what_another_pass_has_left_comes_before_the_cache(clips, tmp_path):
    (tmp_path / "partitions").mkdir()
    known = Partitions(tmp_path / "partitions", clips[::2], CountingTeacher())
    teacher = CountingTeacher()
    found = passed(clips, alone(teacher), tmp_path / "c.sqlite", known=[known])
    assert teacher.asked == len(clips[1::2])
    assert known.asked == [clip.name for clip in clips]
    expected = passed(clips, alone(teacher), tmp_path / "fresh.sqlite")
    rounded = expected.opinions[0].logits[:]
    of_others = expected.clip_index % 2 == 0
    rounded[of_others] = rounded[of_others].astype(np.float16)
    np.testing.assert_array_equal(found.opinions[0].logits[:], rounded)
    np.testing.assert_array_equal(found.log_mel[:], expected.log_mel[:])

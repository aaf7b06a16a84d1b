import numpy as np
import pytest
import soundfile

from yamnet_cry.distill import corpus, targets
from yamnet_cry.errors import CorpusError, RunError
from yamnet_cry.frontend import YAMNET


class CountingTeacher:
    """Gives the mean and the peak of each window's log-mel, and remembers what it was asked."""

    name = "counting"
    fingerprint = "counting-1"

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


@pytest.fixture
def clips(synthetic_corpus):
    return corpus.load(str(synthetic_corpus))


def test_every_window_of_every_clip(clips, tmp_path):
    windows = targets.teacher_pass(clips, CountingTeacher(), tmp_path / "c.sqlite", progress=False)
    assert windows.clips == clips
    for number, clip in enumerate(clips):
        own = np.flatnonzero(windows.clip_index == number)
        expected = YAMNET.patches(YAMNET.log_mel(YAMNET.pad(clip.read())))
        np.testing.assert_array_equal(windows.patches(own)[..., 0], expected)
        np.testing.assert_allclose(windows.logits[own, 19], expected.mean(axis=(1, 2)), rtol=1e-6)
    for split in corpus.SPLITS:
        of_clip = {clips[index].split for index in windows.clip_index[windows.in_split(split)]}
        assert of_clip == {split}


def test_the_teacher_is_asked_once(clips, tmp_path):
    teacher = CountingTeacher()
    first = targets.teacher_pass(clips, teacher, tmp_path / "c.sqlite", progress=False)
    assert teacher.asked == len(clips)
    second = targets.teacher_pass(clips, teacher, tmp_path / "c.sqlite", progress=False)
    assert teacher.asked == len(clips)
    np.testing.assert_array_equal(first.logits, second.logits)


def test_another_teacher_is_asked_again(clips, tmp_path):
    targets.teacher_pass(clips, CountingTeacher(), tmp_path / "c.sqlite", progress=False)
    other = CountingTeacher()
    other.fingerprint = "counting-2"
    targets.teacher_pass(clips, other, tmp_path / "c.sqlite", progress=False)
    assert other.asked == len(clips)


def test_a_pass_that_dies_keeps_its_chunks(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "_CLIPS_PER_CHUNK", 8)

    class Dying(CountingTeacher):
        def logits(self, waveforms):
            if self.asked >= 16:
                raise KeyboardInterrupt
            return super().logits(waveforms)

    with pytest.raises(KeyboardInterrupt):
        targets.teacher_pass(clips, Dying(), tmp_path / "c.sqlite", progress=False)
    teacher = CountingTeacher()
    targets.teacher_pass(clips, teacher, tmp_path / "c.sqlite", progress=False)
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
        targets.teacher_pass(corpus.load(str(tmp_path)), teacher, tmp_path / "c.sqlite", progress=False)
    assert teacher.asked == 1


def test_the_same_recording_in_two_splits(tmp_path):
    wave = np.random.default_rng(0).integers(-3_000, 3_000, 16_000, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    soundfile.write(tmp_path / "b.flac", wave, 16_000)
    write_manifest(tmp_path, ["a.wav,cry,train,a", "b.flac,cry,test,b"])
    with pytest.raises(CorpusError, match=r"a.wav \(train\) and b.flac \(test\) are the same recording"):
        targets.teacher_pass(
            corpus.load(str(tmp_path)), CountingTeacher(), tmp_path / "c.sqlite", progress=False
        )


def test_a_teacher_with_other_windows(clips, tmp_path):
    class Other(CountingTeacher):
        def logits(self, waveforms):
            return [logits[:-1] for logits in super().logits(waveforms)]

    with pytest.raises(RunError, match=r"the teacher gave \d+ windows for .*, the front end makes \d+"):
        targets.teacher_pass(clips, Other(), tmp_path / "c.sqlite", progress=False)


def test_a_cache_that_cannot_be_used(clips, tmp_path):
    (tmp_path / "c.sqlite").write_text("not a database, but long enough to look like one\n" * 50)
    with pytest.raises(RunError, match="cannot be used .*; name another with --cache"):
        targets.teacher_pass(clips, CountingTeacher(), tmp_path / "c.sqlite", progress=False)


def test_the_views_of_earlier_seeds_are_forgotten(clips, tmp_path, caplog):
    caplog.set_level("INFO")
    cache = tmp_path / "c.sqlite"
    corpus_of = clips[:-4]
    targets.teacher_pass(clips, CountingTeacher(), cache, progress=False)
    targets.teacher_pass(corpus_of, CountingTeacher(), cache, cache_limit=0, progress=False)
    assert "the cache forgot 4 recordings and views of earlier runs" in caplog.text
    teacher = CountingTeacher()
    targets.teacher_pass(clips, teacher, cache, progress=False)
    assert teacher.asked == 4

import numpy as np
import pytest
import soundfile

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill import corpus, sources, targets
from yamnet_cry.distill.cache import in_half_precision
from yamnet_cry.errors import CorpusError, RunError
from yamnet_cry.frontend import YAMNET


class CountingTeacher:
    """Gives the mean and the peak of each window's log-mel, and remembers what it was asked."""

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


@pytest.fixture
def clips(synthetic_corpus):
    return sources.load(str(synthetic_corpus))


def test_every_window_of_every_clip(clips, tmp_path):
    windows = targets.teacher_pass(
        clips, alone(CountingTeacher()), YAMNET, tmp_path / "c.sqlite", progress=False
    )
    assert windows.clips == clips
    for number, clip in enumerate(clips):
        own = np.flatnonzero(windows.clip_index == number)
        expected = YAMNET.patches(YAMNET.log_mel(YAMNET.pad(clip.read())))
        np.testing.assert_array_equal(windows.patches(own)[..., 0], expected)
        # As float16 has them: what partitions of a cluster keep.
        means = in_half_precision(expected.mean(axis=(1, 2)))
        np.testing.assert_array_equal(windows.opinions[0].logits[own, 19], means)
    for split in corpus.SPLITS:
        of_clip = {clips[index].split for index in windows.clip_index[windows.in_split(split)]}
        assert of_clip == {split}


def test_the_teacher_is_asked_once(clips, tmp_path):
    teacher = CountingTeacher()
    first = targets.teacher_pass(clips, alone(teacher), YAMNET, tmp_path / "c.sqlite", progress=False)
    assert teacher.asked == len(clips)
    second = targets.teacher_pass(clips, alone(teacher), YAMNET, tmp_path / "c.sqlite", progress=False)
    assert teacher.asked == len(clips)
    np.testing.assert_array_equal(first.opinions[0].logits, second.opinions[0].logits)


def test_another_teacher_is_asked_again(clips, tmp_path):
    targets.teacher_pass(clips, alone(CountingTeacher()), YAMNET, tmp_path / "c.sqlite", progress=False)
    other = CountingTeacher()
    other.fingerprint = "counting-2"
    targets.teacher_pass(clips, alone(other), YAMNET, tmp_path / "c.sqlite", progress=False)
    assert other.asked == len(clips)


def test_a_pass_that_dies_keeps_its_chunks(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "_CLIPS_PER_CHUNK", 8)

    class Dying(CountingTeacher):
        def logits(self, waveforms):
            if self.asked >= 16:
                raise KeyboardInterrupt
            return super().logits(waveforms)

    with pytest.raises(KeyboardInterrupt):
        targets.teacher_pass(clips, alone(Dying()), YAMNET, tmp_path / "c.sqlite", progress=False)
    teacher = CountingTeacher()
    targets.teacher_pass(clips, alone(teacher), YAMNET, tmp_path / "c.sqlite", progress=False)
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
        targets.teacher_pass(
            sources.load(str(tmp_path)), alone(teacher), YAMNET, tmp_path / "c.sqlite", progress=False
        )
    assert teacher.asked == 1


def test_the_same_recording_in_two_splits(tmp_path):
    wave = np.random.default_rng(0).integers(-3_000, 3_000, 16_000, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    soundfile.write(tmp_path / "b.flac", wave, 16_000)
    write_manifest(tmp_path, ["a.wav,cry,train,a", "b.flac,cry,test,b"])
    with pytest.raises(CorpusError, match=r"a.wav \(train\) and b.flac \(test\) are the same recording"):
        targets.teacher_pass(
            sources.load(str(tmp_path)),
            alone(CountingTeacher()),
            YAMNET,
            tmp_path / "c.sqlite",
            progress=False,
        )


def test_a_teacher_with_other_windows(clips, tmp_path):
    class Other(CountingTeacher):
        def logits(self, waveforms):
            return [logits[:-1] for logits in super().logits(waveforms)]

    with pytest.raises(RunError, match=r"expected \d+ rows of logits .*Received: \d+ from counting; .* role"):
        targets.teacher_pass(clips, alone(Other()), YAMNET, tmp_path / "c.sqlite", progress=False)


def test_a_cache_that_cannot_be_used(clips, tmp_path):
    (tmp_path / "c.sqlite").write_text("not a database, but long enough to look like one\n" * 50)
    with pytest.raises(RunError, match="cannot be used .*; name another with --cache"):
        targets.teacher_pass(clips, alone(CountingTeacher()), YAMNET, tmp_path / "c.sqlite", progress=False)


def test_the_views_of_earlier_seeds_are_forgotten(clips, tmp_path, caplog):
    caplog.set_level("INFO")
    cache = tmp_path / "c.sqlite"
    corpus_of = clips[:-4]
    targets.teacher_pass(clips, alone(CountingTeacher()), YAMNET, cache, progress=False)
    targets.teacher_pass(corpus_of, alone(CountingTeacher()), YAMNET, cache, cache_limit=0, progress=False)
    assert "the cache forgot 4 recordings and views of earlier runs" in caplog.text
    teacher = CountingTeacher()
    targets.teacher_pass(clips, alone(teacher), YAMNET, cache, progress=False)
    assert teacher.asked == 4


class Judge:
    """Hears a dog in everything, for the whole of a clip."""

    name, fingerprint, labels, kind = "judge", "judge-1", ("cat", "dog"), "exclusive"

    def logits(self, waveforms):
        return [np.float32([[-1, 1]]) for _ in waveforms]


def test_several_teachers_share_a_cache_and_keep_their_roles(clips, tmp_path):
    teacher = CountingTeacher()
    asked = [(teacher, "windows", 2.0), (Judge(), "clips", 0.5)]
    for _ in range(2):
        windows = targets.teacher_pass(clips, asked, YAMNET, tmp_path / "c.sqlite", progress=False)
    assert teacher.asked == len(clips)
    of_windows, of_clips = windows.opinions
    assert (of_windows.role, of_windows.weight, of_windows.logits.shape) == (
        "windows",
        2.0,
        (len(windows), 521),
    )
    assert (of_clips.role, of_clips.weight, of_clips.labels) == ("clips", 0.5, ("cat", "dog"))
    assert of_clips.logits.tolist() == [[-1, 1]] * len(clips)


def test_a_teacher_of_windows_may_judge_clips(clips, tmp_path):
    asked = [(CountingTeacher(), "clips", 1.0)]
    windows = targets.teacher_pass(clips, asked, YAMNET, tmp_path / "c.sqlite", progress=False)
    teacher = CountingTeacher()
    for clip, row in zip(clips, windows.opinions[0].logits, strict=True):
        expected = in_half_precision(teacher.logits([YAMNET.pad(clip.read())])[0]).mean(axis=0)
        np.testing.assert_allclose(row, expected, rtol=1e-5)
    assert windows.opinions[0].logits.shape == (len(clips), 521)


def test_no_teacher_at_all(clips, tmp_path):
    windows = targets.teacher_pass(clips, [], YAMNET, tmp_path / "c.sqlite", progress=False)
    assert windows.opinions == []
    assert not (tmp_path / "c.sqlite").exists()


def test_spectrograms_are_those_of_the_labelled_clips(clips, tmp_path):
    windows = targets.teacher_pass(clips, [], YAMNET, tmp_path / "c.sqlite", progress=False)
    labelled = [clip for clip in clips if clip.split == "test" and clip.labels]
    for clip, own in zip(labelled, windows.spectrograms("test"), strict=True):
        np.testing.assert_array_equal(own, YAMNET.log_mel(YAMNET.pad(clip.read()))[: len(own)])
        assert YAMNET.patch_hop > len(YAMNET.log_mel(YAMNET.pad(clip.read()))) - len(own) >= 0

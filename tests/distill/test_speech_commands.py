"""Speech Commands as unpacked: its lists define the splits, and no speaker is in two splits."""

from collections import Counter

import numpy as np
import pytest
import soundfile

from yamnet_cry.distill import corpus, sources, speech_commands
from yamnet_cry.errors import CorpusError
from yamnet_cry.task import SILENCE, UNKNOWN, Task

TASK = Task(("yes", "no", UNKNOWN, SILENCE))
RATE = 16_000


@pytest.fixture
def folder(tmp_path):
    """Two of the recipe's words, three others and two recordings of noise, in version 0.02's layout."""
    generator = np.random.default_rng(0)
    lists = {"testing_list.txt": [], "validation_list.txt": []}
    for word in ("yes", "no", "bed", "cat", "tree"):
        (tmp_path / word).mkdir()
        for speaker in range(40):
            name = f"{word}/{speaker:08x}_nohash_0.wav"
            soundfile.write(tmp_path / name, 0.1 * generator.standard_normal(RATE), RATE)
            if speaker < 20:
                lists[list(lists)[speaker % 2]].append(name)
    for name, lines in lists.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    (tmp_path / "_background_noise_").mkdir()
    for number in range(2):
        noise = 0.1 * generator.standard_normal(5 * RATE)
        soundfile.write(tmp_path / "_background_noise_" / f"noise{number}.wav", noise, RATE)
    return tmp_path


def test_the_lists_decide_and_every_other_word_is_unknown(folder):
    clips = sources.load(str(folder), task=TASK)
    corpus.check(clips, TASK)
    counts = Counter((clip.labels[0], clip.split) for clip in clips)
    assert {counts[word, split] for word in ("yes", "no") for split in ("test", "val")} == {10}
    assert (counts["yes", "train"], counts["no", "train"]) == (20, 20)
    # In every split, as many one-second noise clips as clips of a word.
    assert [counts[SILENCE, split] for split in ("train", "val", "test")] == [20, 10, 10]
    unknown = [clip for clip in clips if clip.labels == (UNKNOWN,)]
    assert {clip.name.partition("/")[0] for clip in unknown} <= {"bed", "cat", "tree"}
    assert 1 <= len(unknown) < 30
    listed = (folder / "testing_list.txt").read_text().split()
    assert {clip.name for clip in clips if clip.split == "test"} - set(listed) == {
        f"silence/test-{number:04d}" for number in range(10)
    }


def test_silence_is_a_second_of_noise_another_each_time(folder):
    silent = [clip for clip in sources.load(str(folder), task=TASK) if clip.labels == (SILENCE,)]
    waves = [clip.read() for clip in silent]
    assert {len(wave) for wave in waves} == {RATE}
    assert len({wave.tobytes() for wave in waves}) == len(waves)
    assert silent[0].read().tobytes() == waves[0].tobytes()
    groups = {clip.group: clip.split for clip in silent}
    assert len(groups) == 6


def test_words_without_unknown_ones_and_silence(folder):
    clips = sources.load(str(folder), task=Task(("yes", "cat")))
    assert {clip.labels[0] for clip in clips} == {"yes", "cat"}


def test_what_is_missing_is_named(folder):
    with pytest.raises(CorpusError, match="a folder for each word of the task. It lacks: maybe"):
        sources.load(str(folder), task=Task(("yes", "maybe")))
    with pytest.raises(CorpusError, match="It lacks: all, because the task has no words"):
        sources.load(str(folder), task=Task())
    for path in (folder / "_background_noise_").iterdir():
        path.unlink()
    with pytest.raises(CorpusError, match="expected recordings of noise in .*_background_noise_"):
        speech_commands.clips(folder, TASK)

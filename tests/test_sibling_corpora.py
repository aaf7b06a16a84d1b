"""The examples that make corpora for the sibling recipes, on small trees of the same layout."""

import csv
import sys
import zlib
from collections import Counter

import acoustic_events
import dogs
import emotions
import key_words
import numpy as np
import pytest
import soundfile

from yamnet_cry.distill import corpus, sources
from yamnet_cry.distill.recipes import AED, KWS, SER
from yamnet_cry.task import NONE

RATE = 16_000


def write(path, seconds=1.0, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(zlib.crc32(path.name.encode()))
    soundfile.write(path, 0.1 * generator.standard_normal(round(seconds * rate)), rate)


def run(module, monkeypatch, capsys, *arguments):
    """Runs an example's command line; returns its output and exit status."""
    monkeypatch.setattr(sys, "argv", ["example", *map(str, arguments)])
    try:
        module.main()
    except SystemExit as stopped:
        return capsys.readouterr(), stopped.code
    return capsys.readouterr(), 0


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def tess(tmp_path):
    """Two speakers, seven emotions, ten words, with file names as in the original and its copies."""
    folder = tmp_path / "tess"
    for speaker in ("OAF", "YAF"):
        for emotion in ("angry", "disgust", "Fear", "happy", "neutral", "ps", "sad"):
            for number in range(10):
                write(
                    folder / f"{speaker}_{emotion}" / f"{speaker}_word{chr(97 + number)}_{emotion}.wav",
                    2.5,
                    24_000,
                )
    # A name that lacks a letter, one with numbers around it, and a copy of the latter.
    write(folder / "OAF_neutral" / "OA_bite_neutral.wav", 1.0)
    write(folder / "new" / "12testYAF_kite_sad18.wav", 1.0)
    write(folder / "copy" / "YAF_kite_sad.wav", 1.0)
    return folder


def test_emotions_of_tess(tess, tmp_path, monkeypatch, capsys):
    printed, status = run(emotions, monkeypatch, capsys, "tess", tess, tmp_path / "out")
    assert status == 0
    assert printed.out.splitlines() == [
        f"{tmp_path / 'out'}: 142 clips",
        "  speaker OAF: 71",
        "  speaker YAF: 71",
    ]
    at_random = rows(tmp_path / "out" / "manifest.csv")
    assert {row["label"] for row in at_random} == {
        "angry", "disgust", "fear", "happy", "neutral", "pleasant surprise", "sad",
    }  # fmt: skip
    assert Counter(row["split"] for row in at_random) == {"train": 98, "test": 30, "val": 14}
    for row in at_random:
        assert soundfile.info(tmp_path / "out" / row["file"]).duration <= 2.0
    unheard = rows(tmp_path / "out" / "speaker-OAF.csv")
    assert {row["speaker"] for row in unheard if row["split"] == "test"} == {"OAF"}
    assert {row["speaker"] for row in unheard if row["split"] != "test"} == {"YAF"}
    # The corpus is valid for recipe ser.
    clips = sources.load(str(tmp_path / "out"), task=SER.task)
    corpus.check(clips, corpus.completed(SER.task, clips))


def test_emotions_of_emodb(tmp_path, monkeypatch, capsys):
    for speaker in ("03", "08", "09", "10"):
        for letter in "WLEAFTN":
            for text in ("a01", "b02"):
                write(tmp_path / "wav" / f"{speaker}{text}{letter}a.wav", 3.0)
    _, status = run(emotions, monkeypatch, capsys, "emodb", tmp_path / "wav", tmp_path / "out")
    assert status == 0
    unheard = rows(tmp_path / "out" / "speaker-08.csv")
    speakers = {
        split: {row["speaker"] for row in unheard if row["split"] == split}
        for split in ("train", "val", "test")
    }
    assert speakers == {"test": {"08"}, "val": {"09"}, "train": {"03", "10"}}
    assert soundfile.info(tmp_path / "out" / "03a01Wa.flac").duration == 3.0


def test_what_emotions_cannot_use(tmp_path, monkeypatch, capsys):
    write(tmp_path / "wav" / "something.wav")
    _, status = run(emotions, monkeypatch, capsys, "tess", tmp_path / "wav", tmp_path / "out")
    assert "holds no clips of tess: none is named like one" in str(status)
    printed, status = run(emotions, monkeypatch, capsys, "tess", tmp_path / "none", tmp_path / "out")
    assert (status, "is no folder" in printed.err) == (2, True)
    printed, status = run(emotions, monkeypatch, capsys, "tess", tmp_path / "wav", tmp_path / "wav")
    assert (status, "exists; choose another folder" in printed.err) == (2, True)
    (tmp_path / "wav" / "OAF_bad_sad.wav").write_bytes(b"no audio")
    _, status = run(emotions, monkeypatch, capsys, "tess", tmp_path / "wav", tmp_path / "out")
    assert "OAF_bad_sad.wav" in str(status)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def test_set(tmp_path):
    """The official test set: thirty speakers, each of whom says every word."""
    for label in KWS.task.labels:
        name = f"_{label}_" if label in ("unknown", "silence") else label
        for speaker in range(30):
            file = {"silence": f"{speaker}", "unknown": f"six_{speaker:08x}_nohash_0.wav"}.get(
                label, f"{speaker:08x}_nohash_0"
            )
            write(tmp_path / "test" / name / f"{file}.wav")
    return tmp_path / "test"


def test_key_words_in_folds(test_set, tmp_path, monkeypatch, capsys):
    for word in ("up", "bed"):
        # The first two are speakers of the test set.
        for speaker in (1, 2, *range(100, 140)):
            write(tmp_path / "words" / word / f"{speaker:08x}_nohash_1.wav")
    printed, status = run(
        key_words, monkeypatch, capsys, tmp_path / "out", "--test", test_set, "--words", tmp_path / "words"
    )
    assert status == 0
    assert printed.out.startswith(f"{tmp_path / 'out'}: 360 clips of 30 speakers, and ")
    tested = Counter()
    for fold in range(5):
        found = rows(tmp_path / "out" / f"fold-{fold}.csv")
        tested.update(row["file"] for row in found if row["split"] == "test")
        of_split = {
            split: {row["speaker"] for row in found if row["split"] == split}
            for split in ("train", "val", "test")
        }
        assert not of_split["test"] & (of_split["train"] | of_split["val"])
        further = [row for row in found if row["source"] == "further words"]
        assert {row["split"] for row in further} == {"train"}
        assert {row["label"] for row in further} == {"up", "unknown"}
        assert not {"00000001", "00000002"} & {row["speaker"] for row in further}
    assert len(tested) == 360
    assert set(tested.values()) == {1}


def test_a_test_set_that_is_none(test_set, tmp_path, monkeypatch, capsys):
    for path in (test_set / "yes").iterdir():
        path.unlink()
    _, status = run(key_words, monkeypatch, capsys, tmp_path / "out", "--test", test_set)
    assert "is not the official test set: it has no clips of yes" in str(status)
    printed, status = run(key_words, monkeypatch, capsys, test_set, "--test", test_set)
    assert (status, "exists; choose another folder" in printed.err) == (2, True)


@pytest.fixture
def sounds(tmp_path):
    """A corpus of crying, dogs, gunshots and others, from eight sources each."""
    lines = ["file,target,split,group,source,label,category,licence"]
    kinds = (
        ("cry", "donated", ""),
        ("not_cry", "dog", ""),
        ("not_cry", "barking", "dogs"),
        ("not_cry", "rifle_fire_2", ""),
        ("not_cry", "laser_gun_shot", ""),
        ("unknown", "party", ""),
    )
    for number in range(48):
        target, label, category = kinds[number % 6]
        write(tmp_path / "sounds" / f"{number}.wav", 12.0 if number == 0 else 0.5)
        lines.append(f"{number}.wav,{target},train,group {number},here,{label},{category},CC0")
    (tmp_path / "sounds" / "manifest.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "sounds"


def test_acoustic_events_in_folds(sounds, tmp_path, monkeypatch, capsys):
    for kind in ("rifles", "handguns", "laserguns"):
        write(tmp_path / "guns" / "fire_gun" / kind / f"{kind}_1.ogg", 0.5)
    guns = tmp_path / "guns"
    arguments = (tmp_path / "out", "--corpus", sounds, "--guns", guns, "--none-in", 1)
    printed, status = run(acoustic_events, monkeypatch, capsys, *arguments)
    assert status == 0
    assert printed.out.splitlines() == [
        "Dog: 16 clips of 16 groups",
        "Baby cry, infant cry: 8 clips of 8 groups",
        "Gunshot, gunfire: 10 clips of 10 groups",
        "none: 8 clips of 8 groups",
    ]
    tested = Counter()
    for fold in range(5):
        path = tmp_path / "out" / f"fold-{fold}.csv"
        tested.update(row["file"] for row in rows(path) if row["split"] == "test")
        clips = sources.load(str(path), task=AED.task)
        corpus.check(clips, AED.task)
        assert any(clip.labels == (NONE,) for clip in clips)
    assert (len(tested), set(tested.values())) == (42, {1})
    assert soundfile.info(tmp_path / "out" / "00000.flac").duration == 10.0


def test_too_few_gunshots(sounds, tmp_path, monkeypatch, capsys):
    manifest = (sounds / "manifest.csv").read_text()
    (sounds / "manifest.csv").write_text(manifest.replace("rifle_fire_2", "rain"))
    _, status = run(acoustic_events, monkeypatch, capsys, tmp_path / "out", "--corpus", sounds)
    assert status == ("there are not enough sources of Gunshot, gunfire for 5 folds; name further corpora")
    printed, status = run(acoustic_events, monkeypatch, capsys, tmp_path / "out", "--corpus", tmp_path)
    assert (status, "has no manifest.csv" in printed.err) == (2, True)


class Hears:
    """A teacher that labels loud clips as barks, and nothing as a whine."""

    name, fingerprint, kind, labels = "a teacher", "1", "exclusive", ("bark", "whine", "other")

    def logits(self, waveforms):
        return [np.float32([[5, 0, 0] if np.abs(wave).max() > 0.6 else [0, 0, 5]]) for wave in waveforms]


def test_dogs_are_labelled_by_their_teacher(tmp_path, monkeypatch, capsys):
    for name in ("bark", "whine", "cars"):
        for number in range(3):
            path = tmp_path / "clips" / name / f"{name}_{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = np.zeros(RATE)
            wave[100 + 10 * number] = 0.9 if name == "bark" and number else 0.3
            wave[("bark", "whine", "cars").index(name)] = 0.1
            soundfile.write(path, wave, RATE)
    (tmp_path / "clips" / "bark" / "broken.wav").write_bytes(b"no audio")
    (tmp_path / "clips" / "bark" / "again.wav").write_bytes((tmp_path / "clips/bark/bark_1.wav").read_bytes())
    monkeypatch.setattr(dogs, "teacher_of", lambda source: Hears())
    arguments = (tmp_path / "out", "--clips", tmp_path / "clips", "--teacher", "any")
    printed, status = run(dogs, monkeypatch, capsys, *arguments)
    assert status == 0
    assert printed.out.splitlines() == [
        f"{tmp_path / 'out'}: 9 clips; a teacher agrees with their names on 55.6%",
        "  bark: 2 bark, 0 whine, 1 other",
        "  whine: 0 bark, 0 whine, 3 other",
        "  other: 0 bark, 0 whine, 3 other",
    ]
    assert "left out: " in printed.err
    assert "broken.wav" in printed.err
    assert "bark_1.wav is " in printed.err
    answered, named = rows(tmp_path / "out" / "manifest.csv"), rows(tmp_path / "out" / "names.csv")
    assert [row["file"] for row in answered] == [row["file"] for row in named]
    assert Counter(row["label"] for row in named) == {"bark": 3, "whine": 3, "other": 3}


class Louder:
    """A stand-in for the network that separates voices: doubles the samples."""

    def voices(self, segment):
        return 2 * segment


def test_dogs_are_cleaned_before_they_are_labelled(tmp_path, monkeypatch, capsys):
    for number in range(140):
        path = tmp_path / "clips" / ("bark", "whine")[number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(RATE // 4) / RATE
        soundfile.write(path, 0.4 * np.sin(2 * np.pi * (500 + number) * time), RATE)
    (tmp_path / "network.onnx").touch()
    monkeypatch.setattr(dogs, "teacher_of", lambda source: Hears())
    monkeypatch.setattr(dogs, "Separator", lambda path: Louder())
    arguments = (tmp_path / "out", "--clips", tmp_path / "clips", "--teacher", "any")
    _, status = run(dogs, monkeypatch, capsys, *arguments, "--cleaner", tmp_path / "network.onnx")
    assert status == 0
    plain, cleaned = rows(tmp_path / "out" / "manifest.csv"), rows(tmp_path / "out" / "cleaned.csv")
    assert {row["label"] for row in plain} == {"other"}
    for before, after in zip(plain, cleaned, strict=True):
        if before["split"] == "test":
            assert after == before
        else:
            assert after == {**before, "file": f"clean-{before['file']}", "label": "bark"}
            assert np.abs(soundfile.read(tmp_path / "out" / after["file"])[0]).max() > 0.6
    assert {row["split"] for row in plain} == {"train", "val", "test"}
    printed, status = run(
        dogs, monkeypatch, capsys, tmp_path / "o", *arguments[1:], "--cleaner", tmp_path / "none"
    )
    assert (status, "none does not exist" in printed.err) == (2, True)


def test_what_dogs_cannot_use(tmp_path, monkeypatch, capsys):
    printed, status = run(dogs, monkeypatch, capsys, "--print-prompts")
    assert (status, printed.out) == (0, '["Bark;Bow-wow;Yip", "Whimper (dog);Howl", ""]\n')
    printed, status = run(dogs, monkeypatch, capsys, tmp_path / "out")
    assert (status, "name OUT, --clips and --teacher" in printed.err) == (2, True)
    _, status = run(dogs, monkeypatch, capsys, tmp_path / "o", "--clips", tmp_path, "--teacher", "none")
    assert "holds no folders with audio files" in str(status)
    write(tmp_path / "clips" / "bark" / "bark_1.wav")
    _, status = run(
        dogs,
        monkeypatch,
        capsys,
        tmp_path / "o",
        "--clips",
        tmp_path / "clips",
        "--teacher",
        tmp_path / "none",
    )
    assert str(status).startswith("expected a teacher: tfhub, yamnet_folded.npz")

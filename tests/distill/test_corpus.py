import io

import numpy as np
import pytest
import soundfile

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill import corpus, sources
from yamnet_cry.errors import CorpusError
from yamnet_cry.task import Task

HEADER = "file,target,split,group\n"


def write(path, seconds=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(int(16_000 * seconds)), 16_000)


def manifest(folder, text, files=("a.wav", "b.wav")):
    for name in files:
        write(folder / name)
    (folder / "manifest.csv").write_text(text)
    return str(folder)


def test_a_manifest(tmp_path):
    text = "file,target,split,group,source,licence\na.wav,cry,train,g1,phone,CC0\nb.wav,keyword,val,g2,,\n"
    first, second = sources.load(manifest(tmp_path, text))
    assert (first.name, first.labels, first.split, first.group, first.source) == (
        "a.wav",
        ("cry",),
        "train",
        "g1",
        "phone",
    )
    assert first.extra == {"licence": "CC0", "target": "cry"}
    assert second.labels == ()
    assert second.source == tmp_path.name
    assert len(first.read()) == 1_600


def test_a_manifest_with_a_byte_order_mark(tmp_path):
    assert len(sources.load(manifest(tmp_path, "\ufeff" + HEADER + "a.wav,cry,train,g\n"))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the column file, target, split, group. Received: nothing"),
        ("file,target,group\na.wav,cry,g\n", "lacks the column split. Received: file, target, group"),
        (HEADER, "lists no clips"),
        (HEADER + "a.wav,cry,dev,g\n", "line 2: expected a split of train, val, test. Received: 'dev'"),
        (HEADER + "a.wav,cry,train,\n", "line 2: group is empty"),
        (HEADER + "a.wav,cry\n", "line 2: split is empty"),
        (HEADER + "c.wav,cry,train,g\n", "line 2: c.wav does not exist"),
        (HEADER + "../a.wav,cry,train,g\n", r"line 2: \.\./a.wav is outside the folder"),
        (HEADER + "a\0.wav,cry,train,g\n", r"line 2: 'a\\x00.wav' is not a file name"),
        (HEADER + "/etc/hostname,cry,train,g\n", "is outside the folder"),
        (HEADER + "a.wav,cry,train,g\na.wav,cry,train,g\n", "lists a.wav more than once"),
        (
            HEADER + "a.wav,cry,train,g\nb.wav,not_cry,test,g\n",
            "group 'g' crosses splits: a.wav is in train, b.wav in test",
        ),
    ],
)
def test_bad_manifests_are_explained(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message):
        sources.load(manifest(tmp_path, text))


def test_several_corpora_are_one(tmp_path):
    first = manifest(tmp_path / "one", HEADER + "a.wav,cry,train,g\n", ["a.wav"])
    second = manifest(tmp_path / "two", HEADER + "b.wav,not_cry,val,h\n", ["b.wav"])
    assert [(clip.name, clip.source) for clip in sources.load(first, second)] == [
        ("a.wav", "one"),
        ("b.wav", "two"),
    ]
    with pytest.raises(CorpusError, match=r"lists a\.wav more than once"):
        sources.load(first, first)
    third = manifest(tmp_path / "three", HEADER + "c.wav,cry,test,g\n", ["c.wav"])
    with pytest.raises(CorpusError, match="group 'g' crosses splits"):
        sources.load(first, third)


def test_a_manifest_that_is_no_text(tmp_path):
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CorpusError, match="cannot be read as CSV in UTF-8"):
        sources.load(str(tmp_path))


def test_a_folder_for_each_class(tmp_path):
    for number in range(20):
        write(tmp_path / "cry" / f"{number}.wav")
        write(tmp_path / "not_cry" / f"{number}.flac")
    write(tmp_path / "street" / "house" / "1.wav")
    (tmp_path / "cry" / "notes.txt").write_text("not audio")
    clips = sources.load(str(tmp_path))
    assert len(clips) == 41
    for split in corpus.SPLITS:
        assert {clip.labels for clip in clips if clip.split == split} >= {("cry",), ("not_cry",)}
    assert [clip.labels for clip in clips if clip.name.startswith("street")] == [()]
    assert sum(clip.split == "train" for clip in clips) > 25
    assert [(c.name, c.split) for c in clips] == [(c.name, c.split) for c in sources.load(str(tmp_path))]


def test_a_folder_within_a_class_is_a_group_even_across_classes(tmp_path):
    for house in range(12):
        for number in range(3):
            write(tmp_path / "cry" / f"house{house}" / f"{number}.wav")
            write(tmp_path / "not_cry" / f"house{house}" / f"{number}.wav")
    splits: dict[str, set[str]] = {}
    for clip in sources.load(str(tmp_path)):
        splits.setdefault(clip.group, set()).add(clip.split)
    assert len(splits) == 12
    assert all(len(of_group) == 1 for of_group in splits.values())
    assert set().union(*splits.values()) == set(corpus.SPLITS)


def test_neither_manifest_nor_classes(tmp_path):
    with pytest.raises(CorpusError, match="has neither manifest.csv nor folders cry/ and not_cry/"):
        sources.load(str(tmp_path))
    with pytest.raises(CorpusError, match=r"a corpus is a folder.*Received: .*nowhere"):
        sources.load(str(tmp_path / "nowhere"))


def test_a_split_without_cries():
    with pytest.raises(CorpusError, match="split 'val' needs clips of both cry and not_cry. Received: none"):
        corpus.labelled([], "val")


SOUNDS = Task()


def pets(folder, **groups: int):
    """A folder for each class, with so many recordings, each of which is a group."""
    for label, count in groups.items():
        for number in range(count):
            write(folder / label / f"{number}.wav")
    clips = sources.load(str(folder), task=SOUNDS)
    return clips, corpus.completed(SOUNDS, clips)


def test_the_labels_of_a_task_are_those_of_the_corpus(tmp_path, caplog):
    caplog.set_level("INFO")
    clips, task = pets(tmp_path, dog=14, cat=14, unlabelled=2)
    assert task.labels == ("cat", "dog")
    corpus.check(clips, task)
    assert not caplog.records
    assert corpus.counts(clips, task.labels) == [
        ("cat", {"train": 10, "val": 2, "test": 2}, 14),
        ("dog", {"train": 10, "val": 2, "test": 2}, 14),
        ("unlabelled", {"train": 0, "val": 1, "test": 1}, 2),
    ]


def test_a_manifest_of_labels(tmp_path):
    text = "file,label,split,group\na.wav,dog; cat,train,g1\nb.wav,,val,g2\n"
    first, second = sources.load(manifest(tmp_path, text), task=Task(("cat", "dog"), "independent"))
    assert (first.labels, second.labels) == (("dog", "cat"), ())
    with pytest.raises(CorpusError, match="lacks the column target. Received: file, label, split, group"):
        sources.load(str(tmp_path))


def test_one_class_is_not_enough(tmp_path):
    with pytest.raises(CorpusError, match=r"at least two labels. Received: dog. A"):
        pets(tmp_path, dog=9)


@pytest.mark.parametrize(("count", "missing"), [(1, "train and val"), (2, "train")])
def test_a_class_of_too_few_groups(tmp_path, count, missing):
    clips, task = pets(tmp_path, dog=9, cat=count)
    with pytest.raises(
        CorpusError,
        match=f"label 'cat' has {count} clips from {count} groups, and none in {missing}: every label needs",
    ):
        corpus.check(clips, task)


def test_a_class_of_few_groups_is_warned_of(tmp_path, caplog):
    clips, task = pets(tmp_path, dog=14, cat=4)
    corpus.check(clips, task)
    assert [record.getMessage() for record in caplog.records] == [
        "Warning: 'cat' has only 2 training groups; record it in more places and from more sources"
    ]


def test_sounds_of_other_names_have_another_recipe(tmp_path):
    pets(tmp_path, dog=9, cat=9)
    with pytest.raises(CorpusError, match="clips of cry and not_cry. Received: none; .* --recipe sounds"):
        corpus.check(sources.load(str(tmp_path)), CRY_TASK)


def test_labels_that_a_task_does_not_know(tmp_path):
    clips, _ = pets(tmp_path, dog=9, cat=9)
    with pytest.raises(CorpusError, match=r"labelled 'cat', which is not a label of the task. Expected: dog"):
        corpus.check(clips, Task(("dog", "horse")))


def test_two_labels_where_one_is_allowed(tmp_path):
    text = "file,label,split,group\na.wav,dog;cat,train,g1\nb.wav,dog,val,g2\n"
    clips = sources.load(manifest(tmp_path, text), task=SOUNDS)
    task = corpus.completed(SOUNDS, clips)
    with pytest.raises(CorpusError, match=r"a.wav has 2 labels \(dog, cat\).*--set task.kind=independent"):
        corpus.check(clips, task)


def test_a_folder_without_any_audio(tmp_path):
    with pytest.raises(CorpusError, match=r"manifest.csv nor a folder for each class, with audio files"):
        sources.load(str(tmp_path), task=SOUNDS)


def flac(seconds: float, rate: int) -> bytes:
    buffer = io.BytesIO()
    wave = np.random.default_rng(0).uniform(-0.1, 0.1, int(seconds * rate))
    soundfile.write(buffer, wave, rate, format="FLAC")
    return buffer.getvalue()


@pytest.fixture
def audioset(tmp_path):
    """Parquet files in the schema of agkphysics/AudioSet."""
    import pyarrow.parquet
    from datasets import Audio, Features, List, Value

    features = Features(
        {
            "video_id": Value("string"),
            "audio": Audio(decode=False),
            "labels": List(Value("string")),
            "human_labels": List(Value("string")),
        }
    )
    labels = (["/t/dd00002", "/m/09x0r"], ["/m/0463cq4"], ["/m/04rlf"], ["/m/0bt9lr", "/m/09x0r"])
    folder = tmp_path / "audioset"
    (folder / "data").mkdir(parents=True)
    for split, count in (("train", 32), ("test", 8)):
        rows = [
            {
                "video_id": f"{split}{number:02d}",
                "audio": {"bytes": flac(1.0, 48_000), "path": f"{split}{number:02d}.flac"},
                "labels": labels[number % 4],
                "human_labels": ["?"],
            }
            for number in range(count)
        ]
        table = pyarrow.Table.from_pylist(rows, schema=features.arrow_schema)
        pyarrow.parquet.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def test_a_dataset_in_audiosets_layout(audioset, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    clips = sources.load(f"hf://{audioset}")
    assert len(clips) == 40
    assert sum("cry" in clip.labels for clip in clips) == 20
    for split in corpus.SPLITS:
        assert corpus.labelled(clips, split)
    assert {clip.split for clip in clips if clip.group.startswith("test")} == {"test"}
    assert len(clips[0].read()) == 16_000
    assert np.abs(clips[0].read()).max() > 0.01


def test_a_dataset_for_a_task_of_some_of_its_classes(audioset, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    every = sources.load(f"hf://{audioset}", task=Task(kind="independent"))
    assert "Baby cry, infant cry" in {label for clip in every for label in clip.labels}
    some = sources.load(f"hf://{audioset}", task=Task(("Baby cry, infant cry", "Meow")))
    assert {clip.labels for clip in some} == {("Baby cry, infant cry",), ()}


def test_a_dataset_in_another_layout(tmp_path):
    from datasets import Dataset

    (tmp_path / "data").mkdir()
    Dataset.from_dict({"text": ["a"]}).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(CorpusError, match="lacks video_id, audio, labels. Received: text"):
        sources.load(f"hf://{tmp_path}")


@pytest.mark.parametrize(
    ("location", "parsed"),
    [
        ("agkphysics/AudioSet", ("agkphysics/AudioSet", None, None)),
        ("agkphysics/AudioSet/balanced", ("agkphysics/AudioSet", None, "balanced")),
        ("agkphysics/AudioSet@v1/balanced", ("agkphysics/AudioSet", "v1", "balanced")),
        ("agkphysics/AudioSet@v1", ("agkphysics/AudioSet", "v1", None)),
    ],
)
def test_addresses_of_datasets(location, parsed):
    assert sources.parse_hub_location(location) == parsed


@pytest.mark.slow
def test_a_dataset_that_cannot_be_reached(monkeypatch):
    # What HF_HUB_OFFLINE=1 sets when both packages are imported.
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CorpusError, match="hf://nobody/nothing could not be loaded"):
        sources.load("hf://nobody/nothing")


def test_a_manifest_of_another_name_has_splits_of_its_own(tmp_path):
    text = "file,label,split,group\na.wav,dog,train,g1\nb.wav,cat,val,g2\n"
    manifest(tmp_path, text)
    (tmp_path / "speaker-1.csv").write_text(text.replace("train", "test"))
    first, _ = sources.load(str(tmp_path / "speaker-1.csv"), task=Task(("cat", "dog")))
    assert (first.split, first.source) == ("test", tmp_path.name)
    with pytest.raises(CorpusError, match=r"a manifest of another name.*Received: .*speaker-2.csv"):
        sources.load(str(tmp_path / "speaker-2.csv"), task=Task(("cat", "dog")))


def test_who_names_splits_may_leave_a_label_out_of_one(tmp_path, caplog):
    """As of one speaker after the other, of whom some lack an emotion."""
    rows = [(f"{number}", "dog", split) for number, split in enumerate(("train",) * 6 + ("val", "test"))]
    rows += [(f"{number + 8}", "cat", "train") for number in range(6)]
    for name, _, _ in rows:
        write(tmp_path / f"{name}.wav")
    lines = "".join(f"{name}.wav,{label},{split},{name}\n" for name, label, split in rows)
    (tmp_path / "manifest.csv").write_text("file,label,split,group\n" + lines)
    clips = sources.load(str(tmp_path), task=SOUNDS)
    corpus.check(clips, Task(("cat", "dog")))
    assert [record.getMessage() for record in caplog.records] == ["Warning: no clip of 'cat' in val and test"]


def test_a_split_that_is_forgotten_is_told_before_the_work(tmp_path):
    rows = [
        (f"{number}", ("dog", "cat")[number % 2], "val" if number < 2 else "train") for number in range(12)
    ]
    for name, _, _ in rows:
        write(tmp_path / f"{name}.wav")
    lines = "".join(f"{name}.wav,{label},{split},{name}\n" for name, label, split in rows)
    (tmp_path / "manifest.csv").write_text("file,label,split,group\n" + lines)
    clips = sources.load(str(tmp_path), task=SOUNDS)
    with pytest.raises(CorpusError, match="split 'test' needs clips of both cat and dog. Received: none"):
        corpus.check(clips, Task(("cat", "dog")))

"""A corpus at a URL is read like one in a folder."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from yamnet_cry.audioset import class_ids
from yamnet_cry.distill import sources
from yamnet_cry.errors import AudioError, CorpusError, LocationError
from yamnet_cry.locations import Location
from yamnet_cry.task import Task


def listing(clips):
    return [(clip.name, clip.labels, clip.split, clip.group, clip.source, clip.extra) for clip in clips]


def uploaded(folder, url):
    for file in folder.rglob("*"):
        if file.is_file():
            Location.of(url).child(file.relative_to(folder).as_posix()).write(file.read_bytes())
    return url


def test_a_manifest(synthetic_corpus):
    url = uploaded(synthetic_corpus, f"memory://{synthetic_corpus.name}")
    there, here = sources.load(url), sources.load(str(synthetic_corpus))
    assert listing(there) == listing(here)
    for clip, own in zip(there[:3], here, strict=False):
        np.testing.assert_array_equal(clip.read(), own.read())
    assert listing(sources.load(f"{url}/manifest.csv")) == listing(here)
    assert len({clip.origin for clip in there}) == len(there)


def test_a_folder_for_each_class(tmp_path):
    for name in ("cry/a.wav", "cry/house/b.wav", "not_cry/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(16_000), 16_000)
    assert listing(sources.load(tmp_path.as_uri())) == listing(sources.load(str(tmp_path)))


@pytest.fixture
def parquet(tmp_path):
    """AudioSet's layout: three clips for training in two row groups, and one to test."""
    soundfile.write(tmp_path / "a.wav", np.full(16_000, 0.25), 16_000)
    cry, speech = class_ids()[20], class_ids()[0]
    content = (tmp_path / "a.wav").read_bytes()
    rows = [
        {"video_id": str(number), "audio": {"bytes": content, "path": "a.wav"}, "labels": [label]}
        for number, label in enumerate([cry, speech, cry])
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "train-00000.parquet", row_group_size=2)
    pq.write_table(pa.Table.from_pylist([{**rows[1], "video_id": "9"}]), folder / "test-00000.parquet")
    return folder


def test_a_dataset_in_audiosets_layout(parquet):
    clips = sources.load(parquet.as_uri())
    assert [(clip.name, clip.labels) for clip in clips if clip.name != "train/2"] == [
        ("test/9", ("not_cry",)),
        ("train/0", ("cry",)),
        ("train/1", ("not_cry",)),
    ]
    assert [len(clip.read()) for clip in clips] == [16_000] * 4
    assert len({clip.origin for clip in clips}) == 4


def test_a_dataset_in_another_layout(parquet):
    pq.write_table(pa.table({"sound": [1]}), parquet / "train-00001.parquet")
    with pytest.raises(CorpusError, match="is not in AudioSet's layout: it lacks video_id"):
        sources.load(parquet.as_uri())
    (parquet / "train-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match="train-00001.parquet cannot be read"):
        sources.load(parquet.as_uri())


def test_a_split_of_another_name(parquet):
    shutil.move(parquet / "test-00000.parquet", parquet / "eval-00000.parquet")
    with pytest.raises(
        CorpusError, match="expected a split of train, validation, val, test. Received: 'eval'"
    ):
        sources.load(parquet.as_uri())


def test_what_is_not_there(tmp_path):
    with pytest.raises(CorpusError, match="memory://nothing-here contains no files"):
        sources.load("memory://nothing-here")
    with pytest.raises(LocationError, match="xyz://bucket cannot be listed"):
        sources.load("xyz://bucket")
    place = Location.of("memory://one-missing")
    place.child("manifest.csv").write(b"file,target,split,group\na.wav,cry,train,a\n")
    with pytest.raises(CorpusError, match="memory://one-missing/manifest.csv line 2: a.wav does not exist"):
        sources.load(place.name)


def test_a_clip_that_vanishes(tmp_path):
    (tmp_path / "bark").mkdir()
    (tmp_path / "meow").mkdir()
    for name in ("bark/a.wav", "meow/b.wav"):
        soundfile.write(tmp_path / name, np.zeros(16_000), 16_000)
    clip, _ = sources.load(tmp_path.as_uri(), task=Task())
    (tmp_path / "bark" / "a.wav").unlink()
    with pytest.raises(AudioError, match="a.wav cannot be read: No such file"):
        clip.read()

"""Partitions: written whole or not at all, identified by their footers, and refused when damaged."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.cluster.partitions import Entry, Partitions, Rows, read
from yamnet_cry.distill.cache import in_half_precision
from yamnet_cry.distill.labelling import as_matrix, as_rows
from yamnet_cry.errors import LocationError, PartitionError
from yamnet_cry.locations import Location

pytestmark = pytest.mark.slow


@pytest.fixture
def partitions(tmp_path) -> Partitions:
    return Partitions(Location.of(tmp_path / "results"), "teacher 1")


def filled(partitions: Partitions) -> Partitions:
    entries = [Entry("a.wav", "A", "content a", 2), Entry("b.wav", "B", "content b", 1)]
    partitions.write(entries, pa.table({"clip": ["a.wav", "a.wav", "b.wav"], "window": [0, 1, 0]}))
    partitions.write_errors([(Entry("c.wav", "C"), "c.wav is empty (0 bytes)")])
    return partitions


def test_nothing_is_done_at_first(partitions):
    assert partitions.results() == []
    assert partitions.done() == set()
    assert partitions.reasons() == {}


def test_footers_say_what_is_done(partitions):
    (found,) = filled(partitions).results()
    assert found.entries == (Entry("a.wav", "A", "content a", 2), Entry("b.wav", "B", "content b", 1))
    assert partitions.done() == {"A", "B", "C"}
    assert partitions.reasons() == {"C": "c.wav is empty (0 bytes)"}
    assert read(found.place)["maker"].to_pylist() == ["teacher 1"] * 3


def test_other_programs_can_read_them(partitions, tmp_path):
    filled(partitions)
    (errors,) = (tmp_path / "results" / "errors").iterdir()
    assert pq.read_table(errors).to_pylist() == [
        {"name": "c.wav", "reason": "c.wav is empty (0 bytes)", "maker": "teacher 1"}
    ]


def test_the_same_work_twice_is_the_same_file(partitions, tmp_path):
    filled(partitions)
    before = {file: file.read_bytes() for file in (tmp_path / "results").rglob("*.parquet")}
    filled(partitions)
    assert {file: file.read_bytes() for file in (tmp_path / "results").rglob("*.parquet")} == before


def test_rows_of_one_recording(partitions):
    rows = Rows(filled(partitions).results(), "window")
    assert rows.of("A").to_pylist() == [0, 1]
    assert rows.of("B").to_pylist() == [0]
    assert rows.of("D") is None


def test_another_maker_is_another_matter(partitions):
    filled(partitions)
    other = Partitions(partitions.folder, "teacher 2")
    assert other.done() == set()
    assert len(other.others()) == 2
    assert partitions.others() == []


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut(partitions, tmp_path, share):
    filled(partitions)
    (file,) = (tmp_path / "results").glob("*.parquet")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        PartitionError,
        match=f"{file} is damaged .*; delete it and repeat the command to rebuild it. All others are kept",
    ):
        partitions.done()
    file.unlink()
    assert partitions.done() == {"C"}


def test_a_file_damaged_in_the_middle(partitions, tmp_path):
    entries = [Entry("a.wav", "A", rows=1000)]
    values = np.random.default_rng(0).standard_normal(1000)
    partitions.write(entries, pa.table({"value": values}))
    (file,) = (tmp_path / "results").glob("*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(PartitionError, match=f"{file} is damaged"):
        Rows(partitions.results(), "value").of("A")


def test_files_of_others(partitions, tmp_path):
    (tmp_path / "results").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "results" / "mine.parquet")
    with pytest.raises(PartitionError, match="mine.parquet was not written by yamnet-cry"):
        partitions.done()


def test_what_a_killed_process_leaves_is_no_partition(partitions, tmp_path):
    filled(partitions)
    left = tmp_path / "results" / ".yamnet-cry-x1"
    left.mkdir()
    (left / "part-1.parquet").write_bytes(b"PAR1")
    assert partitions.done() == {"A", "B", "C"}


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LocationError, match="cannot be written"):
        filled(Partitions(Location.of(tmp_path / "file" / "results"), "teacher 1"))


def test_in_a_bucket():
    partitions = filled(Partitions(Location.of("memory://bucket/results"), "teacher 1"))
    assert partitions.done() == {"A", "B", "C"}
    assert Rows(partitions.results(), "window").of("A").to_pylist() == [0, 1]


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=6, max_size=6))
def test_logits_come_back_as_they_were_rounded(values):
    logits = np.float32(values).reshape(2, 3)
    np.testing.assert_array_equal(as_matrix(as_rows(logits), 3), in_half_precision(logits))

"""Tables in files behave like arrays, and report damaged files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.distill.rows import Rows, blocks
from yamnet_cry.errors import RunError


@pytest.fixture(scope="module")
def table():
    return np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def rows(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "table.f32"
    table.tofile(path)
    return Rows(path, 3)


def test_it_has_the_shape_of_its_table(rows, table):
    assert (rows.shape, len(rows)) == (table.shape, 50)


@given(
    st.one_of(
        st.slices(50),
        st.lists(st.integers(0, 49), max_size=9).map(lambda each: np.array(each, np.int64)),
        st.lists(st.integers(0, 48), min_size=1, max_size=5).map(
            lambda each: np.array(each)[:, None] + [0, 1]
        ),
        st.integers(-50, 49),
    )
)
def test_any_index_gives_what_numpy_gives(rows, table, index):
    found = rows[index]
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, table[index])


def test_what_is_read_is_not_bound_to_the_file(table, tmp_path):
    table.tofile(tmp_path / "t")
    found = Rows(tmp_path / "t", 3)[:2]
    found[:] = 0.0
    (tmp_path / "t").unlink()
    assert found.tolist() == [[0.0] * 3] * 2


def test_a_file_that_is_no_table_is_named(table, tmp_path):
    with pytest.raises(
        RunError, match=r"t cannot be read \(No such file or directory\); delete .* and run again"
    ):
        Rows(tmp_path / "t", 3)
    for content in (b"", b"five!"):
        (tmp_path / "t").write_bytes(content)
        with pytest.raises(
            RunError, match=rf"t cannot be read \({len(content)} bytes, not whole rows of 12\)"
        ):
            Rows(tmp_path / "t", 3)


def test_a_file_that_changes_meanwhile_is_named(table, tmp_path):
    table.tofile(tmp_path / "t")
    rows = Rows(tmp_path / "t", 3)
    table[:20].tofile(tmp_path / "t")
    with pytest.raises(RunError, match=r"t cannot be read \(it was truncated\); delete"):
        rows[:2]
    (tmp_path / "t").unlink()
    with pytest.raises(RunError, match=r"t cannot be read \(No such file or directory\)"):
        rows[:2]


@given(st.integers(0, 10_000))
def test_blocks_are_all_rows_in_their_order(count):
    assert [number for block in blocks(count) for number in range(count)[block]] == list(range(count))

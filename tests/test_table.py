"""A table grows only by whole recordings, and is written by one program at a time."""

import subprocess
import sys

import numpy as np
import pytest
from disk import full_after
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry import Detection
from yamnet_cry.calibration import Calibration
from yamnet_cry.errors import RunError
from yamnet_cry.report.table import Table
from yamnet_cry.report.text import CSV_COLUMNS, csv_rows

HEADER = ",".join(CSV_COLUMNS) + "\n"
UNCHANGED = Calibration(slope=1.0, intercept=0.0)
QUIET = Detection(np.zeros(3, np.float32), 0.5, UNCHANGED)
# Two events, so that a recording has two rows, between which a table can be cut.
CRYING = Detection(np.array([1, 1, 1, 1, *[0] * 20, 1, 1, 1, 1], np.float32), 0.5, UNCHANGED)


def test_a_full_disk_leaves_no_part_of_a_recording(tmp_path):
    path = tmp_path / "t.csv"
    with Table(path) as table:
        table.add("a.wav", CRYING)
        before = path.read_bytes()
        # Only the first of two rows fits.
        first = csv_rows("b.wav", CRYING).index("\n") + 1
        with full_after(len(before) + first + 5), pytest.raises(RunError) as caught:
            table.add("b.wav", CRYING)
        assert str(caught.value) == f"{path} cannot be written (File too large)"
        assert path.read_bytes() == before
        assert table.done == {"a.wav"}
    with Table(path, resume=True) as table:
        assert table.done == {"a.wav"}
        table.add("b.wav", CRYING)
    assert path.read_text() == HEADER + csv_rows("a.wav", CRYING) + csv_rows("b.wav", CRYING)


def test_a_second_program_says_that_the_table_is_in_use(tmp_path):
    path = tmp_path / "t.csv"
    code = (
        "import sys, time; from pathlib import Path; from yamnet_cry.report.table import Table\n"
        "with Table(Path(sys.argv[1]), resume=True): print(); sys.stdout.flush(); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        for mode in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(RunError, match="t.csv is being written by another program; wait for it"):
                Table(path, **mode)
        assert path.read_text() == HEADER
        first.kill()
    # The killed program holds no lock.
    with Table(path, resume=True) as table:
        assert table.done == set()


@given(
    cut=st.integers(0, 10_000),
    names=st.lists(st.text(st.sampled_from('ab/,"\n\r\t\u2028é\udce9'), min_size=1), min_size=1, unique=True),
)
def test_a_killed_run_leaves_whole_recordings(tmp_path_factory, cut, names):
    path = tmp_path_factory.getbasetemp() / "killed.csv"
    path.unlink(missing_ok=True)
    with Table(path) as table:
        for name in names:
            table.add(name, CRYING)
    content = path.read_bytes()
    path.write_bytes(content[: max(len(HEADER), cut % (len(content) + 1))])
    with Table(path, resume=True) as table:
        done = table.done
        for name in names:
            if name not in done:
                table.add(name, CRYING)
    with Table(path, resume=True) as table:
        assert table.done == set(names)


def test_the_beginning_of_a_second_row_undoes_the_first(tmp_path):
    path = tmp_path / "t.csv"
    one, two = csv_rows("night/a.wav", CRYING), csv_rows("night/b.wav", CRYING)
    first = two.index("\n") + 1
    for end in range(first + 1, len(two)):
        path.write_text(HEADER + one + two[:end], newline="")
        with Table(path, resume=True) as table:
            assert table.done == {"night/a.wav"}
        assert path.read_text() == HEADER + one
    # A partial row of another recording leaves it unchanged.
    path.write_text(HEADER + one + "night/b")
    with Table(path, resume=True) as table:
        assert table.done == {"night/a.wav"}
    assert path.read_text() == HEADER + one


def test_what_is_there_stays(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(RunError, match="t.csv exists; continue it with --skip-done, replace it with --over"):
        Table(path)
    with pytest.raises(RunError, match="t.csv is another program's table; choose another file"):
        Table(path, resume=True)
    assert path.read_text() == "a,b\n1,2\n"
    with Table(path, overwrite=True) as table:
        table.add("a.wav", QUIET)
    assert path.read_text() == HEADER + csv_rows("a.wav", QUIET)


def test_a_table_that_somebody_damaged_is_not_cut(tmp_path):
    path = tmp_path / "t.csv"
    damaged = HEADER + csv_rows("a.wav", QUIET) + '"b"x,0\n' + csv_rows("c.wav", QUIET) * 100
    path.write_text(damaged)
    with pytest.raises(RunError, match=r"t.csv is another program's table, or damaged \("):
        Table(path, resume=True)
    assert path.read_text() == damaged


def test_places_that_cannot_be_used(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="t.csv is another program's table"):
        Table(tmp_path / "t.csv", resume=True)
    with pytest.raises(RunError, match=r"t.csv cannot be written \(No such file or directory\)"):
        Table(tmp_path / "missing" / "t.csv")

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from disk import full_after

from yamnet_cry.audioset import NUM_CLASSES
from yamnet_cry.cli import main
from yamnet_cry.distill.cache import LogitsCache, clear, contents
from yamnet_cry.errors import RunError

# 8 windows of 521 logits.
ENTRY = 8 * 521 * 4


def entries(first: int, count: int) -> dict[bytes, np.ndarray]:
    return {
        number.to_bytes(4): np.full((8, 521), number, np.float32) for number in range(first, first + count)
    }


def used(path: Path, first: int, count: int, limit: float | None = None) -> int:
    """One run: adds the missing entries, marks all as used, and prunes others if there is a limit in GB."""
    with closing(LogitsCache(path, "t", NUM_CLASSES)) as cache:
        wanted = entries(first, count)
        cache.put({key: logits for key, logits in wanted.items() if cache.get(key) is None})
        cache.mark(list(wanted))
        return 0 if limit is None else cache.prune(limit)


def known(path: Path, count: int) -> list[int]:
    with closing(LogitsCache(path, "t", NUM_CLASSES)) as cache:
        return [number for number, key in enumerate(entries(0, count)) if cache.get(key) is not None]


def run(*arguments: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["cache", *map(str, arguments)], input=answer)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "c.sqlite"


def test_a_cache_without_room(path, monkeypatch):
    connect = sqlite3.connect

    def to_a_full_disk(*arguments, **named):
        database = connect(*arguments, **named)
        database.execute("PRAGMA max_page_count = 10")
        return database

    with monkeypatch.context() as full:
        full.setattr(sqlite3, "connect", to_a_full_disk)
        cache = LogitsCache(path, "t", NUM_CLASSES)
    with pytest.raises(RunError, match="cannot be cached .*full.*; choose another place with --cache"):
        cache.put({bytes([n]): np.zeros((8, 521), np.float32) for n in range(50)})
    assert cache.get(bytes([0])) is None
    cache.close()
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM logits").fetchone() == (0,)
    database.close()


def test_the_least_recently_used_are_forgotten(path):
    used(path, 0, 10)
    used(path, 10, 10)
    used(path, 0, 5)
    assert used(path, 20, 5, limit=20 * ENTRY / 1e9) == 5
    # 5 to 9 are the least recently used.
    assert known(path, 30) == [*range(5), *range(10, 25)]


def test_what_a_run_used_stays_however_large_it_is(path):
    used(path, 0, 10)
    assert used(path, 5, 10, limit=0) == 5
    assert known(path, 20) == list(range(5, 15))


def test_a_cache_within_its_limit_stays_whole(path):
    used(path, 0, 10)
    assert used(path, 10, 10, limit=20 * ENTRY / 1e9) == 0
    assert known(path, 20) == list(range(20))


def test_what_was_forgotten_makes_room(path):
    for first in range(0, 100, 10):
        used(path, first, 10, limit=10 * ENTRY / 1e9)
    assert path.stat().st_size < 40 * ENTRY


def test_a_cache_from_before_it_was_pruned(path):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE logits (key BLOB PRIMARY KEY, logits BLOB)")
        rows = [(key, logits.tobytes()) for key, logits in entries(0, 10).items()]
        database.executemany("INSERT INTO logits VALUES (?, ?)", rows)
    assert contents(path).entries == 10
    assert known(path, 10) == list(range(10))
    assert used(path, 5, 5, limit=0) == 5
    assert known(path, 10) == list(range(5, 10))


def test_two_runs_at_once(path):
    """While one process writes chunk after chunk, another fills, prunes and clears the same file."""
    code = (
        "import sys; from pathlib import Path\n"
        "from test_cache import used\n"
        "for n in range(40): used(Path(sys.argv[1]), 1000 + 10 * n, 10, limit=1.0)\n"
    )
    modules = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], env=modules)
    cleared = 0
    while other.poll() is None:
        used(path, 0, 10, limit=50 * ENTRY / 1e9)
        cleared += clear(path) > 0
    assert other.returncode == 0
    assert cleared
    used(path, 0, 10)
    assert known(path, 10) == list(range(10))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_disk_ends_no_run_that_finds_everything(path):
    used(path, 0, 10)
    with full_after(0):
        assert used(path, 0, 10, limit=0) == 0
    assert known(path, 10) == list(range(10))


def test_a_cache_that_may_only_be_read(path, monkeypatch):
    used(path, 0, 10)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(f"file:{path}?mode=ro", uri=True))
    assert used(path, 0, 5, limit=0) == 0
    with pytest.raises(RunError, match="cannot be cached .*readonly"):
        used(path, 10, 10)
    monkeypatch.undo()
    assert known(path, 10) == list(range(10))


def test_showing(path):
    used(path, 0, 10)
    result = run("--cache", path)
    assert (
        result.output == f"{path}: {path.stat().st_size / 1e6:,.1f} MB, 10 recordings and augmented views\n"
    )
    shown = json.loads(run("--cache", path, "--json").output)
    assert shown == {"path": str(path), "bytes": path.stat().st_size, "entries": 10}


def test_the_cache_of_all_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "yamnet-cry" / "teacher_logits.sqlite"
    for arguments in ((), ("--clear", "--yes")):
        result = run(*arguments)
        assert result.exit_code == 0
        assert result.output.startswith(f"{path}: ")
    # Neither showing nor clearing a missing cache creates a file.
    assert not list(tmp_path.iterdir())
    used(path, 0, 3)
    assert json.loads(run("--json").output)["entries"] == 3


def test_without_the_extra(path):
    used(path, 0, 10)
    code = (
        "import sys; sys.modules |= dict.fromkeys(('keras', 'tensorflow', 'librosa', 'tqdm'))\n"
        "from yamnet_cry.cli import main\n"
        "main(['cache', '--cache', sys.argv[1], '--json'])"
    )
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["entries"] == 10


@pytest.mark.parametrize(("answer", "left"), [("n\n", 10), ("", 10), ("y\n", 0)])
def test_clearing_asks(path, answer, left):
    used(path, 0, 10)
    before = path.stat().st_size
    result = run("--cache", path, "--clear", answer=answer)
    assert f"Delete the cached teacher logits in {path} ({before / 1e6:,.1f} MB)?" in result.stderr
    assert contents(path).entries == left
    assert result.exit_code == (1 if left else 0)
    if not left:
        freed = before - path.stat().st_size
        assert freed > 10 * ENTRY * 0.9
        # Some releases of click print the typed answer before it.
        assert result.stdout.splitlines()[-1] == f"{path}: {freed / 1e6:,.1f} MB freed"


def test_clearing_for_machines(path):
    used(path, 0, 10)
    before = path.stat().st_size
    cleared = json.loads(run("--cache", path, "--clear", "--yes", "--json").stdout)
    assert cleared["freed_bytes"] == before - path.stat().st_size > 0
    assert (cleared["entries"], cleared["bytes"]) == (0, path.stat().st_size)
    used(path, 0, 10)
    assert known(path, 10) == list(range(10))


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE bookmarks (address TEXT)")
        database.execute("INSERT INTO bookmarks VALUES ('somewhere')")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("not a database, but long enough to look like one\n" * 50),
        lambda path: path.mkdir(),
        other_database,
    ],
    ids=["text", "folder", "another program's"],
)
def test_what_is_no_cache_is_left_as_it_is(path, make):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for arguments in ((), ("--clear", "--yes")):
        result = run("--cache", path, *arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"Error: the cache {path} cannot be used (")
    with pytest.raises(RunError, match="cannot be used .*; set another with --cache"):
        LogitsCache(path, "t", NUM_CLASSES)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_an_empty_file_is_an_empty_cache(path):
    path.touch()
    assert contents(path).entries == 0
    assert run("--cache", path).output == f"{path}: empty\n"
    used(path, 0, 1)
    assert contents(path).entries == 1

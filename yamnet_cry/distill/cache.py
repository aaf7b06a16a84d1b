"""The teacher's logits on disk: remembered for all runs, and forgotten when there are too many."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yamnet_cry.errors import RunError
from yamnet_cry.frontend import Float32

#: Gigabytes beyond which what no recent run needed is forgotten: a corpus, and the views of some seeds.
DEFAULT_LIMIT = 2.0

# How long one process waits for another's transaction, in seconds.
_PATIENCE = 60


def default_cache() -> Path:
    """Returns where the teacher's logits are remembered, for all runs of a user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "yamnet-cry" / "teacher_logits.sqlite"


def in_half_precision(logits: Float32) -> Float32:
    """Rounds logits to those that float16 has: what partitions keep, and so what every student learns from.

    Examples:
        >>> in_half_precision(np.float32([0.1, -1e6])).tolist()
        [0.0999755859375, -65504.0]
    """
    limit = np.finfo(np.float16).max
    return np.clip(logits, -limit, limit).astype(np.float16).astype(np.float32)


class LogitsCache:
    """A teacher's logits on disk, by the content of the audio and the teacher's identity.

    SQLite commits a chunk as a whole, so that a pass killed at any moment leaves whole chunks. The student's
    front end is no part of the key: a teacher has one of its own, and the padding is in the audio.

    Args:
        path: SQLite file, made if there is none.
        teacher: The teacher's fingerprint.
        classes: How many classes it tells apart.

    Raises:
        RunError: If it cannot be used, or is a file of something else.
    """

    def __init__(self, path: Path, teacher: str, classes: int) -> None:
        self._teacher, self._classes = teacher.encode(), classes
        self._opened = time.time()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=_PATIENCE)
            if _tables(self._database):
                _check(self._database)
            self._database.execute("CREATE TABLE IF NOT EXISTS logits (key BLOB PRIMARY KEY, logits BLOB)")
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"the cache {path} cannot be used ({error}); set another with --cache") from None

    def key(self, waveform: Float32) -> bytes:
        """Returns the key of a waveform's logits."""
        return hashlib.sha256(self._teacher + waveform.tobytes()).digest()

    def get(self, key: bytes) -> Float32 | None:
        """Returns logits of shape (windows, classes), or None if there are none yet."""
        row = self._database.execute("SELECT logits FROM logits WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32).reshape(-1, self._classes)

    def put(self, entries: dict[bytes, Float32]) -> None:
        """Remembers logits, all of them or none.

        Raises:
            RunError: If they cannot be written.
        """
        rows = [(key, logits.astype(np.float32).tobytes()) for key, logits in entries.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO logits VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise RunError(
                f"the teacher's logits cannot be cached ({error}); choose another place with --cache"
            ) from None

    def mark(self, keys: Collection[bytes]) -> None:
        """Notes that entries were used now, for `prune`."""
        # Beside the logits, not with them: a row that changes is written anew, with all its logits. A full or
        # read-only disk can still be read, so no run ends because of this.
        with suppress(sqlite3.Error), self._database:
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS uses (key BLOB PRIMARY KEY, at REAL) WITHOUT ROWID"
            )
            rows = [(key, time.time()) for key in keys]
            self._database.executemany("INSERT OR REPLACE INTO uses VALUES (?, ?)", rows)

    def prune(self, limit: float) -> int:
        """Forgets the least recently used entries until the rest fits, but none that were used since opening.

        The file does not shrink: what comes next fills the room.

        Args:
            limit: Gigabytes (10^9 bytes) of logits.

        Returns:
            How many entries were forgotten.
        """
        forgotten: list[tuple[bytes]] = []
        with suppress(sqlite3.Error), self._database:
            entries = self._database.execute(
                "SELECT logits.key, length(logits), coalesce(at, 0) FROM logits LEFT JOIN uses USING (key)"
                " ORDER BY coalesce(at, 0)"
            ).fetchall()
            excess = sum(size for _, size, _ in entries) - limit * 1e9
            for key, size, at in entries:
                if excess <= 0 or at >= self._opened:
                    break
                forgotten.append((key,))
                excess -= size
            for table in ("logits", "uses"):
                self._database.executemany(f"DELETE FROM {table} WHERE key = ?", forgotten)
            return len(forgotten)
        return 0

    def close(self) -> None:
        """Closes the database."""
        self._database.close()


@dataclass(frozen=True)
class Contents:
    """What a cache holds.

    Attributes:
        path: Its file.
        bytes: Size of the file; 0 if there is none.
        entries: Recordings and views whose logits are in it.
    """

    path: Path
    bytes: int
    entries: int


def contents(path: Path) -> Contents:
    """Says what is in a cache, and changes nothing.

    Raises:
        RunError: If it cannot be read, or is a file of something else.
    """
    with _existing(path, "ro") as database:
        if database is None:
            return Contents(path, 0, 0)
        (entries,) = database.execute("SELECT count(*) FROM logits").fetchone()
        return Contents(path, path.stat().st_size, entries)


def clear(path: Path) -> int:
    """Forgets everything; runs that use the cache meanwhile go on, and fill it again.

    Returns:
        How many bytes the file has shrunk by.

    Raises:
        RunError: If it cannot be written, is used by another process all the time, or is a file of something
            else, which is then left as it is.
    """
    with _existing(path, "rw") as database:
        if database is None:
            return 0
        before = path.stat().st_size
        with database:
            for table in _tables(database) & {"logits", "uses"}:
                database.execute(f"DELETE FROM {table}")
        database.execute("VACUUM")
        return before - path.stat().st_size


@contextmanager
def _existing(path: Path, mode: str) -> Iterator[sqlite3.Connection | None]:
    """Opens a cache, and makes none: gives None where there is nothing."""
    try:
        if not path.exists():
            yield None
            return
        address = f"{path.resolve().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as database:
            if _tables(database) or path.stat().st_size:
                _check(database)
                yield database
            else:
                yield None
    except (OSError, sqlite3.Error) as error:
        raise RunError(f"the cache {path} cannot be used ({error})") from None


def _tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _check(database: sqlite3.Connection) -> None:
    """Refuses databases of other programs: nothing is written to them, and nothing deleted."""
    columns = [row[1] for row in database.execute("PRAGMA table_info(logits)")]
    if columns != ["key", "logits"]:
        raise sqlite3.DatabaseError("it is not a cache of teacher logits")

"""An on-disk cache of teacher logits, shared by all runs and limited in size."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yamnet_cry.errors import RunError
from yamnet_cry.frontend import Float32

#: Size in gigabytes above which the least recently used entries are deleted: enough for a corpus and the
#: views of some seeds.
DEFAULT_LIMIT = 2.0

# How long one process waits for another's transaction, in seconds.
_PATIENCE = 60


def default_cache() -> Path:
    """Returns the default path of the cache, shared by all runs of a user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "yamnet-cry" / "teacher_logits.sqlite"


def in_half_precision(logits: Float32) -> Float32:
    """Rounds logits to float16 values, the precision of partitions, so that every student learns the same.

    Examples:
        >>> in_half_precision(np.float32([0.1, -1e6])).tolist()
        [0.0999755859375, -65504.0]
    """
    limit = np.finfo(np.float16).max
    return np.clip(logits, -limit, limit).astype(np.float16).astype(np.float32)


class LogitsCache:
    """A teacher's logits on disk, keyed by the content of the audio and the teacher's fingerprint.

    SQLite commits each chunk atomically, so a killed pass leaves only whole chunks. The key does not include
    the student's front end: a teacher has its own, and the padding is part of the audio.

    Args:
        path: SQLite file, created if it does not exist.
        teacher: The teacher's fingerprint.
        classes: Number of the teacher's classes.

    Raises:
        RunError: If the file cannot be used, or is not a cache.
    """

    def __init__(self, path: Path, teacher: str, classes: int) -> None:
        self._teacher, self._classes = teacher.encode(), classes
        self._opened = time.time()
        with ExitStack() as opened:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._database = sqlite3.connect(path, timeout=_PATIENCE)
                opened.callback(self._database.close)
                if _tables(self._database):
                    _check(self._database)
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS logits (key BLOB PRIMARY KEY, logits BLOB)"
                )
            except (OSError, sqlite3.Error) as error:
                raise RunError(
                    f"the cache {path} cannot be used ({error}); set another with --cache"
                ) from None
            opened.pop_all()

    def key(self, waveform: Float32) -> bytes:
        """Returns the key of a waveform's logits."""
        return hashlib.sha256(self._teacher + waveform.tobytes()).digest()

    def get(self, key: bytes) -> Float32 | None:
        """Returns float32 logits of shape (windows, classes), or None if they are not cached."""
        row = self._database.execute("SELECT logits FROM logits WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32).reshape(-1, self._classes)

    def put(self, entries: dict[bytes, Float32]) -> None:
        """Caches logits, all of them or none.

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
        """Sets the time of last use of entries to now, for `prune`."""
        # In a separate table: SQLite rewrites a whole row, with its logits, when it changes. Errors are
        # ignored, because the cache is still readable on a full or read-only disk.
        with suppress(sqlite3.Error), self._database:
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS uses (key BLOB PRIMARY KEY, at REAL) WITHOUT ROWID"
            )
            rows = [(key, time.time()) for key in keys]
            self._database.executemany("INSERT OR REPLACE INTO uses VALUES (?, ?)", rows)

    def prune(self, limit: float) -> int:
        """Deletes the least recently used entries until the rest fits; keeps those used since opening.

        The file does not shrink: later entries reuse the space.

        Args:
            limit: Maximum size of the logits, in gigabytes (10^9 bytes).

        Returns:
            The number of deleted entries.
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
    """The contents of a cache.

    Attributes:
        path: The cache file.
        bytes: Size of the file; 0 if it does not exist.
        entries: Number of recordings and views with cached logits.
    """

    path: Path
    bytes: int
    entries: int


def contents(path: Path) -> Contents:
    """Returns the contents of a cache, without changing it.

    Raises:
        RunError: If the file cannot be read, or is not a cache.
    """
    with _existing(path, "ro") as database:
        if database is None:
            return Contents(path, 0, 0)
        (entries,) = database.execute("SELECT count(*) FROM logits").fetchone()
        return Contents(path, path.stat().st_size, entries)


def clear(path: Path) -> int:
    """Deletes all entries; runs that use the cache at the same time continue, and fill it again.

    Returns:
        Number of bytes by which the file has shrunk.

    Raises:
        RunError: If the file cannot be written, stays locked by another process, or is not a cache; such a
            file is not changed.
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
    """Opens an existing cache; yields None if the file does not exist or is empty."""
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
    """Rejects databases of other programs, so that nothing is written to them or deleted from them."""
    columns = [row[1] for row in database.execute("PRAGMA table_info(logits)")]
    if columns != ["key", "logits"]:
        raise sqlite3.DatabaseError("it is not a cache of teacher logits")

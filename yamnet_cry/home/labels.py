"""Labels of clips: the rows of ``manifest.csv``, in the format of `yamnet-cry distill`."""

import csv
import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from yamnet_cry.errors import CorpusError
from yamnet_cry.files import lock, write_whole
from yamnet_cry.home import archive
from yamnet_cry.home.archive import Clip

MANIFEST = "manifest.csv"
#: Label of a skipped clip; distillation uses it as unlabelled audio.
UNKNOWN = "unknown"
#: Labels whose clips are never deleted, because a user has listened to them.
KEPT = ("cry", "not_cry")
TARGETS = (*KEPT, UNKNOWN)

_COLUMNS = ("file", "target", "split", "group")
_SPLIT = "train"
_LOCK = ".manifest.csv.lock"
#: Seconds that one program waits for another to unlock a manifest.
PATIENCE = 10.0


class Labels:
    """The rows of the manifest in a folder, read when created.

    Rows that a user wrote are kept unchanged, with additional columns.

    Args:
        folder: Folder of the manifest, which need not exist.

    Raises:
        CorpusError: If there is a manifest that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / MANIFEST
        self._columns, self._rows = _read(self._path)
        self._before = [dict(row) for row in self._rows]

    def targets(self) -> Mapping[str, str]:
        """Returns the target of every file."""
        return {row["file"]: row["target"] for row in self._rows}

    def set(self, clip: Clip, target: str | None) -> None:
        """Labels a clip.

        A new clip is added to the split of the other clips of its night, so that no night is in two splits.

        Args:
            clip: The clip.
            target: One of `TARGETS`; None removes the label.
        """
        row = next((row for row in self._rows if row["file"] == clip.file), None)
        if target is None:
            self._rows = [row for row in self._rows if row["file"] != clip.file]
        elif row is not None:
            row["target"] = target
        else:
            night = f" {clip.night}"
            split = next((row["split"] for row in self._rows if row["group"].endswith(night)), _SPLIT)
            group = f"{clip.about['source']}{night}"
            values = {"file": clip.file, "target": target, "split": split, "group": group}
            self._rows.append({**dict.fromkeys(self._columns, ""), **values})

    def save(self) -> None:
        """Writes the manifest if it has changed, without the rows of deleted clips.

        Raises:
            OSError: If it cannot be written; the file is then unchanged.
        """
        rows = [
            row
            for row in self._rows
            if not archive.is_clip_name(row["file"]) or (self._folder / row["file"]).exists()
        ]
        if rows == self._before:
            return
        written = io.StringIO(newline="")
        writer = csv.DictWriter(written, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self._path, written.getvalue())
        self._rows, self._before = rows, [dict(row) for row in rows]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other programs from labelling and deleting clips during the block.

    Raises:
        OSError: If the folder cannot be written, or another program holds the lock for over `PATIENCE`.
    """
    with (folder / _LOCK).open("ab") as file:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                lock(file)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            except OSError:
                # A drive without locks: the user must run only one program at a time.
                break
            else:
                break
        yield


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Returns the columns and rows of a manifest; without a file, the default columns and no rows."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            columns = list(reader.fieldnames or [])
    except FileNotFoundError:
        return list(_COLUMNS), []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path} cannot be read as CSV in UTF-8 ({error})") from None
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise CorpusError(
            f"{path} lacks the column {', '.join(missing)}. Received: {', '.join(columns) or 'nothing'}"
        )
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise CorpusError(f"{path} line {number}: expected {len(columns)} fields, as in the header")
    return columns, rows

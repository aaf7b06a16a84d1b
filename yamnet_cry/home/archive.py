"""Clips of events in a folder: one FLAC file per clip, next to a JSON file that describes it."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from yamnet_cry.fields import Rule, check, exactly, number, parse, text
from yamnet_cry.files import lock

#: Key that marks a description as written by this program; its value is the version of the format.
MARKER = "yamnet_cry_clip"
VERSION = 1

AUDIO, DESCRIPTION = ".flac", ".json"

#: Suffix of the name of an unfinished file; such names begin with a dot.
UNFINISHED = ".yamnet-cry-unfinished"

#: Rule for the names of sources.
SOURCE = text(r"[^\x00-\x1f\x7f]{1,200}", "1 to 200 printable characters")

_STEM = re.compile(r"[A-Za-z0-9_-]{1,64}-\d{8}T\d{6}\.\d{3}(-\d{1,6})?")
_LONGEST_DESCRIPTION = 65_536
_SECONDS = number(0, 1e9)
_FLAG = Rule("true or false", lambda value: isinstance(value, bool))
_FIELDS = {
    MARKER: exactly(VERSION),
    "file": text(_STEM.pattern + re.escape(AUDIO), "the name of a clip"),
    "source": SOURCE,
    "started_at": Rule("a time in ISO 8601", lambda value: isinstance(value, str) and _is_time(value)),
    "seconds": _SECONDS,
    "peak": number(0, 1),
    "event_start": _SECONDS,
    "event_end": _SECONDS,
    "clip_seconds": _SECONDS,
    "cut": _FLAG,
    "interrupted": _FLAG,
}


@dataclass(frozen=True)
class Clip:
    """A clip of an event: two files of the same stem.

    Attributes:
        folder: Folder of both files.
        stem: Name of both files without suffix.
        about: The known fields of the description, checked.
    """

    folder: Path
    stem: str
    about: Mapping[str, Any]

    @property
    def file(self) -> str:
        """Name of the audio file."""
        return self.stem + AUDIO

    @property
    def audio(self) -> Path:
        """The audio file."""
        return self.folder / self.file

    @property
    def description(self) -> Path:
        """The JSON file."""
        return self.folder / (self.stem + DESCRIPTION)

    @property
    def started(self) -> datetime:
        """Start of the event, in the local time of the recording."""
        return datetime.fromisoformat(self.about["started_at"])

    @property
    def night(self) -> str:
        """Date on which the night of the event began, as YYYY-MM-DD; nights last from noon to noon."""
        return (self.started - timedelta(hours=12)).date().isoformat()

    def bytes(self) -> int:
        """Returns the total size of both files; a missing file counts as 0."""
        total = 0
        for path in (self.audio, self.description):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def delete(self) -> None:
        """Deletes both files, the audio first, so that no audio is ever left without its description.

        Raises:
            OSError: If a file cannot be deleted.
        """
        self.audio.unlink(missing_ok=True)
        self.description.unlink(missing_ok=True)


def is_clip_name(file: str) -> bool:
    """Returns whether a name is that of a clip's audio file.

    Examples:
        >>> is_clip_name("nursery-20261126T031207.250.flac"), is_clip_name("../nursery.flac")
        (True, False)
    """
    return file.endswith(AUDIO) and _STEM.fullmatch(file.removesuffix(AUDIO)) is not None


def stem(source: str, started: datetime) -> str:
    """Returns the stem of a clip's file names, in characters that every file system supports.

    Examples:
        >>> stem("Anna's room", datetime(2026, 11, 26, 3, 12, 7, 250_900))
        'Anna_s_room-20261126T031207.250'
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", source)[:64] or "_"
    return f"{name}-{started:%Y%m%dT%H%M%S}.{started.microsecond // 1000:03d}"


def clips(folder: Path) -> list[Clip]:
    """Returns the clips in a folder, newest first; other files are ignored.

    Raises:
        OSError: If the folder cannot be read.
    """
    found = [clip for name in sorted(os.listdir(folder)) if (clip := _read(folder, name)) is not None]
    whole = [clip for clip in found if _is_file(clip.audio)]
    return sorted(whole, key=lambda clip: (clip.started.timestamp(), clip.stem), reverse=True)


def clip(folder: Path, file: str) -> Clip | None:
    """Returns the clip with an audio file of this name, or None if there is none."""
    if not is_clip_name(file):
        return None
    found = _read(folder, file.removesuffix(AUDIO) + DESCRIPTION)
    return found if found is not None and _is_file(found.audio) else None


def remove_leftovers(folder: Path) -> None:
    """Deletes unfinished clips that a crashed program left, but none that another program is writing.

    Raises:
        OSError: If the folder cannot be read, or a file cannot be deleted.
    """
    for name in sorted(os.listdir(folder)):
        if name.startswith(".") and name.endswith(UNFINISHED):
            inner = name.removeprefix(".").removesuffix(UNFINISHED)
            if _STEM.fullmatch(Path(inner).stem) and not _is_written(folder, Path(inner).stem):
                (folder / name).unlink(missing_ok=True)
        # Descriptions are written before, and deleted after, their audio.
        elif (
            (found := _read(folder, name)) is not None
            and not found.audio.exists()
            and not _is_written(folder, found.stem)
        ):
            found.description.unlink(missing_ok=True)


def unfinished(folder: Path, file: str) -> Path:
    """Returns the temporary path under which a file is written until it is complete."""
    return folder / f".{file}{UNFINISHED}"


def describe(values: Mapping[str, Any]) -> str:
    """Returns the text of a description.

    Raises:
        ValueError: If the values break the rules that are checked when a description is read.
    """
    written = json.dumps({MARKER: VERSION, **values}, indent=2, allow_nan=False) + "\n"
    check(parse(written.encode()), _FIELDS)
    return written


def _read(folder: Path, name: str) -> Clip | None:
    """Reads the description of a clip; returns None if the file is not one."""
    own = name.removesuffix(DESCRIPTION)
    if own == name or _STEM.fullmatch(own) is None or not _is_file(folder / name):
        return None
    try:
        with (folder / name).open("rb") as file:
            about = check(parse(file.read(_LONGEST_DESCRIPTION)), _FIELDS)
    except (OSError, ValueError):
        return None
    return Clip(folder, own, about) if about["file"] == own + AUDIO else None


def _is_written(folder: Path, stem: str) -> bool:
    """Returns whether a running program is writing a clip: then its audio file is locked."""
    try:
        with unfinished(folder, stem + AUDIO).open("r+b") as file:
            lock(file)
    except FileNotFoundError:
        return False
    except OSError:
        # On drives without locks this is unknown; keep the file.
        return True
    return False


def _is_file(path: Path) -> bool:
    """Returns whether a path is a regular file, not a symbolic link."""
    return path.is_file() and not path.is_symlink()


def _is_time(value: str) -> bool:
    try:
        # Dates far from the present have no timestamp.
        (datetime.fromisoformat(value) - timedelta(hours=12)).timestamp()
    except (ValueError, OverflowError, OSError):
        return False
    return True

"""Finds recordings by the paths that a user gives: files, folders, pipes and standard input."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import soundfile

from yamnet_cry.audio import ffmpeg
from yamnet_cry.audio.decode import native_name
from yamnet_cry.audio.recording import NEED_FFMPEG, suffixes
from yamnet_cry.errors import AudioError

#: Path that stands for standard input.
STDIN = Path("-")


def find(paths: Sequence[str]) -> tuple[list[Path], Counter[str]]:
    """Lists recordings: files as given, and every audio file in folders and their subfolders.

    Returns:
        The recordings, and the number of files per format that were omitted from folders because they need
        ffmpeg, which is not installed.

    Raises:
        AudioError: If a folder has no audio files.
    """
    known = suffixes()
    found: dict[Path, None] = {}
    left_out: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        if not path.is_dir():
            found[path] = None
            continue
        files = sorted(file for file in path.rglob("*") if file.is_file())
        inside = [file for file in files if file.suffix.lower() in known]
        other = [file for file in files if file.suffix.lower() in NEED_FFMPEG - known]
        if not inside:
            if other:
                raise AudioError(f"{path} holds {need_ffmpeg(_formats(other))}")
            raise AudioError(
                f"{path} holds no audio files. Looked for {', '.join(sorted(known))}; "
                "to read files with other extensions, pass each of them"
            )
        found.update(dict.fromkeys(inside))
        left_out.update(dict.fromkeys(other))
    return list(found), _formats(left_out)


def _formats(files: Iterable[Path]) -> Counter[str]:
    return Counter(file.suffix.lower() for file in files)


def need_ffmpeg(formats: Counter[str]) -> str:
    """Returns a message with the number of files that need ffmpeg, and how to install it.

    Examples:
        >>> print(need_ffmpeg(Counter({".m4a": 1, ".mp4": 2})))
        3 files in formats that need ffmpeg: .mp4 (2), .m4a (1); install ffmpeg,
        or pip install "yamnet-cry[media]"
    """
    named = ", ".join(f"{suffix} ({count:,})" for suffix, count in formats.most_common())
    count = formats.total()
    files = "1 file in a format that needs" if count == 1 else f"{count:,} files in formats that need"
    return f"{files} ffmpeg: {named}; {ffmpeg.INSTALL}"


def copy_pipe(path: Path, folder: Path) -> Path:
    """Copies a recording that can be read only once to a file.

    Args:
        path: `STDIN`, a named pipe, or any other path, which is not copied.
        folder: Folder for the copy.

    Returns:
        The path to read the recording from.

    Raises:
        AudioError: If it cannot be copied, or standard input is a terminal.
    """
    try:
        if path != STDIN and not path.is_fifo():
            return path
        if path == STDIN and sys.stdin.isatty():
            raise AudioError("- reads a recording from standard input, which is a terminal here; pass a file")
        copy = folder / str(len(list(folder.iterdir())))
        with copy.open("wb") as target:
            if path == STDIN:
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with path.open("rb") as pipe:
                    shutil.copyfileobj(pipe, target)
        return copy
    except OSError as error:
        raise AudioError(f"{path} cannot be copied to {folder} ({error.strerror})") from None


def seconds_of(path: Path) -> float:
    """Length from the header, for the progress bar only: may be wrong, or 0 if libsndfile cannot read it."""
    try:
        info = soundfile.info(native_name(path))
    except (OSError, RuntimeError, TypeError):
        return 0.0
    return min(info.duration, 1e6) if info.duration > 0 else 0.0

"""Many recordings: found, scored one by one, and written to files."""

import os
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yamnet_cry.audio import NEED_FFMPEG, SUFFIXES
from yamnet_cry.detection import Detection
from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import AudioError
from yamnet_cry.events import Event
from yamnet_cry.files import write_whole
from yamnet_cry.frontend import YAMNET
from yamnet_cry.reports import label_track, web_vtt

CLASSES_SHOWN = 3

#: What stands for the recording that comes through standard input.
STDIN = Path("-")

#: Formats of pictures, by the end of the file's name.
PICTURE_SUFFIXES = {"": "png", ".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".svg": "svg", ".pdf": "pdf"}


def find(paths: Sequence[str]) -> tuple[list[Path], Counter[str]]:
    """Lists recordings: files as they are named, and every audio file in folders and folders within them.

    Returns:
        The recordings, and how many files of which formats were left out of folders, because their formats
        need ffmpeg.

    Raises:
        AudioError: If a folder holds none.
    """
    found: dict[Path, None] = {}
    left_out: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        if not path.is_dir():
            found[path] = None
            continue
        files = sorted(file for file in path.rglob("*") if file.is_file())
        inside = [file for file in files if file.suffix.lower() in SUFFIXES]
        other = [file for file in files if file.suffix.lower() in NEED_FFMPEG]
        if not inside:
            if other:
                raise AudioError(f"{path} holds {need_ffmpeg(_formats(other))}")
            raise AudioError(
                f"{path} holds no audio files. Looked for {', '.join(sorted(SUFFIXES))}; "
                "name files of other kinds one by one"
            )
        found.update(dict.fromkeys(inside))
        left_out.update(dict.fromkeys(other))
    return list(found), _formats(left_out)


def _formats(files: Iterable[Path]) -> Counter[str]:
    return Counter(file.suffix.lower() for file in files)


def need_ffmpeg(formats: Counter[str]) -> str:
    """Says what cannot be decoded, and what to do about it.

    Example:
        >>> print(need_ffmpeg(Counter({".m4a": 10, ".mp4": 2})))
        12 files in formats that need ffmpeg: .m4a (10), .mp4 (2); convert each with `ffmpeg -i FILE FILE.wav`
    """
    named = ", ".join(f"{suffix} ({count:,})" for suffix, count in formats.most_common())
    count = formats.total()
    files = "1 file in a format that needs" if count == 1 else f"{count:,} files in formats that need"
    return f"{files} ffmpeg: {named}; convert each with `ffmpeg -i FILE FILE.wav`"


def copy_pipe(path: Path, folder: Path) -> Path:
    """Copies a recording that can be read only once to a file.

    Args:
        path: `STDIN`, a named pipe, or anything else, which stays where it is.
        folder: Where to make the file.

    Returns:
        Where to read the recording.

    Raises:
        AudioError: If it cannot be copied, or there is a keyboard where a recording should come from.
    """
    try:
        if path != STDIN and not path.is_fifo():
            return path
        if path == STDIN and sys.stdin.isatty():
            raise AudioError("- is the recording on standard input, and that is a keyboard; name a file")
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


@dataclass(frozen=True)
class Outputs:
    """What to write for each recording: a file, or a folder of files named after the recordings.

    Attributes:
        folder: Whether the paths are folders.
        labels: Audacity label tracks.
        vtt: WebVTT subtitles.
        plot: Pictures.
    """

    folder: bool = False
    labels: Path | None = None
    vtt: Path | None = None
    plot: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything is to be written."""
        return any((self.labels, self.vtt, self.plot))

    def of(self, recording: Path, common: Path) -> dict[str, Path]:
        """Returns the files to write for a recording; in folders they lie as the recordings do.

        Args:
            recording: The recording.
            common: The folder that all recordings have in common.
        """
        wanted = {"labels": (self.labels, ".txt"), "vtt": (self.vtt, ".vtt"), "plot": (self.plot, ".png")}
        inner = Path(os.path.relpath(recording, common))
        return {
            kind: (path / inner.with_name(inner.name + suffix) if self.folder else path)
            for kind, (path, suffix) in wanted.items()
            if path is not None
        }


@dataclass(frozen=True)
class Job:
    """One recording and what is to become of it.

    Attributes:
        recording: What it is called.
        source: Where to read it.
        files: Files to write, by kind.
        explain: Whether to name the sounds in each event.
        strict: Whether a recording that is cut short is an error.
    """

    recording: Path
    source: Path
    files: dict[str, Path] = field(default_factory=dict)
    explain: bool = False
    strict: bool = False

    def missing(self) -> dict[str, Path]:
        """Returns those of its files that are not there."""
        return {kind: path for kind, path in self.files.items() if not path.exists()}


@dataclass(frozen=True)
class Outcome:
    """What came of a job: a result, or the reason why there is none.

    Attributes:
        recording: The recording.
        result: What was heard.
        heard: For each event, the names of the classes with the largest shares.
        error: A sentence for the user.
    """

    recording: Path
    result: Detection | None = None
    heard: list[str] = field(default_factory=list)
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the outcome as plain data, ready for JSON."""
        name = {"file": os.fspath(self.recording)}
        if self.result is None:
            return {**name, "error": self.error}
        data = self.result.to_dict()
        for event, heard in zip(data["events"], self.heard, strict=False):
            event["heard"] = heard
        return {**name, **data}


def process(job: Job, detector: CryDetector, progress: Callable[[float], object] | None = None) -> Outcome:
    """Scores one recording and writes its files, each whole or not at all."""
    name = os.fspath(job.recording)
    try:
        with warnings.catch_warnings():
            # The result says whether it is cut short.
            warnings.simplefilter("ignore", UserWarning)
            result = detector(job.source, classes=job.explain, progress=progress, strict=job.strict)
        heard = [_heard(result, event) for event in result.events] if job.explain else []
        writers: dict[str, Callable[[], str | bytes]] = {
            "labels": lambda: label_track(result.events),
            "vtt": lambda: web_vtt(result.events),
            "plot": lambda: _picture(result, job),
        }
        for kind, path in job.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, writers[kind]())
    except AudioError as error:
        return Outcome(job.recording, error=str(error).replace(os.fspath(job.source), name))
    except OSError as error:
        return Outcome(job.recording, error=f"{error.filename} cannot be written ({error.strerror})")
    # Logits of a night need not travel between processes.
    return Outcome(job.recording, result.without_logits(), heard)


def _heard(result: Detection, event: Event) -> str:
    # Of an event that ends before the middle of its first window, that window.
    end = max(event.end, event.start + YAMNET.patch_seconds / 2)
    classes = result.top_classes(event.start, end, count=CLASSES_SHOWN)
    return ", ".join(f"{name} {share * 100:.0f} %" for name, share in classes)


def _picture(result: Detection, job: Job) -> bytes:
    from yamnet_cry.picture import picture

    # Fonts have no signs for bytes that are no characters.
    title = os.fsencode(job.recording.name).decode(errors="replace")
    return picture(result, job.source, title, PICTURE_SUFFIXES[job.files["plot"].suffix.lower()])

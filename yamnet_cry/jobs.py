"""Scores one recording at a time and writes its files."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yamnet_cry.audio import AudioSource
from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import AudioError
from yamnet_cry.events import Event
from yamnet_cry.files import write_whole
from yamnet_cry.frontend import YAMNET
from yamnet_cry.report.text import label_track, web_vtt
from yamnet_cry.results import Detection

CLASSES_SHOWN = 3

#: Picture formats by file suffix.
PICTURE_SUFFIXES = {"": "png", ".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".svg": "svg", ".pdf": "pdf"}


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
        """Returns the files to write for a recording; output folders mirror the folders of the recordings.

        Args:
            recording: The recording.
            common: The common parent folder of all recordings.
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
    """One recording, and what to write for it.

    Attributes:
        recording: Path of the recording in results and messages.
        source: Path to read it from.
        files: Files to write, by kind.
        explain: Whether to name the sounds in each event.
        strict: Whether a truncated recording is an error.
    """

    recording: Path
    source: Path
    files: dict[str, Path] = field(default_factory=dict)
    explain: bool = False
    strict: bool = False

    def missing(self) -> dict[str, Path]:
        """Returns those of its files that do not exist."""
        return {kind: path for kind, path in self.files.items() if not path.exists()}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job: a result, or an error.

    Attributes:
        recording: The recording.
        result: The detector's result.
        heard: For each event, the names of the classes with the largest shares.
        error: Error message for the user.
    """

    recording: Path
    result: Detection | None = None
    heard: list[str] = field(default_factory=list)
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the outcome as a dictionary that can be written as JSON."""
        name = {"file": os.fspath(self.recording)}
        if self.result is None:
            return {**name, "error": self.error}
        data = self.result.to_dict()
        for event, heard in zip(data["events"], self.heard, strict=False):
            event["heard"] = heard
        return {**name, **data}


def hear(
    detector: CryDetector,
    source: AudioSource,
    *,
    explain: bool = False,
    strict: bool = False,
    progress: Callable[[float], object] | None = None,
) -> tuple[Detection, list[str]]:
    """Scores one recording, and names the sounds in each event if ``explain`` is set.

    Raises:
        AudioError: If it cannot be read.
    """
    with warnings.catch_warnings():
        # The result says whether it is truncated.
        warnings.simplefilter("ignore", UserWarning)
        result = detector(source, classes=explain, progress=progress, strict=strict)
    return result, [_heard(result, event) for event in result.events] if explain else []


def process(job: Job, detector: CryDetector, progress: Callable[[float], object] | None = None) -> Outcome:
    """Scores one recording and writes its files, each atomically."""
    name = os.fspath(job.recording)
    try:
        result, heard = hear(detector, job.source, explain=job.explain, strict=job.strict, progress=progress)
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
    # The logits of a whole night are large, and need not be sent between processes.
    return Outcome(job.recording, result.without_logits(), heard)


def _heard(result: Detection, event: Event) -> str:
    # An event that ends before the middle of its first window is described by that window.
    end = max(event.end, event.start + YAMNET.patch_seconds / 2)
    classes = result.top(event.start, end, count=CLASSES_SHOWN)
    return ", ".join(f"{name} {share * 100:.0f} %" for name, share in classes)


def _picture(result: Detection, job: Job) -> bytes:
    from yamnet_cry.report.plot import picture

    # Fonts have no glyphs for bytes that are not valid characters.
    title = os.fsencode(job.recording.name).decode(errors="replace")
    return picture(result, job.source, title, PICTURE_SUFFIXES[job.files["plot"].suffix.lower()])

"""Many recordings: found, scored on all cores, and written down so that work can go on where it stopped."""

import csv
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from yamnet_cry.audio import SUFFIXES
from yamnet_cry.detection import Detection
from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import AudioError, RunError
from yamnet_cry.files import write_whole
from yamnet_cry.reports import CSV_COLUMNS, csv_rows, label_track, web_vtt

# Below this, starting processes takes longer than the work: an hour of WAV is 115 MB.
_WORTH_PROCESSES = 64_000_000

CLASSES_SHOWN = 3


def find(paths: Sequence[str]) -> list[Path]:
    """Lists recordings: files as they are named, and every audio file in folders and folders within them.

    Raises:
        AudioError: If a folder holds none.
    """
    found: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise AudioError(
                    f"{path} holds no audio files. Looked for {', '.join(sorted(SUFFIXES))}; "
                    "name files of other kinds one by one"
                )
        found.update(dict.fromkeys(inside))
    return list(found)


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
    """One recording and what is to become of it."""

    recording: Path
    files: dict[str, Path]
    explain: bool

    @property
    def done(self) -> bool:
        """Whether all its files are there."""
        return all(path.is_file() for path in self.files.values())


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
    try:
        result = detector(job.recording, classes=job.explain, progress=progress)
        heard = [_heard(result, event.start, event.end) for event in result.events] if job.explain else []
        writers: dict[str, Callable[[], str | bytes]] = {
            "labels": lambda: label_track(result.events),
            "vtt": lambda: web_vtt(result.events),
            "plot": lambda: _picture(result, job.recording),
        }
        for kind, path in job.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, writers[kind]())
    except AudioError as error:
        return Outcome(job.recording, error=str(error))
    except OSError as error:
        return Outcome(job.recording, error=f"{error.filename} cannot be written ({error.strerror})")
    # Logits of a night need not travel between processes.
    return Outcome(job.recording, result.without_logits(), heard)


def _heard(result: Detection, start: float, end: float) -> str:
    classes = result.top_classes(start, end, count=CLASSES_SHOWN)
    return ", ".join(f"{name} {share * 100:.0f} %" for name, share in classes)


def _picture(result: Detection, recording: Path) -> bytes:
    from yamnet_cry.picture import picture

    return picture(result, recording, recording.name)


class Work:
    """Runs jobs and says how far they are.

    Args:
        jobs: What to do.
        load: Makes a detector; it must be picklable for more than one worker.
        workers: Processes to use, at most one a job; None to choose by how much there is to do.
    """

    def __init__(self, jobs: Sequence[Job], load: Callable[[], CryDetector], workers: int | None) -> None:
        self._jobs, self._load = jobs, load
        self._seconds = [_seconds(job.recording) for job in jobs]
        if workers is None:
            small = sum(map(_size, jobs)) < _WORTH_PROCESSES
            workers = 1 if small else os.cpu_count() or 1
        self._workers = max(1, min(workers, len(jobs)))
        self.total = sum(self._seconds)

    def run(self, tell: Callable[[float], object]) -> Iterator[Outcome]:
        """Yields outcomes in the order of the jobs.

        Args:
            tell: Called now and then with the seconds of audio done so far.
        """
        if self._workers == 1:
            yield from self._run_here(tell)
        else:
            yield from self._run_in_processes(tell)

    def _run_here(self, tell: Callable[[float], object]) -> Iterator[Outcome]:
        detector = self._load()
        before = 0.0
        for job, seconds in zip(self._jobs, self._seconds, strict=True):

            def progress(heard: float, start: float = before) -> None:
                tell(start + heard)

            yield process(job, detector, progress)
            before += seconds
            tell(before)

    def _run_in_processes(self, tell: Callable[[float], object]) -> Iterator[Outcome]:
        context = multiprocessing.get_context("spawn")
        heard = context.Array("d", len(self._jobs), lock=False)
        with ProcessPoolExecutor(self._workers, context, _start_worker, (self._load, heard)) as pool:
            futures = [pool.submit(_in_worker, number, job) for number, job in enumerate(self._jobs)]
            try:
                for number, future in enumerate(futures):
                    yield self._awaited(future, lambda: tell(sum(heard)))
                    heard[number] = self._seconds[number]
                    tell(sum(heard))
            except BrokenProcessPool:
                raise RunError(
                    "a worker process crashed; memory may have run out. "
                    "What is printed is done; try again with --workers 1"
                ) from None
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                if any(not future.done() for future in futures):
                    for child in multiprocessing.active_children():
                        child.terminate()

    def _awaited(self, future: Future[Outcome], meanwhile: Callable[[], object]) -> Outcome:
        while True:
            try:
                return future.result(timeout=0.2)
            except TimeoutError:
                meanwhile()


_detector: CryDetector
_progress: Any


def _start_worker(load: Callable[[], CryDetector], heard: Any) -> None:
    global _detector, _progress
    # Ctrl-C goes to all processes of a terminal; only the main one has anything to say about it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _detector, _progress = load(), heard


def _in_worker(number: int, job: Job) -> Outcome:
    def progress(seconds: float) -> None:
        _progress[number] = seconds

    return process(job, _detector, progress)


def _size(job: Job) -> int:
    try:
        return job.recording.stat().st_size
    except OSError:
        return 0


def _seconds(recording: Path) -> float:
    """Length by the header, for the progress bar only: it may be wrong, or missing."""
    try:
        info = soundfile.info(os.fspath(recording))
    except (OSError, RuntimeError, TypeError):
        return 0.0
    return min(info.duration, 1e6) if info.duration > 0 else 0.0


class Table:
    """A CSV file of events that grows by whole recordings.

    Args:
        path: The file; made if there is none.
        resume: Whether rows that are there already stay, to go on after them.

    Raises:
        RunError: If it cannot be written, is no such table, or would be overwritten.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self._path = path
        self.done: set[str] = set()
        header = ",".join(CSV_COLUMNS) + "\n"
        try:
            if path.exists():
                if not resume:
                    raise RunError(f"{path} exists; go on in it with --skip-done, or name another file")
                text = path.read_text(encoding="utf-8")
                if not text.startswith(header):
                    raise RunError(f"{path} is no table of this program; name another file")
                # A killed run may have left the beginning of a row.
                whole = text[: text.rindex("\n") + 1]
                if whole != text:
                    write_whole(path, whole)
                self.done = {row["file"] for row in csv.DictReader(whole.splitlines())}
            else:
                write_whole(path, header)
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{path} cannot be used ({error})") from None

    def add(self, outcome: Outcome) -> None:
        """Appends the rows of a recording, in one piece."""
        assert outcome.result is not None
        rows = csv_rows(os.fspath(outcome.recording), outcome.result, outcome.heard)
        try:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                file.write(rows)
        except OSError as error:
            raise RunError(f"{self._path} cannot be written ({error.strerror})") from None

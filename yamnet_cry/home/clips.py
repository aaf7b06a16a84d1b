"""Records events: each becomes a clip in a folder, with some seconds before it."""

import io
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from yamnet_cry.errors import RunError, YamnetCryError
from yamnet_cry.files import lock
from yamnet_cry.frontend import Float32
from yamnet_cry.home import archive
from yamnet_cry.home.labels import locked
from yamnet_cry.home.retention import Retention

SAMPLE_RATE = 16_000
# Read once: while the package is upgraded, its version cannot be read.
_MADE_BY = f"yamnet-cry {version('yamnet-cry')}"

# Maximum delay of a message after the moment that it is about, in seconds.
_DELAY = 15
# Recorded after the end of an event, in seconds.
_TAIL = 1.0
_LONGEST = 600.0
_KEEP_ALL = Retention()


def prepare(folder: Path) -> None:
    """Creates a folder for clips if there is none, and deletes unfinished clips of a crashed program.

    Raises:
        RunError: If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            archive.remove_leftovers(folder)
    except OSError as error:
        raise RunError(_unwritable(folder, error)) from None


class Recorder:
    """Records the events of one connection of a source.

    Disk errors do not stop the listening: the clip is dropped, an error is reported once, and the next clip
    is tried.

    Args:
        folder: Folder of the clips; created if there is none.
        source: Name of the source, 1 to 200 printable characters; part of the clips' names.
        pre_roll: Seconds of audio before an event to include.
        warn: Called with a sentence when clips cannot be written or deleted, and when they can again.
        retention: Applied to the folder after each clip.

    Attributes:
        recent: The latest sound, with which the next clip begins.

    Raises:
        ValueError: If the name of the source is invalid.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        pre_roll: float,
        warn: Callable[[str], object],
        retention: Retention = _KEEP_ALL,
    ) -> None:
        if not archive.SOURCE.holds(source):
            raise ValueError(f"expected the source name to be {archive.SOURCE.meaning}. Received: {source!r}")
        self._folder, self._source, self._warn, self._retention = folder, source, warn, retention
        self._pre_roll = round(pre_roll * SAMPLE_RATE)
        self.recent = Recent(self._pre_roll + _DELAY * SAMPLE_RATE)
        self._unfinished: dict[str, _Unfinished] = {}
        self._trouble = ""
        try:
            prepare(folder)
        except RunError as error:
            self._tell(str(error))

    def push(self, samples: Float32) -> None:
        """Processes the next block of sound; call it before the messages that result from it.

        Args:
            samples: float32 of shape (n,), 16 kHz mono, in [-1, 1]; any length.
        """
        for key, clip in list(self._unfinished.items()):
            if clip.ended is None:
                # All messages of earlier blocks have arrived: sound older than the delay belongs to the clip.
                with self._kept_going(key):
                    clip.write(self.recent, self.recent.end - _DELAY * SAMPLE_RATE)
        self.recent.push(samples)
        for key in list(self._unfinished):
            self._complete(key)

    def started(self, message: Mapping[str, Any]) -> None:
        """Begins a clip.

        Args:
            message: With ``id``, ``start`` in seconds since the source was connected, and ``started_at``.
        """
        key, start = message["id"], _position(message["start"])
        if key in self._unfinished:
            return
        with self._kept_going(key):
            stem = archive.stem(self._source, datetime.fromisoformat(message["started_at"]))
            begin = max(start - self._pre_roll, self.recent.begin)
            self._unfinished[key] = _Unfinished(self._folder, stem, begin)

    def ended(self, message: Mapping[str, Any]) -> None:
        """Ends the clip of an event.

        Args:
            message: With the fields for `started`, and ``end``, ``peak`` and so on.
        """
        if (clip := self._unfinished.get(message["id"])) is not None:
            clip.ended = message
            self._complete(message["id"])

    def close(self) -> None:
        """Finishes the clips of ended events with the sound so far; drops those of ongoing events."""
        for key, clip in list(self._unfinished.items()):
            if clip.ended is not None:
                with self._kept_going(key):
                    self._finish(key)
            else:
                self._unfinished.pop(key).abandon()

    def _complete(self, key: str) -> None:
        """Writes the rest of a clip whose end is known, and finishes it when it is complete."""
        clip = self._unfinished[key]
        if clip.ended is None:
            return
        stop = _position(clip.ended["end"] + _TAIL)
        with self._kept_going(key):
            clip.write(self.recent, stop)
            if clip.position >= min(stop, clip.limit):
                self._finish(key)

    def _finish(self, key: str) -> None:
        self._unfinished[key].publish(self._source)
        del self._unfinished[key]
        try:
            self._retention.apply(self._folder)
        except (OSError, YamnetCryError) as error:
            self._tell(f"old clips in {self._folder} cannot be deleted ({_reason(error)})")
            return
        if self._trouble:
            self._warn(f"clips are saved to {self._folder} again")
        self._trouble = ""

    @contextmanager
    def _kept_going(self, key: str) -> Iterator[None]:
        """Drops a clip if it cannot be written."""
        try:
            yield
        except (OSError, soundfile.SoundFileError) as error:
            if (clip := self._unfinished.pop(key, None)) is not None:
                clip.abandon()
            self._tell(_unwritable(self._folder, error))

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._warn(f"{trouble}; listening continues")
        self._trouble = trouble


class Recent:
    """A buffer of the newest block of sound and the samples before it.

    Args:
        least: Minimum number of samples to keep before the newest block.

    Attributes:
        end: Position after the last sample, counted from the first of the stream.
    """

    def __init__(self, least: int) -> None:
        self._least, self._buffer, self._used = least, np.empty(0, np.float32), 0
        self.end = 0

    @property
    def begin(self) -> int:
        """Position of the oldest sample."""
        return self.end - self._used

    def push(self, samples: Float32) -> None:
        """Appends the next block, float32 of shape (n,)."""
        if self._used + len(samples) > len(self._buffer):
            kept = self._buffer[max(0, self._used - self._least) : self._used]
            if len(kept) + len(samples) > len(self._buffer):
                # Twice the size, so that samples are rarely moved.
                self._buffer = np.empty(2 * self._least + len(samples), np.float32)
            self._buffer[: len(kept)] = kept
            self._used = len(kept)
        self._buffer[self._used : self._used + len(samples)] = samples
        self._used += len(samples)
        self.end += len(samples)

    def between(self, first: int, stop: int) -> Float32:
        """Returns the samples of an interval of positions: a view that is valid until the next `push`.

        Args:
            first: At least `begin`.
            stop: At most ``end``.
        """
        return self._buffer[first - self.begin : stop - self.begin]


class _Unfinished:
    """A clip under a temporary name, locked until it is finished or the program ends.

    Args:
        folder: Folder of the clip.
        stem: Stem of its name; a number is appended if there is such a clip already.
        begin: Position of its first sample in the stream.

    Attributes:
        position: Position of the next sample.
        limit: Position at which it is cut.
        ended: The message that ended its event.

    Raises:
        OSError: If it cannot be written.
    """

    def __init__(self, folder: Path, stem: str, begin: int) -> None:
        self._folder = folder
        self._begin = self.position = begin
        self.limit = begin + _position(_LONGEST)
        self.ended: Mapping[str, Any] | None = None
        with locked(folder):
            self._stem, self._file = _reserved(folder, stem)
            with suppress(OSError):
                # Some network drives have no locks.
                lock(self._file)
        self._sink = _Sink(self._file)
        try:
            self._sound = soundfile.SoundFile(self._sink, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC")
            self._sink.check()
        except (OSError, soundfile.SoundFileError):
            self._remove()
            raise

    def write(self, recent: Recent, stop: int) -> None:
        """Writes the available samples up to a position."""
        stop = min(stop, self.limit, recent.end)
        if stop > self.position:
            self._sound.write(recent.between(self.position, stop))
            self.position = stop
            self._sink.check()

    def publish(self, source: str) -> None:
        """Renames the clip to its final name, and writes its description.

        Raises:
            OSError: If a file cannot be written or renamed; the clip is still unfinished then.
        """
        assert self.ended is not None
        self._sound.close()
        self._sink.check()
        os.fsync(self._file.fileno())
        description = archive.unfinished(self._folder, self._stem + archive.DESCRIPTION)
        with description.open("x", encoding="utf-8") as file:
            file.write(archive.describe(self._about(source, self.ended)))
            file.flush()
            os.fsync(file.fileno())
        audio = self._stem + archive.AUDIO
        with locked(self._folder):
            # A description without audio is recognised as a leftover; audio without a description is not.
            os.replace(description, self._folder / (self._stem + archive.DESCRIPTION))
            # Windows cannot rename open files.
            self._file.close()
            try:
                os.replace(archive.unfinished(self._folder, audio), self._folder / audio)
            except OSError:
                (self._folder / (self._stem + archive.DESCRIPTION)).unlink()
                raise

    def abandon(self) -> None:
        """Deletes the unfinished clip."""
        with suppress(soundfile.SoundFileError):
            self._sound.close()
        self._remove()

    def _remove(self) -> None:
        self._file.close()
        for suffix in (archive.AUDIO, archive.DESCRIPTION):
            with suppress(OSError):
                archive.unfinished(self._folder, self._stem + suffix).unlink(missing_ok=True)

    def _about(self, source: str, ended: Mapping[str, Any]) -> dict[str, Any]:
        length = self.position - self._begin

        def within(seconds: float) -> float:
            """Converts a time of the stream to a time in the clip, in seconds."""
            return min(max(0, _position(seconds) - self._begin), length) / SAMPLE_RATE

        return {
            **ended,
            "source": source,
            "file": self._stem + archive.AUDIO,
            "sample_rate": SAMPLE_RATE,
            "clip_seconds": length / SAMPLE_RATE,
            "event_start": within(ended["start"]),
            "event_end": within(ended["end"]),
            "cut": self.limit < _position(ended["end"]),
            "made_by": _MADE_BY,
        }


class _Sink:
    """A file for libsndfile, whose callbacks must not raise: errors are kept until `check` is called."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._error: OSError | None = None
        self.seek, self.tell = file.seek, file.tell

    def write(self, data: bytes) -> int:
        try:
            rest = memoryview(data)
            while rest and self._error is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._error = error
        return len(data)

    def check(self) -> None:
        """Raises the first error, if there was one."""
        if self._error is not None:
            raise self._error


def _reserved(folder: Path, stem: str) -> tuple[str, io.FileIO]:
    """Opens a new file for a clip, under an unused name."""
    for number in itertools.count(1):
        name = stem if number == 1 else f"{stem}-{number}"
        if any((folder / (name + suffix)).exists() for suffix in (archive.AUDIO, archive.DESCRIPTION)):
            continue
        with suppress(FileExistsError):
            path = archive.unfinished(folder, name + archive.AUDIO)
            return name, path.open("x+b", buffering=0)
    raise AssertionError("there are always more numbers")


def _position(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def _unwritable(folder: Path, error: Exception) -> str:
    return f"clips cannot be written to {folder} ({_reason(error)})"


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

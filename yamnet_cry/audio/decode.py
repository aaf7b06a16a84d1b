"""Opens and decodes audio files, including truncated ones."""

import io
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile

from yamnet_cry.audio import encoded, ffmpeg
from yamnet_cry.errors import AudioError
from yamnet_cry.frontend import Float32

# Data from a pipe is kept in memory up to this size, and on disk beyond it.
_SPOOL_BYTES = 2**24

# Recorders that write to a pipe set the length of a WAV file to the largest number.
_STREAMED_LENGTH = 0x7FFF_0000

# Error code of libsndfile for unknown formats.
_UNKNOWN = 1

_RESCUE = "Copy the file again, or recover what it contains with `ffmpeg -i FILE out.wav`"

Source = str | os.PathLike[str] | BinaryIO


class _PatientFile:
    """A file that raises no errors, because libsndfile's callbacks would print them with a traceback.

    A seek to before its start, as by damaged headers, is ignored; a read error is stored and ends the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None
        # Replacement for bytes 4 to 8, the length of a WAV file.
        self.length = b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        start = self._file.tell()
        try:
            data = self._file.read(len(buffer))
        except OSError as error:
            self.error, data = error, b""
        buffer[: len(data)] = data
        for place in range(max(4, start), min(4 + len(self.length), start + len(data))):
            buffer[place - start] = self.length[place - 4 : place - 3]
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@dataclass(frozen=True)
class Sound:
    """An open audio file.

    Attributes:
        name: Its name in messages.
        sample_rate: In hertz, from the header.
        channels: Number of channels, from the header.
    """

    name: str
    sample_rate: int
    channels: int
    _sound: soundfile.SoundFile
    _file: str | bytes | _PatientFile
    _on_cut: Callable[[str], object]

    def blocks(self, frames: int) -> Iterator[Float32]:
        """Decodes the file.

        Args:
            frames: Largest length of a block.

        Yields:
            float32 arrays of shape (frames, channels), none empty.

        Raises:
            AudioError: If it is damaged.
        """
        decoded = 0
        ended = False
        while not ended:
            block = np.empty((frames, self.channels), np.float32)
            try:
                count = len(self._sound.read(out=block))
                ended = count == 0
            except soundfile.LibsndfileError as error:
                count = max(0, self._sound.tell() - decoded)
                ended = True
                if decoded + count == 0 or self._has_an_end():
                    raise AudioError(
                        f"{self.name} cannot be decoded after {(decoded + count) / self.sample_rate:.2f} s "
                        f"({error.error_string.rstrip('.')}). {_RESCUE}"
                    ) from None
            if isinstance(self._file, _PatientFile) and self._file.error is not None:
                raise _unreadable(self.name, self._file.error)
            decoded += count
            if count:
                yield block[:count]
        if decoded < self._sound.frames < 2**62:
            self._on_cut(
                f"{self.name} is truncated: its header declares "
                f"{self._sound.frames / self.sample_rate:.2f} s, {decoded / self.sample_rate:.2f} s "
                "could be decoded"
            )

    def _has_an_end(self) -> bool:
        """Whether the last sample can be decoded: then the file is damaged in the middle, not truncated."""
        if isinstance(self._file, _PatientFile):
            self._file.seek(0)
        try:
            with soundfile.SoundFile(self._file) as again:
                again.seek(again.frames - 1)
                return len(again.read(1)) == 1
        except soundfile.LibsndfileError:
            return False


@contextmanager
def opened(
    name: str, source: Source, on_cut: Callable[[str], object] | None = None
) -> Iterator[Sound | ffmpeg.Decoder]:
    """Opens an audio file with libsndfile, or with ffmpeg if libsndfile does not support its format.

    Args:
        name: Name of the file in messages.
        source: A path or a binary file object, also of a pipe.
        on_cut: Called with a message if the file is truncated; without it, that is an error.

    Raises:
        AudioError: If it cannot be opened, is empty, or cannot be decoded.
    """
    on_cut = on_cut or _refuse
    with ExitStack() as stack:
        try:
            opened_file, path = _open(name, source, stack)
            start = opened_file.tell()
            patient = _PatientFile(opened_file)
            _check_length(name, patient, on_cut)
        except OSError as error:
            raise _unreadable(name, error) from None
        # By name if it has one: signals such as Ctrl-C would be lost in a callback.
        file = patient if path is None or patient.length else path
        sound: soundfile.SoundFile | ffmpeg.Decoder
        try:
            sound = soundfile.SoundFile(file)
        except (soundfile.LibsndfileError, TypeError) as error:
            reason = getattr(error, "error_string", str(error)).rstrip(".")
            head = _head(name, opened_file, start)
            # It supports only some codecs in Ogg, and reports the others as damaged.
            if getattr(error, "code", None) != _UNKNOWN and not head.startswith(b"OggS"):
                raise AudioError(
                    f"{name} is not audio that can be decoded ({reason}); "
                    "WAV, FLAC, OGG and MP3 can, other formats after `ffmpeg -i FILE out.wav`"
                ) from None
            if ffmpeg.program() is None:
                raise _without_ffmpeg(name, encoded.name_of(head), reason) from None
            known = os.fsdecode(path) if path is not None else _path_of(opened_file, start)
            sound = ffmpeg.file(name, known or opened_file, on_cut)
        stack.enter_context(sound)
        if isinstance(sound, ffmpeg.Decoder):
            yield sound
        else:
            yield Sound(name, sound.samplerate, sound.channels, sound, file, on_cut)


def _head(name: str, file: BinaryIO, start: int) -> bytes:
    """Returns the first bytes of a file, and seeks back to its start."""
    try:
        file.seek(start)
        head = file.read(encoded.HEAD_BYTES)
        file.seek(start)
    except OSError as error:
        raise _unreadable(name, error) from None
    return head


def _without_ffmpeg(name: str, kind: str | None, reason: str) -> AudioError:
    if kind is not None:
        return AudioError(f"{name} is {kind}, which needs ffmpeg: {ffmpeg.INSTALL}")
    return AudioError(
        f"{name} is not audio that can be decoded ({reason}); "
        f"WAV, FLAC, OGG and MP3 can, other formats need ffmpeg: {ffmpeg.INSTALL}"
    )


def _path_of(file: BinaryIO, start: int) -> str | None:
    """Returns the path of an open file if it has the same content: MP4 may have its index at the end."""
    # Other file objects, such as gzip's, have a name too, but different content.
    if start or not isinstance(file, io.BufferedReader | io.BufferedRandom | io.FileIO):
        return None
    try:
        same = isinstance(file.name, str) and os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    except OSError:
        return None
    return str(file.name) if same else None


def native_name(path: str | os.PathLike[str]) -> str | bytes:
    """Returns the name of a file for libsndfile; bytes except on Windows, because it may not be Unicode."""
    return os.fspath(path) if sys.platform == "win32" else os.fsencode(path)


def _refuse(cut: str) -> None:
    raise AudioError(f"{cut}. {_RESCUE}")


def _unreadable(name: str, error: OSError) -> AudioError:
    if isinstance(error, FileNotFoundError):
        return AudioError(f"{name}: no such file")
    return AudioError(f"{name} cannot be read: {error.strerror or error}")


def _open(name: str, source: Source, stack: ExitStack) -> tuple[BinaryIO, str | bytes | None]:
    """Opens a seekable file; the stack closes what is opened here.

    Returns:
        The file, and its name for libsndfile, if it has one.
    """
    path = None
    if isinstance(source, str | os.PathLike):
        # Windows would report a permission error.
        if Path(source).is_dir():
            raise AudioError(f"{name} is a folder; pass the audio files in it")
        path = native_name(source)
        file: BinaryIO = stack.enter_context(open(source, "rb"))  # noqa: SIM115
    else:
        file = source
        if isinstance(file.read(0), str):
            raise AudioError(f"{name} is open as text; open it in binary mode, open(path, 'rb')")
    if file.seekable():
        return file, path
    spool = cast(BinaryIO, stack.enter_context(SpooledTemporaryFile(_SPOOL_BYTES)))  # noqa: SIM115
    shutil.copyfileobj(file, spool)
    spool.seek(0)
    return spool, None


def _check_length(name: str, file: _PatientFile, on_cut: Callable[[str], object]) -> None:
    """Detects empty files, and WAV files shorter than their header says: libsndfile reads both silently."""
    start = file.tell()
    head = file.read(4096)
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if size == 0:
        raise AudioError(f"{name} is empty (0 bytes)")
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return
    claimed = struct.unpack("<I", head[4:8])[0] + 8
    # Padding bytes are often miscounted; a truncated file lacks more than that.
    if size + 64 < claimed < _STREAMED_LENGTH:
        on_cut(f"{name} is truncated: its header declares {claimed:,} bytes, it has {size:,}")
    elif _is_unfinished(head, size):
        on_cut(f"{name} is truncated: its header declares no samples, and {size:,} bytes follow")
        # With this length, libsndfile determines the number of samples itself.
        file.length = struct.pack("<I", 8)


def _is_unfinished(head: bytes, size: int) -> bool:
    """Whether a WAV file was never finished: most recorders write the length of its samples last."""
    place = 12
    while place + 8 <= len(head):
        kind, length = struct.unpack("<4sI", head[place : place + 8])
        if kind == b"data":
            return length == 0 and size > place + 8 + 64
        place += 8 + length + length % 2
    return False

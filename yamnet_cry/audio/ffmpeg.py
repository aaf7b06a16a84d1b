"""ffmpeg as a child process, for input that libsndfile cannot decode: other formats, video, streams."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import IO, Any, BinaryIO, Self, cast

from yamnet_cry.audio import ffmpeg_words, wav
from yamnet_cry.errors import AudioError, InputEnded
from yamnet_cry.frontend import Float32

#: Advice for systems without ffmpeg.
INSTALL = 'install ffmpeg, or pip install "yamnet-cry[media]"'

#: Prefixes of the addresses that `live` accepts.
SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "srt://", "rtmp://", "rtmps://")

# Only containers whose demuxer opens no other files: an untrusted playlist must not read local files.
_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,dtshd,eac3,flac,flv,loas,matroska,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,mxf,ogg,rm,tak,tta,w64,wav,webm,wv"
)

# Protocols of streams; without files, because a stream may be a playlist too.
_NETWORK = "crypto,data,http,https,httpproxy,rtmp,rtmps,rtmpt,rtp,rtsp,rtsps,srt,srtp,tcp,tls,udp"

#: Timeout of a stream without data, in microseconds.
PATIENCE = "10000000"

# Keeps the start of a stream short: one second, or half a megabyte, is enough to probe it. That second is not
# lost, as it would be with -fflags nobuffer, and adds no delay: it is decoded much faster than in real time.
_AT_ONCE = ("-analyzeduration", "1000000", "-probesize", "500000")

# Kept lines of ffmpeg's messages: the first ones have the error of a file, the last ones that of a stream.
_FIRST, _LAST, _LINE_BYTES = 5, 15, 1_000

_FED_BYTES = 2**16

# Ctrl-C in a terminal goes to the whole process group; children get their own, and are ended here.
_ALONE: dict[str, Any]
if sys.platform == "win32":
    _ALONE = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
else:
    _ALONE = {"start_new_session": True}


@cache
def program() -> str | None:
    """Returns the path of ffmpeg: from PATH, or else from the extra ``media``; None without either."""
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


class Decoder:
    """Decodes one input with ffmpeg, until it ends or is closed; use it in a ``with`` block.

    The constructor starts ffmpeg and does not wait; `sample_rate`, `channels` and `blocks` wait for the first
    samples. `close` may be called from any thread, also while another thread waits. A decoder is also closed
    when it is garbage-collected, so that no child process outlives it.

    Args:
        name: Name of the input in messages.
        arguments: Arguments of ffmpeg, up to and including the input.
        output: Further arguments, for the output.
        source: Data for ffmpeg's standard input; without it, standard input is empty.

    Raises:
        AudioError: If ffmpeg is not installed, or cannot be started.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        output: Sequence[str] = (),
        source: BinaryIO | None = None,
    ) -> None:
        self.name = name
        self._source_error: list[OSError] = []
        self._said: tuple[list[bytes], deque[bytes]] = ([], deque(maxlen=_LAST))
        self._form: wav.Format | None = None
        self._header = threading.Lock()
        process = _started(name, [*arguments, *_WAV, *output, "pipe:1"], fed=source is not None)
        self._process = process
        self._samples = cast(BinaryIO, process.stdout)
        # Threads have no reference to the decoder, which could never be garbage-collected otherwise.
        threads = [_thread(_note, process.stderr, *self._said)]
        if source is not None:
            threads.append(_thread(_feed, process.stdin, source, self._source_error))
        self._threads = threads
        self._end = weakref.finalize(self, _end, process, threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sample_rate(self) -> int:
        """Sample rate in hertz.

        Raises:
            AudioError: If there is no audio to decode, or the decoder was closed.
        """
        return self._format().sample_rate

    @property
    def channels(self) -> int:
        """Number of channels; raises the same errors as `sample_rate`."""
        return self._format().channels

    @property
    def closed(self) -> bool:
        """Whether `close` was called or all samples were read."""
        return not self._end.alive

    def blocks(self, frames: int | None = None) -> Iterator[Float32]:
        """Decodes the input; ffmpeg has ended once the iterator ends or is closed.

        Args:
            frames: Length of a block. Without it, blocks are what is available, of at most 0.1 s.

        Yields:
            float32 arrays of shape (frames, channels), none empty. After `close`, the iterator ends without
            an error.

        Raises:
            AudioError: If there is no audio to decode.
        """
        form = self._format()
        count = 0
        with self:
            blocks = wav.blocks(self._samples, form, frames=frames)
            while (block := self._next(blocks)) is not None:
                count += len(block)
                yield block
            if not self.closed:
                self._ended(count / form.sample_rate)

    @property
    def said(self) -> list[str]:
        """The first and last lines of ffmpeg's messages so far; at most 20."""
        first, last = self._said
        return [line.decode(errors="replace") for line in (*first, *last)]

    def close(self) -> None:
        """Kills ffmpeg."""
        self._end()

    def _format(self) -> wav.Format:
        with self._header:
            if self._form is None:
                try:
                    head = wav.read(self._samples, wav.HEAD_BYTES)
                    if head.startswith(wav.MAGIC):
                        self._form = wav.header(self._samples, head, "the output of ffmpeg")
                except (ValueError, OSError):
                    if not self.closed:
                        raise
                if self.closed:
                    raise AudioError(f"{self.name} was closed")
                if self._form is None:
                    with self:
                        self._ended(0.0)
                        raise AudioError(f"{self.name} holds no samples")
            return self._form

    def _next(self, blocks: Iterator[Float32]) -> Float32 | None:
        try:
            return next(blocks, None)
        except (ValueError, OSError):
            # The pipe was closed by another thread.
            if self.closed:
                return None
            raise

    def _outcome(self) -> tuple[int, list[str]]:
        """Waits for ffmpeg to end; returns its exit code and messages."""
        code = self._process.wait()
        for thread in self._threads:
            thread.join()
        return code, self.said

    def _ended(self, seconds: float) -> None:
        """Called when ffmpeg has closed its output; raises an error if it did not end normally."""
        raise NotImplementedError


class _File(Decoder):
    """Decodes a recording, which has an end.

    Args:
        name: Name of the recording in messages.
        source: Its path, or a file object for standard input.
        on_cut: Called with a message if a part of it cannot be decoded.
    """

    def __init__(self, name: str, source: str | BinaryIO, on_cut: Callable[[str], object]) -> None:
        self._piped, self._on_cut = not isinstance(source, str), on_cut
        safe = ("-protocol_whitelist", "file,pipe", "-format_whitelist", _CONTAINERS)
        if isinstance(source, str):
            # With this prefix, a dash or colon in the path has no special meaning.
            super().__init__(name, [*safe, "-i", f"file:{source}"])
        else:
            super().__init__(name, [*safe, "-i", "pipe:0"], source=source)

    def _ended(self, seconds: float) -> None:
        code, said = self._outcome()
        if self._source_error:
            error = self._source_error[0]
            raise AudioError(f"{self.name} cannot be read: {error.strerror or error}")
        if code < 0:
            raise AudioError(
                f"{self.name}: ffmpeg was killed after {seconds:.2f} s of audio (signal {-code})"
            )
        faults = ffmpeg_words.reasons(said)
        if not faults and code == 0:
            return
        if seconds == 0.0:
            if self._piped and any("partial file" in line for line in said):
                raise AudioError(
                    f"{self.name} is MP4 with its index at the end, which cannot be read from a pipe; "
                    "pass the file instead"
                )
            raise AudioError(ffmpeg_words.of_file(self.name, said))
        reason = ffmpeg_words.redacted(faults[0]) if faults else f"exit code {code}"
        self._on_cut(
            f"{self.name} is truncated or damaged: {seconds:.2f} s could be decoded (ffmpeg: {reason})"
        )


class _Stream(Decoder):
    """Decodes a network stream, which should never end."""

    def __init__(self, name: str, address: str, options: Sequence[str]) -> None:
        self._secrets = ffmpeg_words.secrets_of(address)
        safe = ("-protocol_whitelist", _NETWORK)
        arguments = [*_AT_ONCE, *safe, *_of_scheme(address), *options, "-i", address]
        super().__init__(ffmpeg_words.redacted(name), arguments, output=("-flush_packets", "1"))

    def blocks(self, frames: int | None = None) -> Iterator[Float32]:
        """Decodes the stream as `Decoder.blocks` does, by default in blocks of a tenth of a second.

        Waking up for each packet, often of 20 ms, would cost more than running the detector on it.
        """
        return super().blocks(frames or max(1, self.sample_rate // 10))

    def _ended(self, seconds: float) -> None:
        code, said = self._outcome()
        why = ffmpeg_words.of_stream(self.name, said, self._secrets)
        if seconds == 0.0:
            raise AudioError(why or f"{self.name} has no sound")
        if why is None:
            why = f"{self.name} ended" if code >= 0 else f"{self.name}: ffmpeg was killed (signal {-code})"
        raise InputEnded(why)


def file(name: str, source: str | BinaryIO, on_cut: Callable[[str], object]) -> Decoder:
    """Decodes the first audio stream of a file in any format that ffmpeg supports, at its sample rate.

    Args:
        name: Name of the file in messages.
        source: Its path, or a binary file object, which a thread reads until the decoder is closed.
        on_cut: Called with a message if a part of it cannot be decoded.

    Raises:
        AudioError: If ffmpeg is not installed; while decoding, if nothing can be decoded.
    """
    return _File(name, source, on_cut)


def live(address: str, name: str, options: Sequence[str] = ()) -> Decoder:
    """Decodes a network stream as it arrives.

    Args:
        address: A URL with one of `SCHEMES`; may contain user and password, which messages do not show.
        name: Name of the stream in messages.
        options: Further options of ffmpeg for the input.

    Returns:
        A decoder, which must be closed. Its errors are one line: an `AudioError` before the first sample, an
        `InputEnded` after it.

    Raises:
        AudioError: If the address has another scheme, or ffmpeg is not installed.
    """
    if not address.lower().startswith(SCHEMES):
        raise AudioError(
            f"{name}: expected an address that begins with {', '.join(SCHEMES)}. "
            f"Received: {ffmpeg_words.redacted(address)}"
        )
    return _Stream(name, address, options)


# Original sample rate and channels, so that averaging and resampling are the same for every format.
_WAV = ("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-f", "wav", "-c:a", "pcm_f32le")


def _of_scheme(address: str) -> tuple[str, ...]:
    scheme = address.partition(":")[0].lower()
    if scheme in ("rtsp", "rtsps"):
        path = program()
        # Before ffmpeg 5, -timeout meant to listen for incoming connections.
        old = path is not None and _version(path) < 5
        return ("-rtsp_transport", "tcp", "-stimeout" if old else "-timeout", PATIENCE)
    return ("-timeout" if scheme == "srt" else "-rw_timeout", PATIENCE)


@cache
def _version(path: str) -> int:
    """The major version of ffmpeg; builds from its repository have none, and are assumed to be new."""
    command = [path, "-version"]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **_ALONE)
    found = re.match(rb"ffmpeg version n?(\d+)\.", said.stdout)
    return int(found[1]) if found else 1_000


def _started(name: str, arguments: Sequence[str], *, fed: bool) -> "subprocess.Popen[bytes]":
    path = program()
    if path is None:
        raise AudioError(f"{name} needs ffmpeg: {INSTALL}")
    quiet = [*(() if fed else ("-nostdin",)), "-hide_banner", "-loglevel", "repeat+error"]
    try:
        return subprocess.Popen(
            [path, *quiet, *arguments],
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **_ALONE,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{name}: ffmpeg cannot be started ({reason}): {path}") from None


def _thread(target: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def _note(stderr: IO[bytes], first: list[bytes], last: deque[bytes]) -> None:
    """Reads all messages, and keeps the first and last lines: a full pipe would block the child."""
    with suppress(OSError, ValueError):
        while line := stderr.readline(_LINE_BYTES):
            (first if len(first) < _FIRST else last).append(line)


def _feed(stdin: IO[bytes], source: BinaryIO, error: list[OSError]) -> None:
    """Copies a source to the standard input of a child, until either ends."""
    # Writing fails if the child has ended; its own messages say why.
    with suppress(OSError, ValueError), stdin:
        while True:
            try:
                data = source.read(_FED_BYTES)
            except OSError as failed:
                error.append(failed)
                return
            if not data:
                return
            stdin.write(data)


def _end(process: "subprocess.Popen[bytes]", threads: Sequence[threading.Thread]) -> None:
    """Kills a child and the processes it started, and closes its pipes."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in filter(None, (process.stdout, process.stderr, process.stdin)):
        with suppress(OSError):
            pipe.close()
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join()

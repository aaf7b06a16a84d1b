"""Opens sources: streams, microphones, and standard input."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

from numpy.typing import NDArray

from yamnet_cry.audio import capture, ffmpeg
from yamnet_cry.home.reader import Input
from yamnet_cry.home.sources import Source


class Blocks:
    """Blocks of `yamnet_cry.audio.capture` as an input.

    Args:
        blocks: The blocks and their sample rate.

    Attributes:
        sample_rate: Sample rate in hertz.
    """

    def __init__(self, blocks: capture.Blocks) -> None:
        self._blocks, self.sample_rate = blocks
        self._closed = False

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yields sound as it arrives."""
        for block in self._blocks:
            if self._closed:
                break
            yield block
        # Not in `close`: another thread cannot close a running generator.
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()

    def close(self) -> None:
        """Ends the input at the next block."""
        self._closed = True


def opened(source: Source, warn: Callable[[str], object]) -> Input:
    """Opens a source.

    Args:
        source: A stream or a microphone.
        warn: Called with a sentence when sound is lost.

    Raises:
        AudioError: If it cannot be opened.
    """
    if source.microphone is not None:
        return Blocks(capture.microphone(source.microphone or None, warn))
    return ffmpeg.live(source.address, source.name)


def stdin(raw: capture.Format, *, surely_raw: bool) -> Input:
    """Opens standard input, see `capture.pipe`.

    Raises:
        AudioError: If it contains no usable audio.
    """
    return Blocks(capture.pipe(_unbuffered_stdin(), raw, surely_raw=surely_raw))


def _unbuffered_stdin() -> BinaryIO:
    """Returns standard input without Python's buffer, whose lock a reading thread would hold at exit."""
    try:
        number = sys.stdin.fileno()
    except (OSError, ValueError, io.UnsupportedOperation):
        return sys.stdin.buffer
    return cast(BinaryIO, io.FileIO(os.dup(number)))

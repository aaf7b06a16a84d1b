"""Cuts a waveform that arrives in blocks into pieces of whole patches, in bounded memory."""

from collections.abc import Iterable, Iterator

import numpy as np

from yamnet_cry.frontend import YAMNET, Float32, FrontEnd


class PatchCutter:
    """Cuts a waveform that arrives in blocks into pieces of whole patches, in bounded memory.

    The patches of all pieces, concatenated, equal the patches of the whole, padded waveform for any block
    sizes. Each patch is returned as soon as its last sample has arrived. With `YAMNET`, a piece has
    15600 + 7680 * n samples, of which the first 7,920 repeat the end of the previous piece.

    Args:
        front_end: The front end that defines the patches. Its frames must not be centred, because frames at
            a cut would need samples from beyond it.

    Raises:
        ValueError: If the frames are centred.

    Examples:
        >>> cutter = PatchCutter()
        >>> [len(piece) for piece in cutter.push(np.zeros(32_000, np.float32))]
        [30960]
        >>> [len(piece) for piece in cutter.finish()]
        [15600]
    """

    def __init__(self, front_end: FrontEnd = YAMNET) -> None:
        if front_end.centred:
            raise ValueError("expected front_end.centred to be false for audio in blocks. Received: True")
        self._front_end = front_end
        self._hop = front_end.patch_hop_samples
        self._overlap = front_end.patch_samples - self._hop
        # Blocks are concatenated once a piece is complete, not one by one: a microphone's blocks are short.
        self._blocks: list[Float32] = []
        self._pending = 0
        self._started = False

    def push(self, block: Float32) -> list[Float32]:
        """Adds float32 samples of shape (samples,); returns a list of one piece, or none yet."""
        self._blocks.append(block)
        self._pending += len(block)
        complete = (self._pending - self._overlap) // self._hop
        if complete <= 0:
            return []
        pending = np.concatenate(self._blocks)
        piece = pending[: self._overlap + complete * self._hop]
        # A copy: a view would keep all of a large block alive.
        rest = pending[complete * self._hop :].copy()
        self._blocks, self._pending = [rest], len(rest)
        self._started = True
        return [piece]

    def finish(self) -> list[Float32]:
        """Ends the waveform; returns the last piece, padded, if samples remain."""
        if self._pending > self._overlap or not self._started:
            return [self._front_end.pad(np.concatenate([np.empty(0, np.float32), *self._blocks]))]
        return []


def whole_patches(blocks: Iterable[Float32], front_end: FrontEnd = YAMNET) -> Iterator[Float32]:
    """Cuts a waveform that arrives in blocks as `PatchCutter` does.

    Args:
        blocks: float32 samples, each of shape (samples,).
        front_end: The front end that defines the patches.

    Yields:
        float32 arrays; with `YAMNET`, of shape (15600 + 7680 * n,).

    Examples:
        >>> halves = np.split(np.zeros(32_000, np.float32), 2)
        >>> [len(YAMNET.patches(YAMNET.log_mel(piece))) for piece in whole_patches(halves)]
        [1, 2, 1]
    """
    cutter = PatchCutter(front_end)
    for block in blocks:
        yield from cutter.push(block)
    yield from cutter.finish()

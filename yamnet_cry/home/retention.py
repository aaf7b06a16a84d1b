"""Limits of the age and size of clips."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from yamnet_cry.errors import RunError
from yamnet_cry.home import archive
from yamnet_cry.home.archive import Clip
from yamnet_cry.home.labels import KEPT, Labels, locked

_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_BYTES = {"M": 10**6, "G": 10**9, "T": 10**12}
# Ten minutes of noise, the longest clip, take this much.
_LEAST_BYTES = 20 * 10**6


def parse_seconds(value: str) -> float:
    """Parses a duration, in seconds.

    Raises:
        RunError: If it is not a number above 0 with unit m, h, d or w.

    Examples:
        >>> parse_seconds("7d"), parse_seconds("1.5h")
        (604800.0, 5400.0)
    """
    seconds = _quantity(value, _SECONDS)
    if not seconds:
        raise RunError(f"expected a time such as 30m, 12h, 7d or 2w. Received: {value!r}")
    return seconds


def parse_bytes(value: str) -> int:
    """Parses a size, in bytes, that is enough for the longest clip.

    Raises:
        RunError: If it is not a number above 0 with unit M, G or T, or less than 20 MB.

    Examples:
        >>> parse_bytes("1.5G"), parse_bytes("500M")
        (1500000000, 500000000)
    """
    count = round(_quantity(value.upper(), _BYTES))
    if not count:
        raise RunError(f"expected a size such as 500M or 1.5G. Received: {value!r}")
    if count < _LEAST_BYTES:
        raise RunError(f"expected a size of at least 20M, what a long clip takes. Received: {value!r}")
    return count


@dataclass(frozen=True)
class Retention:
    """Limits for clips. Clips labelled cry or not_cry are always kept, and do not count.

    Attributes:
        keep_seconds: Maximum age of a clip in seconds; None for no limit.
        keep_bytes: Maximum total size; the oldest clips are deleted first. None for no limit.
    """

    keep_seconds: float | None = None
    keep_bytes: int | None = None

    def apply(self, folder: Path, now: float | None = None) -> list[Clip]:
        """Deletes clips beyond the limits, and their rows in the manifest; never files of other programs.

        Args:
            folder: Folder of the clips.
            now: Seconds since the epoch; None for the current time.

        Returns:
            The deleted clips, oldest first.

        Raises:
            CorpusError: If the manifest cannot be read: nothing is deleted then.
            OSError: If a clip cannot be deleted, or the manifest cannot be written.
        """
        if self.keep_seconds is None and self.keep_bytes is None:
            return []
        with locked(folder):
            labels = Labels(folder)
            targets = labels.targets()
            loose = [clip for clip in archive.clips(folder) if targets.get(clip.file) not in KEPT]
            doomed = self._doomed(loose, time.time() if now is None else now)
            try:
                for clip in doomed:
                    clip.delete()
            finally:
                if any(clip.file in targets for clip in doomed):
                    labels.save()
        return doomed

    def _doomed(self, newest_first: list[Clip], now: float) -> list[Clip]:
        doomed, total = [], 0
        for clip in newest_first:
            total += clip.bytes()
            too_old = self.keep_seconds is not None and clip.started.timestamp() < now - self.keep_seconds
            too_much = self.keep_bytes is not None and total > self.keep_bytes
            if too_old or too_much:
                doomed.append(clip)
        return doomed[::-1]


def _quantity(value: str, units: dict[str, float] | dict[str, int]) -> float:
    """Parses a number with a unit, such as 1.5h; returns 0 if it is none."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([a-zA-Z])", value.strip(), re.ASCII)
    return float(found[1]) * units.get(found[2], 0) if found else 0.0

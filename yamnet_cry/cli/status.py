"""One line on stderr that is written over and over, for a person who watches."""

import shutil
import sys
import time

from yamnet_cry.results import duration


def bar(share: float, width: int = 16) -> str:
    """Draws a share, in [0, 1], as a bar.

    Examples:
        >>> bar(0.25, 4)
        '█···'
    """
    full = round(min(1.0, max(0.0, share)) * width)
    return "█" * full + "·" * (width - full)


class StatusLine:
    """Shows text on the last line of a terminal, and nothing where there is none."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._shown, self._width = sys.stderr.isatty() and not quiet, 0

    def show(self, text: str) -> None:
        """Writes over what was shown before."""
        if not self._shown:
            return
        # A line that wraps could not be written over.
        text = text[: shutil.get_terminal_size().columns - 1]
        self._write("\r" + text.ljust(self._width))
        self._width = len(text)

    def clear(self) -> None:
        """Makes room for a line that stays."""
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class Progress:
    """How much of some audio is done, and the time left.

    Args:
        status: Where to show it.
        total: Seconds of audio in all.
    """

    #: Seconds without a bar, for short work is over before it could be read, and between two of its states.
    PATIENCE, PAUSE = 1.0, 0.1

    def __init__(self, status: StatusLine, total: float) -> None:
        self._status, self._total = status, total
        self._started = self._last = time.monotonic()

    def tell(self, seconds: float) -> None:
        """Takes the seconds of audio done so far."""
        now = time.monotonic()
        if now - self._started < self.PATIENCE or now - self._last < self.PAUSE or not self._total:
            return
        self._last = now
        share = min(1.0, seconds / self._total)
        left = f", {duration((now - self._started) * (1 - share) / share)} left" if share > 0 else ""
        self._status.show(f"listening {bar(share, 30)} {share * 100:3.0f} %{left}")

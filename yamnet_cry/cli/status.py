"""A status line on stderr that overwrites itself."""

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
    """Shows text on the last line of a terminal; does nothing if stderr is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._shown, self._width = sys.stderr.isatty() and not quiet, 0

    def show(self, text: str) -> None:
        """Overwrites the previous text."""
        if not self._shown:
            return
        # A line that wraps cannot be overwritten.
        text = text[: shutil.get_terminal_size().columns - 1]
        self._write("\r" + text.ljust(self._width))
        self._width = len(text)

    def clear(self) -> None:
        """Erases the text, so that a permanent line can be printed."""
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class Progress:
    """Shows the share of audio processed and the time left.

    Args:
        status: The line to show it on.
        total: Duration of all audio, in seconds.
    """

    #: Seconds before the bar is first shown, and minimum seconds between two updates.
    PATIENCE, PAUSE = 1.0, 0.1

    def __init__(self, status: StatusLine, total: float) -> None:
        self._status, self._total = status, total
        self._started = self._last = time.monotonic()

    def tell(self, seconds: float) -> None:
        """Updates the bar with the seconds of audio processed so far."""
        now = time.monotonic()
        if now - self._started < self.PATIENCE or now - self._last < self.PAUSE or not self._total:
            return
        self._last = now
        share = min(1.0, seconds / self._total)
        left = f", {duration((now - self._started) * (1 - share) / share)} left" if share > 0 else ""
        self._status.show(f"listening {bar(share, 30)} {share * 100:3.0f} %{left}")

"""What systemd is told: that listening has begun, that it goes on, that it ends (sd_notify(3))."""

import os
import socket
from collections.abc import Mapping


class Systemd:
    """Tells systemd, if it asked to be told; does nothing elsewhere.

    Args:
        environment: In which systemd names its socket.

    Attributes:
        watchdog_seconds: After how long without `alive` it would end this program; None if never.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdigit() else None

    def ready(self) -> None:
        """Says that listening has begun."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """Says that it goes on, and how."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Says that it ends."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # A name that begins with @ is in the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            try:
                connection.sendto(text.encode(), address)
            except OSError:
                # Nobody listens there any more; that ends nothing here.
                self._address = ""

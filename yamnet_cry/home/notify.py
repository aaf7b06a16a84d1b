"""Notifies systemd when listening starts, continues and stops (sd_notify(3))."""

import os
import socket
from collections.abc import Mapping


class Systemd:
    """Notifies systemd if it has started this program as a notifying service; otherwise does nothing.

    Args:
        environment: Environment variables, in which systemd passes its socket.

    Attributes:
        watchdog_seconds: Seconds without `alive` after which systemd ends this program; None for never.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdigit() else None

    def ready(self) -> None:
        """Reports that listening has started."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """Reports that listening continues, with a status text."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Reports that listening is stopping."""
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
                # The socket is gone; listening continues without notifications.
                self._address = ""

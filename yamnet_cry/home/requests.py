"""Requests to a server in the house, sent again until they are taken."""

import json
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from importlib.metadata import version
from typing import Any
from urllib.parse import SplitResult, urlsplit

from yamnet_cry.errors import DeliveryError

# Pauses between tries in seconds, six minutes in all: a server may have to start again.
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0, 120.0, 150.0)
_TIMEOUT = 10.0
# Answers after which the same request may well succeed; those from 500 on are too.
_TEMPORARY = (408, 425, 429)
# Nobody who is told of crying has more to say.
_LARGEST_ANSWER = 2**16


def split(url: str) -> SplitResult | None:
    """Takes a URL apart; None if it is none that begins with ``http://`` or ``https://``.

    Examples:
        >>> split("http://host:5000/x").path, split("ftp://host/x")
        ('/x', None)
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


class Requests:
    """Sends JSON, and again if need be.

    Args:
        pauses: Between tries, in seconds.
    """

    def __init__(self, pauses: tuple[float, ...] = PAUSES) -> None:
        self._pauses = pauses
        # Asked for once: while the package is upgraded, it has no version.
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"yamnet-cry/{version('yamnet-cry')}",
        }
        self._stopped = threading.Event()

    def __call__(self, url: str, content: Any, *, method: str = "POST", not_yet: int = 0) -> bytes:
        """Sends it until it is taken.

        Args:
            url: Where to.
            content: What `json.dumps` takes.
            method: Of HTTP.
            not_yet: How many answers 404 mean that the place is only not there yet.

        Returns:
            The answer.

        Raises:
            DeliveryError: If the server refuses it, or was not there for too long.
        """
        data = json.dumps(content).encode()
        request = urllib.request.Request(url, data, self._headers, method=method)
        for pause in (*self._pauses, None):
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                    return bytes(answer.read(_LARGEST_ANSWER))
            except urllib.error.HTTPError as error:
                reason = f"got the answer {error.code} ({error.reason})"
                error.close()
                if error.code == 404 and not_yet:
                    not_yet -= 1
                elif error.code < 500 and error.code not in _TEMPORARY:
                    raise DeliveryError(reason) from None
            except (OSError, HTTPException) as error:
                reason = f"cannot reach its server ({getattr(error, 'reason', error)})"
            if pause is None or self._stopped.wait(pause):
                break
        raise DeliveryError(f"{reason}; an event was lost")

    def stop(self) -> None:
        """Tries no more."""
        self._stopped.set()

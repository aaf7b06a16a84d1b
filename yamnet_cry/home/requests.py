"""HTTP requests to a local server, with retries."""

import json
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from importlib.metadata import version
from typing import Any
from urllib.parse import SplitResult, urlsplit

from yamnet_cry.errors import DeliveryError

# Pauses between retries in seconds, six minutes in total: a server may have to restart.
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0, 120.0, 150.0)
_TIMEOUT = 10.0
# Status codes after which the same request may succeed, in addition to those from 500 on.
_TEMPORARY = (408, 425, 429)
# No receiver of events needs a longer answer.
_LARGEST_ANSWER = 2**16


def split(url: str) -> SplitResult | None:
    """Splits a URL; returns None if it is not a valid one with ``http://`` or ``https://``.

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
    """Sends JSON, with retries.

    Args:
        pauses: Seconds between retries.
    """

    def __init__(self, pauses: tuple[float, ...] = PAUSES) -> None:
        self._pauses = pauses
        # Read once: while the package is upgraded, its version cannot be read.
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"yamnet-cry/{version('yamnet-cry')}",
        }
        self._stopped = threading.Event()

    def __call__(self, url: str, content: Any, *, method: str = "POST", not_yet: int = 0) -> bytes:
        """Sends a request, and repeats it after temporary errors.

        Args:
            url: The URL.
            content: Value for `json.dumps`.
            method: HTTP method.
            not_yet: Number of answers 404 to retry, for a resource that may not exist yet.

        Returns:
            The body of the answer, at most 64 KiB.

        Raises:
            DeliveryError: If the server rejects the request, or no retry succeeds.
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
        """Stops retrying."""
        self._stopped.set()

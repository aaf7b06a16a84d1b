"""A URL that each message is sent to."""

import json
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from importlib.metadata import version
from urllib.parse import urlsplit

from yamnet_cry.errors import DeliveryError, RunError
from yamnet_cry.home.alarm import Message
from yamnet_cry.home.sources import without_secrets

# Pauses between tries in seconds, six minutes in all: a server may have to start again.
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0, 120.0, 150.0)
_TIMEOUT = 10.0
# Answers after which the same request may well succeed; those from 500 on are too.
_TEMPORARY = (408, 425, 429)


class Webhook:
    """Sends each message as JSON, and again if need be; `Message`'s ``id`` tells what came twice.

    Args:
        url: Where to send it: ``http://`` or ``https://``.
        pauses: Between tries, in seconds.

    Raises:
        RunError: If the URL is none.
    """

    def __init__(self, url: str, pauses: tuple[float, ...] = PAUSES) -> None:
        shown = without_secrets(url)
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise RunError(f"--webhook: expected http://… or https://…. Received: {shown}")
        self._url, self._pauses = url, pauses
        self._stopped = threading.Event()

    def __call__(self, message: Message) -> None:
        """Sends it until it is taken.

        Raises:
            DeliveryError: If the server refuses it, or was not there for too long.
        """
        request = urllib.request.Request(
            self._url,
            json.dumps(message).encode(),
            {"Content-Type": "application/json", "User-Agent": f"yamnet-cry/{version('yamnet-cry')}"},
        )
        for pause in (*self._pauses, None):
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT):
                    return
            except urllib.error.HTTPError as error:
                reason = f"got the answer {error.code} ({error.reason})"
                error.close()
                if error.code < 500 and error.code not in _TEMPORARY:
                    raise DeliveryError(reason) from None
            except (OSError, HTTPException) as error:
                reason = f"cannot reach its server ({getattr(error, 'reason', error)})"
            if pause is None or self._stopped.wait(pause):
                break
        raise DeliveryError(f"{reason}; an event is lost")

    def stop(self) -> None:
        """Tries no more."""
        self._stopped.set()

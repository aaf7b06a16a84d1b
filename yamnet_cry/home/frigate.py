"""Events in Frigate, with its recordings: made when crying starts, and ended when it ends."""

import json
import math
from datetime import datetime
from urllib.parse import quote

from yamnet_cry.errors import DeliveryError, RunError
from yamnet_cry.home.alarm import Message
from yamnet_cry.home.clock import now
from yamnet_cry.home.requests import PAUSES, Requests, split
from yamnet_cry.home.sources import without_secrets

_LABEL = "crying"
# Frigate writes an event down a moment after it has answered, and knows nothing to end before.
_NOT_YET = 3


class Frigate:
    """Makes events by Frigate's HTTP API; they are ended by it too, or stay open.

    Args:
        url: ``http://HOST:PORT/CAMERA`` of Frigate's internal port, usually 5000, which asks for no login;
            without ``/CAMERA``, the camera is called as the source is.
        pre_roll: How much before the crying an event begins, in seconds.
        pauses: Between tries, in seconds.

    Raises:
        RunError: If the URL is none of that kind.
    """

    def __init__(self, url: str, pre_roll: float = 5.0, pauses: tuple[float, ...] = PAUSES) -> None:
        parts = split(url)
        if parts is None or "@" in parts.netloc or parts.query or parts.fragment:
            raise RunError(f"--frigate: expected http://HOST:PORT/CAMERA. Received: {without_secrets(url)}")
        before, _, self._camera = parts.path.rstrip("/").rpartition("/")
        self._events = f"{parts.scheme}://{parts.netloc}{before}/api/events"
        self._pre_roll, self._send = pre_roll, Requests(pauses)
        self._open: dict[str, str] = {}

    def __call__(self, message: Message) -> None:
        """Makes or ends an event, and again if need be; other messages are nothing to Frigate.

        Raises:
            DeliveryError: If Frigate refuses it, answers otherwise than it should, or was not there for too
                long.
        """
        if message["event"] == "started":
            self._start(message)
        # Of an event whose start Frigate did not take, which was told, there is nothing to end.
        elif message["event"] == "ended" and (event := self._open.pop(message["id"], None)) is not None:
            # No time, for Frigate's clock may be another.
            self._send(f"{self._events}/{event}/end", {}, method="PUT", not_yet=_NOT_YET)

    def _start(self, message: Message) -> None:
        camera = self._camera or quote(message["source"], safe="")
        since = max(0.0, (now() - datetime.fromisoformat(message["started_at"])).total_seconds())
        answer = self._send(
            f"{self._events}/{camera}/{_LABEL}/create",
            {
                "score": message["probability"],
                "duration": None,
                "include_recording": True,
                "pre_capture": math.ceil(since + self._pre_roll),
            },
        )
        try:
            self._open[message["id"]] = quote(json.loads(answer)["event_id"], safe="")
        except (ValueError, KeyError, TypeError):
            raise DeliveryError(
                "got an answer without event_id, which is not Frigate's API; check the port"
            ) from None

    def stop(self) -> None:
        """Tries no more."""
        self._send.stop()

"""Events in Frigate, with its recordings: created when crying starts, and ended when it ends."""

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
# Number of retries: Frigate stores an event a moment after its answer; ending it before returns 404.
_NOT_YET = 3


class Frigate:
    """Creates and ends events through Frigate's HTTP API; an event that is not ended stays open.

    Args:
        url: ``http://HOST:PORT/CAMERA`` of Frigate's internal port, usually 5000, which needs no login;
            without ``/CAMERA``, the source's name is the camera's name.
        pre_roll: Seconds between the start of an event and the start of crying.
        pauses: Seconds between retries.

    Raises:
        RunError: If the URL has another form.
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
        """Creates or ends an event, with retries; other messages are ignored.

        Raises:
            DeliveryError: If Frigate rejects the request, its answer is not that of its API, or it was not
                reachable in any retry.
        """
        if message["event"] == "started":
            self._start(message)
        # If Frigate did not accept the start, which was reported, there is no event to end.
        elif message["event"] == "ended" and (event := self._open.pop(message["id"], None)) is not None:
            # Without a time, because Frigate's clock may differ.
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
        """Stops retrying."""
        self._send.stop()

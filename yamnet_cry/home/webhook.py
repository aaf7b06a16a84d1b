"""A URL that each message is sent to."""

from yamnet_cry.errors import RunError
from yamnet_cry.home.alarm import Message
from yamnet_cry.home.requests import PAUSES, Requests, split
from yamnet_cry.home.sources import without_secrets


class Webhook:
    """Sends each message as JSON, and again if need be; `Message`'s ``id`` tells what came twice.

    Args:
        url: Where to send it: ``http://`` or ``https://``.
        pauses: Between tries, in seconds.

    Raises:
        RunError: If the URL is none.
    """

    def __init__(self, url: str, pauses: tuple[float, ...] = PAUSES) -> None:
        if split(url) is None:
            raise RunError(f"--webhook: expected http://… or https://…. Received: {without_secrets(url)}")
        self._url, self._send = url, Requests(pauses)

    def __call__(self, message: Message) -> None:
        """Sends it until it is taken.

        Raises:
            DeliveryError: If the server refuses it, or was not there for too long.
        """
        self._send(self._url, message)

    def stop(self) -> None:
        """Tries no more."""
        self._send.stop()

"""Sends each message to a URL."""

from yamnet_cry.errors import RunError
from yamnet_cry.home.alarm import Message
from yamnet_cry.home.requests import PAUSES, Requests, split
from yamnet_cry.home.sources import without_secrets


class Webhook:
    """POSTs each message as JSON, with retries; receivers recognise a repeated message by its ``id``.

    Args:
        url: The URL, with ``http://`` or ``https://``.
        pauses: Seconds between retries.

    Raises:
        RunError: If the URL is invalid.
    """

    def __init__(self, url: str, pauses: tuple[float, ...] = PAUSES) -> None:
        if split(url) is None:
            raise RunError(f"--webhook: expected http://… or https://…. Received: {without_secrets(url)}")
        self._url, self._send = url, Requests(pauses)

    def __call__(self, message: Message) -> None:
        """Sends a message, and repeats it after temporary errors.

        Raises:
            DeliveryError: If the server rejects it, or no retry succeeds.
        """
        self._send(self._url, message)

    def stop(self) -> None:
        """Stops retrying."""
        self._send.stop()

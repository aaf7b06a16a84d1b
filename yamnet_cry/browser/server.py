"""Serves the page that runs in a browser, from memory."""

import errno
import os
import socketserver
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from yamnet_cry.errors import RunError

#: Path of the page. Browsers cache the page of an address to show it offline: another page, served later at
#: the same host and port, has another path and is not replaced by this one.
PATH = "/yamnet-cry/"

# Systems map some of these differently, and browsers run only scripts of the right type.
_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "mp3": "audio/mpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}


class Server(ThreadingHTTPServer):
    """Serves files until `shutdown`.

    Args:
        files: Names and contents; ``index.html`` is the page.
        host: Address to listen on.
        port: The port; 0 for any free one.

    Attributes:
        files: Names and contents.
        address: URL of the page.

    Raises:
        RunError: If host or port cannot be used.
    """

    daemon_threads = True
    # On Windows, two programs would share the port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, files: Mapping[str, bytes], host: str = "127.0.0.1", port: int = 0) -> None:
        self.files = files
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise RunError(f"port {port} is in use; choose another port with --port") from None
            raise RunError(f"{host}, port {port} cannot be used ({error.strerror}); choose another") from None
        self.address = f"http://{host}:{self.server_port}{PATH}"

    def server_bind(self) -> None:
        """Binds without a DNS lookup of this computer's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores connections that browsers close."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Handles one connection of a browser."""

    server: Server
    protocol_version = "HTTP/1.1"
    # Seconds after which idle connections are closed.
    timeout = 60

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path in ("/", PATH.rstrip("/")):
            self._send(HTTPStatus.FOUND, "text/plain", b"", {"Location": PATH})
            return
        name = path.removeprefix(PATH) or "index.html"
        content = self.server.files.get(name) if path.startswith(PATH) else None
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such page\n")
        else:
            self._send(HTTPStatus.OK, _TYPES[name.rpartition(".")[2]], content)

    do_HEAD = do_GET

    def _send(
        self, status: HTTPStatus, kind: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        every = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            # Revalidated on each request; the service worker caches files for offline use.
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            **(headers or {}),
        }
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "yamnet-cry"

    def log_message(self, *_: object) -> None:
        """Does nothing: requests are not logged to the terminal."""

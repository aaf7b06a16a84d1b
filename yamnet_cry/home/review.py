"""Serves the page for listening to clips and labelling them, to this computer only."""

import errno
import json
import os
import re
import secrets
import socketserver
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from yamnet_cry.errors import RunError, YamnetCryError
from yamnet_cry.fields import Rule, check_only, one_of, parse, text
from yamnet_cry.home import archive
from yamnet_cry.home.labels import MANIFEST, TARGETS, Labels, locked

HOST = "127.0.0.1"

_PAGE = Path(__file__).with_name("review.html")
_AUDIO = "/audio/"
_LONGEST_REQUEST = 4096
_PIECE = 65_536
_SHOWN = (
    *("file", "source", "started_at", "seconds", "peak"),
    *("event_start", "event_end", "clip_seconds", "cut", "interrupted"),
)
_TARGET = one_of(TARGETS)
_REQUEST = {
    "file": text(r"[^/\\]{1,255}", "the name of a clip"),
    "target": Rule(f"{_TARGET.meaning}, or null", lambda value: value is None or _TARGET.holds(value)),
}
_HEADERS = {
    # Recordings of a home are never cached by browsers, and no other page may embed or read them.
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
    "media-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Clips:
    """The clips in a folder, as the page shows and labels them.

    Args:
        folder: Folder of the clips.

    Raises:
        YamnetCryError: If it is no folder, has no clips, or its manifest cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.exists():
            raise RunError(f"{folder}: no such folder")
        if not folder.is_dir():
            raise RunError(f"{folder} is not a folder; pass the folder of clips")
        try:
            found = archive.clips(folder)
        except OSError as error:
            raise RunError(f"{folder} cannot be read ({error.strerror})") from None
        if not found:
            raise RunError(f"{folder} holds no clips; `yamnet-cry listen --clips {folder}` records clips")
        try:
            with locked(folder):
                Labels(folder).save()
        except OSError as error:
            raise RunError(self._unwritable(error)) from None

    def shown(self) -> list[dict[str, Any]]:
        """Returns the fields of each clip that the page shows: clips without a label first, newest first."""
        targets = Labels(self.folder).targets()
        rows = [
            {**{key: clip.about[key] for key in _SHOWN}, "target": targets.get(clip.file)}
            for clip in archive.clips(self.folder)
        ]
        return sorted(rows, key=lambda row: row["target"] is not None)

    def label(self, file: str, target: str | None) -> bool:
        """Labels a clip, and saves the label before it returns.

        Args:
            file: Name of its audio file.
            target: One of `labels.TARGETS`; None removes the label.

        Returns:
            Whether there is such a clip.

        Raises:
            YamnetCryError: If the manifest cannot be read or written.
        """
        try:
            with locked(self.folder):
                clip = archive.clip(self.folder, file)
                if clip is None:
                    return False
                labels = Labels(self.folder)
                labels.set(clip, target)
                labels.save()
        except OSError as error:
            raise RunError(self._unwritable(error)) from None
        return True

    def _unwritable(self, error: OSError) -> str:
        return f"{self.folder / MANIFEST} cannot be written ({error.strerror or error})"


class Server(ThreadingHTTPServer):
    """Serves the page until `shutdown`.

    Args:
        clips: The clips to label.
        port: The port; 0 for any free one.

    Attributes:
        clips: The clips to label.
        address: URL of the page.

    Raises:
        RunError: If the port cannot be used.
    """

    daemon_threads = True
    # On Windows, two programs would share the port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, clips: Clips, port: int = 0) -> None:
        self.clips = clips
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise RunError(f"port {port} is in use; choose another port with --port") from None
            raise RunError(f"port {port} cannot be used ({error.strerror}); choose another") from None
        self.address = f"http://{HOST}:{self.server_port}/"

    def server_bind(self) -> None:
        """Binds without a DNS lookup of this computer's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores connections that browsers close, which they do on every seek."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Handles one connection of a browser."""

    server: Server
    protocol_version = "HTTP/1.1"
    # Seconds after which idle connections are closed.
    timeout = 60

    def do_GET(self) -> None:
        self._answer(self._get)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, method: Any) -> None:
        try:
            if self._is_foreign():
                self._refuse(HTTPStatus.FORBIDDEN, "this page can be used from its own address only")
            else:
                method(urlsplit(self.path).path)
        except (ConnectionError, TimeoutError):
            raise
        except (YamnetCryError, OSError) as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _is_foreign(self) -> bool:
        """Returns whether a request is from another site: cross-origin, or with a foreign host name."""
        names = [f"{name}:{self.server.server_port}" for name in (HOST, "localhost")]
        origin = self.headers.get("Origin")
        return (
            self.headers.get_all("Host") not in [[name] for name in names]
            or (origin is not None and origin not in [f"http://{name}" for name in names])
            or self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        )

    def _get(self, path: str) -> None:
        if path == "/":
            nonce = secrets.token_urlsafe(16)
            page = _PAGE.read_text(encoding="utf-8").replace("{nonce}", nonce)
            policy = {"Content-Security-Policy": _POLICY.format(nonce=nonce)}
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", page.encode(), policy)
        elif path == "/clips":
            self._send_json(HTTPStatus.OK, {"clips": self.server.clips.shown()})
        elif path.startswith(_AUDIO):
            clip = archive.clip(self.server.clips.folder, unquote(path.removeprefix(_AUDIO)))
            try:
                file = None if clip is None else clip.audio.open("rb")
            except FileNotFoundError:
                file = None
            if file is None:
                self._refuse(HTTPStatus.NOT_FOUND, "no such clip; it may have been deleted")
                return
            with file:
                self._send_audio(file)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def _post(self, path: str) -> None:
        length = self.headers.get("Content-Length", "")
        if path != "/label":
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
        elif self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        elif not re.fullmatch(r"[0-9]{1,9}", length):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        elif int(length) > _LONGEST_REQUEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {_LONGEST_REQUEST} bytes")
        else:
            self._label(self.rfile.read(int(length)))

    def _label(self, body: bytes) -> None:
        try:
            wanted = check_only(parse(body), _REQUEST, "request")
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        if self.server.clips.label(wanted["file"], wanted["target"]):
            self._send_json(HTTPStatus.OK, wanted)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"{wanted['file']} does not exist; it may have been deleted")

    def _send_audio(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        wanted = _range(self.headers.get("Range", ""), size)
        if wanted is not None and len(wanted) == 0:
            headers = {"Content-Range": f"bytes */{size}"}
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "text/plain", b"", headers)
            return
        sent = range(size) if wanted is None else wanted
        headers = {"Accept-Ranges": "bytes"}
        if wanted is not None:
            headers["Content-Range"] = f"bytes {sent.start}-{sent.stop - 1}/{size}"
        status = HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT
        self._begin(status, "audio/flac", len(sent), headers)
        if self.command == "HEAD":
            return
        file.seek(sent.start)
        left = len(sent)
        while left and (piece := file.read(min(left, _PIECE))):
            self.wfile.write(piece)
            left -= len(piece)

    def _send_json(self, status: HTTPStatus, value: object) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        # The body of the request has not been read.
        self.close_connection = True
        self._send_json(status, {"error": reason})

    def _send(
        self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self._begin(status, kind, len(body), headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(self, status: HTTPStatus, kind: str, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        every = {"Content-Type": kind, "Content-Length": str(length), **_HEADERS, **headers}
        if self.close_connection:
            every["Connection"] = "close"
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()

    def version_string(self) -> str:
        return "yamnet-cry"

    def log_message(self, *_: object) -> None:
        """Does nothing: requests are not logged to the terminal."""


def _range(header: str, size: int) -> range | None:
    """Parses a Range header: an empty range if it is beyond the file, None for the whole file.

    Examples:
        >>> _range("bytes=2-4", 10), _range("bytes=-3", 10), _range("bytes=10-", 10), _range("bytes=4-2", 10)
        (range(2, 5), range(7, 10), range(10, 10), None)
    """
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header.strip())
    if found is None or not any(found.groups()):
        # A request for several ranges may be answered with the whole file.
        return None
    first, last = (int(each) if each else None for each in found.groups())
    if first is None:
        return range(max(0, size - (last or 0)), size)
    if last is not None and last < first:
        return None
    return range(min(first, size), size if last is None else min(last + 1, size))

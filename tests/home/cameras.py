"""A stand-in for cameras: an RTSP server that sends a given sound and can be killed."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

RATE = 16_000
# RTP's first dynamic payload type; the session description says what it is.
_PAYLOAD = 96
# SO_LINGER with a timeout of 0: closing discards unsent data and sends a reset.
_RESET = struct.pack("ii", 1, 0)

Wave = Callable[[], Iterator[np.ndarray]]


class Camera:
    """A local RTSP server that sends its sound over the RTSP connection, as fast as it is generated.

    Args:
        wave: Returns, for each client, an iterator of int16 arrays of shape (samples,) at 16 kHz.
        port: TCP port; defaults to a free one.
        password: ``user:password`` in base64 that clients must send; defaults to none.
        describe: Session description; defaults to one with sound.
        packet: Samples in a packet.
    """

    def __init__(
        self,
        wave: Wave,
        *,
        port: int = 0,
        password: str | None = None,
        describe: str | None = None,
        packet: int = 320,
    ) -> None:
        self._wave, self._password, self._packet = wave, password, packet
        self._description = describe or (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
            f"m=audio 0 RTP/AVP {_PAYLOAD}\r\na=rtpmap:{_PAYLOAD} L16/{RATE}/1\r\na=control:audio\r\n"
        )
        self._server = socket.create_server(("127.0.0.1", port))
        self._clients: list[socket.socket] = []
        self._closed = False
        self.port: int = self._server.getsockname()[1]
        self.address = f"rtsp://127.0.0.1:{self.port}/stream"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def kill(self, *, reset: bool = False) -> None:
        """Closes the server and all connections at once; `reset` resets them, as a power failure would."""
        self._closed = True
        for client in self._clients if reset else ():
            with suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                client.close()
        for each in (self._server, *self._clients):
            # Closing alone would leave a thread blocked in accept or recv, and the port in use.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._clients.append(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            requests = client.makefile("rb")
            while request := requests.readline().decode():
                method = request.split()[0]
                headers = {}
                while line := requests.readline().decode().strip():
                    key, _, value = line.partition(":")
                    headers[key.lower()] = value.strip()
                if self._answer(client, method, headers):
                    self._play(client)
                    return
        except OSError:
            return
        finally:
            client.close()

    def _answer(self, client: socket.socket, method: str, headers: dict[str, str]) -> bool:
        status, extra, body = "200 OK", "", ""
        if self._password and headers.get("authorization") != f"Basic {self._password}":
            status, extra = "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n'
        elif method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = self._description
            extra = f"Content-Base: {self.address}/\r\nContent-Type: application/sdp\r\n"
        elif method == "SETUP":
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif method == "PLAY":
            extra = "Session: 1\r\n"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        answer = f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', '0')}\r\n{extra}{length}\r\n{body}"
        client.sendall(answer.encode())
        return method == "PLAY" and status == "200 OK"

    def _play(self, client: socket.socket) -> None:
        number = 0
        for wave in self._wave():
            for start in range(0, len(wave) - self._packet + 1, self._packet):
                samples = wave[start : start + self._packet]
                moment = number * self._packet % 2**32
                header = struct.pack(">BBHII", 0x80, _PAYLOAD, number % 2**16, moment, 1)
                packet = header + samples.astype(">i2").tobytes()
                client.sendall(struct.pack(">BBH", ord("$"), 0, len(packet)) + packet)
                number += 1

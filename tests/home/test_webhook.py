"""Messages to a URL: what is sent, what is retried, and what is dropped."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from yamnet_cry.errors import DeliveryError, RunError
from yamnet_cry.home.outlets import Outlets, Queued
from yamnet_cry.home.webhook import Webhook

MESSAGE = {"event": "started", "id": "1", "source": "nursery", "start": 1.0}


class Server:
    """Answers requests with the given status codes in turn, and records the requests."""

    def __init__(self, codes: list[int]) -> None:
        self.bodies: list[dict] = []
        self.headers: list[dict] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.bodies.append(json.loads(body))
                outer.headers.append(dict(self.headers))
                self.send_response(codes.pop(0) if len(codes) > 1 else codes[0])
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?token=secret"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server():
    made: list[Server] = []

    def make(*codes: int) -> Server:
        made.append(Server(list(codes)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_message_is_sent_as_json(server):
    there = server(204)
    Webhook(there.url)(MESSAGE)
    assert there.bodies == [MESSAGE]
    assert there.headers[0]["Content-Type"] == "application/json"
    assert there.headers[0]["User-Agent"].startswith("yamnet-cry/")


def test_it_is_sent_again_until_it_is_taken(server):
    there = server(503, 429, 500, 200)
    Webhook(there.url, pauses=(0.0, 0.0, 0.0, 0.0))(MESSAGE)
    assert len(there.bodies) == 4


def test_a_refusal_is_final(server):
    there = server(404)
    with pytest.raises(DeliveryError, match=r"got the answer 404 \(Not Found\)$"):
        Webhook(there.url, pauses=(0.0, 0.0))(MESSAGE)
    assert len(there.bodies) == 1


def test_a_server_that_is_not_there(server):
    there = server(200)
    there.close()
    with pytest.raises(DeliveryError, match=r"cannot reach its server \(.*\); an event was lost"):
        Webhook(there.url, pauses=(0.0,))(MESSAGE)


def test_trying_again_ends_with_the_program(server):
    there, warnings = server(503), []
    outlet = Queued("--webhook", Webhook(there.url, pauses=(3_600.0,)), warnings.append)
    all_of_them = Outlets([outlet])
    all_of_them.push(MESSAGE)
    while not there.bodies:
        pass
    all_of_them.close(0.1)
    assert warnings == ["--webhook did not finish within 0.1 s of exit and was stopped; 1 message is lost"]


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/x", "http://", "http://host:port/"])
def test_what_is_no_url(url):
    with pytest.raises(RunError, match=re.escape(f"expected http://… or https://…. Received: {url}")):
        Webhook(url)
    with pytest.raises(RunError) as error:
        Webhook("mqtt://me:secret@host/x?key=secret")
    assert "secret" not in str(error.value)


def test_what_fails_unexpectedly_ends_no_outlet():
    delivered: list[dict] = []

    class Delivery:
        def __call__(self, message: dict) -> None:
            if message["id"] == "1":
                raise ImportError("no such package")
            delivered.append(message)

        def stop(self) -> None:
            pass

    warnings: list[str] = []
    queued = Queued("--webhook", Delivery(), warnings.append)
    queued.push(MESSAGE)
    queued.push({**MESSAGE, "id": "2"})
    queued.close(30.0)
    assert warnings == ["--webhook failed unexpectedly (ImportError: no such package)"]
    assert [message["id"] for message in delivered] == ["2"]

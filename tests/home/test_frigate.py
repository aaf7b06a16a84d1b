"""Events in Frigate: the requests to its API, and its possible responses."""

import json
import re
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from yamnet_cry import cli
from yamnet_cry.demo import nursery
from yamnet_cry.errors import DeliveryError, RunError
from yamnet_cry.home.clock import iso, now
from yamnet_cry.home.frigate import Frigate
from yamnet_cry.home.outlets import Queued

EVENT = "1795682776.95-x1y2z3"


def started(seconds_ago: float = 3.2, **changes: Any) -> dict[str, Any]:
    at = iso(now() - timedelta(seconds=seconds_ago))
    return {
        "event": "started",
        "id": "1",
        "source": "nursery",
        "start": 1.0,
        "started_at": at,
        "probability": 0.75,
        **changes,
    }


ENDED = {"event": "ended", "id": "1", "source": "nursery", "start": 1.0, "end": 5.0}


class Api:
    """A stand-in for Frigate's API: creates events, which can be ended some requests later.

    Args:
        late: Number of requests to end an event that get 404, because it is not stored yet.
        answer: Body of the response to requests that create an event.
        codes: Status codes of the first responses.
    """

    def __init__(self, late: int = 0, answer: bytes | None = None, codes: tuple[int, ...] = ()) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        waiting, coming = [late], list(codes)
        made = json.dumps({"success": True, "message": "…", "event_id": EVENT}).encode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.reply(200, made if answer is None else answer)

            def do_PUT(self) -> None:
                waiting[0] -= 1
                self.reply(200 if waiting[0] < 0 else 404, b'{"success": true}')

            def reply(self, code: int, body: bytes) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.command, self.path, content))
                self.send_response(coming.pop(0) if coming else code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def api():
    made: list[Api] = []

    def make(**settings: Any) -> Api:
        made.append(Api(**settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_an_event_is_made_and_ended(api):
    there = api()
    frigate = Frigate(f"{there.url}/front_door/", pre_roll=5.0)
    for message in (started(), {"event": "deaf", "source": "nursery"}, ENDED):
        frigate(message)
    create, end = there.asked
    assert create == (
        "POST",
        "/api/events/front_door/crying/create",
        {"score": 0.75, "duration": None, "include_recording": True, "pre_capture": create[2]["pre_capture"]},
    )
    # Seconds since the crying started, seconds before it, and some for a slow machine.
    assert 9 <= create[2]["pre_capture"] < 60
    assert end == ("PUT", f"/api/events/{EVENT}/end", {})


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", "/api/events/the%20nursery/crying/create"),
        ("/", "/api/events/the%20nursery/crying/create"),
        ("/behind/a/proxy/nursery", "/behind/a/proxy/api/events/nursery/crying/create"),
    ],
)
def test_where_the_camera_comes_from(api, path, asked):
    there = api()
    Frigate(there.url + path)(started(source="the nursery"))
    assert [path for _, path, _ in there.asked] == [asked]


def test_an_event_that_is_not_written_down_yet_is_ended_again(api):
    there = api(late=2)
    frigate = Frigate(f"{there.url}/nursery", pauses=(0.0,) * 7)
    frigate(started())
    frigate(ENDED)
    assert [method for method, _, _ in there.asked] == ["POST", "PUT", "PUT", "PUT"]


def test_an_event_that_is_gone_is_given_up(api):
    there = api(late=99)
    frigate = Frigate(f"{there.url}/nursery", pauses=(0.0,) * 7)
    frigate(started())
    with pytest.raises(DeliveryError, match=r"got the answer 404 \(Not Found\)$"):
        frigate(ENDED)
    assert len(there.asked) == 5
    # The event has been dropped.
    frigate(ENDED)
    assert len(there.asked) == 5


def test_a_camera_that_is_none_is_refused_at_once_and_nothing_ended(api):
    there = api(codes=(404,))
    frigate = Frigate(f"{there.url}/nursery", pauses=(0.0,) * 7)
    with pytest.raises(DeliveryError, match=r"got the answer 404 \(Not Found\)$"):
        frigate(started())
    frigate(ENDED)
    assert len(there.asked) == 1


def test_frigate_that_starts_again_is_waited_for(api):
    there = api(codes=(503, 502))
    frigate = Frigate(f"{there.url}/nursery", pauses=(0.0, 0.0))
    frigate(started())
    assert len(there.asked) == 3


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"success": true}', b'{"event_id": null}', b"\xff"])
def test_what_does_not_answer_as_frigate(api, answer):
    with pytest.raises(
        DeliveryError, match="got an answer without event_id, which is not Frigate's API; check the"
    ):
        Frigate(f"{api(answer=answer).url}/nursery")(started())


def test_trying_again_ends_with_the_program(api):
    there, warnings = api(codes=(503,) * 9), []
    outlet = Queued("--frigate", Frigate(f"{there.url}/nursery", pauses=(3_600.0,)), warnings.append)
    outlet.push(started())
    deadline = time.monotonic() + 60
    while not there.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    outlet.close(0.1)
    assert warnings == ["--frigate did not finish within 0.1 s of exit and was stopped; 1 message is lost"]


@pytest.mark.parametrize(
    "url",
    ["nonsense", "ftp://host/x", "http://", "http://host:port/x", "http://host/x?y=1", "http://host/x#y"],
)
def test_what_is_no_url(url):
    shown = re.escape(url.partition("?")[0])
    with pytest.raises(RunError, match=f"--frigate: expected http://HOST:PORT/CAMERA. Received: {shown}"):
        Frigate(url)
    with pytest.raises(RunError) as error:
        Frigate("http://me:secret@host:8971/nursery")
    assert "secret" not in str(error.value)


def test_listen_makes_events(api):
    there = api()
    sound = (np.concatenate([nursery(), np.zeros(16_000 * 4)]) * 32_767).astype("<i2").tobytes()
    arguments = ["listen", "-", "--format", "s16le", "--quiet", "--frigate", f"{there.url}/nursery"]
    result = CliRunner().invoke(cli.main, arguments, input=sound)
    assert result.exit_code == 3
    paths = [(method, path) for method, path, _ in there.asked]
    both = [("POST", "/api/events/nursery/crying/create"), ("PUT", f"/api/events/{EVENT}/end")]
    assert len(paths) >= 2
    assert paths == both * (len(paths) // 2)
    assert all(0.5 <= content["score"] <= 1 for method, _, content in there.asked if method == "POST")

"""The environment of the soak: cameras, a broker and a web server, and their failures."""

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "home"))
from brokers import PROGRAM, free_port  # type: ignore[import-not-found]
from cameras import RATE as RATE  # type: ignore[import-not-found]
from cameras import Camera as Camera

from yamnet_cry.demo import nursery

Int16 = NDArray[np.int16]

#: Samples of a packet in the accelerated run: a tenth of a second.
PACKET = 1_600
#: Seconds of one scene with crying.
SCENE = 20
_NOISE_SECONDS = 60
_BLOCK = 5 * PACKET
# Seconds for the client to receive the remaining data before a connection is closed normally.
_DRAINED = 0.5
_PATIENCE = 60.0

#: How a connection may end, and what replaces the server until it restarts.
ENDINGS = ("closed", "closed during crying", "reset", "reset during crying")
OUTAGES = ("nothing", "a server that sends garbage", "a silent server")
STALL = "stalled"


@dataclass
class Segment:
    """The audio of one connection, and how it ends.

    Attributes:
        pieces: Kind (noise, cry, zeros), seconds, and seed of consecutive pieces.
        ending: One of `ENDINGS`, or `STALL`.
        outage: One of `OUTAGES`.
        away: Seconds until the server restarts.
        begun: Start of the connection, by `time.monotonic`.
        finished: Whether all audio was sent.
        stopped: End of the audio, by `time.monotonic`.
        restored: Restart of the server, by `time.monotonic`.
        done: Set when the audio has ended.
    """

    pieces: list[tuple[str, int, int]]
    ending: str
    outage: str
    away: float
    begun: float = 0.0
    finished: bool = False
    stopped: float = 0.0
    restored: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds(self) -> int:
        """Length of the audio in seconds."""
        return sum(seconds for _, seconds, _ in self.pieces)

    def parts(self) -> Iterator[Int16]:
        """Yields the audio piece by piece: int16 of shape (samples,)."""
        for kind, seconds, seed in self.pieces:
            if kind == "cry":
                yield _scene(seed)[: seconds * RATE]
            elif kind == "zeros":
                yield np.zeros(seconds * RATE, np.int16)
            else:
                generator = np.random.default_rng(seed)
                gain, at = generator.uniform(0.2, 1.0), int(generator.integers(_NOISE_SECONDS * RATE))
                noise = (np.roll(_noise(), at) * gain).astype(np.int16)
                for start in range(0, seconds, _NOISE_SECONDS):
                    yield noise[: min(seconds - start, _NOISE_SECONDS) * RATE]


@cache
def _scene(seed: int) -> Int16:
    return (nursery(SCENE, 5.0, 7.5 + seed % 7, seed=seed) * 32_767).astype(np.int16)


@cache
def _noise() -> NDArray[np.float64]:
    """Returns a minute of a quiet room: low-pass filtered noise at about -50 dBFS."""
    white = np.random.default_rng(0).standard_normal(_NOISE_SECONDS * RATE)
    soft = np.convolve(white, np.ones(8) / 8, mode="same")
    return 32_767 * 0.003 * soft / soft.std()


def plan(hours: float, kills: int, stalls: int, seed: int) -> list[Segment]:
    """Plans the connections of one source."""
    chance = random.Random(seed)
    endings = [ENDINGS[number % len(ENDINGS)] for number in range(kills)] + [STALL] * stalls
    chance.shuffle(endings)
    length = round(hours * 3600 / len(endings))
    segments = []
    outages = 0
    for number, ending in enumerate(endings):
        left = round(length * (0.7 + 0.6 * chance.random()))
        pieces: list[tuple[str, int, int]] = []
        if number == len(endings) // 2:
            pieces += [("noise", 60, chance.randrange(999)), ("zeros", 90, 0)]
            left -= 150
        while left > 0:
            quiet = min(left, chance.randint(120, 420))
            pieces += [
                ("noise", quiet, chance.randrange(999)),
                ("cry", SCENE, chance.randrange(24)),
            ]
            left -= quiet + SCENE
        # The connection ends some seconds after the start of crying, or long after its end.
        if "crying" in ending:
            pieces[-1] = ("cry", 9, pieces[-1][2])
        else:
            pieces.append(("noise", 240, chance.randrange(999)))
        outage = OUTAGES[outages % len(OUTAGES)]
        outages += ending != STALL
        away = 5.0 if outage == OUTAGES[2] else chance.uniform(0.5, 4.0)
        segments.append(Segment(pieces, ending, outage, 12.0 if outages == 4 else away))
    return segments


class Source(threading.Thread):
    """A camera that serves its segments, with outages in between.

    Args:
        name: Name of the camera.
        segments: Audio and failures.
        speed: Multiple of real time.
    """

    def __init__(self, name: str, segments: list[Segment], speed: float) -> None:
        super().__init__(daemon=True, name=name)
        self.segments, self._speed, self._at = segments, speed, 0
        self.port = free_port()
        self.address = f"rtsp://127.0.0.1:{self.port}/stream"
        self.over = threading.Event()
        self.unplanned = 0
        self._killed, self._ended = threading.Event(), threading.Event()

    def run(self) -> None:
        """Serves all segments."""
        camera = self._camera()
        for number, segment in enumerate(self.segments):
            segment.done.wait()
            if segment.ending == STALL:
                # The client must detect this by itself; the server is not restarted.
                segment.restored = segment.stopped
                continue
            if "reset" not in segment.ending:
                time.sleep(_DRAINED)
            self._killed.set()
            camera.kill(reset="reset" in segment.ending)
            self._killed = threading.Event()
            if number < len(self.segments) - 1:
                self._away(segment)
            camera = self._camera()
            segment.restored = time.monotonic()
        self.over.set()
        self._ended.wait()
        self._killed.set()
        camera.kill()

    def close(self) -> None:
        """Stops the camera after its last segment."""
        self._ended.set()
        self.join()

    def _camera(self) -> Camera:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return Camera(self._wave, port=self.port, packet=PACKET)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _wave(self) -> Iterator[Int16]:
        if self._at >= len(self.segments):
            self._killed.wait()
            return
        segment, killed = self.segments[self._at], self._killed
        self._at += 1
        began = segment.begun = time.monotonic()
        sent = 0
        try:
            for part in segment.parts():
                for start in range(0, len(part), _BLOCK):
                    block = part[start : start + _BLOCK]
                    yield block
                    sent += len(block)
                    ahead = sent / RATE / self._speed - (time.monotonic() - began)
                    if ahead > 0:
                        time.sleep(ahead)
                    elif ahead < -0.5:
                        began -= ahead + 0.5
            segment.finished = True
        finally:
            self.unplanned += not segment.finished
            segment.stopped = time.monotonic()
            segment.done.set()
        if segment.ending == STALL and self._at < len(self.segments):
            following, end = self.segments[self._at], time.monotonic() + _PATIENCE
            while not following.begun and time.monotonic() < end:
                time.sleep(0.05)
        else:
            killed.wait(_PATIENCE)

    def _away(self, segment: Segment) -> None:
        if segment.outage == OUTAGES[0]:
            time.sleep(segment.away)
            return
        held: list[socket.socket] = []
        with socket.create_server(("127.0.0.1", self.port)) as server:
            server.settimeout(0.1)
            end = time.monotonic() + segment.away
            while time.monotonic() < end:
                with suppress(OSError):
                    client, _ = server.accept()
                    if segment.outage == OUTAGES[1]:
                        client.sendall(random.Random(segment.seconds).randbytes(4_096) + b"\r\n\r\n")
                        client.close()
                    else:
                        held.append(client)
        for client in held:
            client.close()


class Broker:
    """A mosquitto broker on a fixed port, whose state persists across restarts."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Starts the broker; returns the time when it accepts connections, by `time.monotonic`."""
        self._process = subprocess.Popen([PROGRAM, "-c", self._config], stderr=subprocess.DEVNULL)
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port)):
                    return time.monotonic()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def end(self, number: int = signal.SIGKILL) -> None:
        """Stops the broker with a signal."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()


class Subscriber:
    """Records every event that the broker publishes, in a durable session, so that the broker queues them.

    Attributes:
        events: Arrival, by `time.monotonic`, and message.
        online: Times when `listen` reported that it is online.
    """

    def __init__(self, port: int) -> None:
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.online: list[float] = []
        self._client = Client(CallbackAPIVersion.VERSION2, "soak", clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_message = lambda _client, _data, message: self._take(message.payload, message.retain)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, payload: bytes | bytearray, retained: bool) -> None:
        if payload == b"online" and not retained:
            self.online.append(time.monotonic())
        with suppress(ValueError, AttributeError):
            message = json.loads(payload)
            if message.get("event_type") in ("started", "ended"):
                self.events.append((time.monotonic(), {**message, "event": message["event_type"]}))

    def close(self) -> None:
        """Disconnects."""
        self._client.disconnect()
        self._client.loop_stop()


class Hook:
    """A web server that accepts messages, or answers 503 while it is `ill`.

    Attributes:
        bodies: Accepted messages.
        refused: Number of rejected requests.
        ill: Whether to reject requests.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.refused = 0
        self.ill = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.refused += outer.ill
                if not outer.ill:
                    outer.bodies.append(body)
                self.send_response(503 if outer.ill else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops the server."""
        self._server.shutdown()
        self._server.server_close()


def spread(count: int, seconds: float, offset: float) -> list[float]:
    """Returns evenly spaced times of a run, none near its ends.

    Examples:
        >>> spread(2, 100.0, 0.5)
        [25.0, 65.0]
    """
    return [round(5 + (number + offset) * 0.8 * seconds / count, 1) for number in range(count)]


class Mishaps(threading.Thread):
    """Injects failures at given times.

    Args:
        due: Seconds from the start, name and function of each failure.
    """

    def __init__(self, due: list[tuple[float, str, Callable[[], object]]]) -> None:
        super().__init__(daemon=True)
        self._due = sorted(due, key=lambda each: each[0])
        self.done: list[tuple[float, str]] = []
        self._stopped = threading.Event()

    def run(self) -> None:
        """Injects the failures."""
        began = time.monotonic()
        for moment, what, act in self._due:
            if self._stopped.wait(max(0.0, began + moment - time.monotonic())):
                return
            act()
            self.done.append((time.monotonic(), what))

    def stop(self) -> None:
        """Stops injecting failures."""
        self._stopped.set()
        self.join()

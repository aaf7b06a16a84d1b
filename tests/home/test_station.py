"""Sources that are listened to indefinitely, and their failures."""

import base64
import gc
import itertools
import re
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from cameras import Camera

from yamnet_cry import CryDetector
from yamnet_cry.audio import ffmpeg
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError, InputEnded
from yamnet_cry.home import connection, inputs, station
from yamnet_cry.home.reader import Reader
from yamnet_cry.home.sources import Source
from yamnet_cry.home.station import Station

PATIENCE = 120
RATE = 16_000

needs_ffmpeg = pytest.mark.skipif(ffmpeg.program() is None, reason="cameras need ffmpeg")


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    return (nursery() * 32_767).astype(np.int16)


class Told:
    """An outlet that records messages and can wait for them."""

    def __init__(self) -> None:
        self.messages: list[dict] = []
        self.warnings: list[str] = []
        self._changed = threading.Condition()

    def push(self, message: dict) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        pass

    def warn(self, text: str) -> None:
        with self._changed:
            self.warnings.append(text)
            self._changed.notify_all()

    def kinds(self, *kinds: str) -> list[dict]:
        return [message for message in self.messages if message["event"] in kinds]

    def wait(self, condition: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), (self.messages[-3:], self.warnings)


class Sound:
    """A source that yields blocks as fast as they are read, and may then hang."""

    sample_rate = RATE

    def __init__(self, wave: np.ndarray, *, hang: bool = False, error: Exception | None = None) -> None:
        self._wave, self._hang, self._error = wave, hang, error
        self.closed = threading.Event()

    def blocks(self) -> Iterator[np.ndarray]:
        yield from np.split(self._wave, np.arange(1_600, len(self._wave), 1_600))
        if self._error is not None:
            raise self._error
        if self._hang:
            self.closed.wait(PATIENCE)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def listen(detector):
    """A factory of stations, which are closed at the end."""
    told, stations = Told(), []

    def start(opened, name="nursery", **settings) -> tuple[Station, Told]:
        settings.setdefault("most_waiting", 3_600)
        started = Station(name, opened, detector, told, told.warn, pauses=(0.01, 0.05), **settings)
        stations.append(started)
        started.start()
        return started, told

    yield start
    for each in stations:
        each.stop()
    for each in stations:
        assert each.join(PATIENCE)


def camera_of(camera: Camera, address: str | None = None, name: str = "nursery") -> Callable[[], object]:
    source = Source(name, address or camera.address)
    return lambda: inputs.opened(source, lambda text: None)


def repeated(wave: np.ndarray, pause: float = 0.0) -> Callable[[], Iterator[np.ndarray]]:
    def make() -> Iterator[np.ndarray]:
        for _ in itertools.count():
            for block in np.split(wave, np.arange(1_600, len(wave), 1_600)):
                yield block
                time.sleep(pause)

    return make


@needs_ffmpeg
def test_a_camera_is_heard_as_a_file_is(listen, detector, wave):
    camera = Camera(lambda: iter([wave, np.zeros(RATE * 60, np.int16)]))
    _, told = listen(camera_of(camera))
    told.wait(lambda: told.kinds("ended"))
    camera.kill()
    (event,) = detector((wave, RATE)).events
    started, ended = told.kinds("started", "ended")[:2]
    assert (started["start"], ended["end"]) == (event.start, event.end)
    assert ended["peak"] == pytest.approx(event.peak, abs=1e-3)
    assert (started["source"], ended["id"]) == ("nursery", started["id"])
    # The change is sent in a state at once.
    assert [m["crying"] for m in told.kinds("state") if m["crying"]] == [True]


@needs_ffmpeg
def test_packets_of_a_camera_are_taken_together(wave):
    camera = Camera(lambda: iter([wave[: RATE * 4]]))
    with ffmpeg.live(camera.address, "nursery") as stream:
        lengths = [len(block) for block in itertools.islice(stream.blocks(), 20)]
    camera.kill()
    assert lengths == [1_600] * 20


@needs_ffmpeg
def test_a_camera_that_is_away_is_waited_for(listen, wave):
    camera = Camera(lambda: itertools.chain([wave[: RATE * 10]], repeated(np.ones(RATE, np.int16), 0.001)()))
    there, told = listen(camera_of(camera))
    told.wait(lambda: told.kinds("started"))
    port = camera.port
    camera.kill()
    told.wait(lambda: told.kinds("deaf"))
    assert told.kinds("ended")[0]["interrupted"] or told.kinds("ended")[0]["end"] > 6
    # Long enough for several refused connections.
    told.wait(lambda: there.state.message(crying=False, muted_until=None)["restarts"] > 3)
    refused = [text for text in told.warnings if "refuses the connection" in text]
    assert len(refused) == 1
    assert refused[0].startswith(
        "nursery: refuses the connection: no server listens on this port; trying again in "
    )
    again = Camera(repeated(wave), port=port)
    told.wait(lambda: told.kinds("hearing") and len(told.kinds("started")) > 1)
    again.kill()
    assert [message["event"] for message in told.kinds("deaf", "hearing")][:2] == ["deaf", "hearing"]
    assert "nursery: sound is back" in told.warnings


@needs_ffmpeg
def test_what_is_wrong_with_a_camera_is_one_line_without_its_password(listen, wave):
    video = "\r\n".join(
        [
            "v=0",
            "o=- 0 0 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "m=video 0 RTP/AVP 96",
            "a=rtpmap:96 H264/90000",
            "",
        ]
    )
    mute = Camera(repeated(wave), describe=video)
    locked = Camera(repeated(wave), password=base64.b64encode(b"viewer:right").decode())
    garbage = socket.create_server(("127.0.0.1", 0))

    def babble() -> None:
        while True:
            try:
                client, _ = garbage.accept()
                client.sendall(bytes(range(256)) * 100)
                client.close()
            except OSError:
                return

    babbling = threading.Thread(target=babble, daemon=True)
    babbling.start()
    wrong = locked.address.replace("rtsp://", "rtsp://viewer:secret@")
    nonsense = f"rtsp://viewer:secret@127.0.0.1:{garbage.getsockname()[1]}/x"
    right = locked.address.replace("rtsp://", "rtsp://viewer:right@")
    _, told = listen(camera_of(mute, name="mute"), "mute")
    listen(camera_of(locked, wrong, "locked"), "locked")
    listen(camera_of(mute, nonsense, "nonsense"), "nonsense")
    listen(camera_of(locked, right), "good")
    told.wait(lambda: {m["source"] for m in told.kinds("deaf")} >= {"mute", "locked", "nonsense"})
    told.wait(lambda: any(m["source"] == "good" for m in told.kinds("ended")))
    for each in (mute, locked):
        each.kill()
    garbage.shutdown(socket.SHUT_RDWR)
    garbage.close()
    reasons = {message["source"]: message["reason"] for message in told.kinds("deaf")}
    assert reasons["mute"] == "has no sound"
    assert "user or password" in reasons["locked"]
    assert all("\n" not in text and "secret" not in text for text in [*told.warnings, *reasons.values()])


def test_a_source_that_brings_nothing_is_opened_again(listen, monkeypatch, wave):
    monkeypatch.setattr(station, "NO_SOUND", 0.3)
    monkeypatch.setattr(station, "TICK", 0.02)
    made = []

    def opened() -> Sound:
        made.append(Sound(wave[: RATE * 10], hang=True))
        return made[-1]

    _, told = listen(opened)
    told.wait(lambda: len(made) > 1 and told.kinds("hearing"))
    assert told.kinds("deaf")[0]["reason"] == "no sound received for 0.3 s"
    # The event in progress when the sound stopped has ended.
    assert told.kinds("ended")[0]["interrupted"] is True


def test_a_microphone_that_gives_zeros_is_deaf(listen, wave):
    parts = [wave, np.zeros(RATE * 31, np.int16), wave]
    _, told = listen(lambda: Sound(np.concatenate(parts), hang=True))
    told.wait(lambda: told.kinds("hearing"))
    assert told.kinds("deaf")[0]["reason"] == "only digital silence for 30 s"
    assert told.warnings == [
        "nursery: only digital silence for 30 s; is it muted?",
        "nursery: sound is back",
    ]


def test_whatever_goes_wrong_the_source_is_tried_again(listen, wave):
    errors = iter([ZeroDivisionError("in a driver"), AudioError("nursery is busy"), InputEnded("ended")])
    _, told = listen(lambda: Sound(wave, error=next(errors, None), hang=True))
    told.wait(lambda: len(told.kinds("ended")) >= 4)
    told_of = [re.sub(r"; trying.*", "", text) for text in told.warnings if "trying again" in text]
    assert told_of == [
        "nursery: failed unexpectedly (ZeroDivisionError: in a driver)",
        "nursery: is busy",
        "nursery: ended",
    ]


def test_samples_that_cannot_be_used_are_said(listen, wave):
    broken = wave.astype(np.float32) / 32_768
    broken[RATE * 5] = np.nan
    sounds = iter([broken])
    _, told = listen(lambda: Sound(next(sounds, wave), hang=True))
    told.wait(lambda: told.kinds("ended"))
    assert told.warnings[0].startswith("nursery: stream: expected finite samples in [-1, 1]. Received: nan")


def test_a_pipe_is_heard_to_its_end_and_waits(listen, wave):
    ended = threading.Event()
    there, told = listen(lambda: Sound(wave), once=True, on_end=ended.set, most_waiting=0.2)
    assert ended.wait(PATIENCE)
    assert there.seconds == pytest.approx(len(wave) / RATE)
    assert isinstance(there.error, InputEnded)
    assert [message["event"] for message in told.kinds("started", "ended")] == ["started", "ended"]
    assert there.message()["dropped_seconds"] == 0


def test_a_pipe_that_hangs_is_said_once(listen, monkeypatch, wave):
    monkeypatch.setattr(station, "NO_SOUND", 0.1)
    monkeypatch.setattr(station, "TICK", 0.02)
    go_on = threading.Event()

    class Hangs(Sound):
        def blocks(self) -> Iterator[np.ndarray]:
            yield wave[:RATE]
            go_on.wait(PATIENCE)
            yield wave[:RATE]

    _, told = listen(lambda: Hangs(wave), once=True)
    told.wait(lambda: told.warnings)
    time.sleep(0.2)
    go_on.set()
    told.wait(lambda: told.kinds("hearing"))
    assert told.warnings == ["nursery: no sound received for 0.1 s", "nursery: sound is back"]


def test_what_nobody_takes_in_time_is_left_out_and_counted():
    dropped: list[float] = []
    sound = Sound(np.zeros(RATE * 5, np.int16))
    reader = Reader(lambda: sound, 2.05, dropped.append)
    # A reader closes its source when the source has ended.
    assert sound.closed.wait(PATIENCE)
    taken = [reader.next(PATIENCE) for _ in range(20)]
    with pytest.raises(InputEnded):
        reader.next(PATIENCE)
    reader.close()
    assert [len(block) for block in taken] == [1_600] * 20
    assert sum(dropped) == pytest.approx(3.0)


def test_nothing_of_a_connection_outlives_it(listen):
    # Sources must not wait for the garbage collector: it counts objects, not their size, and may take days.
    made: list[weakref.ref] = []

    def opened() -> Sound:
        sound = Sound(
            np.ones(RATE, np.int16), error=InputEnded("ended") if len(made) % 2 else OSError("lost")
        )
        made.append(weakref.ref(sound))
        return sound

    gc.disable()
    try:
        _, told = listen(opened)
        told.wait(lambda: len(made) > 5)
        assert [sound() for sound in made[:4]] == [None] * 4
    finally:
        gc.enable()


class Packets(Sound):
    """A source that yields packets of 20 ms."""

    def blocks(self) -> Iterator[np.ndarray]:
        yield from np.split(self._wave, np.arange(320, len(self._wave), 320))
        self.closed.wait(PATIENCE)


def test_packets_are_taken_together(wave):
    source = Packets(wave[: RATE + 700])
    reader = Reader(lambda: source, 60.0, pytest.fail)
    blocks = [reader.next(PATIENCE) for _ in range(10)]
    # Less than a tenth of a second of sound is returned too, after a while.
    blocks.append(reader.next(0.1))
    assert reader.next(0.1) is None
    reader.close()
    assert [len(block) for block in blocks] == [1_600] * 10 + [700]
    np.testing.assert_array_equal(np.concatenate(blocks), wave[: RATE + 700])


def test_a_reader_with_little_room_waits_for_less():
    source = Packets(np.ones(RATE // 10, np.int16))
    reader = Reader(lambda: source, 0.05, None)
    assert sum(len(reader.next(PATIENCE)) for _ in range(2)) == 1_280
    reader.close()


def test_overruns_are_said_once_a_minute(listen, monkeypatch, wave):
    there, told = listen(lambda: Sound(wave, hang=True), most_waiting=3_600)
    there.overrun(0.1)
    there.overrun(0.1)
    assert told.warnings == ["nursery: this machine is too busy; 0.1 s of sound were dropped so far"]
    assert there.message()["dropped_seconds"] == 0.2


def test_clocks_that_are_set_and_sound_that_is_missing(detector, monkeypatch):
    offset, now = [0.0], [0.0]

    class Time:
        time = staticmethod(lambda: 1e9 + now[0] + offset[0])
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(connection, "time", Time)
    monkeypatch.setattr(connection.StreamClock.__init__, "__defaults__", (Time.time,))
    heard = connection.Connection(detector, RATE, None, None)

    def hear(seconds: float) -> None:
        now[0] += seconds
        heard.push(np.zeros(int(RATE * seconds), np.float32))

    hear(1.0)
    assert (heard.jumped(), heard.late()) == (0.0, 0.0)
    before = heard.clock.moment(1.0)
    offset[0] = -3_600.0
    hear(0.1)
    assert heard.jumped() == pytest.approx(-3_600)
    assert heard.jumped() == 0.0
    # Times of day follow a clock that was set back, without delay.
    assert (before - heard.clock.moment(1.0)).total_seconds() == pytest.approx(3_600, abs=0.1)
    now[0] += 5.0
    hear(0.1)
    assert heard.late() == pytest.approx(5.0)
    assert heard.late() == 0.0
    heard.push(np.zeros(RATE * 5, np.float32))  # the delayed sound arrives all at once
    assert heard.late() == 0.0


def test_muting_is_part_of_the_state(listen, wave):
    there, told = listen(lambda: Sound(np.ones(1_600, np.int16), hang=True))
    there.mute(5.0)
    told.wait(lambda: any(m["muted_until"] for m in told.kinds("state")))
    there.mute(0.0)
    assert told.kinds("state")[-1]["muted_until"] is None


@pytest.mark.parametrize("said", ["nursery: no such host", "nursery has no sound"])
def test_the_name_is_said_once(listen, wave, said):
    _, told = listen(lambda: Sound(wave[:RATE], error=AudioError(said)))
    reason = said.removeprefix("nursery").lstrip(": ")
    told.wait(lambda: told.kinds("deaf"))
    assert told.kinds("deaf")[0]["reason"] == reason
    assert told.warnings[0].startswith(f"nursery: {reason}; trying again")

"""All sources together: state file, health, systemd; and `yamnet-cry listen` as users start it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from cameras import Camera
from click.testing import CliRunner
from test_station import needs_ffmpeg, repeated
from test_webhook import Server

from yamnet_cry import cli
from yamnet_cry.demo import nursery
from yamnet_cry.home import state, watch
from yamnet_cry.home.clock import iso, now
from yamnet_cry.home.notify import Systemd
from yamnet_cry.home.watch import Watch

PATIENCE = 120


class Quiet:
    """A stand-in for a station."""

    def __init__(self, name: str) -> None:
        self.name, self.pulse, self.told, self.muted = name, time.monotonic(), 0, []
        self.state = state.State(name)

    def start(self) -> None:
        self.state.deaf(None)

    def message(self) -> dict:
        return self.state.message(crying=False, muted_until=None)

    def tell_state(self) -> None:
        self.told += 1

    def mute(self, minutes: float) -> None:
        self.muted.append(minutes)

    def stop(self) -> None:
        pass

    def join(self, seconds: float) -> bool:
        return True


def test_states_are_written_and_told_every_ten_seconds(tmp_path):
    file, rooms = tmp_path / "state.json", [Quiet("nursery"), Quiet("hall")]
    together = Watch(rooms, None, pytest.fail, file=file)
    together.start()
    together.tick()
    together.tick()
    assert [room.told for room in rooms] == [1, 1]
    sources = json.loads(file.read_text())["sources"]
    assert [each["source"] for each in sources] == ["nursery", "hall"]
    assert state.check(file) == (True, ["nursery: receives sound", "hall: receives sound"])
    rooms[1].state.deaf("refuses the connection")
    state.write(file, [room.message() for room in rooms])
    assert state.check(file) == (False, ["nursery: receives sound", "hall: refuses the connection"])
    together.mute("hall", 5.0)
    together.mute(None, 1.0)
    assert [room.muted for room in rooms] == [[1.0], [5.0, 1.0]]


def test_a_state_that_cannot_be_written_is_said_once(tmp_path, monkeypatch):
    warnings: list[str] = []
    together = Watch([Quiet("nursery")], None, warnings.append, file=tmp_path / "none" / "state.json")
    monkeypatch.setattr(state, "EVERY", 0.0)
    together.tick()
    together.tick()
    assert len(warnings) == 1
    assert warnings[0].startswith("cannot write the state file: ")


def test_health(tmp_path):
    def health(*arguments: str):
        return CliRunner().invoke(cli.main, ["health", *arguments])

    file, room = tmp_path / "state.json", Quiet("nursery")
    assert health(str(file)).exit_code == 2
    assert "`listen --state FILE` writes it" in health(str(file)).stderr
    file.write_text("{}")
    assert "was not written by `listen --state FILE`" in health(str(file)).stderr
    room.state.deaf(None)
    state.write(file, [room.message()])
    assert (health(str(file)).exit_code, health(str(file)).stdout) == (0, "nursery: receives sound\n")
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "at": iso(now() - timedelta(minutes=2))}))
    old = health(str(file))
    assert old.exit_code == 1
    assert "120 s old: `listen` no longer updates it" in old.stdout
    assert health(str(file), "--quiet").stdout == ""


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd is of Linux")
def test_systemd_is_told(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(PATIENCE)
        room, warnings = Quiet("nursery"), []
        together = Watch([room], None, warnings.append, systemd=Systemd({"NOTIFY_SOCKET": path}))
        together.start()
        together.tick()
        assert systemd.recv(100) == b"READY=1"
        assert systemd.recv(100) == b"WATCHDOG=1\nSTATUS=1 of 1 sources deliver sound"
        # A thread that hangs must not be reported as healthy.
        room.pulse = time.monotonic() - 60
        together.tick()
        together.tick()
        assert warnings == ["nursery: its thread has not responded for 30 s"]
        together.close()
        assert systemd.recv(100) == b"STOPPING=1"
    Systemd({"NOTIFY_SOCKET": path}).ready()
    Systemd({}).ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0yamnet-cry-test")
        Systemd({"NOTIFY_SOCKET": "@yamnet-cry-test"}).ready()
        assert systemd.recv(100) == b"READY=1"


def test_a_station_that_does_not_end_is_said(monkeypatch):
    warnings: list[str] = []
    room = Quiet("nursery")
    monkeypatch.setattr(room, "join", lambda seconds: False)
    monkeypatch.setattr(watch, "PATIENCE", 0.0)
    Watch([room], None, warnings.append).close()
    assert warnings == ["nursery: did not stop within 0 s"]


class Program:
    """`yamnet-cry listen` as a process whose output goes to files."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "yamnet_cry", "listen", "--json", *arguments],
                stdout=out,
                stderr=err,
                env={**os.environ, **environment},
            )

    @property
    def lines(self) -> list[dict]:
        return [
            json.loads(line) for line in self.out.read_text().splitlines(keepends=True) if line[-1] == "\n"
        ]

    def wait(self, condition) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < until, (self.out.read_text(), self.err.read_text())
            time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def program(tmp_path):
    started: list[Program] = []

    def start(*arguments: str, **environment: str) -> Program:
        started.append(Program(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


@pytest.fixture
def cameras():
    wave = (nursery() * 32_767).astype(np.int16)
    made = [Camera(repeated(wave, 0.002)), Camera(repeated(wave, 0.002), password="dmlld2VyOnNlY3JldA==")]
    yield made
    for each in made:
        each.kill()


@needs_ffmpeg
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_two_cameras_a_webhook_clips_and_a_mistake(program, cameras, tmp_path):
    hook = Server([200])
    config = tmp_path / "sources.toml"
    config.write_text(
        f'[sources.hall]\naddress = "{cameras[1].address}"\nuser = "viewer"\npassword = "${{CAMERA}}"\n'
    )
    state_file, clips = tmp_path / "state.json", tmp_path / "clips"
    running = program(
        *("--source", f"nursery={cameras[0].address}", "--source", "again=" + cameras[0].address),
        *("--source", "attic=gopher://user:pass@host/x", "--config", str(config), "--webhook", hook.url),
        *("--state", str(state_file), "--clips", str(clips), "--pre-roll", "2"),
        CAMERA="secret",
    )
    running.wait(
        lambda: {line["source"] for line in running.lines if line["event"] == "ended"} == {"nursery", "hall"}
    )
    running.wait(lambda: len({body["source"] for body in hook.bodies if body["event"] == "ended"}) == 2)
    running.wait(lambda: {path.stem[:4] for path in clips.glob("*.flac")} == {"nurs", "hall"})
    assert running.end() == 0
    hook.close()
    told = [line for line in running.lines if line["event"] in ("started", "ended")]
    for name in ("nursery", "hall"):
        kinds = [line["event"] for line in told if line["source"] == name]
        assert kinds == ["started", "ended"] * (len(kinds) // 2)
    # Each message was delivered once.
    assert sorted(map(str, hook.bodies)) == sorted(map(str, (line for line in running.lines)))
    assert {each["source"] for each in json.loads(state_file.read_text())["sources"]} == {"nursery", "hall"}
    errors = running.err.read_text()
    assert errors.splitlines()[:2] == [
        "Warning: expected an address that begins with rtsp://, rtsps://, http://, https://, srt://, "
        "rtmp:// or device; for files use `yamnet-cry detect`. Received: gopher://host/x",
        "Warning: again has the same address as nursery and is ignored",
    ]
    assert "secret" not in errors
    assert "pass" not in errors


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_a_signal_mutes(program, cameras):
    running = program("--updates", f"nursery={cameras[0].address}")
    running.wait(lambda: any(line["event"] == "update" for line in running.lines))
    running.process.send_signal(signal.SIGUSR1)
    running.wait(lambda: any(line["event"] == "state" and line["muted_until"] for line in running.lines))
    running.process.send_signal(signal.SIGUSR2)
    running.wait(lambda: running.lines[-1] and "unmuted" in running.err.read_text())
    assert running.end(signal.SIGINT) == 0
    assert re.findall("Warning: (?:un)?muted.*", running.err.read_text()) == [
        "Warning: muted for 30 minutes",
        "Warning: unmuted",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gopher://h/x", "ftp://h/y"], "Received: gopher://h/x; expected an address"),
        (["-", "rtsp://h/x"], "- (stdin) cannot be combined with other sources."),
        (
            ["rtsp://h/x", "--device", "2"],
            "--device cannot be combined with SOURCE; add the source device:NAME",
        ),
        (["rtsp://h/x", "--keep", "7d"], "--keep and --keep-bytes need --clips."),
        (["rtsp://h/x", "--quiet-hours", "22-6"], "expected hours such as 9:00-17:30. Received: '22-6'"),
        (["rtsp://h/x", "--webhook", "host"], "--webhook: expected http://… or https://…"),
        (["rtsp://h/x", "--frigate", "host:5000/nursery"], "--frigate: expected http://HOST:PORT/CAMERA"),
        (["--config", "none.toml"], "none.toml cannot be read: "),
        (["rtsp://h/x", "--updates"], "--updates needs --json."),
        (["rtsp://h/x", "--mqtt", "http://host"], "Received: http://host"),
    ],
)
def test_what_cannot_be_started_is_one_line(arguments, message):
    result = CliRunner().invoke(cli.main, ["listen", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr

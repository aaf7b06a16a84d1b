"""Network streams through ffmpeg: real local servers, and every kind of failure."""

import gc
import http.server
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from hypothesis import assume, example, given
from hypothesis import strategies as st

from yamnet_cry.audio import ffmpeg, ffmpeg_words
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError, InputEnded

PROGRAM = ffmpeg.program()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no ffmpeg")

# Timeout in seconds, reached only if a test hangs.
PATIENCE = 60.0

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def programs() -> list[str]:
    """The system's ffmpeg and the extra's, whose versions and messages differ."""
    found = [PROGRAM] if PROGRAM else []
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return list(dict.fromkeys([*found, get_ffmpeg_exe()]))
    except (ImportError, RuntimeError):
        return found


@pytest.fixture(params=programs(), ids=lambda path: Path(path).name)
def program(request, monkeypatch) -> str:
    monkeypatch.setattr(ffmpeg, "program", lambda: request.param)
    return request.param


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Streams of 20 seconds by file name; those named ``mute`` have no sound."""
    folder = tmp_path_factory.mktemp("sounds")
    for name in ("a.wav", "a.mp3"):
        soundfile.write(folder / name, nursery(), 16_000)
    wave = ["-i", folder / "a.wav"]
    video = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=20"]
    for name, arguments in {
        "a.aac": [*wave, "-c:a", "aac"],
        "a.ts": [*wave, *video, "-c:v", "mpeg4", "-c:a", "aac"],
        "mute.ts": [*video, "-c:v", "mpeg4"],
    }.items():
        subprocess.run([PROGRAM, "-nostdin", "-v", "error", *arguments, folder / name], check=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, Answer]]]:
    """The address of an HTTP server, and the dict of its answers by path."""
    answers: dict[str, Answer] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers[self.path.partition("?")[0].strip("/")](self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Ignores clients that disconnect."""

    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", answers
        running.shutdown()
        thread.join()


def sends(*parts: bytes, until: threading.Event | None = None) -> Answer:
    """Answers with the parts in turn; waits for the event before the last."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if until is None:
            handler.send_header("Content-Length", str(sum(map(len, parts))))
        handler.end_headers()
        for number, part in enumerate(parts):
            if until is not None and number == len(parts) - 1:
                until.wait(PATIENCE)
            handler.wfile.write(part)

    return answer


def refuses(code: int) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        if code == 401:
            handler.send_header("WWW-Authenticate", 'Basic realm="cameras"')
        handler.end_headers()

    return answer


@pytest.mark.parametrize("name", ["a.aac", "a.ts", "a.mp3", "a.wav"])
def test_a_stream_is_heard_as_it_comes_and_its_end_is_told(program, server, sounds, name):
    address, answers = server
    over = threading.Event()
    half = len(sounds[name]) // 2
    answers[name] = sends(sounds[name][:half], sounds[name][half:], until=over)
    heard = 0
    with ffmpeg.live(f"{address}/{name}", "nursery") as decoder:
        assert (decoder.sample_rate, decoder.channels) == (16_000, 1)
        blocks = decoder.blocks()
        # The first half is decoded before the second half is sent.
        while heard < 7 * 16_000:
            block = next(blocks)
            assert block.dtype == np.float32
            assert block.shape[1] == 1
            assert 0 < len(block) <= 1_600
            heard += len(block)
        over.set()
        rest: list[int] = []
        with pytest.raises(InputEnded, match="^nursery ended$"):
            rest.extend(map(len, blocks))
        assert decoder.closed
    assert heard + sum(rest) == pytest.approx(320_000, abs=4_000)


@pytest.mark.slow
def test_a_stream_can_be_closed_while_another_thread_waits(program, server, sounds, processes):
    address, answers = server
    over = threading.Event()
    answers["a"] = sends(sounds["a.wav"][:400_000], b"", until=over)
    decoder = ffmpeg.live(f"{address}/a", "nursery")
    heard, waiting = [], threading.Event()

    def listen() -> None:
        for block in decoder.blocks():
            heard.append(len(block))
            if sum(heard) > 16_000:
                waiting.set()

    thread = threading.Thread(target=listen)
    thread.start()
    assert waiting.wait(PATIENCE)
    decoder.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert processes[-1].returncode is not None
    decoder.close()
    over.set()


def test_a_stream_can_be_closed_before_its_first_sample(program, server):
    address, answers = server
    over, asked = threading.Event(), threading.Event()

    def silent(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.set()
        over.wait(PATIENCE)

    answers["a"] = silent
    decoder = ffmpeg.live(f"{address}/a", "nursery")
    said: list[str] = []

    def listen() -> None:
        try:
            said.append(str(decoder.sample_rate))
        except AudioError as error:
            said.append(str(error))

    thread = threading.Thread(target=listen)
    thread.start()
    assert asked.wait(PATIENCE)
    decoder.close()
    thread.join(PATIENCE)
    over.set()
    assert said == ["nursery was closed"]
    with pytest.raises(AudioError, match="^nursery was closed$"):
        next(decoder.blocks())


@pytest.mark.slow
def test_a_stream_that_nobody_holds_any_more_is_closed(server, sounds, processes):
    address, answers = server
    over = threading.Event()
    answers["a"] = sends(sounds["a.wav"][:400_000], b"", until=over)
    decoder = ffmpeg.live(f"{address}/a", "nursery")
    blocks, process = decoder.blocks(), processes[-1]
    next(blocks)
    assert process.poll() is None
    del decoder, blocks
    gc.collect()
    assert process.returncode is not None
    over.set()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refuses(401), "nursery rejects the user or password"),
        (refuses(403), "nursery denies access (403 Forbidden)"),
        (refuses(404), "nursery: no such stream (404 Not Found)"),
        (refuses(503), "nursery is overloaded or failing (server error)"),
        (sends(b"hello, this is no sound at all"), "nursery: Invalid data found when processing input"),
    ],
)
def test_what_a_server_refuses(program, server, answer, message):
    address, answers = server
    answers["a"] = answer
    address = address.replace("http://", "http://parent:milk%26honey@")
    with ffmpeg.live(f"{address}/a?key=abcdef", "nursery") as decoder:
        with pytest.raises(AudioError) as caught:
            _ = decoder.sample_rate
        assert decoder.closed
    assert str(caught.value) == message
    assert not isinstance(caught.value, InputEnded)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:1/a", "nursery refuses the connection: no server listens on this port"),
        (
            "rtsp://parent:honey@127.0.0.1:1/a",
            "nursery refuses the connection: no server listens on this port",
        ),
        ("http://nobody.invalid/a", "nursery: no such host"),
        ("rtsp://parent:honey@nobody.invalid/a", "nursery: no such host"),
        ("rtmp://127.0.0.1:1/live", "nursery refuses the connection: no server listens on this port"),
    ],
)
def test_where_there_is_no_server(program, address, message):
    with ffmpeg.live(address, "nursery") as decoder, pytest.raises(AudioError) as caught:
        next(decoder.blocks())
    assert str(caught.value) == message


def test_a_server_without_tls(program, server):
    address, answers = server
    answers["a"] = refuses(404)
    with (
        ffmpeg.live(address.replace("http", "https") + "/a", "nursery") as decoder,
        pytest.raises(AudioError, match=r"^nursery has no valid TLS certificate or connection \(.+\)$"),
    ):
        next(decoder.blocks())


@pytest.mark.parametrize(
    ("path", "message"),
    [("1", "nursery rejects the user or password"), ("404", "nursery: no such stream (404 Not Found)")],
)
def test_a_camera_that_refuses(program, path, message):
    class Camera(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines: list[str] = []
            for line in self.rfile:
                lines.append(line.decode().strip())
                if lines[-1]:
                    continue
                number = next(each for each in lines if each.lower().startswith("cseq"))
                code = "200 OK"
                if lines[0].startswith("DESCRIBE"):
                    code = "404 Not Found" if "404" in lines[0] else "401 Unauthorized"
                answer = f'RTSP/1.0 {code}\r\n{number}\r\nWWW-Authenticate: Basic realm="camera"\r\n\r\n'
                self.wfile.write(answer.encode())
                lines = []

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Camera) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        address = f"rtsp://parent:honey@127.0.0.1:{running.server_address[1]}/{path}"
        with ffmpeg.live(address, "nursery") as decoder, pytest.raises(AudioError) as caught:
            next(decoder.blocks())
        running.shutdown()
        thread.join()
    assert str(caught.value) == message


def test_a_camera_without_sound(program, server, sounds):
    address, answers = server
    answers["a"] = sends(sounds["mute.ts"])
    with ffmpeg.live(f"{address}/a", "nursery") as decoder, pytest.raises(AudioError) as caught:
        next(decoder.blocks())
    assert str(caught.value) == "nursery has no sound"


def test_a_stream_opens_no_file_of_ours(program, server, sounds, tmp_path):
    address, answers = server
    (tmp_path / "a.ts").write_bytes(sounds["a.ts"])
    inner = tmp_path / "a.ts"
    answers["a.m3u8"] = sends(f"#EXTM3U\n#EXTINF:20,\nfile:{inner}\n#EXT-X-ENDLIST\n".encode())
    with ffmpeg.live(f"{address}/a.m3u8", "nursery") as decoder, pytest.raises(AudioError, match="^nursery"):
        list(decoder.blocks())


def test_other_addresses_are_refused():
    for address in ("file:/etc/passwd", "/dev/video0", "concat:a|b", "ftp://me:honey@host/", "-i"):
        with pytest.raises(
            AudioError, match="^nursery: expected an address that begins with rtsp://"
        ) as caught:
            ffmpeg.live(address, "nursery")
        assert "honey" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="a script for the shell")
@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("4.4.2-0ubuntu0.22.04.1", "-stimeout"),
        ("n4.3", "-stimeout"),
        ("5.1.9-0+deb12u1", "-timeout"),
        ("n9.0.2-17-g2a571b6068", "-timeout"),
        ("N-109750-g0d8a1e7", "-timeout"),
    ],
)
def test_old_versions_have_another_name_for_patience(tmp_path, monkeypatch, version, name):
    script = tmp_path / "ffmpeg"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\necho "ffmpeg version {version} Copyright"\n')
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "program", lambda: str(script))
    decoder = ffmpeg.live("rtsp://camera/1", "nursery", ["-user_agent", "me"])
    with decoder, pytest.raises(AudioError, match="^nursery has no sound$"):
        _ = decoder.channels
    command = (tmp_path / "said").read_text().splitlines()[-1]
    assert f" -rtsp_transport tcp {name} 10000000 -user_agent me -i rtsp://camera/1 " in command


# Other text of the messages, which a short secret may be a part of.
REST = (
    "nursery: user … with … and … TLS of no: Server went away Decoder (codec not found) Cannot open and more "
    "rtsp://…@camera:554/1?… nursery: ffmpeg does not support its audio codec (Decoder (codec "
    "nursery has no valid TLS certificate or connection (TLS of [31m and more"
)
PASSWORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=5)


@example(user="000:0", password="00000", key="00001", quoted=False, number=3)
@example(user="@0000", password="00000", key="00000", quoted=False, number=2)
@given(user=PASSWORDS, password=PASSWORDS, key=PASSWORDS, quoted=st.booleans(), number=st.integers(0, 5))
def test_no_message_holds_a_secret(user, password, key, quoted, number):
    written = (quote(part, safe="") if quoted else part for part in (user, password))
    address = "rtsp://{}:{}@camera:554/1".format(*written) + f"?token={quote(key, safe='')}"
    said = [
        f"{address}: Server went away",
        f"[in#0 @ 0x55d0f1] Error opening input file {address}.",
        f"[rtsp @ 0x55d0f1] Cannot open {address}\x1b[31m\nand more",
        f"[rtsp @ 0x55d0f1] user {user} with {password} and {key}",
        f"[tls @ 0x55d0f1] TLS of {address}: no",
        f"Decoder (codec {address}) not found",
    ]
    message = ffmpeg_words.of_stream("nursery", said[: number + 1], ffmpeg_words.secrets_of(address))
    assert message is not None
    assume(not any(secret in REST for secret in (user, password, key)))
    for secret in (user, password, key, address.partition("@camera")[0]):
        assert secret not in message
    assert message.isprintable()
    assert "0x" not in message


@given(text=st.text(), password=PASSWORDS)
def test_redaction_needs_no_hint_for_what_looks_like_an_address(text, password):
    assume("'" not in password and '"' not in password and password not in text)
    shown = ffmpeg_words.redacted(f"{text} http://me:{password}@host/a?key={password} {text}")
    assert password not in shown
    assert "@host/a" in shown or set("?@") & set(password)
    assert "\n" not in shown


def test_patience_ends(program, server, monkeypatch):
    address, answers = server
    over = threading.Event()
    answers["a"] = lambda handler: over.wait(PATIENCE) and None
    monkeypatch.setattr(ffmpeg, "PATIENCE", "300000")
    started = time.monotonic()
    with ffmpeg.live(f"{address}/a", "nursery") as decoder, pytest.raises(AudioError) as caught:
        next(decoder.blocks())
    over.set()
    assert time.monotonic() - started < PATIENCE / 2
    assert str(caught.value) == "nursery does not answer in time"

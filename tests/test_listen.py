"""yamnet-cry listen: pipes, a stand-in for a microphone, events and the hook."""

import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import types
from datetime import datetime, timedelta

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry import CryDetector, cli
from yamnet_cry.audio import capture
from yamnet_cry.cli.interruption import Stopped, StopSignals
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError, InputEnded
from yamnet_cry.home.clock import StreamClock
from yamnet_cry.results import clock, duration

PROGRAM = (sys.executable, "-m", "yamnet_cry", "listen")

# The process that started the tests may ignore SIGINT and SIGHUP, as nohup does for background programs.
UNIGNORED = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "if hasattr(signal, 'SIGHUP'): signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    "from yamnet_cry.cli import run; run()"
)

# Timeout in seconds, long enough for any machine; reached only if a test fails.
PATIENCE = 600


@pytest.fixture(scope="module")
def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, nursery(), 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


@pytest.fixture(scope="module")
def within_an_event(wav) -> bytes:
    return wav[: 44 + 2 * 16_000 * 10]


def listen(data: bytes, *arguments: str, **settings) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, "-", *arguments],
        input=data,
        capture_output=True,
        check=False,
        timeout=PATIENCE,
        **settings,
    )


def test_events_are_told_as_they_start_and_end(wav):
    result = listen(wav, "--json")
    assert result.returncode == 3
    assert result.stderr.decode().strip() == "Error: stdin ended after 0:00:20"
    started, ended = map(json.loads, result.stdout.splitlines())
    (event,) = CryDetector.from_pretrained()(io.BytesIO(wav)).events
    assert (started["event"], started["start"]) == ("started", event.start)
    assert {key: value for key, value in ended.items() if key not in ("started_at", "ended_at")} == {
        "event": "ended",
        "id": started["id"],
        "source": "stdin",
        "start": event.start,
        "end": event.end,
        "peak": event.peak,
        "mean": event.mean,
        "seconds": event.seconds,
        "interrupted": False,
    }
    lines = listen(wav).stdout.decode().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        f"crying, at {clock(event.start)}",
        f"crying ended, after {duration(event.seconds)}, at {clock(event.end)} "
        f"(peak {event.peak * 100:.0f} %)",
    ]
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="time zones are set otherwise")
def test_events_have_the_time_of_day(wav):
    result = listen(wav, "--json", env={**os.environ, "TZ": "Asia/Kolkata"})
    started, ended = map(json.loads, result.stdout.splitlines())
    start, again, end = map(
        datetime.fromisoformat, (started["started_at"], ended["started_at"], ended["ended_at"])
    )
    assert start == again < end
    assert start.utcoffset() == end.utcoffset() == timedelta(hours=5, minutes=30)


def test_every_update_as_json(wav):
    result = listen(wav, "--json", "--updates")
    lines = list(map(json.loads, result.stdout.splitlines()))
    updates = [line for line in lines if line["event"] == "update"]
    whole = CryDetector.from_pretrained()(io.BytesIO(wav))
    np.testing.assert_allclose([u["probability"] for u in updates], whole.probabilities, atol=1e-6)
    np.testing.assert_allclose([u["time"] for u in updates], whole.times + 0.96, atol=1e-6)
    assert set(updates[0]) == {"event", "source", "time", "at", "probability", "level", "crying"}
    times = [datetime.fromisoformat(update["at"]) for update in updates]
    assert times == sorted(times)
    kinds = [line["event"] for line in lines if line["event"] not in ("update", "state")]
    assert kinds == ["started", "ended"]
    lines = [line for line in lines if line["event"] != "state"]
    # An event follows the update that detected it.
    assert lines[lines.index(next(u for u in updates if u["crying"])) + 1]["event"] == "started"


def test_updates_are_json():
    result = listen(b"", "--updates")
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"--updates needs --json" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_a_signal_within_an_event_ends_it(within_an_event, tmp_path, name):
    script, log = tmp_path / "hook.py", tmp_path / "log"
    script.write_text(
        "import os, sys, time\n"
        "time.sleep(0.2)\n"  # still running when the signal arrives
        "with open(sys.argv[1], 'a') as log:\n"
        "    print(os.environ['YAMNET_CRY_EVENT'], os.environ.get('YAMNET_CRY_INTERRUPTED'), file=log)\n"
    )
    arguments = ["listen", "-", "--json", "--on-event", f"'{sys.executable}' '{script}' '{log}'"]
    with subprocess.Popen(
        [sys.executable, "-c", UNIGNORED, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(within_an_event)
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["event"] == "started"
        process.send_signal(getattr(signal, name))
        ended = json.loads(process.stdout.readline())
        assert (ended["event"], ended["interrupted"]) == ("ended", True)
        assert process.wait(PATIENCE) == 0
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
    assert log.read_text().splitlines() == ["started None", "ended true"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_a_signal_that_ends_the_reader_of_the_output_too(within_an_event):
    with subprocess.Popen(
        [*PROGRAM, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(within_an_event)
        process.stdin.flush()
        assert b"crying" in process.stdout.readline()
        process.stdout.close()
        process.send_signal(signal.SIGTERM)
        assert (process.wait(PATIENCE), process.stderr.read()) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_a_signal_before_any_sound_ends_listening():
    with subprocess.Popen(
        [*PROGRAM, "-", "--json"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # This is more than the pipe holds: once it is written, the program has begun to read.
        process.stdin.write(bytes(1_000_000))
        process.stdin.flush()
        process.send_signal(signal.SIGTERM)
        assert (process.wait(PATIENCE), process.stderr.read()) == (0, b"")


def test_the_end_of_stdin_within_an_event(within_an_event):
    result = listen(within_an_event)
    assert result.returncode == 3
    assert result.stderr.decode().strip() == "Error: stdin ended after 0:00:10"
    assert re.search(
        r"listening stopped during crying, after [34]\.\d s", result.stdout.decode().splitlines()[1]
    )


def test_bad_samples_within_an_event_end_it_too(wav):
    wave, _ = soundfile.read(io.BytesIO(wav), dtype="float32")
    wave[16_000 * 10] = np.nan
    result = listen(wave.astype("<f4").tobytes(), "--format", "f32le", "--json")
    assert result.returncode == 2
    assert b"stream: expected finite samples in [-1, 1]. Received: nan at 10.000 s" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["interrupted"] is True


def test_nobody_reads_the_output(within_an_event, tmp_path):
    log = tmp_path / "log"
    code = f"import os; print(os.environ['YAMNET_CRY_EVENT'], file=open({str(log)!r}, 'a'))"
    reader, writer = os.pipe()
    os.close(reader)
    command = [*PROGRAM, "-", "--on-event", f"'{sys.executable}' -c \"{code}\""]
    try:
        result = subprocess.run(
            command,
            input=within_an_event,
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
            timeout=PATIENCE,
        )
    finally:
        os.close(writer)
    assert result.returncode == 3
    assert result.stderr.startswith(b"Error: stdout cannot be written")
    assert len(result.stderr.splitlines()) == 1
    assert log.read_text().split() == ["started", "ended"]


def test_signals_wait_for_the_work_on_a_window():
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGINT) if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN else None
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped), signals.while_waiting():
            raise AssertionError("nobody waits any more")
    with StopSignals() as signals, pytest.raises(Stopped), signals.while_waiting():
        signal.raise_signal(signal.SIGTERM)


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            signal.raise_signal(signal.SIGTERM)
            with signals.while_waiting():
                pass
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_time_of_day_follows_a_stream_that_was_held_up():
    now = 1_000_000.0
    stream = StreamClock(lambda: now)
    for _ in range(100):
        now += 0.1
        stream.advance(0.1)
    assert stream.moment(5.0).timestamp() == pytest.approx(1_000_005.0)
    now += 30.0
    stream.advance(0.1)
    assert stream.moment(10.1).timestamp() == pytest.approx(now)
    stream.advance(30.0)  # delayed sound arrives all at once
    for _ in range(10 * 3_600):
        now += 0.1
        stream.advance(0.1)
    assert stream.moment(stream.seconds).timestamp() == pytest.approx(now, abs=0.05)


def test_the_time_of_day_never_runs_backwards():
    """Not even when a file is read faster than real time."""
    stream = StreamClock(lambda: 1_000_000.0)
    told = []
    for _ in range(100):
        stream.advance(1.0)
        told.append(stream.moment(stream.seconds))
    assert told == sorted(told)


def test_raw_samples(wav):
    wave, _ = soundfile.read(io.BytesIO(wav), dtype="int16")
    stereo = np.repeat(wave[:, None], 2, axis=1).astype("<i2").tobytes()
    floats = (wave / 32_768).astype("<f4").tobytes()

    def heard(data: bytes, *arguments: str) -> list[dict[str, object]]:
        lines = map(json.loads, listen(data, "--json", *arguments).stdout.splitlines())
        return [
            {key: value for key, value in line.items() if not key.endswith("_at") and key != "id"}
            for line in lines
        ]

    expected = heard(wav)
    assert len(expected) == 2
    assert heard(wave.astype("<i2").tobytes()) == expected
    assert heard(stereo, "--channels", "2") == expected
    assert heard(floats, "--format", "f32le") == expected


def test_a_raised_threshold_is_heeded(wav):
    assert listen(wav, "--json", "--threshold", "1.0").stdout == b""


def test_the_hook_is_told_what_happened(wav, tmp_path):
    script = tmp_path / "hook.py"
    script.write_text(
        "import json, os, sys\n"
        "told = {k: v for k, v in os.environ.items() if k.startswith('YAMNET_CRY_')}\n"
        "print(json.dumps(told), file=open(sys.argv[1], 'a'))\n"
        "print('on stdout')\n"
        "print('on stderr', file=sys.stderr)\n"
    )
    log = tmp_path / "with space.log"
    result = listen(wav, "--json", "--on-event", f"{sys.executable} {script} '{log}'")
    assert result.returncode == 3
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr.count(b"on stdout") == 2
    assert result.stderr.count(b"on stderr") == 2
    started, ended = map(json.loads, log.read_text().splitlines())
    (event,) = CryDetector.from_pretrained()(io.BytesIO(wav)).events
    assert (started["YAMNET_CRY_EVENT"], started["YAMNET_CRY_START"]) == ("started", str(event.start))
    assert (ended["YAMNET_CRY_EVENT"], ended["YAMNET_CRY_END"]) == ("ended", str(event.end))
    assert ended["YAMNET_CRY_PEAK"] == str(event.peak)


def test_a_hook_is_never_a_shell_and_its_failure_is_told(wav):
    result = listen(wav, "--on-event", "false ; echo")
    assert result.returncode == 3
    assert result.stderr.count(b"Warning: --on-event failed: false ended with exit code 1") == 2
    missing = listen(wav, "--on-event", "no-such-program-here")
    assert missing.returncode == 2
    assert missing.stderr == b"Error: --on-event: no such program. Received: 'no-such-program-here'\n"
    open_quote = listen(wav, "--on-event", "echo 'a")
    assert open_quote.returncode == 2
    assert b"cannot be split into words" in open_quote.stderr


def test_a_slow_hook_does_not_hold_up_the_sound(wav, tmp_path):
    done = tmp_path / "done"
    code = f"import os, time\nwhile not os.path.exists({str(done)!r}): time.sleep(0.01)"
    (tmp_path / "hook.py").write_text(code)
    command = f"'{sys.executable}' '{tmp_path / 'hook.py'}'"
    with subprocess.Popen(
        [*PROGRAM, "-", "--json", "--on-event", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(wav)
        process.stdin.flush()
        # The first command is still running when the event ends.
        assert json.loads(process.stdout.readline())["event"] == "started"
        assert json.loads(process.stdout.readline())["event"] == "ended"
        done.touch()
        process.stdin.close()
        assert process.wait(PATIENCE) == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF\0\0\0\0AVI LIST", b"stdin begins like WAV but is not"),
        (b"RIFF\0\0\0\0WAVEfm", b"stdin ends within its WAV header"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", b"stdin is WAV without a format chunk"),
        (b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\xff", b"header that declares 4,294,967,307 bytes"),
        (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0abcd", b"stdin ends within its WAV header"),
    ],
)
def test_bad_input_is_one_line(data, message):
    result = listen(data)
    assert (result.returncode, result.stdout) == (2, b"")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_no_sound_at_all():
    result = listen(b"")
    assert (result.returncode, result.stdout) == (3, b"")
    assert result.stderr.decode().strip() == "Error: stdin ended after 0:00:00"


def test_encoded_audio_is_refused(wav):
    wave, _ = soundfile.read(io.BytesIO(wav))
    file = io.BytesIO()
    soundfile.write(file, wave, 16_000, format="MP3")
    result = listen(file.getvalue())
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().strip() == (
        "Error: stdin is MP3 or MP2; decode it first: "
        "`ffmpeg -i INPUT -f wav - | yamnet-cry listen -`, with - as INPUT for a pipe. "
        "If these are raw samples, set --format"
    )
    assert listen(file.getvalue(), "--rate", "44100").returncode == 2
    assert listen(file.getvalue(), "--format", "s16le").returncode == 3


@pytest.mark.parametrize("size", [0, 1, 3, 4, 11, 12, 13, 100, 20_000])
def test_short_raw_audio_is_heard_to_the_last_sample(size):
    samples = np.arange(size, dtype="<i2")
    blocks, _ = capture.pipe(io.BytesIO(samples.tobytes()), capture.Format())
    np.testing.assert_array_equal(np.concatenate([*blocks, samples[:0, None]])[:, 0], samples)


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
def test_wav_beyond_4_gib_is_understood(wav, form):
    wave, _ = soundfile.read(io.BytesIO(wav), dtype="int16")
    file = io.BytesIO()
    soundfile.write(file, wave, 16_000, format="RF64", subtype="PCM_16")
    data = file.getvalue()
    assert data[:4] == b"RF64"
    blocks, rate = capture.pipe(io.BytesIO(form + data[4:]), capture.Format(8_000))
    assert rate == 16_000
    np.testing.assert_array_equal(np.concatenate(list(blocks))[:, 0], wave)


def test_foreign_encodings_are_named(wav):
    adpcm = bytearray(wav)
    adpcm[20:22] = struct.pack("<H", 17)
    assert b"stdin is WAV of format 17 with 16 bits and 1 channels" in listen(bytes(adpcm)).stderr


def test_a_file_is_sent_elsewhere(tmp_path):
    result = subprocess.run([*PROGRAM, "night.wav"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "for files use `yamnet-cry detect`. Received: night.wav" in result.stderr


class Dribble(io.RawIOBase):
    """A pipe that returns a few bytes at a time."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes, self._turn = data, sizes, 0

    def read1(self, count: int) -> bytes:
        size = min(count, self._sizes[self._turn % len(self._sizes)])
        self._turn += 1
        part, self._data = self._data[:size], self._data[size:]
        return part

    read = read1


@given(
    subtype=st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]),
    kind=st.sampled_from(["WAV", "WAVEX"]),
    channels=st.integers(1, 3),
    sizes=st.lists(st.integers(1, 4_000), min_size=1, max_size=5),
)
def test_a_pipe_gives_the_samples_of_the_file(subtype, kind, channels, sizes):
    wave = np.random.default_rng(0).uniform(-0.9, 0.9, (500, channels))
    file = io.BytesIO()
    soundfile.write(file, wave, 8_000, format=kind, subtype=subtype)
    blocks, rate = capture.pipe(Dribble(file.getvalue(), sizes), capture.Format())
    found = np.concatenate(list(blocks)).astype(np.float64)
    if subtype not in ("FLOAT", "DOUBLE"):
        found = (found - (128 if subtype == "PCM_U8" else 0)) / {"PCM_U8": 2**7, "PCM_16": 2**15}.get(
            subtype, 2**31
        )
    assert rate == 8_000
    expected, _ = soundfile.read(io.BytesIO(file.getvalue()), always_2d=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)


class PortAudioError(Exception):
    pass


def sounddevice(wave: np.ndarray, rate: int, lost: frozenset[int] = frozenset()) -> types.ModuleType:
    """A stand-in for sounddevice: a microphone that plays a waveform and is then unplugged.

    Args:
        wave: The waveform it plays.
        rate: Its sample rate.
        lost: Indices of the blocks before which PortAudio lost sound.
    """
    module = types.ModuleType("sounddevice")

    class InputStream:
        def __init__(self, samplerate, blocksize, device, channels, dtype, callback):
            assert (samplerate, channels, dtype) == (rate, 1, "float32")
            self._blocks = np.split(wave, np.arange(blocksize, len(wave), blocksize))
            self._callback = callback

        def __enter__(self):
            for number, block in enumerate(self._blocks):
                status = types.SimpleNamespace(input_overflow=number in lost)
                self._callback(block[:, None], len(block), None, status)
            return self

        def __exit__(self, *_):
            pass

    def query_devices(device, kind):
        if device == "none such":
            raise ValueError("No input device matching 'none such'")
        return {"default_samplerate": float(rate)}

    module.InputStream, module.query_devices = InputStream, query_devices
    module.PortAudioError = PortAudioError
    return module


@pytest.fixture
def gone_at_once(monkeypatch):
    monkeypatch.setattr(capture, "GONE_SECONDS", 0.01)


def test_a_microphone_is_heard_at_its_own_rate(monkeypatch, gone_at_once):
    wave = np.random.default_rng(0).standard_normal(44_100).astype(np.float32) * 0.01
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(wave, 44_100))
    warnings: list[str] = []
    blocks, rate = capture.microphone("2", warnings.append)
    heard = [next(blocks) for _ in range(10)]
    assert rate == 44_100
    np.testing.assert_array_equal(np.concatenate(heard)[:, 0], wave)
    with pytest.raises(InputEnded, match="the microphone was disconnected"):
        next(blocks)
    assert warnings == []


def test_a_microphone_that_is_unplugged_within_an_event(monkeypatch, gone_at_once):
    wave = nursery()[16_000 * 4 : 16_000 * 12].astype(np.float32)
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(wave, 16_000, lost=frozenset({3, 4})))
    result = CliRunner().invoke(cli.main, ["listen", "--json"])
    started, ended = map(json.loads, result.stdout.splitlines())
    assert (started["event"], ended["event"], ended["interrupted"]) == ("started", "ended", True)
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        "Warning: microphone samples were lost once: this machine is too busy",
        "Error: the microphone was disconnected after 0:00:08",
    ]


def test_lost_sound_is_said_once_a_minute(monkeypatch, gone_at_once):
    lost = frozenset({0, 1, 2, 5, 50})
    module = sounddevice(np.zeros(16_000 * 9, np.float32), 16_000, lost)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(capture, "WARN_BLOCKS", 10)
    warnings: list[str] = []
    blocks, _ = capture.microphone(None, warnings.append)
    with pytest.raises(InputEnded):
        for _ in blocks:
            pass
    assert [re.search(r"lost (.+):", warning)[1] for warning in warnings] == ["once", "3 times", "once"]


def test_a_microphone_that_nobody_listens_to(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(np.zeros(16_000 * 11, np.float32), 16_000))
    blocks, _ = capture.microphone(None, lambda text: None)
    with pytest.raises(InputEnded, match="too slow: ten seconds of audio are waiting to be processed"):
        for _ in blocks:
            pass


def test_microphones_that_are_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(np.zeros(1, np.float32), 16_000))
    with pytest.raises(
        AudioError, match="no such microphone: none such .*`python -m sounddevice` lists them"
    ):
        capture.microphone("none such", print)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(AudioError, match=r'needs: pip install "yamnet-cry\[listen\]"'):
        capture.microphone(None, print)

"""yamnet-cry listen: pipes, a stand-in for a microphone, events and the hook."""

import io
import json
import struct
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry import CryDetector, live
from yamnet_cry.detection import clock, duration
from yamnet_cry.errors import AudioError
from yamnet_cry.nursery import nursery

PROGRAM = (sys.executable, "-m", "yamnet_cry", "listen")


@pytest.fixture(scope="module")
def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, nursery(), 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def listen(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, "-", *arguments], input=data, capture_output=True, check=False, timeout=60
    )


def test_events_are_told_as_they_start_and_end(wav):
    result = listen(wav, "--json")
    assert (result.returncode, result.stderr) == (0, b"")
    started, ended = map(json.loads, result.stdout.splitlines())
    (event,) = CryDetector.from_pretrained()(io.BytesIO(wav)).events
    assert (started["event"], started["start"]) == ("started", event.start)
    assert ended == {
        "event": "ended",
        "start": event.start,
        "end": event.end,
        "peak": event.peak,
        "mean": event.mean,
        "seconds": event.seconds,
    }
    lines = listen(wav).stdout.decode().splitlines()
    assert lines == [
        f"{clock(event.start)} crying",
        f"{clock(event.end)} quiet again, after {duration(event.seconds)} "
        f"(most sure: {event.peak * 100:.0f} %)",
    ]


def test_raw_samples(wav):
    wave, _ = soundfile.read(io.BytesIO(wav), dtype="int16")
    stereo = np.repeat(wave[:, None], 2, axis=1).astype("<i2").tobytes()
    expected = listen(wav, "--json").stdout
    assert listen(wave.astype("<i2").tobytes(), "--json").stdout == expected
    assert listen(stereo, "--json", "--channels", "2").stdout == expected
    floats = (wave / 32_768).astype("<f4").tobytes()
    assert listen(floats, "--json", "--format", "f32le").stdout == expected


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
    assert result.returncode == 0
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
    assert result.returncode == 0
    assert result.stderr.count(b"--on-event: false ended with exit code 1") == 2
    missing = listen(wav, "--on-event", "no-such-program-here")
    assert missing.returncode == 2
    assert missing.stderr == b"Error: --on-event: no such program. Received: 'no-such-program-here'\n"
    open_quote = listen(wav, "--on-event", "echo 'a")
    assert open_quote.returncode == 2
    assert b"cannot be taken apart into words" in open_quote.stderr


def test_a_slow_hook_does_not_hold_up_the_sound(wav):
    with subprocess.Popen(
        [*PROGRAM, "-", "--json", "--on-event", "sleep 3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(wav)
        process.stdin.flush()
        # The first command sleeps on while the end of the event is heard and told.
        assert json.loads(process.stdout.readline())["event"] == "started"
        assert json.loads(process.stdout.readline())["event"] == "ended"
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", b"stream holds no samples"),
        (b"RIFF\0\0\0\0AVI LIST", b"stdin begins like WAV but is not"),
        (b"RIFF\0\0\0\0WAVEfm", b"stdin ends within its WAV header"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", b"stdin is WAV without a format chunk"),
        (b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\xff", b"header that announces 4,294,967,307 bytes"),
        (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0abcd", b"stdin ends within its WAV header"),
    ],
)
def test_bad_input_is_one_line(data, message):
    result = listen(data)
    assert (result.returncode, result.stdout) == (2, b"")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_foreign_encodings_are_named(wav):
    adpcm = bytearray(wav)
    adpcm[20:22] = struct.pack("<H", 17)
    assert b"stdin is WAV of format 17 with 16 bits and 1 channels" in listen(bytes(adpcm)).stderr


def test_a_file_is_sent_elsewhere(tmp_path):
    result = subprocess.run([*PROGRAM, "night.wav"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "for files there is `yamnet-cry detect`" in result.stderr


class Dribble(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

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
    blocks, rate = live.pipe(Dribble(file.getvalue(), sizes), live.Format())
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


def sounddevice(wave: np.ndarray, rate: int) -> types.ModuleType:
    """Stands in for sounddevice: a microphone that plays a waveform and is then pulled out."""
    module = types.ModuleType("sounddevice")

    class InputStream:
        def __init__(self, samplerate, blocksize, device, channels, dtype, callback):
            assert (samplerate, channels, dtype) == (rate, 1, "float32")
            self._blocks = np.split(wave, np.arange(blocksize, len(wave), blocksize))
            self._callback, self.active = callback, True

        def __enter__(self):
            for block in self._blocks:
                self._callback(block[:, None], len(block), None, None)
            self.active = False
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


def test_a_microphone_is_heard_at_its_own_rate(monkeypatch):
    wave = np.random.default_rng(0).standard_normal(44_100).astype(np.float32) * 0.01
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(wave, 44_100))
    blocks, rate = live.microphone("2")
    heard = [next(blocks) for _ in range(10)]
    assert rate == 44_100
    np.testing.assert_array_equal(np.concatenate(heard)[:, 0], wave)
    with pytest.raises(AudioError, match="the microphone is gone"):
        next(blocks)


def test_a_microphone_that_nobody_listens_to(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(np.zeros(16_000 * 11, np.float32), 16_000))
    blocks, _ = live.microphone(None)
    with pytest.raises(AudioError, match="too slow to listen: ten seconds of sound were waiting"):
        for _ in blocks:
            pass


def test_microphones_that_are_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(np.zeros(1, np.float32), 16_000))
    with pytest.raises(AudioError, match="no microphone none such .*`python -m sounddevice` lists them"):
        live.microphone("none such")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(AudioError, match=r'needs: pip install "yamnet-cry\[listen\]"'):
        live.microphone(None)

"""Encoded audio is recognised; raw samples are never taken for it."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.audio import encoded
from yamnet_cry.demo import nursery

FROM_THE_MIDDLE = 20_001


def written(kind: str, subtype: str | None = None, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, nursery(), rate, format=kind, subtype=subtype)
    return file.getvalue()


def adts(length: int, frames: int) -> bytes:
    """AAC frames at 44.1 kHz, one channel, filled with noise."""
    header = bytes(
        [0xFF, 0xF1, 0x50, 0x40 | length >> 11, length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC]
    )
    noise = np.random.default_rng(0)
    return b"".join(header + noise.bytes(length - len(header)) for _ in range(frames))


def transport_stream(packets: int) -> bytes:
    noise = np.random.default_rng(0)
    return b"".join(bytes([0x47, 0x41, 0x00, 0x10 | n % 16]) + noise.bytes(184) for n in range(packets))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "subtype", "name"),
    [
        ("MP3", None, "MP3 or MP2"),
        ("FLAC", None, "FLAC"),
        ("OGG", "VORBIS", "Ogg"),
        ("OGG", "OPUS", "Ogg"),
        ("AIFF", None, "AIFF"),
        ("W64", None, "Wave64"),
        ("CAF", None, "CAF"),
        ("AU", None, "AU"),
    ],
)
def test_what_soundfile_writes(kind, subtype, name):
    assert encoded.name_of(written(kind, subtype)[: encoded.HEAD_BYTES]) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01", "Matroska or WebM"),
        (b"\0\0\0\x1cftypM4A \0\0\2\0", "MP4 or M4A"),
        (b"\0\0\0\x18styp", "MP4 or M4A"),
        (b"#!AMR\n<", "AMR"),
        (b"ID3\x04\0\0\0\0\0#TSSE", "MP3"),
        (b"RIFX\0\0\0\0WAVE", "big-endian WAV"),
        (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "WMA"),
        (adts(371, 50), "AAC"),
        (transport_stream(50), "MPEG-TS"),
    ],
)
def test_what_soundfile_does_not_write(head, name):
    assert encoded.name_of(head) == name


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_radio_is_joined_in_the_middle_of_a_frame(rate):
    sound = written("MP3", rate=rate)
    for start in (FROM_THE_MIDDLE, FROM_THE_MIDDLE + 50):
        assert encoded.name_of(sound[start : start + encoded.HEAD_BYTES]) == "MP3 or MP2"
    assert encoded.name_of(adts(371, 60)[100:]) == "AAC"
    assert encoded.name_of(transport_stream(60)[100:]) == "MPEG-TS"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("-f mp3 -id3v2_version 0 -b:a 320k -ar 48000", "MP3 or MP2"),
        ("-f mp2 -b:a 384k -ar 48000", "MP3 or MP2"),
        ("-f adts", "AAC"),
        ("-f mpegts", "MPEG-TS"),
        ("-f matroska", "Matroska or WebM"),
        ("-f mp4 -movflags frag_keyframe+empty_moov", "MP4 or M4A"),
    ],
)
def test_what_ffmpeg_writes(arguments, name):
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    wav = written("WAV")
    command = ["ffmpeg", "-v", "error", "-i", "-", *arguments.split(), "-"]
    sound = subprocess.run(command, input=wav, capture_output=True, check=True).stdout
    assert encoded.name_of(sound[: encoded.HEAD_BYTES]) == name


@pytest.mark.parametrize("value", [0, -1, 1, 0x47, -0x47, 0x4710, 0x1047, -1025, -3585, 32_767, -32_768])
def test_constant_samples_are_raw(value):
    assert encoded.name_of(np.full(8_192, value, "<i2").tobytes()) is None


@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["hiss", "walk", "tone", "bytes"]),
    amplitude=st.sampled_from([0.6, 2.0, 30.0, 300.0, 3_000.0, 30_000.0]),
    offset=st.integers(-2_000, 2_000),
)
def test_raw_samples_are_never_taken_for_encoded_audio(seed, kind, amplitude, offset):
    noise = np.random.default_rng(seed)
    hiss = noise.standard_normal(8_192)
    wave = {
        "hiss": amplitude * hiss,
        "walk": np.cumsum(hiss) * amplitude / 50,
        "tone": amplitude * np.sin(np.arange(8_192) * noise.uniform(0.01, 3)) + hiss,
        "bytes": noise.integers(-(2**15), 2**15, 8_192).astype(float),
    }[kind]
    samples = np.clip(np.round(wave + offset), -(2**15), 2**15 - 1).astype("<i2").tobytes()
    assert encoded.name_of(samples) is None
    assert encoded.name_of(samples[1:]) is None
    assert encoded.name_of(samples[: seed % 50]) is None

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from yamnet_cry import audio
from yamnet_cry.errors import AudioError


def tone(rate: int, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


def assert_is_tone(wave: np.ndarray, tolerance: float) -> None:
    assert wave.dtype == np.float32
    expected = tone(16_000, len(wave) / 16_000)[:, 0]
    middle = slice(2_000, -2_000)
    np.testing.assert_allclose(wave[middle], expected[middle], rtol=0, atol=tolerance)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_every_rate_and_channel_count_becomes_16_khz_mono(tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", tone(rate, channels=channels), rate, subtype="FLOAT")
    wave = audio.read(tmp_path / "a.wav")
    assert abs(len(wave) - 16_000) <= 1
    assert_is_tone(wave, 2e-3)


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 1e-2),
        ("a.wav", "PCM_16", 1e-4),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "PCM_32", 1e-6),
        ("a.wav", "FLOAT", 1e-6),
        ("a.wav", "DOUBLE", 1e-6),
        ("a.flac", "PCM_16", 1e-4),
        ("a.flac", "PCM_24", 1e-6),
        ("a.ogg", "VORBIS", 5e-2),
    ],
)
def test_every_format(tmp_path, name, subtype, tolerance):
    soundfile.write(tmp_path / name, tone(16_000), 16_000, subtype=subtype)
    assert_is_tone(audio.read(tmp_path / name), tolerance)


def test_mp3(tmp_path):
    soundfile.write(tmp_path / "a.mp3", tone(16_000, 2.0), 16_000)
    wave = audio.read(tmp_path / "a.mp3")
    # MP3 delays by a part of a frame, so only level and length can be compared.
    assert abs(len(wave) - 32_000) < 3_000
    assert np.sqrt(np.mean(wave[4_000:-4_000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), abs=0.01)


def test_file_objects_and_strings_give_the_same(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000)
    expected = audio.read(path)
    np.testing.assert_array_equal(audio.read(str(path)), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(audio.read(file), expected)
    np.testing.assert_array_equal(audio.read(io.BytesIO(path.read_bytes())), expected)


def test_a_pipe_is_read_as_a_file(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    np.testing.assert_array_equal(audio.read(Pipe(path.read_bytes())), audio.read(path))


def test_a_wav_that_was_streamed_has_no_length(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFF_FFFF)
    assert len(audio.read(io.BytesIO(bytes(content)))) == 16_000


def test_float_and_integer_arrays_agree():
    floats = tone(16_000)[:, 0]
    expected = audio.read((floats, 16_000))
    for dtype, scale in ((np.int16, 2**15), (np.int32, 2**31)):
        np.testing.assert_allclose(audio.read(((floats * scale).astype(dtype), 16_000)), expected, atol=1e-4)
    unsigned = (floats * 128 + 128).astype(np.uint8)
    np.testing.assert_allclose(audio.read((unsigned, 16_000)), expected, atol=1e-2)


@settings(max_examples=25)
@given(
    rate=st.sampled_from([8_000, 22_050, 48_000]),
    samples=st.integers(10, 70_000),
    size=st.integers(1, 30_000),
)
def test_block_size_does_not_change_resampling(rate, samples, size):
    wave = np.random.default_rng(samples).uniform(-0.5, 0.5, samples).astype(np.float32)
    original = audio._BLOCK_VALUES
    audio._BLOCK_VALUES = size
    try:
        in_blocks = audio.read((wave, rate))
    finally:
        audio._BLOCK_VALUES = original
    np.testing.assert_allclose(in_blocks, audio.read((wave, rate)), rtol=0, atol=1e-6)


def wav(
    channels: int = 1, rate: int = 16_000, payload: bytes = b"\0" * 3_200, claimed: int | None = None
) -> bytes:
    size = len(payload) if claimed is None else claimed
    frame = channels * 2
    header = struct.pack("<IHHIIHH", 16, 1, channels, rate, (rate * frame) % 2**32, frame % 2**16, 16)
    riff = struct.pack("<I", (36 + size) % 2**32)
    return b"RIFF" + riff + b"WAVEfmt " + header + b"data" + struct.pack("<I", size % 2**32) + payload


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"hello, this is no audio at all", "is not audio that can be decoded"),
        (b"RIFF\x24\0\0\0WAVE", "is not audio that can be decoded|is cut short"),
        (wav(payload=b""), "holds no samples"),
        (wav(claimed=32_000), "is cut short: its header announces 32,044 bytes, it has 3,244"),
        (wav(channels=0), "is not audio that can be decoded"),
        (wav(channels=65), "expected 1 to 64 channels. Received: 65"),
        (wav(rate=100), "expected a sample rate of 1,000 to 768,000 Hz. Received: 100"),
        (wav(rate=2**31 - 1), "expected a sample rate|is not audio"),
    ],
)
def test_bad_files_are_explained(tmp_path, content, message):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=f"bad.wav.*({message})"):
        audio.read(path)


def test_a_flac_that_is_cut_short(tmp_path):
    path = tmp_path / "cut.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 64_000), 16_000)
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(AudioError, match=r"cut.flac (is cut short|cannot be decoded after)"):
        audio.read(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(AudioError, match=r"nothing.wav: no such file"):
        audio.read(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="is a folder; name the audio files in it"):
        audio.read(tmp_path)


def test_a_text_file_object():
    with pytest.raises(AudioError, match="open it in binary mode"):
        audio.read(io.StringIO("text"))


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_samples_that_are_no_numbers(tmp_path, value, shown):
    wave = np.zeros(16_000, np.float32)
    wave[8_000] = value
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    for source in (tmp_path / "a.wav", (wave, 16_000)):
        with pytest.raises(AudioError, match=f"finite samples.*Received: {shown} at 0.500 s$"):
            audio.read(source)


def test_integers_kept_as_floats():
    with pytest.raises(AudioError, match="Received: 20000 at 0.000 s; divide integers"):
        audio.read((np.full(100, 20_000.0), 16_000))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((np.zeros(0), 16_000), "holds no samples"),
        ((np.zeros(1), 48_000), "holds no samples"),
        ((np.zeros((2, 48_000)), 16_000), r"Received: \(2, 48000\).*pass waveform.T"),
        ((np.zeros((2, 2, 2)), 16_000), "Received: float64 of shape"),
        ((np.array(["a"]), 16_000), "expected floats or integers"),
        ((np.zeros(10), 0), "Received: 0"),
        (np.zeros(10), r"\(waveform, sample_rate\). Received: ndarray"),
        (None, "Received: NoneType"),
    ],
)
def test_bad_arrays_are_explained(source, message):
    with pytest.raises(AudioError, match=message):
        audio.read(source)


def test_hostile_headers_allocate_nothing():
    import tracemalloc

    content = wav(channels=64, rate=768_000, claimed=2**32 - 100)
    tracemalloc.start()
    with pytest.raises(AudioError):
        audio.read(io.BytesIO(content[:100]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_channels_whose_mean_is_no_number(tmp_path):
    wave = np.zeros((100, 2), np.float32)
    wave[50] = np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"finite samples.*Received: nan at 0.003 s$"):
        audio.read(tmp_path / "a.wav")

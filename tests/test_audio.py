import errno
import io
import os
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from yamnet_cry import audio
from yamnet_cry.audio import recording
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
    # MP3 delays by part of a frame, so only level and length can be compared.
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
    original = recording.BLOCK_VALUES
    recording.BLOCK_VALUES = size
    try:
        in_blocks = audio.read((wave, rate))
    finally:
        recording.BLOCK_VALUES = original
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
        (b"RIFF\x24\0\0\0WAVE", "is not audio that can be decoded|is truncated"),
        (wav(payload=b""), "holds no samples"),
        (wav(claimed=32_000), "is truncated: its header declares 32,044 bytes, it has 3,244"),
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


def cut(path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("name", ["cut.wav", "cut.flac", "cut.mp3"])
def test_what_is_cut_short_is_decoded_as_far_as_it_goes(tmp_path, name):
    path = tmp_path / name
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 320_000), 16_000)
    whole = audio.read(path)
    cut(path, 0.6)
    with pytest.raises(
        AudioError, match=r"is truncated: its header declares .*recover what it contains with `ff"
    ):
        audio.read(path)
    cuts: list[str] = []
    (wave,) = audio.blocks(path, on_cut=cuts.append)
    assert 0.5 < len(wave) / len(whole) < 0.61
    np.testing.assert_array_equal(wave, whole[: len(wave)])
    (said,) = cuts
    assert said.startswith(f"{path} is truncated: its header declares ")


@pytest.mark.parametrize(("riff", "data"), [(36, 0), (0, 0), (8, 0)])
def test_a_wav_whose_recorder_died_before_it_wrote_the_length(riff, data):
    content = bytearray(wav(payload=np.arange(1_600, dtype="<i2").tobytes()))
    content[4:8], content[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    cuts: list[str] = []
    (wave,) = audio.blocks(io.BytesIO(bytes(content)), on_cut=cuts.append)
    np.testing.assert_array_equal(wave * 2**15, np.arange(1_600))
    assert cuts == ["audio is truncated: its header declares no samples, and 3,244 bytes follow"]
    with pytest.raises(AudioError, match="its header declares no samples"):
        audio.read(io.BytesIO(bytes(content)))


def test_audio_of_which_nothing_is_left(tmp_path):
    path = tmp_path / "cut.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 64_000), 16_000)
    cut(path, 0.05)
    with pytest.raises(AudioError, match=r"cut.flac cannot be decoded after 0.00 s .*ffmpeg -i FILE out.wav"):
        list(audio.blocks(path, on_cut=lambda cut: None))


def test_damage_is_no_cut(tmp_path):
    path = tmp_path / "damaged.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 640_000), 16_000)
    content = bytearray(path.read_bytes())
    content[600_000:604_000] = bytes(4_000)
    path.write_bytes(content)
    with pytest.raises(
        AudioError, match=r"damaged.flac cannot be decoded after [\d.]+ s .*Copy the file again"
    ):
        list(audio.blocks(path, on_cut=lambda cut: None))


def test_a_disk_that_fails_while_it_is_read():
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 20_000:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    with pytest.raises(AudioError, match="audio cannot be read: Input/output error"):
        audio.read(Failing(wav(payload=bytes(100_000))))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
@pytest.mark.parametrize("as_path", [True, False])
def test_named_pipes(tmp_path, as_path):
    """Named pipes such as the shell makes for <(...)."""
    os.mkfifo(tmp_path / "pipe")
    content = wav(payload=np.arange(16_000, dtype="<i2").tobytes())
    with ThreadPoolExecutor(1) as executor:
        executor.submit((tmp_path / "pipe").write_bytes, content)
        if as_path:
            wave = audio.read(tmp_path / "pipe")
        else:
            with (tmp_path / "pipe").open("rb") as file:
                wave = audio.read(file)
    np.testing.assert_array_equal(wave, audio.read(io.BytesIO(content)))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_names_that_are_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.write_bytes(wav())
    assert len(audio.read(path)) == 1_600
    path.write_bytes(b"no audio")
    with pytest.raises(AudioError, match="is not audio that can be decoded"):
        audio.read(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(AudioError, match=r"nothing.wav: no such file"):
        audio.read(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="is a folder; pass the audio files in it"):
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


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32])
def test_16_bit_values_in_wider_integers(dtype):
    values = np.abs(tone(16_000)[:, 0] * 2**15).astype(dtype)
    with pytest.raises(AudioError, match=f"expected {np.dtype(dtype)} at full scale.*astype"):
        audio.read((values, 16_000))
    assert not audio.read((np.zeros(100, np.int64), 16_000)).any()
    assert len(audio.read((values[:, None].astype(np.int16), 16_000))) == 16_000


def test_a_stream_of_plain_python_integers():
    with pytest.raises(AudioError, match="expected int64 at full scale"):
        audio.LiveAudio(16_000).push([100, -3_000, 20_000])
    # A stream may begin in silence.
    audio.LiveAudio(16_000).push(np.array([100, -3_000], np.int32))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (("night.wav",), r"\(waveform, sample_rate\). Received: tuple of 1"),
        (("night.wav", 16_000), "expected floats or integers"),
        ((np.zeros(10), "16000"), "expected a sample rate in hertz. Received: '16000'"),
        (([[1.0], [1.0, 2.0]], 16_000), r"expected samples of shape \(samples,\)"),
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

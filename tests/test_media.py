"""Recordings that ffmpeg decodes, as files, file objects and pipes."""

import gc
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fuzz
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yamnet_cry import CryDetector, audio
from yamnet_cry.audio import decode, ffmpeg, ffmpeg_words
from yamnet_cry.cli import main
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError

PROGRAM = ffmpeg.program()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no ffmpeg")

# Timeout in seconds, reached only if a test hangs.
PATIENCE = 60.0

PICTURES = "-f lavfi -i testsrc=size=64x48:rate=5 -shortest -c:v mpeg4"

# Formats of phones, cameras and messengers: file name, required encoder, and arguments of ffmpeg.
FORMATS = {
    "memo.m4a": ("aac", "-c:a aac -ar 44100 -ac 2"),
    "streamed.m4a": ("aac", "-c:a aac -movflags +faststart"),
    "fragments.mp4": ("aac", "-c:a aac -movflags frag_keyframe+empty_moov -frag_duration 500000"),
    "video.mp4": ("aac", f"{PICTURES} -c:a aac -ar 48000"),
    "phone.mov": ("aac", f"{PICTURES} -c:a aac -ar 44100"),
    "old phone.3gp": ("aac", "-c:a aac -ar 16000"),
    "radio.aac": ("aac", "-c:a aac -ar 44100 -f adts"),
    "browser.webm": ("libopus", "-c:a libopus -ar 48000"),
    "messenger.opus": ("libopus", "-c:a libopus -ar 48000"),
    "camera.mkv": ("aac", f"{PICTURES} -c:a aac -ar 48000"),
    "camera.avi": ("mp2", f"{PICTURES} -c:a mp2 -ar 48000"),
    "camera.ts": ("aac", f"{PICTURES} -c:a aac -ar 48000 -f mpegts"),
    "camera.flv": ("aac", "-c:a aac -ar 44100"),
    "windows.wma": ("wmav2", "-c:a wmav2 -ar 44100"),
    "cinema.ac3": ("ac3", "-c:a ac3 -ar 48000"),
    "disc.mpg": ("mp2", f"{PICTURES.replace('mpeg4', 'mpeg1video').replace('rate=5', 'rate=25')} -c:a mp2"),
    "voice.amr": ("libopencore_amrnb", "-c:a libopencore_amrnb -ar 8000 -ac 1"),
    "talk.spx": ("libspeex", "-c:a libspeex -ar 16000"),
}
LOSSLESS = {"apple.m4a": "alac", "flac.mkv": "flac", "samples.mov": "pcm_s16le", "pack.wv": "wavpack"}
# Formats with two octaves less bandwidth than the others.
NARROW = ("voice.amr", "talk.spx")
# Some formats store their length; in the others, only a cut within a frame is detected.
CUT = {"fragments.mp4", "streamed.m4a", "browser.webm", "camera.mkv"}
CUT_UNSEEN = {"radio.aac", "camera.ts", "windows.wma"}


def made(source: Path, target: Path, arguments: str) -> Path:
    command = [PROGRAM, "-nostdin", "-v", "error", "-y", "-i", source, *arguments.split(), target]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return target


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    soundfile.write(folder / "night.wav", nursery(), 16_000)
    return folder


@pytest.fixture(scope="session")
def encoders() -> str:
    return subprocess.run(
        [PROGRAM, "-v", "error", "-encoders"], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def media(folder: Path, encoders: str):
    """A function that makes the file of a format when it is first needed."""

    def get(name: str) -> Path:
        encoder, arguments = FORMATS.get(name) or (LOSSLESS[name], f"-c:a {LOSSLESS[name]}")
        if f" {encoder} " not in encoders:
            pytest.skip(f"this ffmpeg has no encoder {encoder}")
        path = folder / name
        return path if path.exists() else made(folder / "night.wav", path, arguments)

    return get


@pytest.fixture(scope="session")
def long(folder: Path) -> Path:
    """Ten minutes of noise: 19 MB, far more than a pipe holds."""
    path = folder / "long.mkv"
    noise = "-f lavfi -i anoisesrc=duration=600:sample_rate=16000:amplitude=0.1 -map 1:a -c:a pcm_s16le"
    return made(folder / "night.wav", path, noise)


@pytest.fixture(scope="session")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


@pytest.fixture
def children(monkeypatch) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """The processes started during the test; none may still run at the end."""
    started = []
    real = subprocess.Popen

    def popen(*arguments, **named):
        started.append(real(*arguments, **named))
        return started[-1]

    monkeypatch.setattr(ffmpeg.subprocess, "Popen", popen)
    yield started
    assert [process.returncode is None for process in started] == [False] * len(started)


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_same_sound_gives_the_same_verdict(media, folder, detector, name):
    expected, found = detector(folder / "night.wav"), detector(media(name), strict=True)
    assert found.is_cry
    assert found.probability == pytest.approx(expected.probability, abs=0.02)
    assert len(found.events) == len(expected.events) == 1
    # Encoders add a delay of part of a frame, and not every container stores it.
    windows = min(len(found.probabilities), len(expected.probabilities))
    difference = np.abs(found.probabilities[:windows] - expected.probabilities[:windows])
    assert np.mean(difference) < (0.06 if name in NARROW else 0.03)
    assert found.events[0].start == pytest.approx(expected.events[0].start, abs=0.97)
    assert found.events[0].end == pytest.approx(expected.events[0].end, abs=0.97)


@pytest.mark.parametrize("name", LOSSLESS)
def test_without_loss_it_is_the_same_to_the_last_bit(media, folder, name):
    np.testing.assert_array_equal(audio.read(media(name)), audio.read(folder / "night.wav"))


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 6), (96_000, 1)])
def test_rates_and_channels_are_converted_as_those_of_other_files(tmp_path, rate, channels):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (rate, channels))
    soundfile.write(tmp_path / "a.wav", noise, rate, subtype="PCM_16")
    path = made(tmp_path / "a.wav", tmp_path / "a.mkv", "-c:a pcm_s16le")
    np.testing.assert_allclose(audio.read(path), audio.read(tmp_path / "a.wav"), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["browser.webm", "fragments.mp4", "streamed.m4a", "radio.aac"])
def test_file_objects_and_pipes_give_the_same_as_paths(media, name):
    path = media(name)
    expected = audio.read(path)
    for source in (str(path), io.BytesIO(path.read_bytes()), Unseekable(path.read_bytes())):
        np.testing.assert_array_equal(audio.read(source), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(audio.read(file), expected)
    within = io.BytesIO(b"else" + path.read_bytes())
    within.seek(4)
    np.testing.assert_array_equal(audio.read(within), expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_named_pipes(media, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    content = media("browser.webm").read_bytes()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    np.testing.assert_array_equal(audio.read(tmp_path / "pipe"), audio.read(media("browser.webm")))
    writer.join()


def test_an_index_at_the_end_needs_a_file(media):
    path = media("memo.m4a")
    with path.open("rb") as file:
        np.testing.assert_array_equal(audio.read(file), audio.read(path))
    for source in (io.BytesIO(path.read_bytes()), Unseekable(path.read_bytes())):
        with pytest.raises(
            AudioError,
            match="^audio is MP4 with its index at the end, which cannot be read from a pipe; pass the file ",
        ):
            audio.read(source)


def test_the_name_of_a_file_object_is_not_always_that_of_its_bytes(media, tmp_path):
    path = media("browser.webm")
    with gzip.open(tmp_path / "browser.webm.gz", "wb") as file:
        file.write(path.read_bytes())
    with gzip.open(tmp_path / "browser.webm.gz") as file:
        np.testing.assert_array_equal(audio.read(file), audio.read(path))
    copy = tmp_path / "copy.webm"
    copy.write_bytes(path.read_bytes())
    with copy.open("rb") as file:
        copy.rename(tmp_path / "moved.webm")
        copy.write_bytes(b"another")
        np.testing.assert_array_equal(audio.read(file), audio.read(path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "-i.m4a",
        "späte Nacht 🍼.m4a",
        " a  b .m4a",
        "100%d.m4a",
        "it's; $(it).m4a",
        *(["pipe:0", "http:x.m4a", "concat:a|b.m4a", 'a"b.m4a'] if sys.platform != "win32" else []),
    ],
)
def test_odd_names(media, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(media("memo.m4a").read_bytes())
    assert len(audio.read(name)) == pytest.approx(320_000, abs=2_000)
    Path(name).write_bytes(media("memo.m4a").read_bytes()[:10_000])
    with pytest.raises(AudioError) as caught:
        audio.read(name)
    assert str(caught.value) == (
        f"{name} is not audio that can be decoded: truncated before its index (moov), or not MP4"
    )


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_names_that_are_not_utf8(media, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.m4a")
    path.write_bytes(media("memo.m4a").read_bytes())
    assert len(audio.read(path)) > 300_000


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CUT | CUT_UNSEEN))
def test_what_is_cut_short_is_decoded_as_far_as_it_goes(media, tmp_path, name):
    whole = audio.read(media(name))
    path = tmp_path / f"cut.{name}"
    content = media(name).read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    cuts: list[str] = []
    wave = np.concatenate(list(audio.blocks(path, on_cut=cuts.append)))
    assert 0.4 < len(wave) / len(whole) < 0.75
    # The last frame is damaged.
    same = len(wave) - 8_000
    assert np.mean(np.abs(wave[:same] - whole[:same])) < 1e-3
    assert len(cuts) == 1 or name in CUT_UNSEEN
    for said in cuts:
        begins = f"{path} is truncated or damaged: "
        assert said.startswith(begins)
        seconds = float(said.removeprefix(begins).partition(" s could be decoded (ffmpeg: ")[0])
        assert seconds == pytest.approx(len(wave) / 16_000, abs=0.01)
        assert " @ " not in said
        assert "\n" not in said
        with pytest.raises(AudioError) as caught:
            audio.read(path)
        advice = "Copy the file again, or recover what it contains with `ffmpeg -i FILE out.wav`"
        assert str(caught.value) == f"{said}. {advice}"


def test_damaged_packets_are_told(media, tmp_path):
    content = bytearray(media("streamed.m4a").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = np.random.default_rng(0).bytes(600)
    (tmp_path / "damaged.m4a").write_bytes(content)
    cuts: list[str] = []
    assert sum(map(len, audio.blocks(tmp_path / "damaged.m4a", on_cut=cuts.append))) > 300_000
    assert len(cuts) == 1


@pytest.mark.slow
def test_a_flood_of_errors_neither_blocks_nor_fills_memory(folder, tmp_path):
    """Every frame is damaged after its header: ffmpeg's errors would fill a pipe."""
    path = made(folder / "night.wav", tmp_path / "a.aac", "-filter_complex aloop=loop=9:size=320000 -c:a aac")
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    place, generator = 0, np.random.default_rng(0)
    while place + 7 < len(content):
        length = (
            (int(content[place + 3]) & 3) << 11 | int(content[place + 4]) << 3 | int(content[place + 5]) >> 5
        )
        content[place + 9 : place + length] = generator.integers(0, 256, length, np.uint8)[9:]
        place += length
    cuts: list[str] = []
    with ffmpeg.file("flood", io.BytesIO(content.tobytes()), cuts.append) as decoder:
        for _ in decoder.blocks(2**16):
            pass
        assert len(decoder.said) == 20
    assert len(cuts) == 1


@pytest.mark.parametrize("name", ["camera.mkv", "video.mp4", "camera.ts"])
def test_a_video_without_sound(media, tmp_path, name):
    path = made(media(name), tmp_path / name, "-an -c:v copy")
    with pytest.raises(AudioError) as caught:
        audio.read(path)
    assert str(caught.value) == f"{path} has no sound"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:20,\n{0}\n#EXT-X-ENDLIST\n"),
        ("list.m3u", "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:20,\nfile:{0}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile '{0}'\n"),
        ("list.m4a", "ffconcat version 1.0\nfile '{0}'\n"),
        ("stream.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"),
    ],
)
def test_a_strangers_playlist_opens_no_other_file(media, tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content.format(media("camera.ts")))
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(AudioError) as caught:
            audio.read(source)
        assert str(caught.value) == (
            f"{audio.describe(source)} is not audio that can be decoded: it is a playlist, a picture or text"
        )


@pytest.mark.parametrize("size", [1, 100, 5_000, 100_000])
def test_garbage_is_refused(tmp_path, size):
    path = tmp_path / "noise.m4a"
    path.write_bytes(np.random.default_rng(size).bytes(size))
    with pytest.raises(AudioError, match=r"^.*noise.m4a is not audio that can be decoded"):
        audio.read(path)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["fragments.mp4", "browser.webm", "radio.aac", "camera.ts"]), seed=st.integers(0))
def test_damage_is_refused_or_harmless(media, name, seed):
    content = fuzz.mutated(media(name).read_bytes(), np.random.default_rng(seed))
    assert fuzz.attempt(fuzz.decode, content) in ("used", "refused")


def test_a_codec_that_nobody_knows(media, tmp_path):
    content = media("camera.mkv").read_bytes()
    assert content.count(b"A_AAC") == 1
    (tmp_path / "new.mkv").write_bytes(content.replace(b"A_AAC", b"A_NEW"))
    with pytest.raises(AudioError, match="new.mkv: ffmpeg does not support its audio codec"):
        audio.read(tmp_path / "new.mkv")


def test_a_disk_that_fails_while_it_is_read(long):
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 2_000_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(AudioError, match="^audio cannot be read: Input/output error$"):
        audio.read(Failing(long.read_bytes()))


def test_a_disk_that_fails_while_the_format_is_looked_for(long):
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() + (size or 0) > 5_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(AudioError, match="^audio cannot be read: Input/output error$"):
        audio.read(Failing(long.read_bytes()[:100_000]))


def test_without_ffmpeg_it_says_what_to_do(media, tmp_path, monkeypatch):
    path = media("memo.m4a")
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    advice = 'needs ffmpeg: install ffmpeg, or pip install "yamnet-cry[media]"'
    with pytest.raises(AudioError) as caught:
        audio.read(path)
    assert str(caught.value) == f"{path} is MP4 or M4A, which {advice}"
    (tmp_path / "text").write_text("no audio")
    with pytest.raises(AudioError, match="text is not audio that can be decoded .*other formats need ffmpeg"):
        audio.read(tmp_path / "text")
    with pytest.raises(AudioError) as caught:
        ffmpeg.live("rtsp://camera/1", "nursery")
    assert str(caught.value) == f"nursery {advice}"


def test_an_ffmpeg_that_cannot_be_started(media, tmp_path, monkeypatch):
    broken = tmp_path / "ffmpeg"
    broken.write_text("nothing")
    monkeypatch.setattr(ffmpeg, "program", lambda: str(broken))
    with pytest.raises(AudioError, match=r"memo.m4a: ffmpeg cannot be started \(.+\): .*ffmpeg$"):
        audio.read(media("memo.m4a"))


def test_where_ffmpeg_comes_from(monkeypatch):
    ffmpeg.program.cache_clear()
    try:
        monkeypatch.setenv("PATH", "")
        brought = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
        assert ffmpeg.program() == brought
        ffmpeg.program.cache_clear()
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
        assert ffmpeg.program() is None
        assert audio.suffixes() == audio.SUFFIXES
    finally:
        monkeypatch.undo()
        ffmpeg.program.cache_clear()
    assert ffmpeg.program() == PROGRAM
    assert audio.suffixes() == audio.SUFFIXES | audio.NEED_FFMPEG


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_child_that_is_killed_is_no_end_of_the_audio(long, children):
    blocks = audio.blocks(long, on_cut=lambda cut: pytest.fail(cut))
    next(blocks)
    os.kill(children[0].pid, signal.SIGKILL)
    with pytest.raises(
        AudioError, match=r"long.mkv: ffmpeg was killed after [\d.]+ s of audio \(signal 9\)$"
    ):
        list(blocks)


def test_a_reader_that_stops_ends_the_child(long, children):
    blocks = audio.blocks(long)
    next(blocks)
    assert children[0].poll() is None
    blocks.close()
    assert children[0].returncode is not None
    blocks = audio.blocks(io.BytesIO(long.read_bytes()))
    next(blocks)
    del blocks
    gc.collect()
    assert children[1].returncode is not None
    decoder = ffmpeg.file("long", str(long), lambda cut: None)
    assert decoder.sample_rate == 16_000
    del decoder
    gc.collect()
    assert children[2].returncode is not None


@pytest.fixture
def told(tmp_path) -> tuple[dict[str, str], Path]:
    """An environment in which ffmpeg writes its process id, and the file with the id."""
    script, file = tmp_path / "bin" / "ffmpeg", tmp_path / "pid"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\necho $$ > "{file}.new" && mv "{file}.new" "{file}"\nexec "{PROGRAM}" "$@"\n'
    )
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}, file


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_child_is_left_by_a_program_that_is_stopped(long, told, sent):
    environment, file = told
    with subprocess.Popen(
        [sys.executable, "-m", "yamnet_cry", "detect", long],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert within(PATIENCE, file.exists)
        process.send_signal(getattr(signal, sent))
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "Traceback" not in said
    assert within(PATIENCE, lambda: not is_alive(int(file.read_text())))


def within(seconds: float, true) -> bool:
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return true()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # If its parent is gone, the ended process may still be a zombie.
    state = Path(f"/proc/{process}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_a_child_is_in_a_group_of_its_own(long, children):
    with ffmpeg.file("long", str(long), lambda cut: None):
        assert os.getpgid(children[0].pid) == children[0].pid != os.getpgrp()


def test_no_more_is_decoded_than_is_read(long):
    class Counted(io.BytesIO):
        name = "counted"

    source = Counted(long.read_bytes())
    blocks = decode.opened("counted", source)
    with blocks as sound:
        for number, block in enumerate(sound.blocks(16_000)):
            assert block.shape == (16_000, 1)
            assert block.dtype == np.float32
            # ffmpeg reads five megabytes to detect the format, and the pipes fill up.
            assert source.tell() < 9_000_000
            if number == 20:
                break


def run(*arguments: object, **named: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **named)


def test_the_command_line_takes_files_folders_and_standard_input(media, tmp_path):
    inner = tmp_path / "phone"
    inner.mkdir()
    for name in ("memo.m4a", "video.mp4"):
        (inner / name).write_bytes(media(name).read_bytes())
    result = run("detect", inner)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.partition(": ")[0] for line in result.stdout.splitlines()] == [
        str(inner / "memo.m4a"),
        str(inner / "video.mp4"),
    ]
    assert result.stdout.count(": crying for 7.7 s in 1 event: 0:06.2-0:13.9 ") == 2
    piped = run("detect", "--json", "-", input=(inner / "memo.m4a").read_bytes())
    assert (piped.exit_code, json.loads(piped.stdout)["is_cry"]) == (0, True)
    (inner / "memo.m4a").write_bytes(media("streamed.m4a").read_bytes()[:60_000])
    cut = run("detect", inner / "memo.m4a")
    assert cut.exit_code == 0
    assert cut.stderr.startswith(f"Warning: {inner / 'memo.m4a'} is truncated; only the first ")
    assert run("detect", "--strict", inner / "memo.m4a").exit_code == 2


def test_the_faults_of_pictures_are_not_those_of_the_sound():
    said = ["[h264 @ 0x55d0c0] non-existing PPS 0 referenced\n", "[hevc @ 0x55d0c0] no frame!\n"]
    assert ffmpeg_words.reasons(said) == []
    assert ffmpeg_words.reasons([*said, "[aac @ 0x55d0c0] Reserved bit set.\n"]) == ["Reserved bit set"]

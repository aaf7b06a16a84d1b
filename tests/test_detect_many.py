"""yamnet-cry detect over folders: tables, tracks, pictures, resuming, pipes, names."""

import csv
import json
import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result
from disk import full_after

from yamnet_cry import CryDetector
from yamnet_cry.audio import ffmpeg
from yamnet_cry.audio.files import find
from yamnet_cry.cli import main
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError
from yamnet_cry.report.text import CSV_COLUMNS
from yamnet_cry.results import clock

PROGRAM = (sys.executable, "-m", "yamnet_cry")


@pytest.fixture
def night(tmp_path) -> Path:
    folder = tmp_path / "night"
    (folder / "late").mkdir(parents=True)
    soundfile.write(folder / "a.wav", nursery(), 16_000)
    soundfile.write(folder / "late" / "b.flac", nursery()[:80_000], 16_000)
    (folder / "notes.txt").write_text("not audio")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["detect", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_all_the_audio_in_it(night):
    result = run(night)
    assert result.exit_code == 0
    detector = CryDetector.from_pretrained()
    files = [night / "a.wav", night / "late" / "b.flac"]
    assert result.stdout.splitlines() == [f"{file}: {detector(file)}" for file in files]
    assert run(night, night / "a.wav").stdout == result.stdout


@pytest.mark.parametrize(("program", "first"), [(None, ".aif"), ("/bin/ffmpeg", ".3g2")])
def test_a_folder_without_audio(tmp_path, monkeypatch, program, first):
    monkeypatch.setattr(ffmpeg, "program", lambda: program)
    (tmp_path / "notes.txt").write_text("not audio")
    result = run(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Error: {tmp_path} holds no audio files. Looked for {first}, " in result.stderr


@pytest.mark.slow
def test_processes_give_the_same_as_one(night):
    assert run(night, "--json", "--workers", 2).stdout == run(night, "--json", "--workers", 1).stdout


def test_a_table_has_a_row_for_every_event_and_every_quiet_recording(night, tmp_path):
    table = tmp_path / "events.csv"
    assert run(night, "--csv", table, "--explain").exit_code == 0
    crying, quiet = rows(table)
    (event,) = CryDetector.from_pretrained()(night / "a.wav").events
    assert crying["file"] == str(night / "a.wav")
    assert (crying["is_cry"], crying["event"]) == ("1", "1")
    assert (float(crying["start"]), float(crying["end"])) == (event.start, event.end)
    assert float(crying["seconds"]) == event.seconds
    assert float(crying["peak"]) == pytest.approx(event.peak, abs=1e-4)
    assert "cry" in crying["heard"]
    assert quiet == {
        **dict.fromkeys(CSV_COLUMNS, ""),
        "file": str(night / "late/b.flac"),
        "is_cry": "0",
    } | {"probability": quiet["probability"]}


def test_work_goes_on_where_it_stopped(night, tmp_path):
    table, pictures = tmp_path / "events.csv", tmp_path / "labels"
    assert run(night / "a.wav", "--csv", table).exit_code == 0
    # A killed run may leave a partial row.
    with table.open("a") as file:
        file.write(str(night / "late"))
    again = run(night, "--csv", table)
    assert again.exit_code == 2
    assert f"{table} exists; continue it with --skip-done" in again.stderr
    more = run(night, "--csv", table, "--skip-done")
    assert more.exit_code == 0
    assert more.stderr.startswith("1 of 2 recordings are already done")
    assert [row["file"] for row in rows(table)] == [str(night / "a.wav"), str(night / "late/b.flac")]
    # A requested file that is missing is written, but rows are not written twice.
    assert run(night, "--labels", pictures, "--skip-done").exit_code == 0
    (pictures / "a.wav.txt").unlink()
    last = run(night, "--labels", pictures, "--skip-done")
    assert last.stdout.startswith(f"{night / 'a.wav'}: crying")
    assert len(last.stdout.splitlines()) == 1


def test_nothing_to_go_on_with(night, tmp_path):
    result = run(night, "--skip-done")
    assert result.exit_code == 2
    assert "--skip-done needs an output to check: --csv, --labels, --vtt or --plot" in result.stderr
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    result = run(night, "--csv", other, "--skip-done")
    assert (result.exit_code, other.read_text()) == (2, "a,b\n1,2\n")
    assert "other.csv is another program's table" in result.stderr


def test_labels_subtitles_and_pictures_of_one_recording(night, tmp_path):
    names = [tmp_path / name for name in ("a.txt", "a.vtt", "a.png")]
    result = run(night / "a.wav", "--labels", names[0], "--vtt", names[1], "--plot", names[2])
    assert result.exit_code == 0
    (event,) = CryDetector.from_pretrained()(night / "a.wav").events
    assert names[0].read_text() == f"{event.start:.6f}\t{event.end:.6f}\tcrying {event.peak * 100:.0f} %\n"
    assert (
        names[1].read_text().startswith(f"WEBVTT\n\n00:00:{event.start:06.3f} --> 00:00:{event.end:06.3f}\n")
    )
    width, height = struct.unpack(">II", names[2].read_bytes()[16:24])
    assert (width, height) == (1350, 1350)


def test_files_of_several_recordings_lie_as_the_recordings_do(night, tmp_path):
    assert run(night, "--vtt", tmp_path / "out").exit_code == 0
    found = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.vtt"))
    assert found == ["a.wav.vtt", "late/b.flac.vtt"]
    assert (tmp_path / "out/late/b.flac.vtt").read_text() == "WEBVTT\n"
    one = tmp_path / "file.vtt"
    one.write_text("mine")
    result = run(night, "--vtt", one)
    assert (result.exit_code, one.read_text()) == (2, "mine")
    assert "file.vtt is a file; choose a folder for the outputs of several recordings" in result.stderr


def test_a_place_that_cannot_be_written_stops_one_recording_only(night, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "late").write_text("in the way")
    result = run(night, "--vtt", tmp_path / "out")
    assert result.exit_code == 2
    assert "late cannot be written" in result.stderr
    assert len(result.stdout.splitlines()) == 1


def test_explanations_name_what_is_heard_in_each_event(night):
    result = run(night / "a.wav", "--explain")
    (event,) = CryDetector.from_pretrained()(night / "a.wav").events
    second = result.stdout.splitlines()[1]
    assert second.startswith(f"  {clock(event.start)} to {clock(event.end)}: ")
    assert "Baby cry, infant cry" in second
    (line,) = run(night / "a.wav", "--explain", "--json").stdout.splitlines()
    assert "Baby cry, infant cry" in json.loads(line)["events"][0]["heard"]


def test_top(night):
    detector = CryDetector.from_pretrained()
    result = detector(night / "a.wav", classes=True)
    (event,) = result.events
    (first, share), *others = result.top(event.start, event.end)
    assert first in ("Baby cry, infant cry", "Crying, sobbing")
    assert 0 < others[-1][1] <= share <= 1
    assert len(others) == 4
    assert sum(share for _, share in result.top(count=521)) == pytest.approx(1.0, abs=1e-4)
    assert result.top(3.0, 3.1) == []
    assert result.top(0.0, 0.96) == result.top(0.0, 1.2)
    with pytest.raises(ValueError, match="call the detector with classes=True"):
        detector(night / "a.wav").top()


def test_what_is_done_is_not_written_again(night, tmp_path):
    table, pictures = tmp_path / "events.csv", tmp_path / "labels"
    assert run(night, "--csv", table, "--labels", pictures).exit_code == 0
    before = rows(table)
    (pictures / "a.wav.txt").unlink()
    (pictures / "late" / "b.flac.txt").write_text("mine")
    assert run(night, "--csv", table, "--labels", pictures, "--skip-done").exit_code == 0
    assert rows(table) == before
    assert (pictures / "a.wav.txt").exists()
    assert (pictures / "late" / "b.flac.txt").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--labels", "--vtt", "--plot"])
def test_no_file_is_overwritten_unasked(night, tmp_path, option):
    """For example a recording, by a user who thinks the option is a flag."""
    theirs = tmp_path / "diary.png"
    theirs.write_text("mine")
    result = run(option, theirs, night / "a.wav")
    assert (result.exit_code, result.stdout, theirs.read_text()) == (2, "", "mine")
    assert f"{theirs} would be overwritten; choose other paths, or replace with --overwrite" in result.stderr
    assert run(option, theirs, night / "a.wav", "--overwrite").exit_code == 0
    assert theirs.read_bytes() != b"mine"


def test_no_recording_is_ever_overwritten(night, tmp_path):
    path = night / "a.wav"
    content = path.read_bytes()
    (night / "link.png").hardlink_to(path)
    cases = [("--labels", path), ("--vtt", night / "late" / ".." / "a.wav"), ("--plot", night / "link.png")]
    for option, target in [*cases, ("--csv", path)]:
        for more in ((), ("--overwrite",)):
            result = run(path, option, target, *more)
            assert (result.exit_code, result.stdout) == (2, "")
            assert path.read_bytes() == content
        assert f"{option} would overwrite the recording {target}" in result.stderr
    # An output in a folder that is also a recording of the same run.
    (night / "late" / "c.wav.txt").write_bytes(content)
    several = (night / "late" / "c.wav.txt", night / "c.wav")
    (night / "c.wav").write_bytes(content)
    result = run(*several, "--labels", night / "late", "--overwrite")
    assert f"--labels would overwrite the recording {night / 'late' / 'c.wav.txt'}" in result.stderr
    assert (night / "late" / "c.wav.txt").read_bytes() == content


def test_outputs_do_not_overwrite_each_other(night, tmp_path):
    result = run(night / "a.wav", "--labels", tmp_path / "x", "--vtt", tmp_path / "x")
    assert (result.exit_code, list(tmp_path.glob("x"))) == (2, [])
    assert "x would be written twice; choose another file for --vtt" in result.stderr


def test_several_files_that_are_there(night, tmp_path):
    assert run(night, "--vtt", tmp_path / "out").exit_code == 0
    result = run(night, "--vtt", tmp_path / "out")
    assert "a.wav.vtt and 1 more output files would be overwritten" in result.stderr
    assert run(night, "--vtt", tmp_path / "out", "--overwrite").exit_code == 0
    result = run(night, "--vtt", tmp_path / "out", "--overwrite", "--skip-done")
    assert "--skip-done and --overwrite exclude each other; choose one." in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("x", b"\x89PNG"),
        ("x.PNG", b"\x89PNG"),
        ("x.jpg", b"\xff\xd8\xff"),
        ("x.svg", b"<?xml"),
        ("x.pdf", b"%PDF"),
    ],
)
def test_pictures_are_what_their_names_say(night, tmp_path, name, begins):
    assert run(night / "late" / "b.flac", "--plot", tmp_path / name).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_pictures_of_other_kinds(night, tmp_path):
    result = run(night / "a.wav", "--plot", tmp_path / "x.gif")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--plot: expected .png, .jpg, .jpeg, .svg, .pdf. Received: {tmp_path / 'x.gif'}" in result.stderr


def test_formats_that_need_ffmpeg_are_counted_where_there_is_none(night, tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    for name in ("a.m4a", "b.M4A", "late/c.mp4"):
        (night / name).write_bytes(b"")
    result = run(night)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == (
        "Left out: 3 files in formats that need ffmpeg: .m4a (2), .mp4 (1); "
        'install ffmpeg, or pip install "yamnet-cry[media]"\n'
    )
    (night / "a.wav").unlink()
    (night / "late" / "b.flac").unlink()
    result = run(night)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Error: {night} holds 3 files in formats that need ffmpeg: .m4a (2), .mp4 (1)" in result.stderr


@pytest.mark.slow
def test_a_full_disk_is_told_by_the_name_of_the_file(night, tmp_path):
    target = tmp_path / "a.png"
    with full_after(1_000):
        result = run(night / "a.wav", "--plot", target)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {target} cannot be written (File too large)\n"
    assert not target.exists()


def test_recordings_cut_short(night):
    path = night / "a.wav"
    path.write_bytes(path.read_bytes()[:400_000])
    result = run(night, "--json")
    assert result.exit_code == 0
    assert result.stderr == f"Warning: {path} is truncated; only the first 12.5 s were scored\n"
    assert [json.loads(line)["truncated"] for line in result.stdout.splitlines()] == [True, False]
    result = run(night, "--strict")
    assert (result.exit_code, len(result.stdout.splitlines())) == (2, 1)
    assert f"Error: {path} is truncated: its header declares" in result.stderr


@pytest.mark.slow
def test_standard_input(night, tmp_path):
    content = (night / "a.wav").read_bytes()
    expected = CryDetector.from_pretrained()(night / "a.wav")
    picture = tmp_path / "a.png"
    arguments = ["detect", "-", "--plot", str(picture)]
    result = CliRunner().invoke(main, arguments, input=content)
    assert (result.exit_code, result.stdout) == (0, f"-: {expected}\n")
    assert picture.stat().st_size > 10_000
    result = CliRunner().invoke(main, ["detect", "-"], input=b"no audio")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: - is not audio that can be decoded")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_named_pipes_are_read_once(night, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as executor:
        executor.submit(pipe.write_bytes, (night / "a.wav").read_bytes())
        result = run(pipe, "--plot", tmp_path / "a.png", "--labels", tmp_path / "a.txt")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{pipe}: crying")
    assert (tmp_path / "a.png").exists()


def test_recordings_on_several_drives(night, tmp_path, monkeypatch):
    def commonpath(paths: list[str]) -> str:
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr(os.path, "commonpath", commonpath)
    assert run(night).exit_code == 0
    result = run(night, "--labels", tmp_path / "out")
    assert result.exit_code == 2
    assert "outputs of recordings on several drives cannot share a folder" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_names_that_are_no_text(night, tmp_path):
    """Outputs have the names' bytes unchanged; line breaks in names do not end rows."""
    late = os.fsencode(night / "late")
    names = [b"caf\xe9.wav", b"a\nb.wav", "a\u2028b.wav".encode(), b"a\rb.wav"]
    for name in names:
        (night / "late" / os.fsdecode(name)).write_bytes((night / "a.wav").read_bytes())
    table, out = tmp_path / "t.csv", tmp_path / "out"
    command = [*PROGRAM, "detect", night / "late", "--csv", table, "--vtt", out, "--workers", "2"]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    result = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert all(late + b"/" + name + b": crying" in result.stdout for name in names)
    assert (out / os.fsdecode(names[0] + b".vtt")).exists()
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        found = [os.fsencode(row["file"]) for row in csv.DictReader(file)]
    assert sorted(found) == sorted(late + b"/" + name for name in [*names, b"b.flac"])
    before = table.read_bytes()
    again = subprocess.run([*command, "--skip-done"], capture_output=True, env=environment, check=False)
    assert (again.returncode, again.stdout) == (0, b"")
    assert again.stderr == b"5 of 5 recordings are already done\n"
    assert table.read_bytes() == before
    as_json = [*PROGRAM, "detect", "--json", os.path.join(late, names[0]), "--plot", tmp_path / "a.png"]
    line = subprocess.run(as_json, capture_output=True, env=environment, check=True).stdout
    assert os.fsencode(json.loads(line)["file"]) == late + b"/" + names[0]


def test_folders_without_audio(tmp_path):
    with pytest.raises(AudioError, match="holds no audio files"):
        find([str(tmp_path)])

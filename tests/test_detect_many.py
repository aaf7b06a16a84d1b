"""yamnet-cry detect over folders: tables, tracks, pictures, resuming, processes, Ctrl-C."""

import csv
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from yamnet_cry import CryDetector, batch
from yamnet_cry.cli import main
from yamnet_cry.detection import clock
from yamnet_cry.errors import AudioError, RunError
from yamnet_cry.nursery import nursery

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


def test_a_folder_without_audio(tmp_path):
    (tmp_path / "notes.txt").write_text("not audio")
    result = run(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Error: {tmp_path} holds no audio files. Looked for .aif, .aiff," in result.stderr


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
        **dict.fromkeys(batch.CSV_COLUMNS, ""),
        "file": str(night / "late/b.flac"),
        "is_cry": "0",
    } | {"probability": quiet["probability"]}


def test_work_goes_on_where_it_stopped(night, tmp_path):
    table, pictures = tmp_path / "events.csv", tmp_path / "labels"
    assert run(night / "a.wav", "--csv", table).exit_code == 0
    # A killed run may leave the beginning of a row.
    with table.open("a") as file:
        file.write(str(night / "late"))
    again = run(night, "--csv", table)
    assert again.exit_code == 2
    assert f"{table} exists; go on in it with --skip-done" in again.stderr
    more = run(night, "--csv", table, "--skip-done")
    assert more.exit_code == 0
    assert more.stderr.startswith("1 of 2 recordings are done already")
    assert [row["file"] for row in rows(table)] == [str(night / "a.wav"), str(night / "late/b.flac")]
    # A file that is asked for and not there is made, but rows are not written twice.
    assert run(night, "--labels", pictures, "--skip-done").exit_code == 0
    (pictures / "a.wav.txt").unlink()
    last = run(night, "--labels", pictures, "--skip-done")
    assert last.stdout.startswith(f"{night / 'a.wav'}: crying")
    assert len(last.stdout.splitlines()) == 1


def test_nothing_to_go_on_with(night, tmp_path):
    result = run(night, "--skip-done")
    assert result.exit_code == 2
    assert "--skip-done needs --csv, --labels, --vtt or --plot" in result.stderr
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    result = run(night, "--csv", other, "--skip-done")
    assert (result.exit_code, other.read_text()) == (2, "a,b\n1,2\n")
    assert "other.csv is no table of this program" in result.stderr


def test_labels_subtitles_and_pictures_of_one_recording(night, tmp_path):
    names = [tmp_path / name for name in ("a.txt", "a.vtt", "a.png")]
    result = run(night / "a.wav", "--labels", names[0], "--vtt", names[1], "--plot", names[2])
    assert result.exit_code == 0
    (event,) = CryDetector.from_pretrained()(night / "a.wav").events
    assert names[0].read_text() == f"{event.start:.6f}\t{event.end:.6f}\tcrying {event.peak * 100:.0f} %\n"
    assert names[1].read_text().startswith("WEBVTT\n\n00:00:05.")
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
    assert "file.vtt is a file; for several recordings name a folder" in result.stderr


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


def test_top_classes(night):
    detector = CryDetector.from_pretrained()
    result = detector(night / "a.wav", classes=True)
    (event,) = result.events
    (first, share), *others = result.top_classes(event.start, event.end)
    assert first in ("Baby cry, infant cry", "Crying, sobbing")
    assert 0 < others[-1][1] <= share <= 1
    assert len(others) == 4
    assert sum(share for _, share in result.top_classes(count=521)) == pytest.approx(1.0, abs=1e-4)
    assert result.top_classes(3.0, 3.1) == []
    assert result.top_classes(0.0, 0.96) == result.top_classes(0.0, 1.2)
    with pytest.raises(ValueError, match="call the detector with classes=True"):
        detector(night / "a.wav").top_classes()


def test_progress_reaches_the_end(night):
    heard: list[float] = []
    detector = CryDetector.from_pretrained()
    job = batch.Job(night / "a.wav", {}, False)
    work = batch.Work([job, job], lambda: detector, None)
    assert [outcome.error for outcome in work.run(heard.append)] == ["", ""]
    assert work.total == pytest.approx(40.0)
    assert heard == sorted(heard)
    assert heard[-1] == work.total


def test_a_worker_that_dies_is_explained(night, tmp_path):
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from yamnet_cry import batch\n"
        "def load(): os._exit(9)\n"
        "if __name__ == '__main__':\n"
        f"    jobs = [batch.Job(Path(p), {{}}, False) for p in {[str(night / 'a.wav')] * 2}]\n"
        "    try:\n"
        "        list(batch.Work(jobs, load, 2).run(lambda seconds: None))\n"
        "    except batch.RunError as error:\n"
        "        print(error)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith("a worker process crashed")


def test_ctrl_c_leaves_whole_results(tmp_path):
    folder, table = tmp_path / "many", tmp_path / "events.csv"
    folder.mkdir()
    for number in range(300):
        os.link(_long(tmp_path), folder / f"{number:03d}.wav")
    process = subprocess.Popen(
        [*PROGRAM, "detect", folder, "--csv", table, "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - started < 30
    assert process.returncode == 2
    assert "stopped after" in errors
    assert "--skip-done goes on from here" in errors
    done = rows(table)
    assert 3 <= len(done) < 300
    assert all(row["probability"] for row in done)


def _long(folder: Path) -> Path:
    path = folder / "long.wav"
    if not path.exists():
        soundfile.write(path, np.zeros(16_000 * 300, np.int16), 16_000)
    return path


def test_unreadable_tables(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="t.csv cannot be used"):
        batch.Table(tmp_path / "t.csv", resume=True)
    with pytest.raises(RunError, match="cannot be used"):
        batch.Table(tmp_path / "missing" / "t.csv", resume=False)
    with pytest.raises(AudioError, match="holds no audio files"):
        batch.find([str(tmp_path)])

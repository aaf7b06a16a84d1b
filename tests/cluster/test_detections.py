"""yamnet-cry detect on a cluster: the same events as on one machine, for any number of recordings."""

import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from yamnet_cry import CryDetector
from yamnet_cry.cli import main

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="needs the extra cluster")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["detect", *map(str, arguments)])


def rows(out: Path) -> list[dict[str, object]]:
    import pyarrow.parquet as pq

    found = [row for file in out.glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    return sorted(found, key=lambda row: (row["file"], row["event"] or 0))


def expected(files: list[Path]) -> list[dict[str, object]]:
    detector = CryDetector.from_pretrained()
    found = []
    for file in sorted(files):
        result = detector(file)
        common = {"file": str(file), "is_cry": result.is_cry, "probability": result.probability}
        events = [
            {**asdict(e), "seconds": e.seconds, "event": n} for n, e in enumerate(result.events, start=1)
        ]
        found += [{**common, **event} for event in events] or [common]
    return found


def test_the_same_events_as_here_and_what_cannot_be_read(address, recordings, tmp_path):
    result = run(recordings, "--cluster", address, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert re.match(r"6 recordings, \d with crying: ", result.stdout)
    assert "broken.wav" in result.stderr
    assert "all 2 errors are listed in" in result.stderr
    found = rows(tmp_path / "out")
    wanted = expected([*recordings.glob("?.wav"), recordings / "late" / "quiet.flac"])
    assert len(found) == len(wanted)
    for row, own in zip(found, wanted, strict=True):
        assert {key: row[key] for key in own} == own
    assert {row["name"] for row in rows_of_errors(tmp_path / "out")} == {
        str(recordings / "broken.wav"),
        str(recordings / "empty.wav"),
    }


def rows_of_errors(out: Path) -> list[dict[str, object]]:
    import pyarrow.parquet as pq

    return [row for file in (out / "errors").glob("*.parquet") for row in pq.read_table(file).to_pylist()]


def test_a_url_a_pattern_and_going_on(address, recordings, tmp_path):
    pattern = f"{recordings.as_uri()}/**"
    out = (tmp_path / "out").as_uri()
    result = run(recordings.as_uri() + "/0.wav", "--cluster", address, "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.parquet")}
    result = run(pattern, "--cluster", address, "--out", out)
    assert "1 of 8 recordings are already done" in result.stderr
    assert re.match(r"6 recordings, \d with crying: ", result.stdout)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len(rows(tmp_path / "out")) == len(
        expected([*recordings.glob("?.wav"), recordings / "late" / "quiet.flac"])
    )
    assert run(pattern, "--cluster", address, "--out", out).stderr.startswith(
        "8 of 8 recordings are already done"
    )


def test_ctrl_c_keeps_what_is_done_and_nothing_of_ray_is_printed(address, recordings, tmp_path):
    (tmp_path / "many").mkdir()
    for number in range(600):
        shutil.copy(recordings / "0.wav", tmp_path / "many" / f"{number}.wav")
    command = [sys.executable, "-m", "yamnet_cry", "detect", tmp_path / "many", "--cluster", address]
    command += ["--out", tmp_path / "out"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").glob("*.parquet")):
        assert started.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    started.send_signal(signal.SIGINT)
    out, errors = started.communicate(timeout=60)
    assert (started.returncode, out) == (2, "")
    assert re.fullmatch(
        r"Error: stopped after \d+ of 600 recordings; to continue, repeat the command\n", errors
    )
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout == f"600 recordings, 600 with crying: {tmp_path / 'out'}\n"
    assert re.fullmatch(r"\d+ of 600 recordings are already done\n", again.stderr)


def test_another_threshold_needs_another_folder(address, recordings, tmp_path):
    one = ["--cluster", address, "--out", tmp_path / "out", recordings / "0.wav"]
    assert run(*one).exit_code == 0
    result = run(*one, "--threshold", 0.9)
    assert result.exit_code == 2
    assert "holds events of another model, threshold or settings; choose another folder" in result.stderr


def test_sounds_in_events_and_exit_codes(address, recordings, tmp_path):
    one = ["--cluster", address, "--out", tmp_path / "out", "--explain", "--exit-code"]
    assert run(*one, recordings / "0.wav").exit_code == 0
    assert "%" in rows(tmp_path / "out")[0]["heard"]
    quiet = ["--cluster", address, "--out", tmp_path / "quiet", "--exit-code"]
    assert run(*quiet, recordings / "late").exit_code == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "o"], "--out needs --cluster"),
        (["--cluster", "auto"], "--cluster needs --out"),
        (
            ["--cluster", "auto", "--out", "o", "--csv", "a.csv"],
            "--csv cannot be combined with --cluster.",
        ),
        (
            ["--cluster", "auto", "--out", "o", "--workers", "2"],
            "--workers cannot be combined with --cluster.",
        ),
    ],
)
def test_options_that_do_not_go_together(options, message):
    result = run("a.wav", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_nothing_to_hear(tmp_path):
    result = run((tmp_path / "*").as_uri(), "--cluster", "auto", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "holds no audio files" in result.stderr

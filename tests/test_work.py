"""Jobs in one process and in several: progress, crashes, errors and signals."""

import csv
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from yamnet_cry import CryDetector, work
from yamnet_cry.cli import main
from yamnet_cry.demo import nursery
from yamnet_cry.jobs import Job
from yamnet_cry.work import Work

PROGRAM = (sys.executable, "-m", "yamnet_cry")


@pytest.fixture
def job(tmp_path) -> Job:
    path = tmp_path / "a.wav"
    soundfile.write(path, nursery(), 16_000)
    return Job(path, path)


def test_progress_reaches_the_end(job):
    heard: list[float] = []
    detector = CryDetector.from_pretrained()
    both = Work([job, job], lambda: detector, None)
    assert [outcome.error for outcome in both.run(heard.append)] == ["", ""]
    assert both.total == pytest.approx(40.0)
    assert heard == sorted(heard)
    assert heard[-1] == both.total


def test_no_more_jobs_wait_in_the_pool_than_need_be(job, tmp_path, monkeypatch):
    monkeypatch.setattr(work, "AHEAD", 3)
    submitted: list[int] = []
    submit = work.ProcessPoolExecutor.submit

    def counted(pool, function, number, *rest):
        submitted.append(number)
        return submit(pool, function, number, *rest)

    monkeypatch.setattr(work.ProcessPoolExecutor, "submit", counted)
    missing = [Job(tmp_path / f"{n}.wav", tmp_path / f"{n}.wav") for n in range(9)]
    heard: list[float] = []
    outcomes = Work([*missing, job], CryDetector.from_pretrained, 2).run(heard.append)
    for number, outcome in enumerate(outcomes):
        assert outcome.recording.name == ("a.wav" if number == 9 else f"{number}.wav")
        assert len(submitted) <= number + 3
    assert submitted == list(range(10))
    assert heard[-1] == pytest.approx(20.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("death", "traced"),
    [
        ("os._exit(9)", ""),
        ("raise RuntimeError('of the worker')", "RuntimeError: of the worker"),
        ("os.abort()", "Fatal Python error: Aborted"),
    ],
)
def test_a_worker_that_dies_is_explained(job, tmp_path, death, traced):
    """Its traceback reaches the user, the output of native libraries does not."""
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from yamnet_cry import native_notes\n"
        "from yamnet_cry.jobs import Job\n"
        "from yamnet_cry.work import RunError, Work\n"
        "def load():\n"
        "    os.write(2, b'a note')\n"
        f"    {death}\n"
        "if __name__ == '__main__':\n"
        "    native_notes.hide()\n"
        f"    job = Job(Path({str(job.source)!r}), Path({str(job.source)!r}))\n"
        "    try:\n"
        "        list(Work([job] * 2, load, 2).run(lambda seconds: None))\n"
        "    except RunError as error:\n"
        "        print(error)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith("a worker process crashed")
    assert traced in result.stderr
    assert "a note" not in result.stderr


def test_a_model_that_cannot_be_loaded_is_no_crash(job, tmp_path):
    (tmp_path / "b.wav").write_bytes(job.source.read_bytes())
    arguments = ["detect", str(tmp_path), "--workers", "2", "--model", str(tmp_path / "nothing")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: expected a model folder or a repository id")


def test_work_that_is_given_up_leaves_nothing_but_other_peoples_processes(job):
    before = set(threading.enumerate())
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    other.start()
    outcomes = Work([job] * 20, CryDetector.from_pretrained, 2).run(lambda seconds: None)
    assert next(outcomes).error == ""
    outcomes.close()
    assert multiprocessing.active_children() == [other]
    assert set(threading.enumerate()) == before
    assert other.exitcode is None
    other.kill()
    other.join()
    other.close()


def test_no_more_workers_than_windows_can_wait_for(job, monkeypatch):
    asked: list[int] = []

    class Pool:
        def __init__(self, workers: int, *_: object) -> None:
            asked.append(workers)
            raise BlockingIOError

    monkeypatch.setattr(work, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(work, "MOST_WORKERS", 61)
    with pytest.raises(BlockingIOError):
        next(Work([job] * 100, CryDetector.from_pretrained, 90).run(lambda seconds: None))
    assert asked == [61]
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ValueError, match="61"):
        ProcessPoolExecutor(62)


@pytest.fixture
def running(tmp_path):
    """The program, running in two processes on a long list of recordings, with some of them done."""
    folder = tmp_path / "many"
    folder.mkdir()
    soundfile.write(folder / "000.wav", np.zeros(16_000 * 300, np.int16), 16_000)
    for number in range(1, 300):
        (folder / f"{number:03d}.wav").hardlink_to(folder / "000.wav")
    # The process that started the tests may ignore SIGINT, as nohup and scripts do; the program must not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*PROGRAM, "detect", folder, "--csv", tmp_path / "events.csv", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_whole_results_and_no_processes(running, tmp_path, number):
    running.send_signal(number)
    # It returns when the last process that holds stdout has ended, including the workers.
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2
    assert errors.startswith("Error: stopped after ")
    assert errors.endswith("of 300 recordings; to continue, repeat the command with --skip-done\n")
    done = rows(tmp_path / "events.csv")
    assert 3 <= len(done) < 300
    assert all(row["probability"] for row in done)


@pytest.mark.slow
def test_a_kill_leaves_whole_results_and_no_processes(running, tmp_path):
    running.kill()
    running.communicate(timeout=60)
    assert 3 <= len(rows(tmp_path / "events.csv")) < 300


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))

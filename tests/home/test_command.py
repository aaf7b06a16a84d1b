"""The command of --on-event: how it is parsed, and that exit waits for it for a limited time."""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from yamnet_cry.errors import RunError
from yamnet_cry.home.command import Command, parsed, words
from yamnet_cry.home.outlets import Queued


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (r"C:\Users\me\alarm.exe C:\log.txt", [r"C:\Users\me\alarm.exe", r"C:\log.txt"]),
        (
            r'"C:\Program Files\alarm.exe" --to "the kitchen"',
            [r"C:\Program Files\alarm.exe", "--to", "the kitchen"],
        ),
        (r'alarm --log="C:\a b\x" # loud', ["alarm", r"--log=C:\a b\x", "#", "loud"]),
        (r"\\server\share\alarm.bat", [r"\\server\share\alarm.bat"]),
    ],
)
def test_backslashes_are_paths_on_windows(command, expected):
    assert words(command, windows=True) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (r"alarm the\ kitchen", ["alarm", "the kitchen"]),
        ("alarm 'a b' \"c \\\" d\" --x='y z' #1", ["alarm", "a b", 'c " d', "--x=y z", "#1"]),
        ("  ", []),
    ],
)
def test_elsewhere_words_are_those_of_a_shell(command, expected):
    assert words(command, windows=False) == expected


def test_a_command_must_exist():
    assert parsed(f"'{sys.executable}' -c pass") == [sys.executable, "-c", "pass"]
    for command in ("", "no-such-program-here --loud"):
        with pytest.raises(RunError, match="no such program"):
            parsed(command)
    with pytest.raises(RunError, match="cannot be split into words"):
        parsed("alarm 'a")


def told(command: list[str], warnings: list[str], **settings) -> Queued:
    return Queued("--on-event", Command(command), warnings.append, **settings)


def test_the_end_waits_for_what_was_pushed(tmp_path):
    log, warnings = tmp_path / "log", []
    code = "import os, sys, time; time.sleep(0.1); open(sys.argv[1], 'a').write(os.environ['YAMNET_CRY_N'])"
    outlet = told([sys.executable, "-c", code, str(log)], warnings, slow_seconds=600)
    for number in range(3):
        outlet.push({"event": "started", "n": number})
    outlet.push({"event": "state", "n": 3})
    outlet.close(600)
    assert log.read_text() == "012"
    assert warnings == []


def test_a_command_that_hangs_is_said_and_ended(tmp_path, monkeypatch):
    """Processes it has started are ended too; they would keep stderr open."""
    log, warnings = tmp_path / "log", []
    child = f"import time; open({str(log)!r}, 'w').write('x'); time.sleep(600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    reader, writer = os.pipe()
    with os.fdopen(reader) as stderr_of_all, os.fdopen(writer, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        outlet = told([sys.executable, "-c", code], warnings, slow_seconds=0)
        outlet.push({"event": "started"})
        while not log.exists():
            time.sleep(0.01)
        outlet.push({"event": "ended"})
        outlet.close(0.2)
        stderr.close()
        if sys.platform != "win32":
            assert stderr_of_all.read() == ""
    warnings[0] = re.sub(r"\d+ s", "0 s", warnings[0])
    assert warnings == [
        "--on-event has not finished for 0 s",
        "--on-event did not finish within 0.2 s of exit and was stopped; 2 messages are lost",
    ]


def test_what_hangs_does_not_pile_up(tmp_path):
    release, warnings = tmp_path / "release", []
    code = f"import os, time\nwhile not os.path.exists({str(release)!r}): time.sleep(0.01)"
    outlet = told([sys.executable, "-c", code], warnings, slow_seconds=600)
    for _ in range(103):
        outlet.push({"event": "started"})
    assert outlet.dropped >= 2
    assert warnings[-1] == f"--on-event is too slow; an event was dropped ({outlet.dropped} in total)"
    release.touch()
    outlet.close(0)


def test_a_program_that_cannot_be_run(tmp_path):
    broken, warnings = tmp_path / "alarm.exe", []
    broken.write_bytes(b"\0")
    broken.chmod(0o755)
    outlet = told([str(broken)], warnings)
    outlet.push({"event": "started"})
    outlet.close(600)
    assert len(warnings) == 1
    assert warnings[0].startswith("--on-event cannot be run: ")


def test_failures_are_said_by_name():
    warnings: list[str] = []
    outlet = told([sys.executable, "-c", "raise SystemExit(7)"], warnings)
    outlet.push({"event": "started", "flag": True})
    outlet.close(600)
    assert warnings == [f"--on-event failed: {Path(sys.executable).name} ended with exit code 7"]

"""The command of --on-event: how it is read, and that the end waits for it, but not for ever."""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from yamnet_cry.cli.hook import Hook, parsed, words
from yamnet_cry.errors import RunError


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
    assert parsed(None) == []
    assert parsed(f"'{sys.executable}' -c pass") == [sys.executable, "-c", "pass"]
    for command in ("", "no-such-program-here --loud"):
        with pytest.raises(RunError, match="no such program"):
            parsed(command)
    with pytest.raises(RunError, match="cannot be split into words"):
        parsed("alarm 'a")


def test_the_end_waits_for_what_was_pushed(tmp_path):
    log, warnings = tmp_path / "log", []
    code = "import os, sys, time; time.sleep(0.1); open(sys.argv[1], 'a').write(os.environ['YAMNET_CRY_N'])"
    with Hook(
        [sys.executable, "-c", code, str(log)], warnings.append, flush_seconds=600, slow_seconds=600
    ) as hook:
        for number in range(3):
            hook.push({"n": number})
    assert log.read_text() == "012"
    assert warnings == []


def test_a_command_that_hangs_is_said_and_ended(tmp_path, monkeypatch):
    """And what it has started too: that would hold stderr open."""
    log, warnings = tmp_path / "log", []
    child = f"import time; open({str(log)!r}, 'w').write('x'); time.sleep(600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    reader, writer = os.pipe()
    with os.fdopen(reader) as stderr_of_all, os.fdopen(writer, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with Hook([sys.executable, "-c", code], warnings.append, flush_seconds=0.2, slow_seconds=0) as hook:
            hook.push({})
            while not log.exists():
                time.sleep(0.01)
            hook.push({})
        stderr.close()
        if sys.platform != "win32":
            assert stderr_of_all.read() == ""
    warnings[0] = re.sub(r"\d+ s", "0 s", warnings[0])
    assert warnings == [
        "--on-event: the command has not finished for 0 s",
        "--on-event: not finished 0.2 s after the end, and stopped",
    ]


def test_a_program_that_cannot_be_run(tmp_path):
    broken, warnings = tmp_path / "alarm.exe", []
    broken.write_bytes(b"\0")
    broken.chmod(0o755)
    with Hook([str(broken)], warnings.append, flush_seconds=600) as hook:
        hook.push({})
    assert len(warnings) == 1
    assert warnings[0].startswith("--on-event: ")


def test_failures_are_said_by_name():
    warnings: list[str] = []
    with Hook([sys.executable, "-c", "raise SystemExit(7)"], warnings.append, flush_seconds=600) as hook:
        hook.push({"flag": True})
    assert warnings == [f"--on-event: {Path(sys.executable).name} ended with exit code 7"]

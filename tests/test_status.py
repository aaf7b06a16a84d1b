import io
import os
import re
import subprocess
import sys

import pytest
import soundfile

from yamnet_cry.cli import status
from yamnet_cry.demo import nursery


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(monkeypatch, columns: int) -> Terminal:
    """Replaces stderr with a terminal; called within tests, as pytest replaces stderr after fixtures."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(status.shutil, "get_terminal_size", lambda: os.terminal_size((columns, 20)))
    return stream


def test_a_line_is_written_over_and_cleared(monkeypatch):
    terminal = watched(monkeypatch, 40)
    line = status.StatusLine()
    line.clear()
    line.show("listening")
    line.show("done")
    line.clear()
    line.show("x" * 60)
    assert terminal.getvalue() == "\rlistening\rdone     \r    \r\r" + "x" * 39


def test_nothing_is_shown_where_nobody_looks(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    status.StatusLine().show("text")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    status.StatusLine(quiet=True).show("text")
    assert stream.getvalue() == terminal.getvalue() == ""


def test_progress_waits_a_second_and_tells_the_time_left(monkeypatch):
    terminal = watched(monkeypatch, 80)
    now = 0.0
    monkeypatch.setattr(status.time, "monotonic", lambda: now)
    progress = status.Progress(status.StatusLine(), 100.0)
    now = 0.9
    progress.tell(10.0)
    assert terminal.getvalue() == ""
    now = 20.0
    progress.tell(25.0)
    now = 20.05
    progress.tell(26.0)
    assert terminal.getvalue() == f"\rlistening {'█' * 8 + '·' * 22}  25 %, 1 min 0 s left"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals on this system")
def test_listening_shows_a_meter_on_a_terminal(tmp_path):
    soundfile.write(tmp_path / "nursery.wav", nursery(), 16_000)
    ours, theirs = os.openpty()
    with (tmp_path / "nursery.wav").open("rb") as file:
        result = subprocess.run(
            [sys.executable, "-m", "yamnet_cry", "listen", "-"],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=False,
            timeout=60,
        )
    os.close(theirs)
    shown = os.read(ours, 4096).decode(errors="ignore")
    os.close(ours)
    # The sound ended by itself, without a request to stop.
    assert result.returncode == 3
    meter = r"0:\d\d\.\d  [█·]{16}  *-?\d+ dBFS  [█·]{16}  *\d+ %"
    assert re.match(rf"\r{meter}", shown)
    assert re.search(rf"{meter}  crying", shown)
    assert len(result.stdout.splitlines()) == 2

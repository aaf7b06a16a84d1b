"""Records a program's output and resources while it runs: memory, open files, children, CPU seconds."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """Resources of a program and its children at one time.

    Attributes:
        at: Time, by `time.monotonic`.
        resident: Resident memory of the program alone, in bytes.
        files: Number of open file descriptors.
        threads: Number of threads.
        children: Process ids of running children.
        zombies: Process ids of zombies.
        own: CPU seconds of the program alone.
        ffmpeg: CPU seconds of its children, running or ended.
        hearing: Number of sources with sound, by its messages.
    """

    at: float
    resident: int
    files: int
    threads: int
    children: tuple[int, ...]
    zombies: tuple[int, ...]
    own: float
    ffmpeg: float
    hearing: int


def _stat(pid: int) -> list[str]:
    # The process name may contain anything, so fields are read after its closing bracket.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def sample(pid: int, hearing: int) -> Sample:
    """Samples a program."""
    own = _stat(pid)
    living: list[int] = []
    zombies: list[int] = []
    theirs = (int(own[13]) + int(own[14])) / _TICKS
    for task in list(Path(f"/proc/{pid}/task").iterdir()):
        try:
            found = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in found:
            try:
                fields = _stat(child)
            except OSError:
                continue
            theirs += (int(fields[11]) + int(fields[12])) / _TICKS
            (zombies if fields[0] == "Z" else living).append(child)
    return Sample(
        time.monotonic(),
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE,
        len(os.listdir(f"/proc/{pid}/fd")),
        int(own[17]),
        tuple(living),
        tuple(zombies),
        (int(own[11]) + int(own[12])) / _TICKS,
        theirs,
        hearing,
    )


class Program:
    """A running command whose output is recorded with times.

    Args:
        command: Command line.
        environment: Environment variables.

    Attributes:
        messages: Time and decoded JSON of each line of stdout.
        warnings: Time and text of each line of stderr.
        samples: One for each call of `look`.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.messages: list[tuple[float, dict[str, Any]]] = []
        self.warnings: list[tuple[float, str]] = []
        self.samples: list[Sample] = []
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self._threads = [
            threading.Thread(target=self._read, args=(kind,), daemon=True) for kind in ("stdout", "stderr")
        ]
        for thread in self._threads:
            thread.start()
        self._deaf: set[str] = set()

    def _read(self, kind: str) -> None:
        for line in getattr(self.process, kind):
            if kind == "stderr":
                self.warnings.append((time.monotonic(), line.rstrip()))
            else:
                self.messages.append((time.monotonic(), json.loads(line)))
                self._follow(self.messages[-1][1])

    def _follow(self, message: dict[str, Any]) -> None:
        (self._deaf.add if message["event"] == "deaf" else self._deaf.discard)(message["source"])

    def look(self) -> Sample:
        """Takes and returns a sample."""
        found = sample(self.process.pid, 2 - len(self._deaf))
        self.samples.append(found)
        return found

    def end(self, number: int, seconds: float) -> int:
        """Sends a signal, and returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        for thread in self._threads:
            thread.join()
        return code

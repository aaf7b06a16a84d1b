"""Runs `yamnet-cry listen` on a day of audio in minutes, with injected failures.

    python benchmarks/soak.py [--hours 24] [--speed 120] [--seed 0] [--work FOLDER] [--quick]

Writes soak.json, soak.md and docs/pictures/soak.png. The exit code is 1 if a check of the report fails. Needs
Linux, the permission to mount a small file system, ffmpeg, mosquitto and the extra ``mqtt``.
"""

import argparse
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soak_child
import soak_events
import soak_report
from soak_real_time import listen_options, real_time
from soak_watch import Program, Sample
from soak_world import (
    ENDINGS,
    RATE,
    STALL,
    Broker,
    Hook,
    Mishaps,
    Segment,
    Source,
    Subscriber,
    plan,
    spread,
)

from yamnet_cry import CryDetector

HERE = Path(__file__).parent
NAMES = ("nursery", "hall")
# The first part of the run, in which caches fill and every failure happens for the first time.
_WARM = 0.2
_DISK = "8m"
# Hours by which the clock is set, in order.
_JUMPS = (2.0, -5.0, 1.0, -1.0, 26.0, -30.0, 9.5, -2.5)
_PATIENCE = 120.0
# Folders in tracebacks, which are removed: they differ between machines.
_FOLDERS = re.compile(r"(?<=[\s\"'])/(?:[^/\s\"']+/)+")
# Free memory is returned to the system at once, so that leaks become visible.
_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_MMAP_THRESHOLD_": "131072",
}
# Samples of a packet in real time: typical of cameras with G.711, and with AAC.
_PACKETS = (320, 1_024)


def set_clock(file: Path, hours: float) -> None:
    """Sets the offset of the clock from the true time, in hours."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{hours:+.1f}\n")
    os.replace(fresh, file)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mounts a file system of a few megabytes."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "none", str(folder)]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit("needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Fills a file system."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


def expected(segments: list[Segment], detector: CryDetector) -> list[list[dict[str, float]]]:
    """Returns the detector's events of each segment, processed in one piece."""
    return [
        [
            {"start": event.start, "end": event.end}
            for event in detector((np.concatenate(list(segment.parts())), RATE)).events
        ]
        for segment in segments
    ]


class Run:
    """The accelerated run.

    Args:
        options: Options of the command line.
        work: An empty folder.
    """

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work = options, work
        share = min(1.0, options.hours / 24)
        self.kills, self.stalls = max(4, round(20 * share)), max(2, round(6 * share))
        self.restarts = max(2, round(10 * share))
        self.jumps = _JUMPS[: max(2, round(8 * share))]
        self.sources = [
            Source(
                name,
                plan(options.hours / 2, self.kills // 2, self.stalls // 2, options.seed * 2 + number),
                options.speed / 2,
            )
            for number, name in enumerate(NAMES)
        ]
        self.returned: list[float] = []
        self.state_ages: list[float] = []
        self.full: list[float] = []

    def run(self) -> dict[str, Any]:
        """Runs the command, and returns the measurements."""
        print("computing the expected events", flush=True)
        detector = CryDetector.from_pretrained()
        heard = {source.name: expected(source.segments, detector) for source in self.sources}
        print("listening", flush=True)
        clock = self.work / "clock"
        set_clock(clock, 0)
        broker, hook = Broker(self.work), Hook()
        broker.start()
        subscriber = Subscriber(broker.port)
        with small_disk(self.work / "disk") as disk:
            arguments = listen_options(
                {source.name: source.address for source in self.sources}, hook, broker, disk
            )
            program = Program(
                [sys.executable, str(HERE / "soak_child.py"), *arguments],
                {**os.environ, **_ALLOCATOR, "SOAK_CLOCK": str(clock)},
            )
            seconds = self.options.hours * 3600 / self.options.speed
            mishaps = Mishaps(self._due(seconds, clock, broker, hook, disk))
            began = time.monotonic()
            try:
                for thread in (*self.sources, mishaps):
                    thread.start()
                self._watch(program, disk, began + 3 * seconds + 600)
                ended_by_itself = program.process.poll()
                wall = time.monotonic() - began
                mishaps.stop()
                hook.ill = False
                last = program.look() if ended_by_itself is None else None
                code = program.end(signal.SIGTERM, _PATIENCE) if ended_by_itself is None else ended_by_itself
            finally:
                if program.process.poll() is None:
                    program.process.kill()
            time.sleep(1)
            left = sorted(path.name for path in disk.rglob("*") if "yamnet-cry" in path.name)
            clips = len(list((disk / "clips").glob("*.flac")))
        for source in self.sources:
            source.close()
        subscriber.close()
        hook.close()
        broker.end()
        self.program, self.began = program, began
        return {
            "hours": self.options.hours,
            "speed": round(self.options.hours * 3600 / wall, 1),
            "asked_speed": self.options.speed,
            "seed": self.options.seed,
            "wall_seconds": round(wall, 1),
            "shorter": soak_child.SHORTER,
            "allocator": _ALLOCATOR,
            "exit_code": code,
            "mishaps": self._mishaps(mishaps),
            "events": {
                **soak_events.delivered(program, hook, subscriber),
                **soak_events.compared(program, self.sources, heard),
            },
            "recovery": soak_events.recovery(program, self.sources, self.returned, subscriber),
            "resources": self._resources(last),
            "disk": {
                "full_seconds": round(sum(self.full[1::2]) - sum(self.full[::2]), 1),
                "clips": clips,
                "unfinished_at_end": left,
                "oldest_state_seconds": round(max(self.state_ages, default=0.0), 1),
            },
            "warnings": Counter(_kind(text, self.work) for _, text in program.warnings),
            "stray": _processes_of([str(source.port) for source in self.sources]),
            "series": self._series(),
        }

    def _due(self, seconds: float, clock: Path, broker: Broker, hook: Hook, disk: Path) -> list[Any]:
        def restart(number: int) -> None:
            broker.end(signal.SIGKILL if number % 2 else signal.SIGTERM)
            time.sleep(0.5 + number % 4)
            self.returned.append(broker.start())

        def disk_full() -> None:
            self.full.append(time.monotonic())
            fill(disk)

        def disk_free() -> None:
            (disk / "filler").unlink()
            self.full.append(time.monotonic())

        def sick(ill: bool) -> None:
            hook.ill = ill

        due: list[Any] = [
            (moment, "broker", lambda number=number: restart(number))
            for number, moment in enumerate(spread(self.restarts, seconds, 0.3))
        ]
        hours = np.cumsum(self.jumps)
        due += [
            (moment, "clock", lambda at=at: set_clock(clock, at))
            for at, moment in zip(hours, spread(len(hours), seconds, 0.7), strict=True)
        ]
        due += [(0.35 * seconds, "disk full", disk_full), (0.5 * seconds, "disk free", disk_free)]
        for moment in (0.25 * seconds, 0.65 * seconds):
            due += [(moment, "webhook ill", lambda: sick(True)), (moment + 4, "well", lambda: sick(False))]
        return due

    def _watch(self, program: Program, disk: Path, deadline: float) -> None:
        state = disk / "state.json"
        while program.process.poll() is None and time.monotonic() < deadline:
            time.sleep(1)
            program.look()
            room = len(self.full) % 2 == 0 and (not self.full or time.monotonic() - self.full[-1] > 15)
            if room and state.exists():
                self.state_ages.append(time.time() - state.stat().st_mtime)
            if all(source.over.is_set() for source in self.sources):
                # Long enough for the last connections, and for messages to the broker.
                for _ in range(8):
                    time.sleep(1)
                    program.look()
                return

    def _mishaps(self, mishaps: Mishaps) -> dict[str, Any]:
        done = [segment for source in self.sources for segment in source.segments if segment.done.is_set()]
        return {
            **Counter(what for _, what in mishaps.done),
            "kills": sum(segment.ending in ENDINGS for segment in done),
            "endings": Counter(segment.ending for segment in done),
            "outages": Counter(segment.outage for segment in done if segment.ending in ENDINGS),
            "stalls": sum(segment.ending == STALL for segment in done),
            "digital_silences": sum(any(kind == "zeros" for kind, _, _ in each.pieces) for each in done),
            "jumps_hours": self.jumps,
            "unplanned": sum(source.unplanned for source in self.sources),
        }

    def _resources(self, last: Sample | None) -> dict[str, Any]:
        samples = self.program.samples
        warm = samples[int(_WARM * len(samples)) :]
        third = max(1, len(warm) // 3)
        early, late = warm[:third], warm[-third:]
        hours = self.options.hours
        zombies = [set(a.zombies) & set(b.zombies) for a, b in itertools.pairwise(samples)]
        many = [len(set(a.children) & set(b.children)) > len(NAMES) for a, b in itertools.pairwise(samples)]
        final = last or samples[-1]
        return {
            "samples": len(samples),
            "resident_first": round(statistics.median(each.resident for each in early) / 1e6, 2),
            "resident_last": round(statistics.median(each.resident for each in late) / 1e6, 2),
            "resident_highest": round(max(each.resident for each in samples) / 1e6, 2),
            "files_early": statistics.median(each.files for each in early),
            "files_late": statistics.median(each.files for each in late),
            "files_highest": max(each.files for each in samples),
            "threads_early": statistics.median(each.threads for each in early),
            "threads_late": statistics.median(each.threads for each in late),
            "threads_highest": max(each.threads for each in samples),
            "zombies": sum(map(bool, zombies)),
            "too_many_children": sum(many),
            "cpu_seconds_per_hour": round((final.own + final.ffmpeg) / hours, 2),
            "cpu_seconds_per_hour_own": round(final.own / hours, 2),
            "cpu_seconds_per_hour_ffmpeg": round(final.ffmpeg / hours, 2),
        }

    def _series(self) -> dict[str, list[float]]:
        samples = self.program.samples[:: max(1, len(self.program.samples) // 400)]
        return {
            "seconds": [round(each.at - self.began, 1) for each in samples],
            "megabytes": [round(each.resident / 1e6, 2) for each in samples],
            "files": [each.files for each in samples],
            "hearing": [each.hearing for each in samples],
        }


def _kind(text: str, work: Path) -> str:
    """Returns a warning without its variable parts."""
    text = _FOLDERS.sub("", text.replace(str(work), "WORK"))
    for name in NAMES:
        text = text.replace(name, "SOURCE")
    return "".join("0" if each.isdigit() else each for each in text)[:160].replace("00", "0")


def _processes_of(words: list[str]) -> int:
    """Counts ffmpeg processes whose command line contains any of the ports."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        count += "ffmpeg" in command and any(f":{word}/" in command for word in words)
    return count


def main() -> int:
    """Runs the benchmark, and returns the exit code."""
    parser = argparse.ArgumentParser(description="Runs `yamnet-cry listen` with injected failures.")
    parser.add_argument("--hours", type=float, default=24.0, help="hours of audio of both sources together")
    parser.add_argument("--speed", type=float, default=120.0, help="times real time, both sources together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="a folder for temporary files")
    parser.add_argument("--realtime", type=float, default=60.0, help="seconds of each run in real time")
    parser.add_argument("--quick", action="store_true", help="an hour and a half, and no report")
    parser.add_argument("--only-real-time", action="store_true", help="repeat only the runs in real time")
    options = parser.parse_args()
    if options.quick:
        options.hours, options.realtime = 1.5, 15.0
    target = (options.work or Path(tempfile.gettempdir()) if options.quick else HERE) / "soak.json"
    with tempfile.TemporaryDirectory(dir=options.work, ignore_cleanup_errors=True) as folder:
        if options.only_real_time:
            result = json.loads(target.read_text(encoding="utf-8"))
        else:
            fast = Path(folder, "fast")
            fast.mkdir()
            result = Run(options, fast).run()
        print("listening at real time", flush=True)
        result["real_time"] = [
            real_time(Path(folder, str(packet)), NAMES, options.realtime, packet) for packet in _PACKETS
        ]
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if not options.quick:
        soak_report.write()
    checks = soak_report.checks(result)
    for what, well in checks.items():
        print(f"{'holds ' if well else 'FAILED'}  {what}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

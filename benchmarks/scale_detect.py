"""Hears many short recordings on this machine without and with a cluster of Ray: files a second, and memory.

    python benchmarks/scale_detect.py [--files 100000] [--seconds 1.0] [--workers 2] [--folder DIR]

Makes the recordings, hears them by `yamnet-cry detect --csv` and by `yamnet-cry detect --cluster`, each in
processes of their own, checks that both found the same, and prints a table in Markdown.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import soundfile

from yamnet_cry.demo import nursery

_PER_FOLDER = 1_000
_PROGRAM = (sys.executable, "-m", "yamnet_cry", "detect")


@dataclass
class Run:
    """What one way has taken.

    Attributes:
        seconds: From its start to its end, with loading.
        driver: Peak memory of the process that was started, in bytes.
        workers: Peak memory of all processes that hear, together, in bytes.
    """

    seconds: float
    driver: int
    workers: int


def make(folder: Path, files: int, seconds: float) -> None:
    """Writes stretches of a nursery, each at a place and a level of its own."""
    wave, length = nursery(), round(seconds * 16_000)
    generator = np.random.default_rng(0)
    for number in range(files):
        start = int(generator.integers(len(wave) - length))
        path = folder / f"{number // _PER_FOLDER:04d}" / f"{number:07d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave[start : start + length] * generator.uniform(0.1, 1.0), 16_000)


def run(command: list[str], is_worker: str) -> Run:
    """Runs a command, and watches the memory of it and of those processes whose command line holds a text."""
    started = time.perf_counter()
    process = subprocess.Popen([*_PROGRAM, *command], stdout=subprocess.DEVNULL)
    peaks = {"driver": 0, "workers": 0}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            peaks["driver"] = max(peaks["driver"], _memory(process.pid))
            workers = sum(_memory(pid) for pid in _processes(is_worker) if pid != process.pid)
            peaks["workers"] = max(peaks["workers"], workers)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}")
    return Run(time.perf_counter() - started, peaks["driver"], peaks["workers"])


def _processes(text: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in path.read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _memory(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def crying(table: Path) -> set[tuple[str, str, str]]:
    """Returns file, start and end of all events in a CSV file, or in a folder of Parquet files."""
    if table.is_file():
        with table.open(newline="") as file:
            return {(row["file"], row["start"], row["end"]) for row in csv.DictReader(file) if row["start"]}
    rows = pq.read_table(table, columns=["file", "start", "end"]).to_pylist()
    return {(r["file"], f"{r['start']:.2f}", f"{r['end']:.2f}") for r in rows if r["start"] is not None}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder, table, out = Path(temporary, "clips"), Path(temporary, "events.csv"), Path(temporary, "out")
        make(folder, options.files, options.seconds)
        here = run([str(folder), "--csv", str(table), "--workers", str(options.workers)], "spawn_main")
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": options.workers, "include_dashboard": False},
        )
        there = run([str(folder), "--cluster", cluster.address, "--out", str(out)], "ray::Map")
        again = run([str(folder), "--cluster", cluster.address, "--out", str(out)], "ray::Map")
        cluster.shutdown()
        if crying(table) != crying(out):
            raise SystemExit("the two ways have found other events")
        size = sum(file.stat().st_size for file in out.rglob("*.parquet"))
    print(f"{options.files:,} files of {options.seconds:g} s, {options.workers} workers\n")
    print("| way | s | files/s | first process | workers together |\n| --- | ---: | ---: | ---: | ---: |")
    for name, each in (("in processes", here), ("cluster", there), ("cluster, all done", again)):
        rate = options.files / each.seconds
        memory = f"{each.driver / 1e6:,.0f} MB | {each.workers / 1e6:,.0f} MB"
        print(f"| {name} | {each.seconds:,.1f} | {rate:,.0f} | {memory} |")
    print(f"\nThe results have {size / options.files:,.1f} bytes a file.")


if __name__ == "__main__":
    main()

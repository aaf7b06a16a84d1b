"""Measures `detect` on many short recordings without and with a Ray cluster: files per second, and memory.

    python benchmarks/scale_detect.py [--files 100000] [--seconds 1.0] [--workers 2] [--folder DIR]

Creates the recordings, runs `yamnet-cry detect --csv` and `yamnet-cry detect --cluster` on them in separate
processes, checks that both find the same events, and prints a table in Markdown.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from yamnet_cry.demo import nursery
from yamnet_cry.model.card import markdown_table

_PER_FOLDER = 1_000
_PROGRAM = (sys.executable, "-m", "yamnet_cry", "detect")


@dataclass
class Run:
    """Time and memory of a run.

    Attributes:
        seconds: Wall time, including imports.
        driver: Peak memory of the started process, in bytes.
        workers: Peak memory of all workers together, in bytes.
    """

    seconds: float
    driver: int
    workers: int


def make(folder: Path, files: int, seconds: float) -> None:
    """Writes sections of a synthetic nursery, at random positions and levels."""
    wave, length = nursery(), round(seconds * 16_000)
    generator = np.random.default_rng(0)
    for number in range(files):
        start = int(generator.integers(len(wave) - length))
        path = folder / f"{number // _PER_FOLDER:04d}" / f"{number:07d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave[start : start + length] * generator.uniform(0.1, 1.0), 16_000)


def run(command: list[str], is_worker: str) -> Run:
    """Runs a command; measures its memory, and that of processes whose command line contains a text."""
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
    import pyarrow.parquet as pq

    rows = pq.read_table(table, columns=["file", "start", "end"]).to_pylist()
    return {(r["file"], f"{r['start']:.2f}", f"{r['end']:.2f}") for r in rows if r["start"] is not None}


def compared(files: int, seconds: float, workers: int, folder: Path | None = None) -> dict[str, Any]:
    """Measures both ways, and the cluster again when all recordings are done.

    Args:
        files: Number of recordings.
        seconds: Length of each.
        workers: Number of workers.
        folder: A folder with enough space for them.

    Returns:
        The arguments, a `Run` for each way, and the size of the results.
    """
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        clips, table, out = Path(temporary, "clips"), Path(temporary, "events.csv"), Path(temporary, "out")
        make(clips, files, seconds)
        here = run([str(clips), "--csv", str(table), "--workers", str(workers)], "spawn_main")
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": workers, "include_dashboard": False},
        )
        there, again = (
            run([str(clips), "--cluster", cluster.address, "--out", str(out)], "ray::Map") for _ in range(2)
        )
        cluster.shutdown()
        if crying(table) != crying(out):
            raise SystemExit("the two ways have found other events")
        size = sum(file.stat().st_size for file in out.rglob("*.parquet"))
    ways = {"in processes": here, "cluster": there, "cluster, all done before": again}
    return {
        "files": files,
        "seconds": seconds,
        "workers": workers,
        "ways": {name: asdict(each) for name, each in ways.items()},
        "bytes": size,
    }


def tables(found: dict[str, Any]) -> str:
    """Returns the result of `compared` as Markdown."""
    rows = [
        [
            name,
            f"{each['seconds']:,.1f}",
            f"{found['files'] / each['seconds']:,.0f}",
            f"{each['driver'] / 1e6:,.0f} MB",
            f"{each['workers'] / 1e6:,.0f} MB",
        ]
        for name, each in found["ways"].items()
    ]
    header = ["run", "seconds", "files per second", "first process", "all workers"]
    return (
        f"{found['files']:,} files of {found['seconds']:g} s, {found['workers']} workers:\n\n"
        f"{markdown_table(header, rows)}\n\n"
        f"The results take {found['bytes'] / found['files']:,.1f} bytes per file."
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    print(tables(compared(options.files, options.seconds, options.workers, options.folder)))


if __name__ == "__main__":
    main()

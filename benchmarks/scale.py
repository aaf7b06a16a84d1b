"""Measures passes over audio on this machine, and writes estimates for many machines: docs/scale.md.

    python benchmarks/scale.py --teacher yamnet_folded.npz [--clips 600] [--price 0.30] [--cores 16] ...

Two cores should be idle. Needs the extras ``distill`` and ``cluster``. It starts a Ray cluster on this
machine with one worker, and then with two. Prices and other properties of a cloud are options.
"""

import os

# The same numbers of threads as in workers of a cluster; read when TensorFlow is imported.
for _name, _threads in (("TF_NUM_INTRAOP_THREADS", 2), ("TF_NUM_INTEROP_THREADS", 1), ("OMP_NUM_THREADS", 1)):
    os.environ.setdefault(_name, str(_threads))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Ray starts workers at a low priority by default.
os.environ.setdefault("RAY_worker_niceness", "0")

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import memory
import numpy as np
import scale_detect
import scale_report
import soundfile
from scale_model import CLIP_SECONDS, Assumed

from yamnet_cry import CryDetector
from yamnet_cry.demo import nursery
from yamnet_cry.distill import labelling, recipes, sources, targets, views
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sections import Role
from yamnet_cry.distill.teacher import Teacher
from yamnet_cry.distill.teachers.yamnet import YamnetTeacher
from yamnet_cry.frontend import YAMNET

HERE = Path(__file__).parent
RATE = 48_000
ROUNDS = 3
_TASKS = 1_000
_BATCHES = 8


def corpus(folder: Path, count: int) -> list[Clip]:
    """Writes clips in the format of AudioSet on the Hub, ten seconds of FLAC at 48 kHz, and lists them."""
    lines = ["file,target,split,group"]
    length = int(CLIP_SECONDS * 16_000)
    base = np.resize(nursery(seed=0), length * 8)
    generator = np.random.default_rng(0)
    for number in range(count):
        start = int(generator.integers(len(base) - length))
        wave = np.repeat(base[start : start + length], RATE // 16_000)
        noisy = 0.5 * wave + generator.normal(0, 0.01, len(wave))
        soundfile.write(folder / f"{number}.flac", noisy, RATE, subtype="PCM_16")
        split = ("train", "val", "test")[number % 3]
        lines.append(f"{number}.flac,{'cry' if number % 2 else 'not_cry'},{split},{split}-{number // 6}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return sources.load(str(folder))


def fastest(work: Callable[[], Any]) -> float:
    """Returns the seconds of the fastest round."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def stages(clips: list[Clip], teacher: YamnetTeacher) -> dict[str, float]:
    """Measures windows per second of one core, for each stage."""
    detector = CryDetector.from_pretrained()
    waves = [clip.read() for clip in clips]
    spectrograms = [YAMNET.log_mel(YAMNET.pad(wave)) for wave in waves]
    patches = np.concatenate([YAMNET.patches(each) for each in spectrograms])
    windows = len(patches)
    settings = recipes.get("cry", ()).augmentation
    generator = np.random.default_rng(0)
    model = detector.keras_model
    model.compile(optimizer="adam", loss="mse")
    inputs = np.resize(patches, (_BATCHES * 128, *patches.shape[1:]))[..., None]
    outputs = np.zeros((len(inputs), model.output_shape[-1]), np.float32)
    model.fit(inputs[:256], outputs[:256], batch_size=128, verbose=0)
    teacher.logits(waves[:8])
    return {
        "decoding": windows / fastest(lambda: [clip.read() for clip in clips]),
        "front end": windows / fastest(lambda: [YAMNET.log_mel(YAMNET.pad(wave)) for wave in waves]),
        "teacher": windows / (fastest(lambda: teacher.logits([YAMNET.pad(wave) for wave in waves]))),
        "a view": windows
        / fastest(lambda: [views.render(wave, waves[0], settings, generator, None) for wave in waves]),
        "training": len(inputs) / fastest(lambda: model.fit(inputs, outputs, batch_size=128, verbose=0)),
        "detecting": windows / fastest(lambda: [detector((wave, 16_000)) for wave in waves]),
    }


def keep_to(cores: Iterable[int]) -> None:
    """Keeps this process to some cores, including threads that exist already, such as TensorFlow's."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def on_a_core_of_its_own(weights: Path, taken: Path) -> YamnetTeacher:
    """Creates a teacher in a worker, and keeps the worker to a core that no other worker uses."""
    for core in sorted(os.sched_getaffinity(0)):
        try:
            (taken / str(core)).mkdir(parents=True)
        except FileExistsError:
            continue
        keep_to({core})
        break
    return YamnetTeacher(weights)


class Passes:
    """Teacher passes over clips: in this process, and on a Ray cluster on this machine.

    Args:
        clips: All of them.
        weights: Of the teacher.
        work: An empty folder.
    """

    def __init__(self, clips: list[Clip], weights: Path, work: Path) -> None:
        self.clips, self.weights, self.work = clips, weights, work
        self.teacher = YamnetTeacher(weights)

    def here(self) -> float:
        """Returns the seconds of a pass without a cluster, up to logits in the cache."""
        asked: list[tuple[Teacher, Role, float]] = [(self.teacher, "windows", 1.0)]
        cache, windows = self.work / "cache.sqlite", self.work / "windows"
        began = time.perf_counter()
        targets.teacher_pass(self.clips, asked, YAMNET, cache, windows, progress=False)
        return time.perf_counter() - began

    def there(self, address: str, workers: int, clips_per_task: int) -> dict[str, float]:
        """Returns the seconds of a pass with a cluster: to the end of the first task, and of the last."""
        moments: list[tuple[float, int]] = []
        began = time.perf_counter()
        labelling.found(
            address,
            self.clips,
            [self.teacher],
            [partial(on_a_core_of_its_own, self.weights, self.work / f"cores-{workers}")],
            YAMNET,
            self.work / f"partitions-{workers}",
            clips_per_partition=clips_per_task,
            progress=False,
            tell=lambda now: moments.append((time.perf_counter(), now.items)),
        )
        ended = time.perf_counter()
        first = next(moment for moment, items in moments if items)
        return {"seconds": ended - began, "to_first": first - began}


def cluster_of(workers: int) -> Any:
    """Starts Ray on this machine with so many processors."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": workers, "object_store_memory": 100_000_000, "include_dashboard": False}
    return Cluster(initialize_head=True, head_node_args=node)


class Nothing:
    """A worker with empty tasks, to measure Ray alone."""

    def __call__(self, task: int, attempt: int) -> int:
        """Returns the task."""
        return task


def driver_seconds(address: str) -> float:
    """Measures the time per task in the driver and Ray, with empty tasks."""
    from yamnet_cry.cluster import engine

    with engine.connected(address) as connection:
        list(connection.run(range(2), Nothing))
        began = time.perf_counter()
        few = sum(1 for _ in connection.run(range(20), Nothing))
        between = time.perf_counter()
        many = sum(1 for _ in connection.run(range(_TASKS), Nothing))
    # Both runs start workers; the difference is the time of the additional tasks.
    return ((time.perf_counter() - between) - (between - began)) / (many - few)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Runs all measurements."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "audio").mkdir()
        clips = corpus(work / "audio", options.clips)
        size = sum(path.stat().st_size for path in (work / "audio").glob("*.flac")) / len(clips)
        passes = Passes(clips, options.teacher, work)
        everything = os.sched_getaffinity(0)
        # The stages and the pass in this process get one core.
        keep_to(sorted(everything)[:1])
        print("stages", flush=True)
        rates = stages(clips[:60], passes.teacher)
        print(rates, flush=True)
        here = passes.here()
        print("here", here, flush=True)
        runs = {}
        for workers in (1, 2):
            # Workers get a core each; Ray's other processes may use both.
            keep_to(everything)
            started = cluster_of(workers)
            try:
                runs[workers] = passes.there(started.address, workers, options.clips_per_task)
                if workers == 2:
                    driver = driver_seconds(started.address)
            finally:
                import ray

                ray.shutdown()
                started.shutdown()
            print(workers, runs[workers], flush=True)
        written = [path.stat().st_size for path in (work / "partitions-1").rglob("*.parquet")]
        content = io.BytesIO()
        np.save(content, YAMNET.log_mel(YAMNET.pad(clips[0].read())))
    windows = len(
        YAMNET.patches(YAMNET.log_mel(YAMNET.pad(np.zeros(int(CLIP_SECONDS * 16_000), np.float32))))
    )
    return {
        "clips": len(clips),
        "clips_per_task": options.clips_per_task,
        "windows_per_clip": windows,
        "windows_per_second": rates,
        "here_seconds": here,
        "workers": {str(workers): run for workers, run in runs.items()},
        "driver_seconds": driver,
        "bytes_per_clip": {
            "audio": size,
            "samples": CLIP_SECONDS * 16_000 * 4,
            "spectrogram": content.tell(),
            "logits": sum(written) / len(clips),
        },
    }


def main() -> None:
    """Measures, unless told not to, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--teacher", type=Path, help="YAMNet's weights, yamnet_folded.npz; without, as measured"
    )
    parser.add_argument("--clips", type=int, default=600, help="of ten seconds")
    parser.add_argument("--files", type=int, help="measure `detect` again, of so many recordings of 1 s")
    parser.add_argument(
        "--memory", type=int, help="measure training again, of so many clips and ten times as many"
    )
    parser.add_argument("--clips-per-task", type=int, default=20)
    assumed = scale_report.DEFAULTS
    parser.add_argument("--machine", default=assumed.machine, help="what a machine is called")
    parser.add_argument("--cores", type=int, default=assumed.cores, help="of a machine")
    parser.add_argument("--price", type=float, default=assumed.dollars, help="of an hour of it, in dollars")
    parser.add_argument("--gigabits", type=float, default=assumed.gigabits, help="a second, of its network")
    parser.add_argument("--requests", type=float, default=assumed.requests, help="a second, of a bucket")
    parser.add_argument("--reclaimed", type=float, default=assumed.reclaimed, help="%% of machines an hour")
    parser.add_argument(
        "--replaced", type=float, default=assumed.replaced_seconds, help="seconds to a new one"
    )
    options = parser.parse_args()
    path = HERE / "scale.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if options.teacher:
        content["measured"] = measured(options)
    if options.files:
        content["detecting"] = scale_detect.compared(options.files, 1.0, 2)
    if options.memory:
        content["memory"] = list(memory.peaks(options.memory))
    content["assumed"] = asdict(
        Assumed(
            options.machine,
            options.cores,
            options.price,
            options.gigabits,
            options.requests,
            options.reclaimed,
            options.replaced,
        )
    )
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    scale_report.write()


if __name__ == "__main__":
    main()

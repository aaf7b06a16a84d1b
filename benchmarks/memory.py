"""Peak memory of `distill` for N and 10 N clips, each as a run of one epoch in its own process.

    python benchmarks/memory.py --clips 300

Clips are ten seconds of noise, generated when they are read; the teacher is a cheap function with the number
of logits of YAMNet. Prints the peak of resident memory, and the size of all spectrograms and logits, which a
run that kept them in memory would need in addition.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

SECONDS = 10
RATE = 16_000
SPLITS = ("train",) * 8 + ("val", "test")


class Noise:
    """A clip of noise; if labelled as crying, it is louder in the upper bands."""

    def __init__(self, number: int, cry: bool) -> None:
        self._number, self._cry = number, cry

    def __call__(self) -> tuple[np.ndarray, int]:
        """Returns float32 samples of shape (samples,), and the sample rate."""
        samples = np.random.default_rng(self._number).standard_normal(SECONDS * RATE).astype(np.float32)
        if self._cry:
            samples[1:] -= samples[:-1]
        return samples * np.float32(0.05), RATE


def run(count: int, folder: Path) -> None:
    """Distils, and prints the peak memory as JSON."""
    # Not available on Windows, where mypy also checks this file.
    import resource

    from yamnet_cry.audioset import CRY_TASK
    from yamnet_cry.distill import distill, recipes, sources
    from yamnet_cry.distill.corpus import Clip
    from yamnet_cry.distill.teacher import TeacherKind
    from yamnet_cry.frontend import YAMNET

    class Teacher:
        """Classifies audio that is louder in the upper bands as crying."""

        name, fingerprint, labels = "energy", "energy-1", CRY_TASK.labels
        kind: TeacherKind = "independent"

        def logits(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
            said = []
            for wave in waveforms:
                rough = np.mean(np.square(np.diff(wave))) / (np.mean(np.square(wave)) + 1e-12)
                rows = np.full((YAMNET.num_patches(len(wave)), len(self.labels)), -5.0, np.float32)
                rows[:, CRY_TASK.group_indices] = 2.0 if rough > 2.5 else -6.0
                said.append(rows)
            return said

    def load(*_corpora: str, **_named: object) -> list[Clip]:
        labels = ("cry",), ("not_cry",)
        return [
            Clip(
                f"{n:07d}",
                labels[n % 2],
                SPLITS[n // 2 % len(SPLITS)],
                str(n // 20),
                "noise",
                open=Noise(n, n % 2 == 0),
            )
            for n in range(count)
        ]

    sources.load = load
    settings = ["train.epochs=1", "train.batch_size=128", "augmentation.views=0"]
    started = time.perf_counter()
    distill(
        "noise",
        Teacher(),
        folder / "model",
        recipe=recipes.get("reference", settings),
        cache=folder / "cache.sqlite",
        progress=False,
    )
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    windows = count * YAMNET.num_patches(SECONDS * RATE)
    data = count * SECONDS * 100 * YAMNET.mel_bands * 4 + windows * len(CRY_TASK.labels) * 4
    # In KiB, but in bytes on macOS.
    peak = used if sys.platform == "darwin" else used * 1024
    print(json.dumps({"clips": count, "data": data, "peak": peak, "seconds": seconds}))


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clips", type=int, default=300, help="number of clips; the second run has ten times as many"
    )
    parser.add_argument("--folder", type=Path, help="folder with space for spectrograms and logits")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        run(arguments.alone, arguments.folder)
        return
    print(f"{'clips':>8} {'hours':>7} {'spectrograms and logits':>24} {'peak memory':>15} {'seconds':>8}")
    for found in peaks(arguments.clips, arguments.folder):
        print(
            f"{found['clips']:8,} {found['clips'] * SECONDS / 3600:7.1f} {found['data'] / 1e6:21,.0f} MB "
            f"{found['peak'] / 1e6:12,.0f} MB {found['seconds']:8.0f}",
            flush=True,
        )


def peaks(clips: int, folder: Path | None = None) -> Iterator[dict[str, float]]:
    """Yields the results of a run with `clips` clips, and of one with ten times as many.

    Args:
        clips: Number of clips.
        folder: Folder with space for spectrograms and logits.
    """
    for count in (clips, 10 * clips):
        with TemporaryDirectory(dir=folder) as temporary:
            command = [sys.executable, __file__, "--alone", str(count), "--folder", temporary]
            child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
        yield json.loads(child.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()

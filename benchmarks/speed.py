"""Measures how fast detection and the teacher pass are, and writes speed.md beside this file.

    python benchmarks/speed.py [--teacher PATH]

Everything runs in turn, several rounds in one session, and the median counts; ratios (times real
time) hold better between machines and moments than seconds do. Detection runs on one thread.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import soundfile

from yamnet_cry import CryDetector, audio, features
from yamnet_cry.files import write_whole

ROUNDS = 5
HOUR = 3600
SCORE_ONE = "from yamnet_cry import CryDetector; print(CryDetector.from_pretrained()('ten.wav').score)"


def hour_of_noise() -> np.ndarray:
    """An hour of noise that swells and fades: no decoder or FFT has an easy time with it."""
    generator = np.random.default_rng(0)
    minute = generator.standard_normal(60 * features.SAMPLE_RATE).astype(np.float32)
    loudness = np.exp(generator.uniform(-7, -2, HOUR // 60)).astype(np.float32)
    return np.concatenate([minute * gain for gain in loudness])


def measure(tasks: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Times all tasks in turn, round after round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(ROUNDS + 1):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def teacher_rate(path: str) -> float:
    """Windows a second of the teacher pass, features and all, on every core: median of the rounds."""
    from yamnet_cry.distill import teachers

    teacher = teachers.load(path)
    waves = [
        features.pad(0.1 * np.random.default_rng(n).standard_normal(80_000).astype(np.float32))
        for n in range(128)
    ]
    windows = sum(features.num_patches(len(wave)) for wave in waves)
    return windows / statistics.median(measure({"teacher": lambda: teacher.logits(waves)})["teacher"])


def main() -> None:
    """Measures, and writes the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--teacher", help="YAMNet's weights, to time the teacher pass as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wave = hour_of_noise()
        places = {suffix: Path(folder) / f"hour.{suffix}" for suffix in ("wav", "flac")}
        for path in places.values():
            soundfile.write(path, wave, features.SAMPLE_RATE, subtype="PCM_16")
        soundfile.write(Path(folder) / "ten.wav", wave[: 10 * features.SAMPLE_RATE], features.SAMPLE_RATE)
        detector = CryDetector.from_pretrained()
        spectrogram = features.log_mel(wave)
        tasks: dict[str, Callable[[], object]] = {
            '`detector("hour.wav")`, decoding included': lambda: detector(places["wav"]),
            '`detector("hour.flac")`, decoding included': lambda: detector(places["flac"]),
            "`detector((waveform, 16_000))`": lambda: detector((wave, features.SAMPLE_RATE)),
            "decoding WAV alone": lambda: sum(map(len, audio.blocks(places["wav"]))),
            "front end alone": lambda: sum(
                len(features.log_mel(piece))
                for piece in features.whole_patches(audio.blocks((wave, features.SAMPLE_RATE)))
            ),
            "INT8 student alone": lambda: detector._student.logits(spectrogram),
        }
        seconds = measure(tasks)
        start = [sys.executable, "-c", SCORE_ONE]
        run_cold = partial(subprocess.run, start, cwd=folder, check=True, capture_output=True)
        cold = measure({"cold": run_cold})["cold"]
    lines = [
        "# Speed",
        "",
        "Written by `python benchmarks/speed.py`: an hour of 16 kHz mono audio, one thread, median of "
        f"{ROUNDS} interleaved rounds (slowest and fastest in brackets).",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {np.__version__}.",
        "",
        "| | times real time | ms |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {HOUR / statistics.median(s):,.0f} "
            f"({HOUR / max(s):,.0f}\N{EN DASH}{HOUR / min(s):,.0f}) | {1000 * statistics.median(s):,.0f} |"
            for name, s in seconds.items()
        ),
        "",
        f"A whole process, from its start to the score of a 10 s clip: {statistics.median(cold):.2f} s "
        f"({min(cold):.2f}\N{EN DASH}{max(cold):.2f}).",
    ]
    if arguments.teacher:
        lines += [
            "",
            f"Teacher (YAMNet in Keras, all cores): {teacher_rate(arguments.teacher):,.0f} windows a second.",
        ]
    text = "\n".join(lines) + "\n"
    write_whole(Path(__file__).with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    main()

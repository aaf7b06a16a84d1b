"""Measures how fast detection and the teacher pass are, and writes speed.md beside this file.

    python benchmarks/speed.py [--teacher PATH]

Everything runs in turn, several rounds in one session, and the median counts; ratios hold better between
machines and moments than seconds do. All of it runs on one thread, except where it says otherwise.
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
WHOLE = "`detector((waveform, 16_000))`"
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


def peak_megabytes(code: str, folder: str) -> float:
    """Runs code in a process of its own and returns the most memory it held, by Linux's account.

    The account of getrusage starts with what the process held that started it.
    """
    report = "; print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    result = subprocess.run(
        [sys.executable, "-c", code + report], cwd=folder, check=True, capture_output=True, text=True
    )
    return int(result.stdout.split()[1]) / 1024


def table(seconds: dict[str, list[float]], audio_seconds: dict[str, float], against: str) -> list[str]:
    """Rows of a table: times real time, and how often the first fits into the others."""
    speed = {name: audio_seconds[name] / statistics.median(times) for name, times in seconds.items()}
    rows = ["| | times real time | against `detector` |", "| --- | --- | --- |"]
    for name, times in seconds.items():
        low, high = audio_seconds[name] / max(times), audio_seconds[name] / min(times)
        ratio = speed[against] / speed[name]
        rows.append(f"| {name} | {speed[name]:,.0f} ({low:,.0f}\N{EN DASH}{high:,.0f}) | {ratio:.2f} |")
    return rows


def detection(folder: str, wave: np.ndarray, detector: CryDetector) -> list[str]:
    """Times an hour, whole and in parts."""
    places = {suffix: Path(folder) / f"hour.{suffix}" for suffix in ("wav", "flac")}
    for path in places.values():
        soundfile.write(path, wave, features.SAMPLE_RATE, subtype="PCM_16")
    spectrogram = features.log_mel(wave)
    block = wave[: 60 * features.SAMPLE_RATE]
    tasks: dict[str, Callable[[], object]] = {
        WHOLE: lambda: detector((wave, features.SAMPLE_RATE)),
        '`detector("hour.wav")`': lambda: detector(places["wav"]),
        '`detector("hour.flac")`': lambda: detector(places["flac"]),
        "`detector.stream`, a minute in blocks of 10 ms": lambda: list(
            detector.stream(np.array_split(block, 6_000), features.SAMPLE_RATE)
        ),
        "decoding WAV alone": lambda: sum(map(len, audio.blocks(places["wav"]))),
        "decoding FLAC alone": lambda: sum(map(len, audio.blocks(places["flac"]))),
        "front end alone": lambda: features.log_mel(wave),
        "INT8 student alone": lambda: detector._student.logits(spectrogram),
    }
    lengths = dict.fromkeys(tasks, float(HOUR)) | {name: 60.0 for name in tasks if "a minute" in name}
    seconds = measure(tasks)
    stream = statistics.median(seconds["`detector.stream`, a minute in blocks of 10 ms"]) / 60
    return [
        *table(seconds, lengths, WHOLE),
        "",
        f"A stream in blocks of 10 ms costs {stream:.2%} of a core.",
    ]


def comparison(weights: str, wave: np.ndarray, detector: CryDetector) -> list[str]:
    """Times the peers on the same minute."""
    import peers

    minute = wave[: 60 * features.SAMPLE_RATE]
    tasks: dict[str, Callable[[], object]] = {WHOLE: lambda: detector((minute, features.SAMPLE_RATE))}
    for name, score in peers.scorers(weights, detector).items():
        tasks[name] = partial(score, minute)
    return [
        "",
        "## Beside other ways",
        "",
        "On the same minute:",
        "",
        *table(measure(tasks), dict.fromkeys(tasks, 60.0), WHOLE),
    ]


def growth(folder: str, wave: np.ndarray) -> list[str]:
    """Times whole processes from a second to a day, and their memory."""
    rows = ["", "## From a second to a day", "", "Whole processes, `yamnet-cry detect`:", ""]
    rows += ["| recording | seconds | peak memory, MB |", "| --- | --- | --- |"]
    for name, seconds in (("1 s", 1), ("1 min", 60), ("1 h", HOUR), ("24 h", 24 * HOUR)):
        path = Path(folder) / "some.wav"
        with soundfile.SoundFile(path, "w", features.SAMPLE_RATE, 1, "PCM_16") as file:
            for _ in range(max(1, seconds // HOUR)):
                file.write(wave[: min(seconds, HOUR) * features.SAMPLE_RATE])
        code = "from yamnet_cry import CryDetector; CryDetector.from_pretrained()('some.wav')"
        times = []
        for _ in range(1 if seconds > HOUR else 3):
            started = time.perf_counter()
            memory = peak_megabytes(code, folder)
            times.append(time.perf_counter() - started)
        rows.append(f"| {name} | {statistics.median(times):.2f} | {memory:.0f} |")
    path.unlink()
    four = Path(folder) / "four"
    four.mkdir()
    for number in range(4):
        soundfile.write(four / f"{number}.wav", wave, features.SAMPLE_RATE, subtype="PCM_16")
    tasks: dict[str, Callable[[], object]] = {
        f"{workers} worker{'s' if workers > 1 else ''}": partial(
            subprocess.run,
            [sys.executable, "-m", "yamnet_cry", "detect", "four", "--workers", str(workers)],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        for workers in (1, 2)
    }
    seconds_of = measure(tasks)
    rows += ["", "Four files of an hour each:", ""]
    return rows + table(seconds_of, dict.fromkeys(tasks, 4.0 * HOUR), "1 worker")


def main() -> None:
    """Measures, and writes the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--teacher", help="YAMNet's weights, to compare with it and to time the teacher pass")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wave = hour_of_noise()
        detector = CryDetector.from_pretrained()
        soundfile.write(Path(folder) / "ten.wav", wave[: 10 * features.SAMPLE_RATE], features.SAMPLE_RATE)
        lines = [
            "# Speed",
            "",
            "Written by `python benchmarks/speed.py --teacher WEIGHTS`: 16 kHz mono audio, one thread, "
            f"median of {ROUNDS} interleaved rounds (slowest and fastest in brackets).",
            "",
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"numpy {np.__version__}.",
            "",
            "## An hour",
            "",
            *detection(folder, wave, detector),
        ]
        start = [sys.executable, "-c", SCORE_ONE]
        cold = measure({"": partial(subprocess.run, start, cwd=folder, check=True, capture_output=True)})[""]
        lines += [
            "",
            f"A whole process, from its start to the score of a 10 s clip: {statistics.median(cold):.2f} s "
            f"({min(cold):.2f}\N{EN DASH}{max(cold):.2f}).",
        ]
        if arguments.teacher:
            lines += comparison(arguments.teacher, wave, detector)
        lines += growth(folder, wave)
    if arguments.teacher:
        rate = teacher_rate(arguments.teacher)
        lines += ["", f"Teacher pass (YAMNet in Keras): {rate:,.0f} windows a second."]
    text = "\n".join(lines) + "\n"
    write_whole(Path(__file__).with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    main()

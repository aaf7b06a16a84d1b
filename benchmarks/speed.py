"""Measures the speed of detection and of the teacher pass, and writes speed.md beside this file.

    python benchmarks/speed.py [--teacher PATH] [--mn04 FOLDER]

All tasks run in turn, for several rounds in one session, and the median is reported; ratios vary less between
machines and runs than seconds. Everything runs on one core unless stated otherwise (Linux only, because of
the CPU affinity).
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import soundfile
from ai_edge_litert.interpreter import Interpreter

from yamnet_cry import CryDetector, audio
from yamnet_cry.files import write_whole
from yamnet_cry.frontend import YAMNET
from yamnet_cry.patches import whole_patches

ROUNDS = 5
HOUR = 3600
PREVIOUS = Path(__file__).parent.parent / "tests" / "release_0_1_0"
WHOLE = "`detector((waveform, 16_000))`"
FRONT_END = "front end alone"
STUDENT = "INT8 student alone"
SCORE_ONE = "from yamnet_cry import CryDetector; print(CryDetector.from_pretrained()('ten.wav').score)"


def hour_of_noise() -> np.ndarray:
    """Returns an hour of noise whose level changes every minute, a hard case for decoders and FFTs."""
    generator = np.random.default_rng(0)
    minute = generator.standard_normal(60 * YAMNET.sample_rate).astype(np.float32)
    loudness = np.exp(generator.uniform(-7, -2, HOUR // 60)).astype(np.float32)
    return np.concatenate([minute * gain for gain in loudness])


@contextmanager
def cores(number: int) -> Iterator[None]:
    """Binds this process, its threads and its children to a number of cores."""
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(every)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, every)


def measure(tasks: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Times all tasks in turn, round after round, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(ROUNDS + 1):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def teacher_rate(path: str) -> float:
    """Returns windows per second of the teacher pass on all cores, including features: median of rounds."""
    from yamnet_cry.distill import teachers

    teacher = teachers.load(path)
    waves = [
        YAMNET.pad(0.1 * np.random.default_rng(n).standard_normal(80_000).astype(np.float32))
        for n in range(128)
    ]
    windows = sum(YAMNET.num_patches(len(wave)) for wave in waves)
    return windows / statistics.median(measure({"teacher": lambda: teacher.logits(waves)})["teacher"])


def peak_megabytes(code: str, folder: str) -> float:
    """Runs code in a new process and returns its peak memory in MiB, from /proc.

    The peak of getrusage would include the memory of the parent process.
    """
    report = "; print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    result = subprocess.run(
        [sys.executable, "-c", code + report], cwd=folder, check=True, capture_output=True, text=True
    )
    return int(result.stdout.split()[1]) / 1024


def table(seconds: dict[str, list[float]], audio_seconds: dict[str, float], against: str) -> list[str]:
    """Returns a table: times real time, and time relative to the task `against`."""
    speed = {name: audio_seconds[name] / statistics.median(times) for name, times in seconds.items()}
    rows = ["| | times real time | time, relative to the first row |", "| --- | --- | --- |"]
    for name, times in seconds.items():
        low, high = audio_seconds[name] / max(times), audio_seconds[name] / min(times)
        ratio = speed[against] / speed[name]
        rows.append(f"| {name} | {speed[name]:,.0f} ({low:,.0f}\N{EN DASH}{high:,.0f}) | {ratio:.2f} |")
    return rows


def detection(folder: str, wave: np.ndarray, detector: CryDetector) -> list[str]:
    """Times an hour, as a whole and in parts."""
    places = {suffix: Path(folder) / f"hour.{suffix}" for suffix in ("wav", "flac")}
    for path in places.values():
        soundfile.write(path, wave, YAMNET.sample_rate, subtype="PCM_16")
    # The parts process the same pieces as the detector.
    pieces = list(whole_patches(audio.blocks((wave, YAMNET.sample_rate))))
    spectrograms = [YAMNET.log_mel(piece) for piece in pieces]
    block = wave[: 60 * YAMNET.sample_rate]
    student = detector.student
    interpreter = Interpreter(model_content=detector.model, num_threads=1)
    interpreter.allocate_tensors()
    windows = sum(len(YAMNET.patches(spectrogram)) for spectrogram in spectrograms)
    frames = np.zeros((YAMNET.patch_frames, YAMNET.fft_length), np.float32)
    frames[:, : YAMNET.frame_length] = wave[: frames.shape[0] * YAMNET.frame_length].reshape(
        -1, YAMNET.frame_length
    )
    spectra = np.fft.rfft(frames)
    magnitudes = np.abs(spectra)
    products = magnitudes @ YAMNET.mel_matrix()
    steps = sum(map(len, spectrograms)) // len(frames)
    streamed = "`detector.stream`, a minute in blocks of 10 ms"
    tasks: dict[str, Callable[[], object]] = {
        WHOLE: lambda: detector((wave, YAMNET.sample_rate)),
        '`detector("hour.wav")`': lambda: detector(places["wav"]),
        '`detector("hour.flac")`': lambda: detector(places["flac"]),
        streamed: lambda: list(detector.stream(np.array_split(block, 6_000), YAMNET.sample_rate)),
        "decoding WAV alone": lambda: sum(map(len, audio.blocks(places["wav"]))),
        "decoding FLAC alone": lambda: sum(map(len, audio.blocks(places["flac"]))),
        FRONT_END: lambda: [len(YAMNET.log_mel(piece)) for piece in pieces],
        "its FFTs: `numpy.fft.rfft` of the same number of frames": lambda: [
            np.fft.rfft(frames, out=spectra) for _ in range(steps)
        ],
        "its mel bands: one product with the whole matrix": lambda: [
            np.matmul(magnitudes, YAMNET.mel_matrix(), out=products) for _ in range(steps)
        ],
        STUDENT: lambda: [len(student.logits(spectrogram)) for spectrogram in spectrograms],
        "its network: LiteRT's `invoke` for each window": lambda: [
            interpreter.invoke() for _ in range(windows)
        ],
    }
    lengths = dict.fromkeys(tasks, float(HOUR)) | {streamed: 60.0}
    with cores(1):
        seconds = measure(tasks)
    both = {name: task for name, task in tasks.items() if name.startswith("`detector(")}
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    parts = list(medians)
    front_end, fft, mel = (medians[name] for name in parts[parts.index(FRONT_END) :][:3])
    network, invoke = (medians[name] for name in parts[parts.index(STUDENT) :][:2])
    return [
        *table(seconds, lengths, WHOLE),
        "",
        "Overhead of the parts: the front end takes "
        f"{front_end / (fft + mel):.2f} times as long as its FFTs and mel bands (the FFT is numpy's, in "
        f"float64: {fft / front_end:.0%} of the front end), the student {network / invoke:.2f} times as long "
        f"as LiteRT, and the whole {medians[WHOLE] / (fft + mel + invoke):.2f} times as long as all three.",
        "",
        f"A stream in blocks of 10 ms takes {medians[streamed] / 60:.2%} of a core.",
        "",
        "With a second core, decoding and front end run in parallel to the student:",
        "",
        *table(measure(both), dict.fromkeys(both, float(HOUR)), WHOLE),
    ]


def latency(detector: CryDetector) -> list[str]:
    """Times a single window, from samples to the result."""
    window = hour_of_noise()[: YAMNET.patch_samples]
    times = []
    with cores(1):
        for number in range(2_200):
            started = time.perf_counter()
            detector((window, YAMNET.sample_rate))
            if number >= 200:
                times.append(1e3 * (time.perf_counter() - started))
    median, late = statistics.median(times), statistics.quantiles(times, n=100)[98]
    return ["", f"One window, from samples to the result: {median:.2f} ms (99 % within {late:.2f} ms)."]


def comparison(weights: str, mn04: str | None, wave: np.ndarray, detector: CryDetector) -> list[str]:
    """Times the peers on the same minute, and measures the size of their installations."""
    import peers

    minute = wave[: 60 * YAMNET.sample_rate]
    tasks: dict[str, Callable[[], object]] = {WHOLE: lambda: detector((minute, YAMNET.sample_rate))}
    scorers = peers.scorers(weights, detector)
    if mn04 is not None:
        scorers[peers.EFFICIENT_AT] = peers.efficient_at(mn04)
    for name, score in scorers.items():
        tasks[name] = partial(score, minute)
    before = CryDetector.from_pretrained(PREVIOUS)
    tasks[f"release {before.config.package_version}, with this package"] = lambda: before(
        (minute, YAMNET.sample_rate)
    )
    with cores(1):
        seconds = measure(tasks)
    return [
        "",
        "## Comparison with other classifiers",
        "",
        "On the same minute of audio:",
        "",
        *table(seconds, dict.fromkeys(tasks, 60.0), WHOLE),
        "",
        "Size of the installation with all dependencies, and time to import it in a new process:",
        "",
        "| | MB on disk | s |",
        "| --- | --- | --- |",
        *(f"| {name} | {megabytes:,.0f} | {start:.2f} |" for name, megabytes, start in peers.installs()),
    ]


def growth(folder: str, wave: np.ndarray) -> list[str]:
    """Measures time and memory of whole processes, for recordings of a second to a day."""
    rows = ["", "## From a second to a day", "", "Whole processes, from the import to the result:", ""]
    rows += ["| recording | seconds | peak memory, MB |", "| --- | --- | --- |"]
    for name, seconds in (("1 s", 1), ("1 min", 60), ("1 h", HOUR), ("24 h", 24 * HOUR)):
        path = Path(folder) / "some.wav"
        with soundfile.SoundFile(path, "w", YAMNET.sample_rate, 1, "PCM_16") as file:
            for _ in range(max(1, seconds // HOUR)):
                file.write(wave[: min(seconds, HOUR) * YAMNET.sample_rate])
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
        soundfile.write(four / f"{number}.wav", wave, YAMNET.sample_rate, subtype="PCM_16")
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
    rows += ["", "`yamnet-cry detect` on four files of an hour each:", ""]
    return rows + table(seconds_of, dict.fromkeys(tasks, 4.0 * HOUR), "1 worker")


def main() -> None:
    """Measures, and writes the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--teacher", help="YAMNet's weights, for the comparison and the teacher pass")
    parser.add_argument("--mn04", help="folder of EfficientAT's mn04_as, for the comparison")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wave = hour_of_noise()
        detector = CryDetector.from_pretrained()
        soundfile.write(Path(folder) / "ten.wav", wave[: 10 * YAMNET.sample_rate], YAMNET.sample_rate)
        lines = [
            "# Speed",
            "",
            "Generated by `python benchmarks/speed.py --teacher WEIGHTS --mn04 FOLDER`: 16 kHz mono audio, "
            f"one core unless stated otherwise, median of {ROUNDS} interleaved rounds (slowest and "
            "fastest in brackets).",
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
        lines += latency(detector)
        lines += [
            "",
            f"A new process, from its start to the score of a 10 s clip: {statistics.median(cold):.2f} s "
            f"({min(cold):.2f}\N{EN DASH}{max(cold):.2f}).",
        ]
        if arguments.teacher:
            lines += comparison(arguments.teacher, arguments.mn04, wave, detector)
        lines += growth(folder, wave)
    if arguments.teacher:
        rate = teacher_rate(arguments.teacher)
        lines += ["", f"Teacher pass (YAMNet in Keras): {rate:,.0f} windows per second."]
    text = "\n".join(lines) + "\n"
    write_whole(Path(__file__).with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    main()

"""Feeds damaged and hostile input to everything that reads files, and counts what came of it.

    python benchmarks/fuzz.py [--inputs 10000] [--seed 0]

Real files in every container are cut, flipped, spliced and given absurd numbers; so are model folders and
manifests. Each must either be used or be refused with one of the package's own errors, in bounded time
and memory. Anything else is printed with the seed that makes it again, and the exit code is then 1.
"""

import argparse
import io
import json
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from yamnet_cry import CryDetector, audio, live, model_folder
from yamnet_cry.distill import corpus
from yamnet_cry.errors import YamnetCryError

CONTAINERS = (
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "ULAW"),
    ("CAF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("VOC", "PCM_16"),
    ("NIST", "PCM_16"),
)
ABSURD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 2**62)

# A second of audio at the highest rate, decoded and resampled, takes a few milliseconds and megabytes.
SLOWEST_SECONDS = 5.0
LARGEST_GROWTH = 300_000_000


def seeds() -> list[bytes]:
    """Encodes a quarter of a second of noise in every container."""
    wave = 0.1 * np.random.default_rng(0).standard_normal((4_000, 2))
    files = []
    for container, subtype in CONTAINERS:
        file = io.BytesIO()
        soundfile.write(file, wave, 16_000, format=container, subtype=subtype)
        files.append(file.getvalue())
    return files


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    """Damages data in one to four ways, most often near its beginning, where the headers are."""
    changed = bytearray(data)
    for _ in range(generator.integers(1, 5)):
        if not changed:
            break
        reach = len(changed) if generator.random() < 0.3 else min(len(changed), 128)
        place = int(generator.integers(reach))
        kind = generator.integers(6)
        if kind == 0:
            changed[place] ^= 1 << int(generator.integers(8))
        elif kind == 1:
            width = int(generator.choice([1, 2, 4, 8]))
            value = int(generator.choice(ABSURD)) % 256**width
            order = "little" if generator.random() < 0.5 else "big"
            changed[place : place + width] = value.to_bytes(width, order)
        elif kind == 2:
            del changed[place:]
        elif kind == 3:
            del changed[place : place + int(generator.integers(1, 64))]
        elif kind == 4:
            changed[place:place] = generator.bytes(int(generator.integers(1, 64)))
        else:
            other = int(generator.integers(len(changed)))
            changed[place : place + 16] = changed[other : other + 16]
    return bytes(changed)


def decode(data: bytes) -> None:
    """Reads a file object, as `CryDetector` does."""
    for _ in audio.blocks(io.BytesIO(data)):
        pass


def stream(data: bytes) -> None:
    """Reads a pipe, as `yamnet-cry listen` does."""
    blocks, sample_rate = live.pipe(io.BytesIO(data), live.Format())
    heard = audio.LiveAudio(sample_rate)
    for block in blocks:
        heard.push(block)
    heard.finish()


def manifest(data: bytes) -> None:
    """Lists a corpus."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.wav").write_bytes(b"")
        (Path(folder) / corpus.MANIFEST).write_bytes(data)
        corpus.load(folder)


def model(name: str, data: bytes, files: dict[str, bytes]) -> None:
    """Loads a model folder in which one file is damaged."""
    with tempfile.TemporaryDirectory() as folder:
        for other, content in files.items():
            (Path(folder) / other).write_bytes(data if other == name else content)
        CryDetector.from_pretrained(folder)


def cases() -> list[tuple[str, bytes, Callable[[bytes], None]]]:
    """Returns what is damaged: a name, the intact data, and what reads it."""
    found: list[tuple[str, bytes, Callable[[bytes], None]]] = []
    for (container, subtype), data in zip(CONTAINERS, seeds(), strict=True):
        found.append((f"{container} {subtype}", data, decode))
        if container in ("WAV", "WAVEX"):
            found.append((f"{container} {subtype} through a pipe", data, stream))
    rows = b"file,target,split,group,source\na.wav,cry,train,g1,phone\n"
    found.append(("manifest", rows, manifest))
    released = Path(__file__).parents[1] / "hub"
    files = {name: (released / name).read_bytes() for name in model_folder.DETECTOR_FILES}
    for name in files:
        found.append((name, files[name], lambda data, name=name: model(name, data, files)))  # type: ignore[misc]
    return found


def attempt(read: Callable[[bytes], None], data: bytes) -> str:
    """Reads data, and says what came of it: ``used``, ``refused``, or what must not happen."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    try:
        read(data)
        outcome = "used"
    except YamnetCryError as error:
        message = str(error)
        outcome = "refused" if message and "\n" not in message else f"no single line: {message!r}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - started
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if seconds > SLOWEST_SECONDS:
        return f"took {seconds:.1f} s"
    if growth > LARGEST_GROWTH:
        return f"took {growth / 1e6:.0f} MB"
    return outcome


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    every = cases()
    counts: Counter[str] = Counter()
    bad = 0
    started = time.perf_counter()
    for number in range(arguments.inputs):
        name, data, read = every[number % len(every)]
        generator = np.random.default_rng((arguments.seed, number))
        outcome = attempt(read, mutated(data, generator))
        counts[outcome if outcome in ("used", "refused") else "bad"] += 1
        if outcome not in ("used", "refused"):
            bad += 1
            print(f"{name}, seed {arguments.seed}, number {number}: {outcome}", file=sys.stderr)
    print(
        json.dumps({"inputs": arguments.inputs, **counts, "seconds": round(time.perf_counter() - started, 1)})
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

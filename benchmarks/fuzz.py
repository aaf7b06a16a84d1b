"""Feeds damaged and hostile input to everything that reads files, and counts the outcomes.

    python benchmarks/fuzz.py [--inputs 10000] [--seed 0]

Valid files in every container are truncated, bit-flipped, spliced and given extreme numbers; so are
manifests, uploads to the web page, and model folders: their flatbuffers and JSON byte by byte, and part by
part so that they stay well-formed. Each input must either be used or be rejected with one of the package's
errors, within limits of time and memory. Anything else is printed with the number that reproduces it, and the
exit code is 1. Inputs are read in a separate process, so that crashes are detected.
"""

import argparse
import faulthandler
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows: memory is not measured there
    resource = None  # type: ignore[assignment]

import numpy as np
import soundfile
from model_parts import ABSURD, mutated_model

from yamnet_cry import CryDetector, audio
from yamnet_cry.audio import capture
from yamnet_cry.demo import nursery
from yamnet_cry.distill import layouts, sources
from yamnet_cry.errors import YamnetCryError
from yamnet_cry.model import folder as model_folder
from yamnet_cry.space import live as space_live
from yamnet_cry.space import recording

Damage = Callable[[bytes, np.random.Generator], bytes]
Case = tuple[str, bytes, Callable[[bytes], None], Damage]

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
    """Damages data in one to four places, mostly near the beginning, where the headers are."""
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
    blocks, sample_rate = capture.pipe(io.BytesIO(data), capture.Format())
    heard = audio.LiveAudio(sample_rate)
    for block in blocks:
        heard.push(block)
    heard.finish()


def manifest(data: bytes) -> None:
    """Loads a corpus with a damaged manifest."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.wav").write_bytes(b"")
        (Path(folder) / layouts.MANIFEST).write_bytes(data)
        sources.load(folder)


def mutated_json(data: bytes, generator: np.random.Generator) -> bytes:
    """Changes one to three values of a JSON file."""
    values: list[Any] = [
        None,
        True,
        -1,
        0,
        2.5,
        1e30,
        float("nan"),
        10**30,
        "",
        "x*/\n<b>",
        [],
        {},
        [[[]]],
        {"a": {}},
    ]
    content = json.loads(data)
    for _ in range(generator.integers(1, 4)):
        # Half of them at the top level: most of the others are Keras's.
        part, deeper = content, generator.random() < 0.5
        while True:
            keys = list(part) if isinstance(part, dict) else list(range(len(part)))
            if not keys:
                break
            key = keys[int(generator.integers(len(keys)))]
            if deeper and isinstance(part[key], dict | list) and part[key] and generator.random() < 0.9:
                part = part[key]
                continue
            if generator.random() < 0.2:
                del part[key]
            else:
                part[key] = values[int(generator.integers(len(values)))]
            break
    return json.dumps(content).encode()


def model(name: str, data: bytes, files: dict[str, bytes]) -> None:
    """Loads and runs a model folder with one damaged file and correct hashes."""
    changed = {**files, name: data}
    if name != model_folder.CONFIG:
        config = json.loads(changed[model_folder.CONFIG])
        config["files"][name] = model_folder.fingerprint(data)
        changed[model_folder.CONFIG] = json.dumps(config).encode()
    with tempfile.TemporaryDirectory() as folder:
        for other, content in changed.items():
            (Path(folder) / other).write_bytes(content)
        detector = CryDetector.from_pretrained(folder)
    result = detector((np.zeros(24_000, np.float32), 16_000))
    assert 0 <= result.probability <= 1


def uploaded(data: bytes, detector: CryDetector) -> None:
    """Runs the detector on an upload, and renders the results as the page does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "up<load>.wav"
        path.write_bytes(data)
        with warnings.catch_warnings():
            # Expected: the visitor gets a message, and the server's log a warning.
            warnings.filterwarnings("ignore", ".* is truncated")
            heard = recording.hear(detector, path).at(0.5)
        shown = heard.headline() + heard.table() + heard.downloads()
    assert "<load>" not in shown


def microphone(data: bytes, detector: CryDetector) -> None:
    """Runs the detector on a piece of microphone audio, as the page's endpoint does."""
    session = space_live.Session(detector, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.wav"
        path.write_bytes(data)
        session.push(*space_live.piece(path))
    session.finish()
    space_live.show(session)


def cases() -> list[Case]:
    """Returns the cases: a name, the intact data, the function that reads it, and the one that damages it."""
    found: list[Case] = []
    for (container, subtype), data in zip(CONTAINERS, seeds(), strict=True):
        found.append((f"{container} {subtype}", data, decode, mutated))
        if container in ("WAV", "WAVEX"):
            found.append((f"{container} {subtype} through a pipe", data, stream, mutated))
    rows = b"file,target,split,group,source\na.wav,cry,train,g1,phone\n"
    found.append(("manifest", rows, manifest, mutated))
    detector = CryDetector.from_pretrained()
    scene = io.BytesIO()
    soundfile.write(scene, nursery(3.0, 1.0, 2.5), 16_000, format="FLAC")
    found.append(("upload", scene.getvalue(), lambda data: uploaded(data, detector), mutated))
    found.append(("microphone", scene.getvalue(), lambda data: microphone(data, detector), mutated))
    released = Path(__file__).parents[1] / "hub"
    names = (*model_folder.DETECTOR_FILES, *model_folder.OPTIONAL_FILES)
    files = {name: (released / name).read_bytes() for name in names if (released / name).is_file()}
    by_part = {model_folder.CONFIG: mutated_json, model_folder.TFLITE: mutated_model}
    for name, content in files.items():
        read = lambda data, name=name: model(name, data, files)  # noqa: E731
        found.append((f"{name} byte by byte", content, read, mutated))
        if name in by_part:
            found.append((f"{name} part by part", content, read, by_part[name]))
    return found


def attempt(read: Callable[[bytes], None], data: bytes) -> str:
    """Reads data, and returns the outcome: ``used``, ``refused``, or a description of the failure."""
    before = _peak()
    outcome, seconds = _timed(read, data)
    growth = (_peak() - before) * 1024
    for _ in range(2):
        # A busy machine may be slow once; slow data is slow every time.
        if seconds > SLOWEST_SECONDS:
            seconds = min(seconds, _timed(read, data)[1])
    if seconds > SLOWEST_SECONDS:
        return f"took {seconds:.1f} s"
    if growth > LARGEST_GROWTH:
        return f"took {growth / 1e6:.0f} MB"
    return outcome


def _timed(read: Callable[[bytes], None], data: bytes) -> tuple[str, float]:
    started = time.perf_counter()
    try:
        read(data)
        outcome = "used"
    except YamnetCryError as error:
        message = str(error)
        outcome = "refused" if message and "\n" not in message else f"no single line: {message!r}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    return outcome, time.perf_counter() - started


def _peak() -> int:
    """Returns the peak memory of this process in kilobytes."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def work(seed: int, first: int, inputs: int) -> None:
    """Tries inputs; prints the number of each before, and its outcome after."""
    faulthandler.enable()
    warnings.simplefilter("error")
    every = cases()
    for number in range(first, inputs):
        print(number, flush=True)
        name, data, read, damage = every[number % len(every)]
        outcome = attempt(read, damage(data, np.random.default_rng((seed, number))))
        print(json.dumps({"name": name, "outcome": outcome}), flush=True)


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work is not None:
        work(arguments.seed, arguments.work, arguments.inputs)
        return 0
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    number = -1
    while number + 1 < arguments.inputs:
        options = [
            "--inputs",
            str(arguments.inputs),
            "--seed",
            str(arguments.seed),
            "--work",
            str(number + 1),
        ]
        worker = subprocess.Popen(
            [sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert worker.stdout is not None
        unfinished = False
        for line in worker.stdout:
            unfinished = not line.startswith("{")
            if unfinished:
                number = int(line)
                continue
            told = json.loads(line)
            counts[told["outcome"] if told["outcome"] in ("used", "refused") else "bad"] += 1
            if told["outcome"] not in ("used", "refused"):
                print(f"{told['name']}, number {number}: {told['outcome']}", file=sys.stderr)
        code = worker.wait()
        if unfinished:
            counts["bad"] += 1
            print(f"number {number}: the process ended with {code}", file=sys.stderr)
        elif code:
            return 1
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps({"inputs": arguments.inputs, **counts, "seconds": seconds}))
    return 1 if counts["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())

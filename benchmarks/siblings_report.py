"""Writes docs/siblings/NAME.md, their pictures and the table of README.md from docs/siblings/NAME.json.

    python benchmarks/siblings_report.py
    python tools/update_documents.py

Nothing in the reports is typed by hand but what sources say. A test compares them with the results.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from siblings_runs import AED_BITS, FOLD, LABELS_ALONE, STUDENTS, TAUGHT
from siblings_text import AED_TEXT, CRY_SOURCE, DOGS_TEXT, KWS_TEXT, SER_TEXT, SOURCES

from yamnet_cry.distill import intervals, metrics
from yamnet_cry.distill.recipes import AED, KWS
from yamnet_cry.files import write_whole
from yamnet_cry.model.folder import METRICS
from yamnet_cry.task import Task

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs" / "siblings"
PICTURES = ROOT / "docs" / "pictures"
TABLE = DOCS / "table.md"

Runs = dict[str, Any]


def results(name: str) -> Runs:
    """Reads what has been run of a sibling; nothing if nothing has."""
    path = DOCS / f"{name}.json"
    runs: Runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return runs


def percent(interval: dict[str, float]) -> str:
    """Writes a share and its interval.

    Example:
        >>> percent({"value": 0.5, "low": 0.25, "high": 0.75})
        '50.0 % (25.0-75.0)'
    """
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f}-{high:.1f})"


def accuracy(runs: Runs, name: str, model: str = "int8") -> str:
    """Writes the accuracy of a run, or a dash if it has not been run."""
    models = runs.get(name, {}).get("models", {})
    return percent(models[model]["accuracy"]) if model in models else "-"


def of_folds(runs: Runs, names: Sequence[str], model: str = "int8") -> str:
    """Writes the accuracy over several runs with confusions, with an interval over them."""
    tables = [np.array(runs[name]["models"][model]["confusion"]) for name in names if name in runs]
    if len(tables) < len(names) or not tables:
        return "-"
    right, total = (
        np.array([float(count(table)) for table in tables]) for count in (lambda t: t.trace(), np.sum)
    )
    found = intervals.over_groups(
        list(names), lambda weights: float((weights @ right) / max(weights @ total, 1e-9))
    )
    # Two speakers are too few for an interval.
    return percent(found) if len(names) > 2 else f"{100 * found['value']:.1f} %"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def pooled(runs: Runs, variant: str, task: Task) -> dict[str, dict[str, float]]:
    """Measures the test clips of all folds together, with intervals over their groups.

    Returns:
        The metrics of the task, and ``f1 LABEL`` of each exclusive label; nothing if folds are missing.
    """
    names = [f"{FOLD} {fold}/{variant}" for fold in range(5)]
    if any(name not in runs for name in names):
        return {}
    clips = [clip for name in names for clip in runs[name]["clips"]]
    groups = [group for group, _, _ in clips]
    truth = np.zeros((len(clips), len(task.labels)), bool)
    said = np.zeros(truth.shape)
    for number, (_, places, answer) in enumerate(clips):
        truth[number, places] = True
        if task.kind == "exclusive":
            said[number, answer] = 1.0
        else:
            said[number] = answer

    def measured(weights: metrics.Float64) -> dict[str, float]:
        overall, labels = (
            metrics.exclusive(truth, said, weights)
            if task.kind == "exclusive"
            else metrics.independent(truth, said, weights)
        )
        each = {
            f"{key} {label}": value
            for label, own in zip(task.labels, labels, strict=True)
            for key, value in own.items()
        }
        return overall | each

    return intervals.all_over_groups(groups, measured)


def confusion_of(runs: Runs, names: Sequence[str]) -> np.ndarray | None:
    """Adds up the confusions of some runs; None if one is missing."""
    if not names or any(name not in runs for name in names):
        return None
    return np.sum([runs[name]["models"]["int8"]["confusion"] for name in names], axis=0)


def draw_confusions(path: Path, shown: dict[str, np.ndarray | None], labels: Sequence[str]) -> None:
    """Draws confusions side by side, in percent of each label's clips."""
    from matplotlib.figure import Figure

    there = {title: counts for title, counts in shown.items() if counts is not None}
    figure = Figure(figsize=(5.2 * len(there) + 0.4, 5.2), layout="constrained")
    axes = figure.subplots(1, len(there), squeeze=False)[0]
    for axis, (title, counts) in zip(axes, there.items(), strict=True):
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axis.set_title(title)
        axis.set_xlabel("answer")
        axis.set_ylabel("label")
        axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
        axis.set_yticks(range(len(labels)), labels)
        for row, column in np.argwhere(shares >= 0.5):
            colour = "white" if shares[row, column] > 55 else "black"
            axis.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def device(runs: Runs, student: str) -> dict[str, Any]:
    """Returns what was measured of a student where it runs; nothing if it was not."""
    found: dict[str, Any] = runs.get(f"device/{student}", {})
    return found


def ser(runs: Runs) -> str:
    """Writes the report on speech emotion."""
    speakers = ("speaker OAF", "speaker YAF")
    emodb = sorted({name.split("/")[0] for name in runs if name.startswith("EmoDB")})

    def row(student: str, taught: str) -> list[str]:
        unseen = [f"{speaker}/{student}/{taught}" for speaker in speakers]
        return [
            student,
            taught,
            accuracy(runs, f"random/{student}/{taught}"),
            accuracy(runs, f"random/{student}/{taught}", "fp32"),
            *(accuracy(runs, name) for name in unseen),
            of_folds(runs, unseen),
        ]

    kinds = [TAUGHT[0], LABELS_ALONE, *TAUGHT[1:]]
    rows = [row(student, taught) for student in STUDENTS.values() for taught in kinds]
    rows.append(row("Wav2Tiny", "iterative"))
    rows = [each for each in rows if any(cell != "-" for cell in each[2:])]
    default = TAUGHT[0]
    teacher = [
        "Whisper-base, linear probe",
        "",
        accuracy(runs, f"random/Wav2Small/{default}", "teacher"),
        "",
        *(accuracy(runs, f"{speaker}/Wav2Small/{default}", "teacher") for speaker in speakers),
        of_folds(runs, [f"{speaker}/Wav2Small/{default}" for speaker in speakers], "teacher"),
    ]
    head = ["", "taught", "random split, INT8", "FP32", "on OAF, unheard", "on YAF, unheard", "both"]
    parts = [SER_TEXT.introduction, table(head, [teacher, *rows]), SER_TEXT.reading]
    if emodb:
        lines = [
            [student, of_folds(runs, [f"{speaker}/{student}/{default}" for speaker in emodb])]
            for student in STUDENTS.values()
        ]
        probe = of_folds(runs, [f"{speaker}/Wav2Small/{default}" for speaker in emodb], "teacher")
        lines = [["Whisper-base, linear probe", probe], *lines]
        parts.append(f"## EmoDB, one of {len(emodb)} speakers unheard at a time\n")
        parts.append(table(["", "accuracy, interval over speakers"], lines))
    picture = "![Confusions of Wav2Small](../pictures/siblings-ser.png)"
    return "\n\n".join([*parts, picture, SER_TEXT.differences, costs(runs, list(STUDENTS.values()))]) + "\n"


def costs(runs: Runs, students: Sequence[str]) -> str:
    """Writes what students cost where they run."""
    rows = []
    for student in students:
        found = device(runs, student)
        if found:
            rows.append(
                [
                    student,
                    f"{found['parameters']:,}",
                    f"{found['int8_bytes']:,}",
                    f"{found['milliseconds']:.2f}",
                    f"{found['arena_kilobytes']:,}",
                    f"{found['same_answers']} of {found['clips']}",
                ]
            )
    head = [
        "",
        "parameters",
        "INT8 bytes",
        "ms a window, one core",
        "TFLite-Micro arena, KB",
        "same answer on TFLite-Micro",
    ]
    return f"## What it costs\n\n{table(head, rows)}" if rows else "## What it costs\n\nNot measured yet."


def kws(runs: Runs) -> str:
    """Writes the report on key words."""
    titles = {"DS-CNN/taught": "taught by Whisper-base", f"DS-CNN/{LABELS_ALONE}": "labels alone"}
    found = {variant: pooled(runs, variant, KWS.task) for variant in titles}
    rows = [
        [titles[variant], percent(own["accuracy"]), percent(own["macro_f1"])]
        for variant, own in found.items()
        if own
    ]
    if not rows:
        return ""
    taught = found["DS-CNN/taught"]
    each = [[label, percent(taught[f"f1 {label}"])] for label in KWS.task.labels] if taught else []
    names = [f"{FOLD} {fold}/DS-CNN/taught" for fold in range(5)]
    teacher = ["Whisper-base, linear probe", of_folds(runs, names, "teacher"), ""]
    return (
        "\n\n".join(
            [
                KWS_TEXT.introduction,
                table(["", "accuracy", "macro F1"], [teacher, *rows]),
                KWS_TEXT.reading,
                table(["label", "F1, taught"], each),
                "![Confusion](../pictures/siblings-kws.png)",
                KWS_TEXT.differences,
                costs(runs, ["DS-CNN"]),
            ]
        )
        + "\n"
    )


def aed_variants() -> dict[str, str]:
    """Names the variants of recipe aed as results call them, and as people do."""
    taught = {
        f"LSTM/taught, {bits or 32} bits": f"taught, {bits} bits a weight" if bits else "taught"
        for bits in AED_BITS
    }
    return {f"LSTM/{LABELS_ALONE}": "labels alone", **taught}


def aed(runs: Runs) -> str:
    """Writes the report on acoustic events."""
    rows, each = [], []
    for variant, title in aed_variants().items():
        found = pooled(runs, variant, AED.task)
        if not found:
            continue
        size = runs[f"{FOLD} 0/{variant}"]["size"]
        full = 4 * size["parameters"]["total"]
        packed = size.get("packed_bytes", full)
        error = {
            "value": 1 - found["macro_average_precision"]["value"],
            "low": 1 - found["macro_average_precision"]["high"],
            "high": 1 - found["macro_average_precision"]["low"],
        }
        rows.append(
            [title, percent(error), percent(found["macro_auc"]), f"{packed:,}", f"{packed / full:.0%}"]
        )
        each.append([title, *(percent(found[f"average_precision {label}"]) for label in AED.task.labels)])
    if not rows:
        return ""
    head = ["", "error: 1 - macro AP", "macro AUC", "bytes, packed", "of the student in 32 bits"]
    return (
        "\n\n".join(
            [
                AED_TEXT.introduction,
                table(head, rows),
                AED_TEXT.reading,
                table(["average precision", *AED.task.labels], each),
                AED_TEXT.differences,
                costs(runs, ["LSTM"]),
            ]
        )
        + "\n"
    )


def dogs(runs: Runs) -> str:
    """Writes the report on dogs."""
    rows = []
    for name in ("as recorded", "cleaned"):
        run = runs.get(f"{name}/MelCNN/taught")
        if run:
            models = run["models"]
            rows.append(
                [
                    name,
                    percent(models["int8"]["accuracy"]),
                    percent(models["fp32"]["accuracy"]),
                    percent(models["int8"]["macro_f1"]),
                    percent(run["by_name"]["accuracy"]),
                ]
            )
    if not rows:
        return ""
    head = ["learnt from clips", "agrees with the teacher, INT8", "FP32", "macro F1", "agrees with people"]
    return (
        "\n\n".join(
            [
                DOGS_TEXT.introduction,
                table(head, rows),
                DOGS_TEXT.reading,
                DOGS_TEXT.differences,
                costs(runs, ["MelCNN"]),
            ]
        )
        + "\n"
    )


REPORTS: dict[str, Callable[[Runs], str]] = {"ser": ser, "kws": kws, "aed": aed, "dogs": dogs}


def summary() -> str:
    """Writes the table of README.md."""
    measured = json.loads((ROOT / "hub" / METRICS).read_text(encoding="utf-8"))["models"]["int8"]["all"]
    auc = {key: f"{measured['auc'][key]:.3f}" for key in ("value", "low", "high")}
    cost = device(results("cry"), "cry")
    rows = [
        [
            "`cry`, `context`",
            CRY_SOURCE.what,
            CRY_SOURCE.figure,
            f"AUC {auc['value']} ({auc['low']}-{auc['high']})",
            CRY_SOURCE.split,
            *_cost(cost),
        ]
    ]
    for source in SOURCES:
        runs = results(source.recipe.removesuffix("-tiny"))
        ours = ""
        if source.run in runs:
            ours = accuracy(runs, source.run)
        elif source.task is not None and (found := pooled(runs, source.run, source.task)):
            ours = percent(found[source.metric])
        if not ours:
            continue
        rows.append(
            [
                f"[`{source.recipe}`](docs/siblings/{source.recipe.removesuffix('-tiny')}.md)",
                source.what,
                source.figure,
                ours,
                source.split,
                *_cost(device(runs, source.student)),
            ]
        )
    head = ["recipe", "what", "its source", "here, INT8", "split", "parameters", "bytes", "ms a window"]
    return table(head, rows)


def _cost(found: dict[str, Any]) -> list[str]:
    if not found:
        return ["", "", ""]
    return [f"{found['parameters']:,}", f"{found['int8_bytes']:,}", f"{found['milliseconds']:.2f}"]


def draw(runs_of: dict[str, Runs]) -> None:
    """Draws the pictures of the reports."""
    default = f"Wav2Small/{TAUGHT[0]}"
    runs = runs_of["ser"]
    if f"random/{default}" in runs:
        draw_confusions(
            PICTURES / "siblings-ser.png",
            {
                "random split": confusion_of(runs, [f"random/{default}"]),
                "speakers unheard": confusion_of(
                    runs, [f"speaker {name}/{default}" for name in ("OAF", "YAF")]
                ),
            },
            runs[f"random/{default}"]["labels"],
        )
    names = [f"{FOLD} {fold}/DS-CNN/taught" for fold in range(5)]
    if (counts := confusion_of(runs_of["kws"], names)) is not None:
        draw_confusions(PICTURES / "siblings-kws.png", {"five folds": counts}, KWS.task.labels)


def main() -> None:
    """Writes reports, pictures and table."""
    runs_of = {name: results(name) for name in REPORTS}
    for name, report in REPORTS.items():
        if text := report(runs_of[name]) if runs_of[name] else "":
            write_whole(DOCS / f"{name}.md", text)
    draw(runs_of)
    write_whole(TABLE, summary() + "\n")


if __name__ == "__main__":
    main()

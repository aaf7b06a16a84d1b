"""Writes docs/siblings/NAME.md, their pictures and the table of README.md from docs/siblings/NAME.json.

    python benchmarks/siblings_report.py
    python tools/update_documents.py

All figures in the reports are generated, except those of the sources. A test compares them with the results.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from siblings_figures import (
    DOCS,
    ROOT,
    Runs,
    accuracy,
    aed_variants,
    confusion_of,
    device,
    draw_confusions,
    draw_sizes,
    error_ratio,
    of_folds,
    packed_bytes,
    percent,
    pooled,
    results,
)
from siblings_runs import FOLD, LABELS_ALONE, STUDENTS, TAUGHT
from siblings_text import AED_TEXT, CRY_SOURCE, DOGS_TEXT, KWS_TEXT, SER_TEXT, SOURCES

from yamnet_cry.distill.recipes import AED, KWS
from yamnet_cry.files import write_whole
from yamnet_cry.model.folder import METRICS

PICTURES = ROOT / "docs" / "pictures"
TABLE = DOCS / "table.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ser(runs: Runs) -> str:
    """Returns the report on speech emotion."""
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
    head = ["", "training", "random split, INT8", "FP32", "unseen OAF", "unseen YAF", "both"]
    parts = [SER_TEXT.introduction, table(head, [teacher, *rows]), SER_TEXT.reading]
    if emodb:
        lines = [
            [student, of_folds(runs, [f"{speaker}/{student}/{default}" for speaker in emodb])]
            for student in STUDENTS.values()
        ]
        probe = of_folds(runs, [f"{speaker}/Wav2Small/{default}" for speaker in emodb], "teacher")
        lines = [["Whisper-base, linear probe", probe], *lines]
        parts.append(f"## EmoDB, leave-one-speaker-out over {len(emodb)} speakers\n")
        parts.append(table(["", "accuracy, interval over speakers"], lines))
    picture = "![Confusions of Wav2Small](../pictures/siblings-ser.png)"
    return "\n\n".join([*parts, picture, SER_TEXT.differences, costs(runs, list(STUDENTS.values()))]) + "\n"


def costs(runs: Runs, students: Sequence[str]) -> str:
    """Returns the section on the cost of inference."""
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
        "ms per window, one core",
        "TFLite-Micro arena, KB",
        "same prediction on TFLite-Micro",
    ]
    return f"## Cost\n\n{table(head, rows)}" if rows else "## Cost\n\nNot measured yet."


def kws(runs: Runs) -> str:
    """Returns the report on keyword spotting."""
    titles = {"DS-CNN/taught": "distilled from Whisper-base", f"DS-CNN/{LABELS_ALONE}": "labels only"}
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
                table(["label", "F1, distilled"], each),
                "![Confusion](../pictures/siblings-kws.png)",
                KWS_TEXT.differences,
                costs(runs, ["DS-CNN"]),
            ]
        )
        + "\n"
    )


def aed(runs: Runs) -> str:
    """Returns the report on acoustic events."""
    rows, each = [], []
    for variant, title in aed_variants().items():
        found = pooled(runs, variant, AED.task)
        if not found:
            continue
        packed, full = packed_bytes(runs, variant)
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
    head = ["", "error: 1 - macro AP", "macro AUC", "bytes, packed", "relative to 32 bits"]
    return (
        "\n\n".join(
            [
                AED_TEXT.introduction,
                table(head, rows),
                AED_TEXT.reading,
                *_ratios(runs),
                "![Error against size](../pictures/siblings-aed.png)",
                table(["average precision", *AED.task.labels], each),
                AED_TEXT.differences,
                costs(runs, ["LSTM"]),
            ]
        )
        + "\n"
    )


def _ratios(runs: Runs) -> list[str]:
    """Returns the table of relative errors, the result that the source reports."""
    labels, full, *_ = aed_variants()
    pairs = [(full, labels, "distilled, relative to labels only")]
    pairs += [
        (variant, full, f"{title}, relative to distilled")
        for variant, title in aed_variants().items()
        if variant not in (labels, full)
    ]
    found = [(title, error_ratio(runs, one, other, AED.task)) for one, other, title in pairs]
    rows = [[title, percent(ratio)] for title, ratio in found if ratio]
    return [table(["error of", "ratio, on the same clips"], rows)] if rows else []


def dogs(runs: Runs) -> str:
    """Returns the report on dogs."""
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
    head = ["training clips", "agreement with the teacher, INT8", "FP32", "macro F1", "with human labels"]
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
    """Returns the table of README.md."""
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
    head = ["recipe", "task", "source", "here, INT8", "split", "parameters", "bytes", "ms per window"]
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
                "unseen speakers": confusion_of(
                    runs, [f"speaker {name}/{default}" for name in ("OAF", "YAF")]
                ),
            },
            runs[f"random/{default}"]["labels"],
        )
    names = [f"{FOLD} {fold}/DS-CNN/taught" for fold in range(5)]
    if (counts := confusion_of(runs_of["kws"], names)) is not None:
        draw_confusions(PICTURES / "siblings-kws.png", {"five folds": counts}, KWS.task.labels)
    if pooled(runs_of["aed"], f"LSTM/{LABELS_ALONE}", AED.task):
        draw_sizes(PICTURES / "siblings-aed.png", runs_of["aed"])


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

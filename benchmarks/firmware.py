"""Measures the cost of the firmware kit, and writes firmware.md beside this file.

    python benchmarks/firmware.py [--audio CORPUS]

Instructions are counted by valgrind (callgrind), because counts are reproducible and times are not; sizes and
stacks are those of Debian's gcc-arm-none-eabi. Both must be installed.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import firmware_chain

from yamnet_cry import CryDetector, export
from yamnet_cry.firmware import kit as kit_module
from yamnet_cry.firmware import network
from yamnet_cry.firmware.readme import STATE_BYTES
from yamnet_cry.model.card import markdown_table

NAMES = {"float": "floating point", "fixed point": "fixed point"}
TARGETS = {
    "Cortex-M4, floating point": ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    "Cortex-M4, fixed point": ("-mcpu=cortex-m4", "-DYAMNET_CRY_FIXED_POINT"),
    "Cortex-M0+, fixed point": ("-mcpu=cortex-m0plus", "-DYAMNET_CRY_FIXED_POINT"),
}

AFTER = ("score", "log_odds", "context_push", "probability", "events_push")

# Number of windows processed; counts are averages over these.
WINDOWS = 20
DRIVER = """
#include <stdio.h>
#include "yamnet_cry.h"
#include "yamnet_cry_golden.h"
#ifdef GOLDEN_CONTEXT
#include "yamnet_cry_context.h"
static yamnet_cry_context context;
#endif
int main(void) {
    static yamnet_cry_frontend frontend;
    static yamnet_cry_events events;
    yamnet_cry_event event;
    unsigned hop, windows = 0;
    yamnet_cry_frontend_reset(&frontend);
    yamnet_cry_events_reset(&events, 0.5);
    for (hop = 0; windows < %d; hop++) {
        const int16_t *samples = golden_samples + hop %% GOLDEN_HOPS * YAMNET_CRY_HOP;
        if (yamnet_cry_frontend_push(&frontend, samples) == NULL) continue;
#ifdef GOLDEN_CONTEXT
        const int8_t *embedding = golden_embeddings + windows %% GOLDEN_CONTEXT * YAMNET_CRY_EMBEDDING;
        const double probability = yamnet_cry_probability(yamnet_cry_context_push(&context, embedding));
#else
        const int8_t *logits = golden_logits + windows %% GOLDEN_PATCHES * YAMNET_CRY_CLASSES;
        const double probability = yamnet_cry_probability(yamnet_cry_log_odds(yamnet_cry_score(logits)));
#endif
        if (yamnet_cry_events_push(&events, probability, &event)) puts("event");
        windows++;
    }
    return 0;
}
"""


def run(*command: object, cwd: Path | None = None) -> str:
    """Runs a program and returns its output."""
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, cwd=cwd, check=True, capture_output=True, text=True).stdout


def instructions(kit: Path, flags: tuple[str, ...], folder: Path) -> dict[str, int]:
    """Counts instructions on this machine by function, including its callees."""
    driver = folder / "driver.c"
    driver.write_text(DRIVER % WINDOWS)
    program, counts = folder / "driver", folder / "callgrind.out"
    sources = kit_module.c_sources(kit)
    always = ("-std=c99", "-O2", "-g", f"-I{kit / kit_module.SOURCES}")
    run("gcc", *always, *flags, driver, *sources, "-o", program, "-lm")
    run("valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", program)
    listing = run("callgrind_annotate", "--inclusive=yes", "--threshold=100", counts)
    found = re.findall(r"^\s*([\d,]+) \(.*?\).*?:(\w+)(?: \[|$)", listing, re.MULTILINE)
    return {name: int(count.replace(",", "")) for count, name in reversed(found)}


def sizes(kit: Path, flags: tuple[str, ...], folder: Path) -> tuple[int, int]:
    """Returns the bytes of code and tables in flash, and the maximum stack of a hop."""
    flash, stack = 0, 0
    always = ("-std=c99", "-Os", "-mthumb", "-fstack-usage")
    for source in kit_module.c_sources(kit):
        out = folder / f"{source.name}.o"
        run("arm-none-eabi-gcc", *always, *flags, "-c", source, "-o", out)
        flash += int(run("arm-none-eabi-size", out).splitlines()[1].split()[0])
        usage = out.with_suffix(".su").read_text()
        if "frontend" in source.name:
            stack = sum(int(line.split("\t")[1]) for line in usage.splitlines() if "reset" not in line)
    return flash, stack


def chain_rows(detector: CryDetector, kit: Path, folder: Path, audio: str) -> list[str]:
    """Compares the whole chain with the Python detector on real recordings."""
    waves, is_cry = firmware_chain.recordings(audio)
    heard = firmware_chain.heard(detector, waves)
    rows = []
    for build, name in NAMES.items():
        library = firmware_chain.Firmware.compiled(kit, build, folder)
        result = firmware_chain.compare(library, detector, heard, is_cry)
        rows.append(
            [
                name,
                f"{result.share:.3%}, by {result.largest_step}",
                f"{result.auc[0]:.4f} ({result.auc[1]:.4f})",
                str(len(result.others)),
                str(result.unlike_detector),
            ]
        )
    header = [
        "build",
        "different inputs, by steps",
        "AUC (Python)",
        "different events, same network",
        "different events, detector",
    ]
    return [
        "## The whole chain",
        "",
        f"C front end, TFLite-Micro and C events on {len(waves)} test recordings, compared with Python: the "
        "share of the network's inputs that differ; the AUC; the number of recordings in which an event "
        "starts or ends at another time than with the same network and the Python front end, and than with "
        "the Python detector. The detector runs on XNNPACK, which rounds differently between layers.",
        "",
        markdown_table(header, rows),
        "",
    ]


def main() -> None:
    """Measures, and writes the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--audio", help="corpus; the chain is compared with Python on its test split")
    arguments = parser.parse_args()
    detector = CryDetector.from_pretrained()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kit = folder / "kit"
        export.write(detector, "firmware", kit)
        printed = kit_module.self_test(kit) or ""
        counted = {build: instructions(kit, flags, folder) for build, flags in kit_module.BUILDS.items()}
        chains = [] if arguments.audio is None else chain_rows(detector, kit, folder, arguments.audio)
        measured = {target: sizes(kit, flags, folder) for target, flags in TARGETS.items()}
    arena = network.arena_kilobytes(detector.model)
    hops = 48 + (98 - 48) / WINDOWS
    rows = []
    for build, counts in counted.items():
        window = counts["yamnet_cry_frontend_push"] / WINDOWS
        after = sum(counts.get(f"yamnet_cry_{part}", 0) for part in AFTER) / WINDOWS
        rows.append([NAMES[build], f"{window / hops:,.0f}", f"{window * 48 / hops:,.0f}", f"{after:,.0f}"])
    lines = [
        "# Firmware",
        "",
        "Generated by `python benchmarks/firmware.py --audio CORPUS`, for the released model.",
        "",
        "## Instructions",
        "",
        f"Counted by callgrind on x86-64 (gcc -O2), over {WINDOWS} windows:",
        "",
        markdown_table(
            ["build", "front end, a hop of 10 ms", "front end, a window", "after the network"], rows
        ),
        "",
        "## Memory",
        "",
        "gcc -Os for 32-bit ARM; code and tables of front end and events, without libm:",
        "",
        markdown_table(
            ["target", "flash, bytes", "stack of a hop, bytes"],
            [[target, f"{flash:,}", f"{stack:,}"] for target, (flash, stack) in measured.items()],
        ),
        "",
        f"Model: {len(detector.model):,} bytes of flash. Tensor arena, the smallest with which TFLite-Micro "
        f"runs the model: {arena} KB. Front-end state, including the network's patch: {STATE_BYTES:,} bytes.",
        "",
        *chains,
        "## Self-test",
        "",
        "```",
        printed,
        "```",
        "",
    ]
    text = "\n".join(lines)
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

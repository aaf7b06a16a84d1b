"""Runs `calibrate` on rooms made of a corpus's training and validation clips, and prints a table.

    python benchmarks/rooms.py CORPUS

Test clips are not used. The clips of a room are joined in a fixed random order.
"""

import sys
from pathlib import Path

import numpy as np

from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import corpus, sources
from yamnet_cry.false_alarms import AmbientReport, CalibrationError
from yamnet_cry.frontend import YAMNET, Float32

#: Source in the corpus's manifest for each room; crying clips and the test split are excluded.
ROOMS = {
    "clean ambient": "ambient",
    "misc": "misc_small",
    "ESC-50 without crying": "esc50_subset",
    "uploads rejected as no cries": "donateacry",
}


def room(clips: list[corpus.Clip], source: str) -> Float32:
    """Returns the sound of a room, float32 of shape (samples,)."""
    own = [c for c in clips if c.source == source and c.split != "test" and corpus.NOT_CRY in c.labels]
    order = np.random.default_rng(0).permutation(len(own))
    return np.concatenate([own[index].read() for index in order])


def fitted(sound: Float32) -> tuple[AmbientReport, bool]:
    """Returns the report on a room, and whether calibration was refused."""
    detector = CryDetector.from_pretrained()
    try:
        return detector.calibrate((sound, YAMNET.sample_rate)), False
    except CalibrationError as error:
        return error.report, True


def main(source: Path) -> None:
    """Prints the table."""
    clips = sources.load(str(source))
    print(
        "| room | minutes | alarms per hour at 0.5 | threshold | recall | refused "
        "| highest level | most like crying |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, own in ROOMS.items():
        report, refused = fitted(room(clips, own))
        heard = f"{report.stretches[0].level:.2f} | {report.stretches[0]}" if report.stretches else " | "
        print(
            f"| {name} | {report.hours * 60:.1f} | {report.before:.2g} | {report.threshold:.3f} "
            f"| {report.recall:.0%} | {'yes' if refused else 'no'} | {heard} |"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

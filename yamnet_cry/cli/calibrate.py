"""yamnet-cry calibrate."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yamnet_cry.cli.options import MODEL, REVISION
from yamnet_cry.cli.status import Progress, StatusLine
from yamnet_cry.errors import ModelError

if TYPE_CHECKING:
    from yamnet_cry.false_alarms import AmbientReport


@click.command()
@click.argument("ambient", metavar="AMBIENT")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to create.")
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="Acceptable number of false alarms per hour.",
)
@click.option(
    "--min-recall",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="Minimum share of crying clips that must still raise an event; 0 disables the check.",
)
@MODEL
@REVISION
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def calibrate(
    ambient: str,
    out: Path,
    false_alarms: float,
    min_recall: float,
    model: str | None,
    revision: str | None,
    as_json: bool,
) -> None:
    """Choose the detection threshold for a room from its background noise.

    AMBIENT is a recording of the room without crying, ideally ten minutes or longer. The threshold is
    raised until the expected rate of false alarms is at most --false-alarms; it is never lowered. If recall
    would fall below --min-recall, nothing is saved, the parts of the recording that sound most like crying
    are listed, and the exit code is 2. Use the result with `yamnet-cry detect --model OUT`.
    """
    from yamnet_cry.audio.files import seconds_of
    from yamnet_cry.detector import CryDetector
    from yamnet_cry.false_alarms import CalibrationError

    if out.exists():
        raise ModelError(f"{out} already exists; choose another folder")
    detector = CryDetector.from_pretrained(model, revision=revision)
    status = StatusLine()
    try:
        report = detector.calibrate(
            ambient,
            false_alarms_per_hour=false_alarms,
            min_recall=min_recall,
            progress=Progress(status, seconds_of(Path(ambient))).tell,
        )
    except CalibrationError as error:
        if as_json:
            click.echo(json.dumps({**asdict(error.report), "refused": str(error)}))
        raise
    finally:
        status.clear()
    detector.save_pretrained(out)
    click.echo(
        json.dumps({**asdict(report), "refused": None})
        if as_json
        else "\n".join([f"{out}: {_summary(report)}", *_details(report, false_alarms)])
    )


def _summary(report: "AmbientReport") -> str:
    from yamnet_cry.false_alarms import rate_text

    return (
        f"threshold {report.threshold:.3f}, {rate_text(report.false_alarms_per_hour)} false alarms per hour "
        f"expected ({rate_text(report.before)} before), from {report.hours * 60:.1f} minutes"
    )


def _details(report: "AmbientReport", false_alarms: float) -> list[str]:
    from yamnet_cry.false_alarms import rate_text
    from yamnet_cry.results import duration

    lines = [f"  {report.cost()}"]
    if report.stretches:
        lines.append("  most similar to crying (check that no baby cries there):")
        lines += [f"    {stretch}" for stretch in report.stretches]
    if report.hours < report.hours_to_confirm:
        lines.append(
            f"  the rate is an estimate; to confirm {rate_text(false_alarms)} per hour, record "
            f"{duration(report.hours_to_confirm * 3600)} of the room"
        )
    return lines

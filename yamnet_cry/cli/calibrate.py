"""yamnet-cry calibrate."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from yamnet_cry.cli.options import MODEL, REVISION


@click.command()
@click.argument("ambient", metavar="AMBIENT")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to make.")
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="Acceptable false alarms per hour.",
)
@MODEL
@REVISION
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def calibrate(
    ambient: str, out: Path, false_alarms: float, model: str | None, revision: str | None, as_json: bool
) -> None:
    """Fit the detector to a noisy room, from its sound without crying.

    AMBIENT is a recording of the room as it is when nobody cries, best of ten minutes or more. The
    threshold is raised until the room alone is expected to raise few enough false alarms, and is never
    lowered. Use the result with `yamnet-cry detect --model OUT`.
    """
    from yamnet_cry.detector import CryDetector

    detector = CryDetector.from_pretrained(model, revision=revision)
    report = detector.calibrate(ambient, false_alarms_per_hour=false_alarms)
    detector.save_pretrained(out)
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        click.echo(
            f"{out}: threshold {report.threshold:.3f}, {report.false_alarms_per_hour:.2g} false alarms an "
            f"hour expected ({report.before:.2g} before), from {report.hours * 60:.1f} minutes"
        )

"""yamnet-cry detect."""

import json
import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import click

from yamnet_cry.cli.interruption import Stopped, StopSignals
from yamnet_cry.cli.options import CLUSTER, MODEL, PRIOR, REVISION, THRESHOLD
from yamnet_cry.cli.outputs import OVERWRITE, check_outputs
from yamnet_cry.cli.status import Progress, StatusLine
from yamnet_cry.errors import RunError

Command = TypeVar("Command", bound=Callable[..., Any])

_PER_RECORDING = "PATH is a file for one recording, a folder for several."


def _output(name: str, what: str) -> Callable[[Command], Command]:
    return click.option(
        name, type=click.Path(path_type=Path), metavar="PATH", help=f"{what} {_PER_RECORDING}"
    )


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@MODEL
@REVISION
@THRESHOLD
@PRIOR
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line and recording.")
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write all events to FILE as a CSV table.",
)
@_output("--labels", "Write events as Audacity label tracks.")
@_output("--vtt", "Write events as WebVTT subtitles.")
@_output("--plot", "Plot spectrogram, probability and events as .png, .jpg, .svg or .pdf (in folders: .png).")
@click.option("--explain", is_flag=True, help="Also print the AudioSet classes detected in each event.")
@click.option("--skip-done", is_flag=True, help="Skip rows and files that exist already.")
@OVERWRITE
@click.option("--strict", is_flag=True, help="Treat truncated recordings as errors.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes. Default: 1 for small inputs, otherwise one per CPU core.",
)
@CLUSTER
@click.option(
    "--out",
    metavar="DIR|URL",
    help="With --cluster: folder or URL for the events, as Parquet. Unreadable files are listed in errors/.",
)
@click.option(
    "--exit-code", is_flag=True, help="Exit with 0 if any recording contains crying, with 1 if none does."
)
def detect(
    paths: tuple[str, ...],
    model: str | None,
    revision: str | None,
    threshold: float | None,
    prior: float | None,
    as_json: bool,
    table: Path | None,
    labels: Path | None,
    vtt: Path | None,
    plot: Path | None,
    explain: bool,
    skip_done: bool,
    overwrite: bool,
    strict: bool,
    workers: int | None,
    cluster: str | None,
    out: str | None,
    exit_code: bool,
) -> None:
    """Detect crying in recordings.

    PATH is a recording of any length, a folder of recordings, or - for standard input. Prints one line per
    recording: name, verdict, start and end of each event, and probability. Files that cannot be read are
    reported on stderr, the others are still processed, and the exit code is 2. Truncated files are scored
    up to where they end, with a warning. Existing output files are replaced only with --overwrite;
    recordings are never replaced. Ctrl-C keeps finished results.

    With --cluster and --out, PATH may also be a pattern with * or a URL such as s3://bucket/clips/**, and
    only a summary is printed. To continue an interrupted run, run the same command again.
    """
    if cluster is not None or out is not None:
        from yamnet_cry.cli import detect_cluster

        local = {
            "--json": as_json,
            "--csv": table,
            "--labels": labels,
            "--vtt": vtt,
            "--plot": plot,
            "--workers": workers,
            "--skip-done": skip_done,
            "--overwrite": overwrite,
        }
        detect_cluster.check(cluster, out, [name for name, value in local.items() if value])
        load = partial(_load, model, revision, threshold, prior)
        found = detect_cluster.run(str(cluster), paths, load, str(out), explain=explain, strict=strict)
        if exit_code:
            raise SystemExit(0 if found else 1)
        return
    from yamnet_cry.audio.files import copy_pipe, find, need_ffmpeg
    from yamnet_cry.jobs import PICTURE_SUFFIXES, Job, Outputs
    from yamnet_cry.report.table import Table
    from yamnet_cry.work import Work

    if skip_done and overwrite:
        raise click.UsageError("--skip-done and --overwrite exclude each other; choose one.")
    if skip_done and not any((table, labels, vtt, plot)):
        raise click.UsageError("--skip-done needs an output to check: --csv, --labels, --vtt or --plot.")
    recordings, left_out = find(paths)
    outputs = Outputs(_is_folder(recordings, paths, (labels, vtt, plot)), labels, vtt, plot)
    if plot is not None:
        _require_matplotlib()
        _check_format(plot, outputs.folder, PICTURE_SUFFIXES)
    common = _common(recordings) if outputs.wanted else Path()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        jobs = [
            Job(path, copy_pipe(path, folder), outputs.of(path, common), explain, strict)
            for path in recordings
        ]
        named = [(f"--{kind}", path) for job in jobs for kind, path in job.files.items()]
        if table is not None:
            check_outputs([*named, ("--csv", table)], recordings, existing=True)
        check_outputs(named, recordings, existing=skip_done or overwrite)
        rows = None
        if table is not None:
            rows = stack.enter_context(Table(table, resume=skip_done, overwrite=overwrite))
        if left_out:
            click.echo(f"Left out: {need_ffmpeg(left_out)}", err=True)
        if skip_done:
            known = len(jobs)
            jobs = [replace(job, files=job.missing()) for job in jobs]
            jobs = [job for job in jobs if job.files or (rows and os.fspath(job.recording) not in rows.done)]
            if known > len(jobs):
                click.echo(f"{known - len(jobs):,} of {known:,} recordings are already done", err=True)
        work = Work(jobs, partial(_load, model, revision, threshold, prior), workers)
        found, failed, done = False, False, 0
        status = StatusLine()
        outcomes = stack.enter_context(closing(work.run(Progress(status, work.total).tell)))
        try:
            with StopSignals() as signals, signals.while_waiting():
                for outcome in outcomes:
                    done += 1
                    status.clear()
                    if outcome.result is None:
                        click.echo(f"Error: {outcome.error}", err=True)
                        failed = True
                        continue
                    if outcome.result.truncated:
                        _warn(outcome)
                    name = os.fspath(outcome.recording)
                    if rows is not None and name not in rows.done:
                        rows.add(name, outcome.result, outcome.heard)
                    found |= outcome.result.is_cry
                    click.echo(json.dumps(outcome.to_dict()) if as_json else _line(outcome, explain))
        except Stopped:
            status.clear()
            again = "; to continue, repeat the command with --skip-done" if rows or outputs.wanted else ""
            raise RunError(f"stopped after {done:,} of {len(jobs):,} recordings{again}") from None
    if failed:
        raise SystemExit(2)
    if exit_code:
        raise SystemExit(0 if found else 1)


def _load(model: str | None, revision: str | None, threshold: float | None, prior: float | None) -> Any:
    from yamnet_cry.detector import CryDetector

    detector = CryDetector.from_pretrained(model, revision=revision)
    detector.set(threshold=threshold, prior=prior)
    return detector


def _is_folder(recordings: list[Path], paths: tuple[str, ...], wanted: tuple[Path | None, ...]) -> bool:
    """Returns whether outputs are folders: for anything but a single recording."""
    folder = len(recordings) > 1 or Path(paths[0]).is_dir()
    for path in filter(None, wanted):
        if folder and path.is_file():
            raise RunError(f"{path} is a file; choose a folder for the outputs of several recordings")
        if not folder and path.is_dir():
            return True
    return folder


def _common(recordings: list[Path]) -> Path:
    try:
        return Path(os.path.commonpath([os.path.abspath(path.parent) for path in recordings]))
    except ValueError:
        raise RunError(
            "outputs of recordings on several drives cannot share a folder; process one drive at a time"
        ) from None


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RunError('--plot needs matplotlib: pip install "yamnet-cry[plot]"') from None


def _check_format(plot: Path, folder: bool, formats: dict[str, str]) -> None:
    if not folder and plot.suffix.lower() not in formats:
        raise RunError(f"--plot: expected {', '.join(filter(None, formats))}. Received: {plot}")


def _warn(outcome: Any) -> None:
    from yamnet_cry.frontend import YAMNET
    from yamnet_cry.results import duration

    scored = duration(len(outcome.result.scores) * YAMNET.patch_hop_seconds)
    click.echo(f"Warning: {outcome.recording} is truncated; only the first {scored} were scored", err=True)


def _line(outcome: Any, explain: bool) -> str:
    from yamnet_cry.results import clock

    line = f"{outcome.recording}: {outcome.result}"
    if not explain:
        return line
    events = zip(outcome.result.events, outcome.heard, strict=True)
    return "\n".join(
        [line, *(f"  {clock(event.start)} to {clock(event.end)}: {heard}" for event, heard in events)]
    )

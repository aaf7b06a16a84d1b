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

_PER_RECORDING = "A file for one recording, a folder for several."


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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each recording.")
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a table of all events.",
)
@_output("--labels", "Write the events as a label track for Audacity.")
@_output("--vtt", "Write the events as WebVTT subtitles.")
@_output("--plot", "Draw spectrogram, probability and events, as .png, .jpg, .svg or .pdf (folders: .png).")
@click.option("--explain", is_flag=True, help="Name the sounds that were heard in each event.")
@click.option("--skip-done", is_flag=True, help="Leave out what is there already, of rows and files.")
@OVERWRITE
@click.option("--strict", is_flag=True, help="Refuse recordings that are cut short, as by a power cut.")
@click.option("--workers", type=click.IntRange(1), help="Processes to use; chosen by the work by default.")
@CLUSTER
@click.option(
    "--out",
    metavar="DIR|URL",
    help="With --cluster: folder for Parquet files of all events, and of what could not be read, in errors/.",
)
@click.option(
    "--exit-code", is_flag=True, help="Exit with 0 if crying was found in any recording, with 1 if in none."
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
    """Say of each recording whether a baby cries in it, and when.

    PATH is a recording of any length, a folder of them, or - for a recording on standard input. Prints
    a line for each: name, verdict, when crying was heard, and how probable it is. What cannot be read
    is reported on stderr, and the exit code is then 2; the others are still done. What is cut short is
    scored as far as it goes, with a warning. Files that are there already are replaced with --overwrite
    only, and recordings never. Ctrl-C keeps finished results.

    With --cluster and --out, PATH may also be a pattern with * or a URL such as s3://bucket/clips/**, and
    only a summary is printed. The same command goes on where it was stopped.
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
        raise click.UsageError("--skip-done keeps what --overwrite replaces; name one of them.")
    if skip_done and not any((table, labels, vtt, plot)):
        raise click.UsageError("--skip-done needs --csv, --labels, --vtt or --plot to see what is done.")
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
                click.echo(f"{known - len(jobs):,} of {known:,} recordings are done already", err=True)
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
            again = "; the same command with --skip-done goes on from here" if rows or outputs.wanted else ""
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
    """One file named by itself has files for output, anything else has folders."""
    folder = len(recordings) > 1 or Path(paths[0]).is_dir()
    for path in filter(None, wanted):
        if folder and path.is_file():
            raise RunError(f"{path} is a file; for several recordings name a folder")
        if not folder and path.is_dir():
            return True
    return folder


def _common(recordings: list[Path]) -> Path:
    try:
        return Path(os.path.commonpath([os.path.abspath(path.parent) for path in recordings]))
    except ValueError:
        raise RunError(
            "recordings on several drives have no folder in common; write files for one drive at a time"
        ) from None


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RunError('--plot needs matplotlib: pip install "yamnet-cry[plot]"') from None


def _check_format(plot: Path, folder: bool, formats: dict[str, str]) -> None:
    if not folder and plot.suffix.lower() not in formats:
        raise RunError(f"--plot writes {', '.join(filter(None, formats))}. Received: {plot}")


def _warn(outcome: Any) -> None:
    from yamnet_cry.frontend import YAMNET
    from yamnet_cry.results import duration

    scored = duration(len(outcome.result.scores) * YAMNET.patch_hop_seconds)
    click.echo(f"Warning: {outcome.recording} is cut short; scored as far as it goes, {scored}", err=True)


def _line(outcome: Any, explain: bool) -> str:
    from yamnet_cry.results import clock

    line = f"{outcome.recording}: {outcome.result}"
    if not explain:
        return line
    events = zip(outcome.result.events, outcome.heard, strict=True)
    return "\n".join(
        [line, *(f"  {clock(event.start)} to {clock(event.end)}: {heard}" for event, heard in events)]
    )

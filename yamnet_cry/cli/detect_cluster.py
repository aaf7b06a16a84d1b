"""yamnet-cry detect with --cluster."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from yamnet_cry.cli.status import Progress, StatusLine
from yamnet_cry.errors import RunError

if TYPE_CHECKING:
    from yamnet_cry.detector import CryDetector


def check(cluster: str | None, out: str | None, local: Sequence[str]) -> None:
    """Rejects combinations of options that do not work together.

    Args:
        cluster: Value of --cluster.
        out: Value of --out.
        local: Given options that work only without --cluster.
    """
    if cluster is None:
        raise click.UsageError("--out needs --cluster; without it, use --csv, --labels or --vtt.")
    if out is None:
        raise click.UsageError("--cluster needs --out DIR|URL for the events.")
    if local:
        raise click.UsageError(f"{local[0]} cannot be combined with --cluster.")


def run(
    cluster: str,
    paths: Sequence[str],
    load: "Callable[[], CryDetector]",
    out: str,
    *,
    explain: bool,
    strict: bool,
) -> bool:
    """Detects crying in recordings on a cluster and prints a summary.

    Returns:
        Whether any recording contains crying.

    Raises:
        SystemExit: With code 2 if any recording could not be read.
    """
    from yamnet_cry.cluster import require_extra

    try:
        require_extra()
    except ImportError as error:
        raise RunError(str(error)) from None
    from yamnet_cry.cluster import detections
    from yamnet_cry.cluster.partitions import ERRORS
    from yamnet_cry.cluster.passes import Progress as Done
    from yamnet_cry.locations import Location

    detector, files = load(), detections.recordings(paths)
    status, done = StatusLine(), -1
    progress = Progress(status, len(files))

    def tell(now: Done) -> None:
        nonlocal done
        if done < 0 < now.items:
            click.echo(f"{now.items:,} of {now.total:,} recordings are already done", err=True)
        done = now.items
        progress.tell(done)

    try:
        answers = detections.detect(
            cluster, files, detector, Location.of(out), explain=explain, strict=strict, tell=tell
        )
    except KeyboardInterrupt:
        status.clear()
        raise RunError(
            f"stopped after {max(0, done):,} of {len(files):,} recordings; to continue, repeat the command"
        ) from None
    status.clear()
    heard, crying = detections.counts(answers)
    click.echo(f"{heard:,} recordings, {crying:,} with crying: {answers.folder.name}")
    if failed := list(answers.reasons().values()):
        rest = f"; all {len(failed):,} errors are listed in {answers.folder.child(ERRORS).name}"
        click.echo(f"Error: {failed[0]}{rest if len(failed) > 1 else ''}", err=True)
        raise SystemExit(2)
    return crying > 0

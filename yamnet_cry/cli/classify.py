"""yamnet-cry classify."""

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from yamnet_cry.cli.interruption import Stopped, StopSignals
from yamnet_cry.cli.options import REVISION
from yamnet_cry.cli.status import Progress, StatusLine
from yamnet_cry.errors import AudioError, RunError

if TYPE_CHECKING:
    from yamnet_cry.classification import Classification
    from yamnet_cry.classifier import Classifier


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--model",
    required=True,
    metavar="FOLDER|REPO",
    help="Model folder, or repository on the Hugging Face Hub.",
)
@REVISION
@click.option(
    "--top",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Number of labels to print per recording.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line and recording.")
@click.option("--strict", is_flag=True, help="Treat truncated recordings as errors.")
def classify(
    paths: tuple[str, ...], model: str, revision: str | None, top: int, as_json: bool, strict: bool
) -> None:
    """Classify the sounds in recordings.

    PATH is a recording of any length, a folder of recordings, or - for standard input. Prints one line per
    recording: its name and the most probable labels, with their mean probability over the recording.
    --json adds all labels, and the most probable label of each window. Files that cannot be read are
    reported on stderr, the others are still processed, and the exit code is 2. Truncated files are
    classified up to where they end, with a warning. To find when a baby cries, use `yamnet-cry detect`.
    """
    from yamnet_cry.audio.files import copy_pipe, find, need_ffmpeg, seconds_of
    from yamnet_cry.classification import shares
    from yamnet_cry.classifier import Classifier
    from yamnet_cry.results import duration

    recordings, left_out = find(paths)
    classifier = Classifier.from_pretrained(model, revision=revision)
    if left_out:
        click.echo(f"Left out: {need_ffmpeg(left_out)}", err=True)
    status = StatusLine()
    done = failed = 0
    with TemporaryDirectory() as folder, StopSignals() as signals:
        try:
            with signals.while_waiting():
                sources = [copy_pipe(path, Path(folder)) for path in recordings]
                lengths = [seconds_of(source) for source in sources]
                progress = Progress(status, sum(lengths))
                for path, source in zip(recordings, sources, strict=True):

                    def tell(heard: float, before: float = sum(lengths[:done])) -> None:
                        progress.tell(before + heard)

                    outcome = _heard(classifier, path, source, tell, strict)
                    done += 1
                    status.clear()
                    if isinstance(outcome, str):
                        failed += 1
                        click.echo(f"Error: {outcome}", err=True)
                        continue
                    if outcome.truncated:
                        heard = f"only the first {duration(outcome.seconds)} were classified"
                        click.echo(f"Warning: {path} is truncated; {heard}", err=True)
                    if as_json:
                        click.echo(json.dumps({"file": os.fspath(path), **outcome.to_dict()}))
                    else:
                        click.echo(f"{path}: {shares(outcome.top(count=top))}")
        except Stopped:
            status.clear()
            raise RunError(f"stopped after {done:,} of {len(recordings):,} recordings") from None
    if failed:
        raise SystemExit(2)


def _heard(
    classifier: "Classifier", path: Path, source: Path, tell: Callable[[float], object], strict: bool
) -> "Classification | str":
    """Returns the result of one recording, or the error message if it cannot be read."""
    try:
        with warnings.catch_warnings():
            # The result has `truncated`.
            warnings.simplefilter("ignore", UserWarning)
            return classifier(source, progress=tell, strict=strict)
    except AudioError as error:
        return str(error).replace(os.fspath(source), os.fspath(path))

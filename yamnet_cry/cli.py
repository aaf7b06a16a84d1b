"""The command line; each command imports what it needs."""

import json
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from yamnet_cry import __version__
from yamnet_cry.errors import AudioError, RunError, YamnetCryError
from yamnet_cry.files import write_whole


class _Group(click.Group):
    """Turns errors that a user can mend into one line on stderr and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except YamnetCryError as error:
            raise _Failure(str(error)) from error


class _Failure(click.ClickException):
    exit_code = 2


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Hear a baby cry in recordings, and distil the model that does it."""


_MODEL = click.option(
    "--model",
    metavar="FOLDER|REPO",
    help="Model folder, or repository on the Hugging Face Hub; the bundled model by default.",
)
_REVISION = click.option("--revision", help="Branch, tag or commit of the repository.")


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_MODEL
@_REVISION
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="Probability from which a file counts as crying."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each file.")
@click.option(
    "--exit-code", is_flag=True, help="Exit with 0 if crying was found in any file, with 1 if in none."
)
def detect(
    files: tuple[str, ...],
    model: str | None,
    revision: str | None,
    threshold: float | None,
    as_json: bool,
    exit_code: bool,
) -> None:
    """Say of each FILE whether a baby cries in it.

    Prints a line a file: name, verdict, probability, and the moment at which it is highest. A file that
    cannot be read is reported on stderr, and the exit code is then 2; the others are still done.
    """
    from yamnet_cry.detector import CryDetector

    detector = CryDetector.from_pretrained(model, revision=revision)
    if threshold is not None:
        detector.threshold = threshold
    found, failed = False, False
    for file in files:
        try:
            result = detector(file)
        except AudioError as error:
            click.echo(f"Error: {error}", err=True)
            failed = True
            continue
        found |= result.is_cry
        click.echo(json.dumps({"file": file, **result.to_dict()}) if as_json else f"{file}: {result}")
    if failed:
        raise SystemExit(2)
    if exit_code:
        raise SystemExit(0 if found else 1)


@main.command()
@click.argument("ambient", metavar="AMBIENT")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to make.")
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="Tolerable number an hour.",
)
@_MODEL
@_REVISION
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


@main.command()
@click.option(
    "--audio",
    required=True,
    multiple=True,
    metavar="DIR|hf://...",
    help="Corpus: folder with manifest.csv, folder with one folder a class, or hf://OWNER/NAME; "
    "may be repeated.",
)
@click.option(
    "--teacher",
    required=True,
    metavar="PATH|tfhub",
    help="YAMNet: its weights, a SavedModel, or tfhub to download it.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to make.")
@click.option("--recipe", "recipe_name", default="cry", show_default=True, help="Recipe to follow.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting, such as train.epochs=5; may be repeated.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything random."
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="File that remembers the teacher's logits, for all runs."
)
def distill(
    audio: tuple[str, ...],
    teacher: str,
    out: Path,
    recipe_name: str,
    settings: tuple[str, ...],
    seed: int,
    resume: bool,
    cache: Path | None,
) -> None:
    """Distil a teacher into an INT8 student, and write the model folder.

    The teacher scores every window of the corpus once (its logits are remembered); a student is
    trained on them, quantised and measured. An interrupted run goes on with --resume.
    """
    _require_extra()
    from yamnet_cry import card
    from yamnet_cry.distill import distill as run
    from yamnet_cry.distill import recipes

    _log_to_stderr()
    recipe = recipes.get(recipe_name, settings)
    try:
        run(audio, teacher, out, recipe=recipe, seed=seed, resume=resume, cache=cache)
    except KeyboardInterrupt:
        raise RunError("stopped; the same command with --resume goes on from here") from None
    click.echo(card.results_table(json.loads((out / "metrics.json").read_text(encoding="utf-8"))))


@main.command()
@click.argument("model", metavar="MODEL")
@click.option("--audio", required=True, metavar="DIR|hf://...", help="Corpus, as for distill.")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Clips to evaluate on.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write the metrics to, as JSON; stdout by default."
)
@_REVISION
def evaluate(model: str, audio: str, split: str, out: Path | None, revision: str | None) -> None:
    """Measure MODEL, a model folder or a repository, on a corpus.

    Writes metrics as JSON, each with a 95 % interval, for all clips and for each source. With --out,
    also draws them (as .png beside the file) and prints the main ones as a table. Every clip is scored
    by the detector that `yamnet-cry detect` uses.
    """
    _require_extra()
    from yamnet_cry import card
    from yamnet_cry.detector import CryDetector
    from yamnet_cry.distill import corpus
    from yamnet_cry.distill import evaluate as evaluation

    detector = CryDetector.from_pretrained(model, revision=revision)
    clips = corpus.require(corpus.load(audio), split)
    plot = None if out is None else out.with_suffix(".png")
    try:
        metrics = evaluation.evaluate(detector, clips, split, plot=plot)
        text = json.dumps(metrics, indent=2) + "\n"
        if out is None:
            click.echo(text, nl=False)
            return
        write_whole(out, text)
    except OSError as error:
        raise RunError(f"{out} cannot be written ({error.strerror})") from None
    click.echo(card.results_table(metrics))


def _require_extra() -> None:
    try:
        import yamnet_cry.distill  # noqa: F401
    except ImportError as error:
        raise _Failure(str(error)) from None


def _log_to_stderr() -> None:
    logger = logging.getLogger("yamnet_cry")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)


def run() -> None:
    """Runs the command line as a program of its own.

    LiteRT and TensorFlow write notes straight to file descriptor 2 and have no switch to stop it;
    Python keeps the real stderr, they get none.
    """
    sys.stderr = os.fdopen(
        os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    main()


if __name__ == "__main__":
    run()

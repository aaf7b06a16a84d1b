"""yamnet-cry distill and yamnet-cry evaluate."""

import errno
import json
import logging
import os
from pathlib import Path

import click

from yamnet_cry.cli.options import CLUSTER, PARTITIONS, PRIVATE, REVISION
from yamnet_cry.cli.outputs import OVERWRITE, check_outputs
from yamnet_cry.cli.push import again, summary
from yamnet_cry.errors import HubError, RunError
from yamnet_cry.files import write_whole
from yamnet_cry.model import hub
from yamnet_cry.model.folder import EVALUATION_PLOT, METRICS


@click.command()
@click.option(
    "--audio",
    required=True,
    multiple=True,
    metavar="DIR|hf://...",
    help="Corpus: folder with manifest.csv, another manifest in it, folder with one folder a class, or "
    "hf://OWNER/NAME; may be repeated.",
)
@click.option(
    "--teacher",
    multiple=True,
    metavar="PATH|tfhub",
    help="YAMNet (its weights, a SavedModel, or tfhub to download it), a model folder whose student then "
    "teaches, a tagger or Whisper's encoder in ONNX, or a checkpoint of Transformers; may be repeated, and "
    "left out for recipes that learn from labels alone.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to make.")
@click.option(
    "--recipe",
    "recipe_name",
    default="cry",
    show_default=True,
    help="Recipe to follow; `yamnet-cry recipes` lists them.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting, such as train.epochs=5; may be repeated. "
    "`yamnet-cry recipes show cry` lists them all.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything random."
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="File that keeps the teacher's logits, for all runs."
)
@click.option(
    "--cache-limit",
    metavar="GB",
    type=click.FloatRange(0),
    help="Size beyond which that file forgets what was not used for longest, but never what this run uses; "
    "2 by default. `yamnet-cry cache` shows and empties it.",
)
@click.option(
    "--start",
    metavar="FOLDER|REPO",
    help="Model whose weights a recipe with student.start=released begins with; the bundled one by default.",
)
@click.option(
    "--devices",
    "device_count",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="GPUs, or other devices, that share every step of training; more than one with KERAS_BACKEND=jax "
    "only. Results differ by rounding.",
)
@click.option(
    "--license", metavar="ID", help="The model's licence for its card, such as cc-by-4.0; none by default."
)
@CLUSTER
@PARTITIONS
@click.option("--push", "repo", metavar="REPO", help="Push the result to this repository on the Hub.")
@PRIVATE
def distill(
    audio: tuple[str, ...],
    teacher: tuple[str, ...],
    out: Path,
    recipe_name: str,
    settings: tuple[str, ...],
    seed: int,
    resume: bool,
    cache: Path | None,
    cache_limit: float | None,
    start: str | None,
    cluster: str | None,
    partitions: str | None,
    device_count: int,
    license: str | None,
    repo: str | None,
    private: bool | None,
) -> None:
    """Distil teachers into an INT8 student, and write the model folder.

    A teacher scores every window of the corpus once (its logits are cached); a student is trained on them
    and on the labels of the clips, quantised and measured. An interrupted run goes on with --resume. A
    student that is no better than chance, or far worse than before it was quantised, is written with a
    warning.

    Recipe cry makes a detector of crying. Recipe sounds makes a classifier of your own sounds, from a folder
    with one folder of recordings for each: yamnet-cry distill --recipe sounds --audio DIR --out my-model.
    `yamnet-cry recipes` lists those for key words, acoustic events, dogs and emotions in speech too.

    With --push, the folder then goes to the Hugging Face Hub, unless there was such a warning; whether you
    are logged in is asked before the work begins.
    """
    _require_extra(cluster)
    from yamnet_cry.distill import recipes

    # First of all: what follows takes seconds to import.
    recipe = recipes.get(recipe_name, settings)
    from yamnet_cry.distill import distill as run
    from yamnet_cry.distill import fitness
    from yamnet_cry.distill.cache import DEFAULT_LIMIT
    from yamnet_cry.model import card, publish

    limit = DEFAULT_LIMIT if cache_limit is None else cache_limit
    _log_to_stderr()
    if repo is not None:
        hub.check_repo_id(repo)
        hub.check_login()
    try:
        run(
            audio,
            teacher,
            out,
            recipe=recipe,
            seed=seed,
            resume=resume,
            cache=cache,
            cache_limit=limit,
            license=license,
            start=start,
            cluster=cluster,
            partitions=partitions,
            device_count=device_count,
        )
    except KeyboardInterrupt:
        raise RunError("stopped; the same command with --resume goes on from here") from None
    metrics = json.loads((out / METRICS).read_text(encoding="utf-8"))
    click.echo(card.results_table(metrics))
    if "labels" in metrics["models"]["int8"]:
        click.echo(f"\n{card.labels_table(metrics)}\n\nPicture: {out / EVALUATION_PLOT}")
    if repo is not None:
        if doubt := fitness.doubt(metrics):
            raise again(HubError(f"not pushed to {repo}, because {doubt}"), out, repo, private)
        try:
            click.echo(summary(publish.push(out, repo, private=private)))
        except HubError as error:
            raise again(error, out, repo, private) from None


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--audio", multiple=True, metavar="DIR|hf://...", help="Corpus, as for distill; may be repeated."
)
@click.option(
    "--nights",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Instead of a corpus: long recordings in which nobody cries, to count false alarms in.",
)
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
@OVERWRITE
@REVISION
@CLUSTER
@PARTITIONS
def evaluate(
    model: str,
    audio: tuple[str, ...],
    nights: Path | None,
    split: str,
    out: Path | None,
    overwrite: bool,
    revision: str | None,
    cluster: str | None,
    partitions: str | None,
) -> None:
    """Measure MODEL, a model folder or a repository, on a corpus or on nights without crying.

    Writes metrics as JSON, each with a 95 % interval, for all clips and for each source. With --out,
    also draws them (as .png beside the file) and prints the main ones as a table. Every clip is scored
    by the detector that `yamnet-cry detect` uses. With --nights, the JSON says how many false alarms an hour
    there are at the model's threshold and at others.
    """
    if bool(audio) == (nights is not None):
        raise click.UsageError("name a corpus with --audio, or long recordings with --nights")
    if cluster is None and partitions is not None:
        raise click.UsageError("--partitions needs --cluster, which fills them.")
    if nights is not None and cluster is not None:
        raise click.UsageError("--cluster hears a corpus; nights are heard on this machine.")
    _require_extra(cluster)
    if nights is not None:
        _evaluate_nights(model, nights, out, overwrite, revision)
        return
    from yamnet_cry.classifier import Classifier
    from yamnet_cry.distill import corpus, sources
    from yamnet_cry.distill import evaluate as evaluation
    from yamnet_cry.model import card

    plot = None if out is None else out.with_suffix(".png")
    if out is not None and plot is not None:
        check_outputs([("the picture beside it", plot), ("--out", out)], existing=overwrite)
        if not out.parent.is_dir():
            raise RunError(f"{out} cannot be written ({os.strerror(errno.ENOENT)})")
    classifier = Classifier.from_pretrained(model, revision=revision)
    task = classifier.config.task
    clips = corpus.labelled(sources.load(*audio, task=task), split, task)
    heard = None
    if cluster is not None:
        from yamnet_cry.distill import scoring

        _log_to_stderr()
        clips, heard = scoring.heard(cluster, classifier, clips, partitions)
    try:
        metrics = evaluation.evaluate(classifier, clips, split, heard=heard, plot=plot)
        text = json.dumps(metrics, indent=2) + "\n"
        if out is None:
            click.echo(text, nl=False)
            return
        write_whole(out, text)
    except OSError as error:
        raise RunError(f"{error.filename} cannot be written ({error.strerror})") from None
    click.echo(card.results_table(metrics))


def _evaluate_nights(
    model: str, folder: Path, out: Path | None, overwrite: bool, revision: str | None
) -> None:
    from yamnet_cry.audio.files import find
    from yamnet_cry.detector import CryDetector
    from yamnet_cry.distill import nights

    if out is not None:
        recordings = find([str(folder)])[0] if folder.is_dir() else []
        check_outputs([("--out", out)], recordings, existing=overwrite)
    measured = nights.measure(CryDetector.from_pretrained(model, revision=revision), folder)
    text = json.dumps(measured, indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        write_whole(out, text)
    except OSError as error:
        raise RunError(f"{error.filename} cannot be written ({error.strerror})") from None
    click.echo(nights.summary(measured))


def _require_extra(cluster: str | None) -> None:
    from yamnet_cry import cluster as clusters
    from yamnet_cry.distill import require_extra

    try:
        require_extra()
        if cluster is not None:
            clusters.require_extra()
    except ImportError as error:
        raise RunError(str(error)) from None


def _log_to_stderr() -> None:
    logger = logging.getLogger("yamnet_cry")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)

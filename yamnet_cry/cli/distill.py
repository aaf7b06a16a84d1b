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
    help="Corpus: a folder with manifest.csv, the path of another manifest, a folder with one subfolder per "
    "class, or hf://OWNER/NAME. May be repeated.",
)
@click.option(
    "--teacher",
    multiple=True,
    metavar="PATH|tfhub",
    help="Teacher: YAMNet (weights, a SavedModel, or tfhub to download it), a model folder, an audio tagger "
    "or Whisper encoder in ONNX, or a Transformers checkpoint. May be repeated. Not needed by recipes that "
    "train on labels only.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to create.")
@click.option(
    "--recipe",
    "recipe_name",
    default="cry",
    show_default=True,
    help="Name of the training recipe; `yamnet-cry recipes` lists all.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting of the recipe, for example train.epochs=5. May be repeated. "
    "`yamnet-cry recipes show cry` lists all settings.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Cache file for teacher logits, shared by all runs."
)
@click.option(
    "--cache-limit",
    metavar="GB",
    type=click.FloatRange(0),
    help="Maximum size of the cache; beyond it the least recently used entries are deleted, except those of "
    "this run. Default: 2. `yamnet-cry cache` shows and clears the cache.",
)
@click.option(
    "--start",
    metavar="FOLDER|REPO",
    help="Model with the initial weights, for recipes with student.start=released. Default: the bundled one.",
)
@click.option(
    "--devices",
    "device_count",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of GPUs or other devices for data-parallel training. More than one needs KERAS_BACKEND=jax. "
    "Results differ by rounding.",
)
@click.option(
    "--license", metavar="ID", help="Licence for the model card, for example cc-by-4.0. Default: none."
)
@CLUSTER
@PARTITIONS
@click.option("--push", "repo", metavar="REPO", help="Push the model to this repository on the Hub.")
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
    """Distil teachers into an INT8 student and write a model folder.

    Each teacher scores every window of the corpus once (its logits are cached). The student is trained on
    these logits and on the labels of the clips, quantised and evaluated. Continue an interrupted run with
    --resume. A student that is no better than chance, or much worse after quantisation, is saved with a
    warning.

    The recipe cry trains a cry detector. The recipe sounds trains a classifier of your own sounds from a
    folder with one subfolder of recordings per class: yamnet-cry distill --recipe sounds --audio DIR --out
    my-model. `yamnet-cry recipes` also lists recipes for keywords, acoustic events, dogs and speech emotion.

    With --push, the model folder is pushed to the Hugging Face Hub unless there was such a warning. The
    login is checked before training starts.
    """
    _require_extra(cluster)
    from yamnet_cry.distill import recipes

    # Checked first: the imports below take seconds.
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
        raise RunError("stopped; to continue, repeat the command with --resume") from None
    metrics = json.loads((out / METRICS).read_text(encoding="utf-8"))
    click.echo(card.results_table(metrics))
    if "labels" in metrics["models"]["int8"]:
        click.echo(f"\n{card.labels_table(metrics)}\n\nPicture: {out / EVALUATION_PLOT}")
    if repo is not None:
        if doubt := fitness.doubt(metrics):
            raise again(HubError(f"not pushed to {repo}: {doubt}"), out, repo, private)
        try:
            click.echo(summary(publish.push(out, repo, private=private)))
        except HubError as error:
            raise again(error, out, repo, private) from None


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--audio", multiple=True, metavar="DIR|hf://...", help="Corpus, as for distill. May be repeated."
)
@click.option(
    "--nights",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of long recordings without crying, to count false alarms in, instead of a corpus.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Split to evaluate on.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the metrics to this JSON file. Default: stdout."
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
    """Evaluate MODEL, a model folder or Hub repository, on a corpus or on recordings without crying.

    Writes metrics as JSON, each with a 95 % confidence interval, for all clips and for each source. With
    --out, also plots them (a .png next to the file) and prints the main metrics as a table. Clips are scored
    by the same detector as in `yamnet-cry detect`. With --nights, the JSON contains the false alarms per
    hour at the model's threshold and at other thresholds.
    """
    if bool(audio) == (nights is not None):
        raise click.UsageError("expected either --audio (a corpus) or --nights (long recordings)")
    if cluster is None and partitions is not None:
        raise click.UsageError("--partitions needs --cluster.")
    if nights is not None and cluster is not None:
        raise click.UsageError("--nights cannot be combined with --cluster.")
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
        check_outputs([("the picture next to --out", plot), ("--out", out)], existing=overwrite)
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

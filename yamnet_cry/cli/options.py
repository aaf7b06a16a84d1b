"""Options shared by several commands."""

import click

MODEL = click.option(
    "--model",
    metavar="FOLDER|REPO",
    help="Model folder, or repository on the Hugging Face Hub. Default: the bundled model.",
)

REVISION = click.option("--revision", help="Branch, tag or commit of the Hub repository. Default: main.")

THRESHOLD = click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Probability at which an event starts. Default: the model's (bundled model: 0.5).",
)

PRIOR = click.option(
    "--prior",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Expected share of the audio that is crying. Default: the model's (bundled model: 0.1).",
)

CLUSTER = click.option(
    "--cluster",
    metavar="auto|ADDRESS",
    help="Process the audio on a Ray cluster: auto for the one of this machine, or HOST:PORT. Every node "
    "needs this package and access to the audio. An interrupted pass continues when run again.",
)

PARTITIONS = click.option(
    "--partitions",
    metavar="DIR|URL",
    help="With --cluster: bucket or shared folder for its results, which later runs reuse. Default: next to "
    "the cache.",
)

PRIVATE = click.option(
    "--private/--public", default=None, help="Visibility of a new repository. Default: the Hub's."
)

"""Options that several commands have."""

import click

MODEL = click.option(
    "--model",
    metavar="FOLDER|REPO",
    help="Model folder, or repository on the Hugging Face Hub; the bundled model by default.",
)

REVISION = click.option("--revision", help="Branch, tag or commit of the repository.")

THRESHOLD = click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Probability from which it counts as crying; the model's own by default.",
)

PRIOR = click.option(
    "--prior",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of what is heard that is crying, for probabilities to hold; the model's own by default.",
)

CLUSTER = click.option(
    "--cluster",
    metavar="auto|ADDRESS",
    help="Let a cluster of Ray do the pass over audio: the one of this machine, or HOST:PORT. All its "
    "machines need this package, and must see the audio. A pass that is stopped goes on where it was.",
)

PARTITIONS = click.option(
    "--partitions",
    metavar="DIR|URL",
    help="Where the cluster writes what it finds, and any later run reads it: a bucket, or a folder that all "
    "machines see; beside the cache by default.",
)

PRIVATE = click.option(
    "--private/--public", default=None, help="Who may see the repository; what the Hub does by default."
)

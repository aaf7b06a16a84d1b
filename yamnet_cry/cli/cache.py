"""yamnet-cry cache."""

import json
from pathlib import Path

import click


@click.command()
@click.option(
    "--cache",
    "path",
    type=click.Path(path_type=Path),
    help="Cache file, as for `distill --cache`. Default: the cache shared by all runs.",
)
@click.option("--clear", is_flag=True, help="Delete all cached logits.")
@click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cache(path: Path | None, clear: bool, yes: bool, as_json: bool) -> None:
    """Show the location and size of the cache of teacher logits.

    `yamnet-cry distill` runs the teacher once on every recording and every augmented view, and caches the
    logits for later runs. Beyond `--cache-limit` the least recently used entries are deleted.
    """
    from yamnet_cry.distill.cache import clear as empty
    from yamnet_cry.distill.cache import contents, default_cache

    found = contents(path or default_cache())
    freed = None
    if clear:
        if found.bytes and not yes:
            question = f"Delete the cached teacher logits in {found.path} ({_size(found.bytes)})?"
            click.confirm(question, abort=True, err=True)
        freed = empty(found.path)
        found = contents(found.path)
    if as_json:
        shown = {"path": str(found.path), "bytes": found.bytes, "entries": found.entries}
        click.echo(json.dumps(shown if freed is None else {**shown, "freed_bytes": freed}))
    elif freed is not None:
        click.echo(f"{found.path}: {_size(freed)} freed")
    elif not found.entries:
        click.echo(f"{found.path}: empty")
    else:
        click.echo(f"{found.path}: {_size(found.bytes)}, {found.entries:,} recordings and augmented views")


def _size(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"

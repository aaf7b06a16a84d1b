"""yamnet-cry cache."""

import json
from pathlib import Path

import click


@click.command()
@click.option(
    "--cache",
    "path",
    type=click.Path(path_type=Path),
    help="The file, if `distill --cache` named another; that of all runs by default.",
)
@click.option("--clear", is_flag=True, help="Empty it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def cache(path: Path | None, clear: bool, yes: bool, as_json: bool) -> None:
    """Show where the teacher's logits are kept, and how large they are.

    `yamnet-cry distill` asks its teacher about every recording and every augmented view once, and keeps the
    answers for later runs. It forgets those that were not used for longest by itself (`--cache-limit`).
    """
    from yamnet_cry.distill.cache import clear as empty
    from yamnet_cry.distill.cache import contents, default_cache

    found = contents(path or default_cache())
    freed = None
    if clear:
        if found.bytes and not yes:
            question = f"Delete the teacher's logits in {found.path}, {_size(found.bytes)}?"
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

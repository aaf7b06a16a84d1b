"""What a command may write to: nothing that is read, nothing twice, nothing that is there unasked."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from yamnet_cry.errors import RunError

OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace output files that are there already.")


def check_outputs(
    outputs: Sequence[tuple[str, Path]], recordings: Iterable[Path] = (), *, existing: bool = False
) -> None:
    """Checks, before any work, that no file is lost.

    Args:
        outputs: Options, and the files that they make.
        recordings: Files that are read.
        existing: Whether files that are there already may be replaced.

    Raises:
        RunError: If an output is a recording, is wanted twice, or is there already.
    """
    read = {identity for path in recordings if (identity := _identity(path)) is not None}
    written: set[str] = set()
    found = []
    for option, path in outputs:
        place = os.path.normcase(os.path.realpath(path))
        if place in written:
            raise RunError(f"{path} would be written twice; name another file for {option}")
        written.add(place)
        identity = _identity(path)
        if identity is None:
            continue
        if identity in read:
            raise RunError(f"{option} would overwrite the recording {path}; name another file")
        found.append(path)
    if found and not existing:
        others = f" and {len(found) - 1:,} more output files" if len(found) > 1 else ""
        raise RunError(
            f"{found[0]}{others} would be overwritten; name another place, or replace with --overwrite"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """What a file has in common with itself under another name."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

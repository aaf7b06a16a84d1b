"""Checks of output files: never an input, never written twice, never replaced without --overwrite."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from yamnet_cry.errors import RunError

OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace existing output files.")


def check_outputs(
    outputs: Sequence[tuple[str, Path]], recordings: Iterable[Path] = (), *, existing: bool = False
) -> None:
    """Checks, before any work, that no file would be lost.

    Args:
        outputs: Pairs of an option and the file that it writes.
        recordings: Files that are read.
        existing: Whether existing files may be replaced.

    Raises:
        RunError: If an output is a recording, would be written twice, or exists.
    """
    read = {identity for path in recordings if (identity := _identity(path)) is not None}
    written: set[str] = set()
    found = []
    for option, path in outputs:
        place = os.path.normcase(os.path.realpath(path))
        if place in written:
            raise RunError(f"{path} would be written twice; choose another file for {option}")
        written.add(place)
        identity = _identity(path)
        if identity is None:
            continue
        if identity in read:
            raise RunError(f"{option} would overwrite the recording {path}; choose another file")
        found.append(path)
    if found and not existing:
        others = f" and {len(found) - 1:,} more output files" if len(found) > 1 else ""
        raise RunError(
            f"{found[0]}{others} would be overwritten; choose other paths, or replace with --overwrite"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns device and inode, which all names of a file share; None if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

"""The command line. Each command imports its dependencies when it runs."""

import codecs
import io
import sys
from typing import Any

import click

from yamnet_cry import __version__, native_notes
from yamnet_cry.cli.cache import cache
from yamnet_cry.cli.calibrate import calibrate
from yamnet_cry.cli.classify import classify
from yamnet_cry.cli.detect import detect
from yamnet_cry.cli.distill import distill, evaluate
from yamnet_cry.cli.export import export
from yamnet_cry.cli.listen import health, listen
from yamnet_cry.cli.push import push
from yamnet_cry.cli.recipes import recipes
from yamnet_cry.cli.review import review
from yamnet_cry.cli.space import space
from yamnet_cry.errors import YamnetCryError


class _Group(click.Group):
    """Prints errors that the user can fix as one line on stderr and exits with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except YamnetCryError as error:
            raise _Failure(str(error)) from error


class _Failure(click.ClickException):
    exit_code = 2


@click.group(
    cls=_Group,
    commands=[
        *(detect, classify, listen, health, review, calibrate),
        *(distill, recipes, cache, evaluate, export, push, space),
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
def main() -> None:
    """Detect crying babies in recordings and live audio, and distil models for it."""


def run() -> None:
    """Entry point of the `yamnet-cry` program."""
    native_notes.hide()
    # Undecodable file names are printed as their original bytes; other unencodable characters are escaped.
    codecs.register_error("yamnet_cry_names", _name_or_escape)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="yamnet_cry_names")
    main()


def _name_or_escape(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)

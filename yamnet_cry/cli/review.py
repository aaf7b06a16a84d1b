"""yamnet-cry review."""

import threading
import webbrowser
from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    help="Port to serve it on; any that is free by default.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def review(folder: Path, port: int, no_browser: bool) -> None:
    """Listen to the clips in DIR and say which are crying, in a browser.

    DIR is what `yamnet-cry listen --clips DIR` fills. Every answer is saved at once in DIR/manifest.csv, as
    `yamnet-cry distill --audio DIR` reads it: cry, not_cry, or unknown for what was skipped. Clips that are
    labelled cry or not_cry are never deleted by --keep and --keep-bytes.

    The page is for this computer alone, and loads nothing from anywhere else. Ctrl-C ends it.
    """
    from yamnet_cry.home.review import Clips, Server

    with Server(Clips(folder), port) as server:
        # On a thread of its own, for a browser in the terminal may take this one.
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        click.echo(f"{server.address} (Ctrl-C ends it)")
        try:
            if not no_browser:
                webbrowser.open(server.address)
            while serving.is_alive():
                serving.join(1.0)
        except KeyboardInterrupt:
            pass
        finally:
            server.shutdown()

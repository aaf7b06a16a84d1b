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
    help="Port to serve the page on. Default: any free port.",
)
@click.option("--no-browser", is_flag=True, help="Print the address without opening a browser.")
def review(folder: Path, port: int, no_browser: bool) -> None:
    """Label recorded clips in a browser.

    DIR is the folder of `yamnet-cry listen --clips DIR`. Every label is saved at once in DIR/manifest.csv,
    the corpus format of `yamnet-cry distill --audio DIR`: cry, not_cry, or unknown for skipped clips. --keep
    and --keep-bytes never delete clips that are labelled cry or not_cry.

    The page is served to this computer only and loads nothing from the network. Stop it with Ctrl-C.
    """
    from yamnet_cry.home.review import Clips, Server

    with Server(Clips(folder), port) as server:
        # In a thread: a text browser would block this one.
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        click.echo(f"{server.address} (stop with Ctrl-C)")
        try:
            if not no_browser:
                webbrowser.open(server.address)
            while serving.is_alive():
                serving.join(1.0)
        except KeyboardInterrupt:
            pass
        finally:
            server.shutdown()

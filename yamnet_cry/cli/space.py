"""yamnet-cry space."""

import os
import socket
import threading
import webbrowser

import click

from yamnet_cry.cli.options import MODEL, REVISION
from yamnet_cry.errors import RunError

# As `space.page.MODEL_VARIABLE`, which needs Gradio.
_MODEL_VARIABLE = "YAMNET_CRY_MODEL"


@click.command()
@click.option("--static", is_flag=True, help="Serve the page that runs in the browser, without Gradio.")
@MODEL
@REVISION
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=7860,
    show_default=True,
    help="Its port; 0 for any free one.",
)
@click.option("--open", "in_browser", is_flag=True, help="Open it in a browser.")
def space(
    static: bool, model: str | None, revision: str | None, host: str, port: int, in_browser: bool
) -> None:
    """Serve the web page: drop a recording, or talk to it, and see what it hears.

    There are two. By default this computer hears: the page sends it the sound, takes any format that
    ffmpeg decodes, names AudioSet's classes, and can be called by programs; it needs the extra "space".
    With --static the browser hears: no sound leaves it, only what it decodes itself can be dropped, and
    the page works offline once loaded, can be installed, and sounds an alarm.

    Browsers give pages a microphone only at localhost or over HTTPS. Without --model, the environment
    variable YAMNET_CRY_MODEL names one, of which --revision is then a revision. Ctrl-C ends it.
    """
    if model is None:
        model = os.environ.get(_MODEL_VARIABLE) or None
    serve = _serve_static if static else _serve_gradio
    serve(model, revision, host, port, in_browser)


def _serve_static(model: str | None, revision: str | None, host: str, port: int, in_browser: bool) -> None:
    from yamnet_cry.browser import page
    from yamnet_cry.browser.server import Server
    from yamnet_cry.detector import CryDetector

    detector = CryDetector.from_pretrained(model, revision=revision)
    with Server(page.files(detector.config, detector.model, detector.context), host, port) as server:
        # On a thread of its own, for a browser in the terminal may take this one.
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        click.echo(f"{server.address} (Ctrl-C ends it)")
        try:
            if in_browser:
                webbrowser.open(server.address)
            while serving.is_alive():
                serving.join(1.0)
        except KeyboardInterrupt:
            pass
        finally:
            server.shutdown()


def _serve_gradio(model: str | None, revision: str | None, host: str, port: int, in_browser: bool) -> None:
    try:
        from yamnet_cry.space import build, serve
    except ImportError as error:
        raise RunError(str(error)) from None
    from yamnet_cry.detector import CryDetector

    page = build(CryDetector.from_pretrained(model, revision=revision))
    try:
        _, address, _ = serve(
            page,
            server_name=host,
            server_port=port or _free_port(host),
            inbrowser=in_browser,
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError:
        raise RunError(f"port {port} is taken; name another with --port") from None
    click.echo(f"{address} (Ctrl-C ends it)")
    try:
        page.block_thread()
    except KeyboardInterrupt:
        pass
    finally:
        page.close(verbose=False)


def _free_port(host: str) -> int:
    """A port that nobody listens on: Gradio takes 0 for the port itself."""
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])

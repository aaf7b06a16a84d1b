"""yamnet-cry space."""

import os
import socket
import threading
import webbrowser

import click

from yamnet_cry.cli.options import MODEL, REVISION
from yamnet_cry.errors import RunError

# The value of `space.page.MODEL_VARIABLE`, whose import needs Gradio.
_MODEL_VARIABLE = "YAMNET_CRY_MODEL"


@click.command()
@click.option("--static", is_flag=True, help="Serve the page that runs in the browser; needs no Gradio.")
@MODEL
@REVISION
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on; 0.0.0.0 for all.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=7860,
    show_default=True,
    help="Port to serve on; 0 for any free port.",
)
@click.option("--open", "in_browser", is_flag=True, help="Open the page in a browser.")
def space(
    static: bool, model: str | None, revision: str | None, host: str, port: int, in_browser: bool
) -> None:
    """Serve a web page that detects crying in recordings and from the microphone.

    There are two pages. By default the model runs on this computer (Gradio): the page accepts any format
    that ffmpeg decodes, shows AudioSet classes and has an API; it needs the extra "space". With --static
    the model runs in the browser: no audio leaves it, it accepts the formats that the browser decodes,
    works offline once loaded, can be installed, and sounds an alarm.

    Browsers allow microphones only on localhost or over HTTPS. Without --model, the environment variable
    YAMNET_CRY_MODEL sets the model, to which --revision then applies. Stop the server with Ctrl-C.
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
        # In a thread: a text browser would block this one.
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        click.echo(f"{server.address} (stop with Ctrl-C)")
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
        raise RunError(f"port {port} is in use; choose another port with --port") from None
    click.echo(f"{address} (stop with Ctrl-C)")
    try:
        page.block_thread()
    except KeyboardInterrupt:
        pass
    finally:
        page.close(verbose=False)


def _free_port(host: str) -> int:
    """Returns a free port: Gradio does not accept 0 for one."""
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])

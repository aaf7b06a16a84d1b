"""yamnet-cry space."""

import os

import click

from yamnet_cry.cli.options import MODEL, REVISION
from yamnet_cry.errors import RunError


@click.command()
@MODEL
@REVISION
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65_535), default=7860, show_default=True, help="Its port.")
@click.option("--open", "in_browser", is_flag=True, help="Open it in a browser.")
def space(model: str | None, revision: str | None, host: str, port: int, in_browser: bool) -> None:
    """Serve the web page: drop a recording, or talk to it, and see what it hears.

    Browsers give pages a microphone only at localhost or over HTTPS. Without --model, the environment
    variable YAMNET_CRY_MODEL names one, of which --revision is then a revision. Ctrl-C ends it.
    """
    try:
        from yamnet_cry.space import MODEL_VARIABLE, build, serve
    except ImportError as error:
        raise RunError(str(error)) from None
    from yamnet_cry.detector import CryDetector

    if model is None:
        model = os.environ.get(MODEL_VARIABLE) or None
    page = build(CryDetector.from_pretrained(model, revision=revision))
    try:
        _, address, _ = serve(
            page,
            server_name=host,
            server_port=port,
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

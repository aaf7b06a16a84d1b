"""A web page to try the detector, on recordings and live from a microphone."""

try:
    import gradio  # noqa: F401
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'the web page needs {error.name}, which the base install leaves out: pip install "yamnet-cry[space]"'
    ) from None

from yamnet_cry.space.page import MODEL_VARIABLE, build, serve

__all__ = ["MODEL_VARIABLE", "build", "serve"]

"""yamnet-cry export."""

from pathlib import Path

import click

from yamnet_cry.cli.options import REVISION


@click.command()
@click.argument("model", metavar="[MODEL]", required=False)
@click.option(
    "--format",
    "name",
    type=click.Choice(["firmware", "c-array", "tflite", "keras", "onnx", "waveform", "frigate"]),
    required=True,
    help="Format to write, see above.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File or folder to create.")
@click.option(
    "--with",
    "yamnet",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --format frigate: YAMNet as a TFLite file, as in Frigate; scores all classes but crying.",
)
@REVISION
def export(model: str | None, name: str, out: Path, yamnet: Path | None, revision: str | None) -> None:
    """Export MODEL, a model folder or Hub repository, to another format. Default: the bundled model.

    \b
    firmware  folder for ESP-IDF or any project with TFLite-Micro: front end and events in C99, the
              network with its operators and its measured arena, golden vectors and a self-test;
              cry detectors only
    c-array   folder with the network as an aligned C array, and its labels
    tflite    file with the INT8 network
    keras     file with the float32 network; with a context network, both in one model, from the
              patches of a recording, (1, windows, 96, 64, 1), to log-odds and logits per window
    onnx      the same as an ONNX file
    waveform  TFLite file in float32 with front end, network and calibration, from samples to
              probabilities of a single window, for MediaPipe and other audio classifier hosts
    frigate   folder with the same for Frigate's audio detector, with labels and instructions;
              cry detectors only

    The exported file is checked against the model.
    """  # noqa: D301 (the backspace tells click not to rewrap the paragraph)
    from yamnet_cry import export
    from yamnet_cry.classifier import Classifier
    from yamnet_cry.detector import CryDetector

    loaded: Classifier
    if model is None:
        loaded = CryDetector.from_pretrained(revision=revision)
    else:
        loaded = Classifier.from_pretrained(model, revision=revision)
    click.echo(f"{out}: {export.write(loaded, name, out, yamnet=yamnet)}")

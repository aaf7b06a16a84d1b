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
    help="What to write.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File or folder to make.")
@click.option(
    "--with",
    "yamnet",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --format frigate: YAMNet as a TFLite file, as in Frigate; it answers for all but crying.",
)
@REVISION
def export(model: str | None, name: str, out: Path, yamnet: Path | None, revision: str | None) -> None:
    """Write MODEL, a model folder or a repository, in another format; the bundled model by default.

    \b
    firmware  a folder for ESP-IDF or any project with TFLite-Micro: front end and events in C99,
              the network with its operators and its measured arena, golden vectors, a self-test;
              of models that hear crying alone
    c-array   the network alone, as an aligned C array, with its labels (a folder)
    tflite    the INT8 network (a file)
    keras     the network in float32 (a file); with a context network, both as one, from the patches
              of a recording, (1, windows, 96, 64, 1), to log-odds and logits of its windows
    onnx      the same for ONNX (a file)
    waveform  samples in, probabilities out: front end, network and calibration in one TFLite file in
              float32, for MediaPipe and other hosts of audio classifiers; of each window alone
    frigate   the same as Frigate's audio detector, with its labels and how to install it (a folder);
              of models that hear crying alone

    What was written is checked against the model.
    """  # noqa: D301 (click takes the backspace for "leave this paragraph as it is")
    from yamnet_cry import export
    from yamnet_cry.classifier import Classifier
    from yamnet_cry.detector import CryDetector

    loaded: Classifier
    if model is None:
        loaded = CryDetector.from_pretrained(revision=revision)
    else:
        loaded = Classifier.from_pretrained(model, revision=revision)
    click.echo(f"{out}: {export.write(loaded, name, out, yamnet=yamnet)}")

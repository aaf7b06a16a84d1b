"""Evaluates the released model in hub/ again, and rewrites its metrics, plot and cards.

    python tools/measure_release.py CORPUS --teacher PATH

`yamnet-cry distill` evaluates a model once, after training. Run this to compare it with the previous release,
or after a change of the evaluation. The weights and the records of the training do not change.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
from update_documents import HUB, documents

from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import measuring, sources, targets, teachers
from yamnet_cry.distill.cache import default_cache
from yamnet_cry.files import write_whole
from yamnet_cry.model import context_keras
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model.runtime import embedding_scale

#: The previous release, evaluated on the same clips.
PREVIOUS = HUB.parent / "tests" / "release_0_1_0"


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="+", help="the labelled corpus that the model was evaluated on")
    parser.add_argument("--teacher", required=True, help="as for distill")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="cache of the teacher's logits")
    arguments = parser.parse_args()
    config, tflite, quantized = model_folder.load(HUB)
    every = sources.load(*arguments.corpus, task=config.task)
    clips = [clip for clip in every if clip.split in ("val", "test") and clip.labels]
    teacher = teachers.load(arguments.teacher)
    with TemporaryDirectory() as folder:
        windows = targets.teacher_pass(
            clips, [(teacher, "windows", 1.0)], config.front_end, arguments.cache, Path(folder, "windows")
        )
        student = keras.models.load_model(HUB / model_folder.KERAS, compile=False)
        networks = None
        if quantized is not None:
            scale = embedding_scale(tflite, quantized.inputs)
            networks = context_keras.dequantized(quantized, scale), quantized
        prior = config.calibration.prior
        previous = CryDetector.from_pretrained(PREVIOUS)
        measured = measuring.measure(
            clips, windows, student, config, tflite, networks, prior, previous=previous
        )
    path = HUB / model_folder.METRICS
    metrics = {**json.loads(path.read_text(encoding="utf-8")), **measured.results}
    write_whole(path, json.dumps(metrics, indent=2) + "\n")
    write_whole(HUB / model_folder.CONFIG, replace(measured.config, files=config.files).to_json())
    measured.draw(HUB / model_folder.EVALUATION_PLOT)
    for path, text in documents().items():
        write_whole(path, text)


if __name__ == "__main__":
    main()

"""Measures the released model in hub/ again, and writes its figures, plot and cards anew.

    python tools/measure_release.py CORPUS --teacher PATH

`yamnet-cry distill` measures a model when it makes it; this is for models that are older than a change of
how they are measured. The weights stay, and so does everything that was said of the training.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import keras
from update_documents import HUB, documents

from yamnet_cry.distill import corpus, engine, evaluate, plots, targets, teachers
from yamnet_cry.distill.cache import default_cache
from yamnet_cry.files import write_whole
from yamnet_cry.model import folder as model_folder


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="+", help="the labelled corpus that the model was measured on")
    parser.add_argument("--teacher", required=True, help="as for distill")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="of the teacher's logits")
    arguments = parser.parse_args()
    config, tflite = model_folder.load(HUB)
    clips = [
        clip for clip in corpus.load(*arguments.corpus) if clip.split in ("val", "test") and clip.is_labelled
    ]
    windows = targets.teacher_pass(clips, teachers.load(arguments.teacher), arguments.cache)
    student = keras.models.load_model(HUB / model_folder.KERAS, compile=False)
    measured, results, probabilities = engine.measure(clips, windows, student, config, tflite)
    path = HUB / model_folder.METRICS
    metrics = {**json.loads(path.read_text(encoding="utf-8")), **results}
    write_whole(path, json.dumps(metrics, indent=2) + "\n")
    write_whole(HUB / model_folder.CONFIG, replace(measured, files=config.files).to_json())
    is_cry = evaluate.labels(corpus.require(clips, "test"))
    shown = {name: probabilities[name] for name in ("int8", "fp32", "teacher")}
    plots.evaluation(HUB / model_folder.EVALUATION_PLOT, is_cry, shown)
    for path, text in documents().items():
        write_whole(path, text)


if __name__ == "__main__":
    main()

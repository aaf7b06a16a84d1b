"""Fine-tunes the released student on your own recordings, and writes an INT8 detector.

    pip install "yamnet-cry[distill]"
    python examples/fine_tune.py RECORDINGS my-detector

RECORDINGS contains a folder for each class, ``cry/`` and ``not_cry/``, with a subfolder for each household or
day; or a ``manifest.csv``, see the README. Only the last layer is trained, which takes a minute and few
recordings; the calibration does not change. By default the model is that of the package; ``--model
user/model`` starts from a repository on the Hugging Face Hub, from which
``keras.models.load_model("hf://user/model")`` loads the same Keras model.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from keras import ops

from yamnet_cry import CryDetector
from yamnet_cry.audioset import CRY_CLASSES
from yamnet_cry.distill import corpus, evaluate, quantize, sources
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import folder as model_folder


def label_loss(is_cry: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Binary cross-entropy of the detector's score: softmax[19] + softmax[20]."""
    score = ops.sum(ops.take(ops.softmax(logits), CRY_CLASSES, axis=-1), axis=-1, keepdims=True)
    return keras.losses.binary_crossentropy(is_cry, score)


def patches_and_labels(clips: list[Clip]) -> tuple[np.ndarray, np.ndarray]:
    """Returns every log-mel patch of labelled clips, and the label of its clip."""
    of_clip = [YAMNET.patches(YAMNET.log_mel(YAMNET.pad(clip.read()))) for clip in clips]
    labels = [
        np.full((len(patches), 1), "cry" in clip.labels, np.float32)
        for clip, patches in zip(clips, of_clip, strict=True)
    ]
    return np.concatenate(of_clip)[..., np.newaxis], np.concatenate(labels)


def fine_tune(student: keras.Model, clips: list[Clip], epochs: int) -> None:
    """Trains the last layer on the split ``train``; keeps the epoch with the lowest loss on ``val``."""
    for layer in student.layers:
        layer.trainable = layer.name == "logits"
    student.compile(keras.optimizers.Adam(1e-3), label_loss)
    student.fit(
        *patches_and_labels(corpus.labelled(clips, "train")),
        validation_data=patches_and_labels(corpus.labelled(clips, "val")),
        batch_size=64,
        epochs=epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)],
        verbose=2,
    )


def main() -> None:
    """Fine-tunes, quantises and compares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", help="folder with cry/ and not_cry/, or with manifest.csv")
    parser.add_argument("out", type=Path, help="model folder to create")
    parser.add_argument("--model", help="model folder or repository to start from")
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()

    keras.utils.set_random_seed(0)
    clips = sources.load(arguments.recordings)
    before = CryDetector.from_pretrained(arguments.model)
    student = before.keras_model
    fine_tune(student, clips, arguments.epochs)
    tflite = quantize.to_int8(student, patches_and_labels(corpus.labelled(clips, "val"))[0])
    config = replace(before.config, parameters=quantize.parameter_counts(student))
    model_folder.save(arguments.out, config, tflite)

    test = corpus.labelled(clips, "test")
    for name, detector in (("before", before), ("after", CryDetector.from_pretrained(arguments.out))):
        found = [detector(clip.open()).probability for clip in test]
        auc = keras.metrics.AUC(name="auc")
        auc.update_state(evaluate.labels(test), found)
        print(f"{name}: AUC {float(auc.result()):.3f} on {len(test)} test clips")


if __name__ == "__main__":
    main()

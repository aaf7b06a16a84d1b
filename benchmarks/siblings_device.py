"""Cost of a student's inference: time, memory, and agreement of LiteRT and TFLite-Micro."""

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from yamnet_cry import Classifier
from yamnet_cry.distill import corpus, sources
from yamnet_cry.firmware.network import arena_kilobytes
from yamnet_cry.model import folder as model_folder

CLIPS = 20
ROUNDS = 50


def measure(folder: Path, audio: str) -> dict[str, Any]:
    """Measures a model folder.

    Args:
        folder: The model.
        audio: The corpus that it was tested on, as for `yamnet-cry distill`.

    Returns:
        ``milliseconds`` of one core from a window of audio to its logits, median of `ROUNDS`;
        ``arena_kilobytes`` of TFLite-Micro; the number of test ``clips``, and of those with ``same_answers``
        on TFLite-Micro; ``int8_bytes``; and the number of trainable ``parameters``.
    """
    classifier = Classifier.from_pretrained(folder)
    front_end, tflite = classifier.config.front_end, classifier.model
    window = np.random.default_rng(0).normal(0, 0.1, front_end.patch_samples).astype(np.float32)
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        classifier.logits(front_end.log_mel(window))
        seconds.append(time.perf_counter() - started)
    clips = corpus.labelled(sources.load(audio, task=classifier.config.task), "test", classifier.config.task)
    chosen = np.random.default_rng(0).permutation(len(clips))[:CLIPS]
    waves = [clips[number].read() for number in chosen]
    return {
        "milliseconds": round(1e3 * statistics.median(seconds), 2),
        "arena_kilobytes": arena_kilobytes(tflite),
        "clips": len(waves),
        "same_answers": sum(_same_answer(classifier, wave) for wave in waves),
        "int8_bytes": sum(
            (folder / name).stat().st_size
            for name in (model_folder.TFLITE, model_folder.CONTEXT)
            if (folder / name).is_file()
        ),
        "parameters": classifier.config.parameters["trainable"],
    }


def _same_answer(classifier: Classifier, wave: np.ndarray) -> bool:
    """Returns whether LiteRT and TFLite-Micro predict the same label for the first window."""
    from tflite_micro.python.tflite_micro import runtime

    front_end = classifier.config.front_end
    log_mel = front_end.log_mel(front_end.pad(wave))[: front_end.patch_frames]
    # A new interpreter, so that the state of an LSTM is empty.
    microcontroller = runtime.Interpreter.from_bytes(classifier.model, arena_size=8 * 2**20)
    microcontroller.set_input(classifier.student.quantize(log_mel)[None, ..., None], 0)
    microcontroller.invoke()
    said = microcontroller.get_output(classifier.student.output_numbers[0])[0]
    return bool(said.argmax() == classifier.logits(log_mel)[0].argmax())

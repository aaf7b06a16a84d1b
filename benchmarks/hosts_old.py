"""Scores windows with the Task Library or tflite_runtime, which need a separate environment.

python hosts_old.py runtime|task MODEL WINDOWS SAID
"""

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Hear = Callable[[], Iterator[float]]

CRYING, ROUNDS = 19, 3


def runtime(path: str, windows: NDArray[np.float32]) -> Hear:
    """Runs a model as Frigate does."""
    from tflite_runtime.interpreter import Interpreter

    made = Interpreter(model_path=path, num_threads=2)
    made.allocate_tensors()
    given, said = made.get_input_details()[0]["index"], made.get_output_details()[0]["index"]

    def hear() -> Iterator[float]:
        for window in windows:
            made.set_tensor(given, window)
            made.invoke()
            yield float(made.get_tensor(said)[0, CRYING])

    return hear


def task(path: str, windows: NDArray[np.float32]) -> Hear:
    """Runs a model as Android applications do."""
    from tflite_support.task import audio, core

    options = audio.AudioClassifierOptions(core.BaseOptions(file_name=path))
    classifier = audio.AudioClassifier.create_from_options(options)

    def hear() -> Iterator[float]:
        for window in windows:
            given = classifier.create_input_tensor_audio()
            given.load_from_array(window[:, None])
            categories = classifier.classify(given).classifications[0].categories
            yield next(each.score for each in categories if each.index == CRYING)

    return hear


def main(kind: str, path: str, windows: str, out: str) -> None:
    """Writes the scores, and the seconds of the fastest round."""
    hear = {"runtime": runtime, "task": task}[kind](path, np.load(windows))
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        said = list(hear())
        best = min(best, time.perf_counter() - began)
    np.savez(out, said=said, seconds=best)


if __name__ == "__main__":
    main(*sys.argv[1:])

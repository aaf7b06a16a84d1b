import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.audioset import NUM_CLASSES
from yamnet_cry.errors import ModelError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model.folder import TFLITE
from yamnet_cry.model.runtime import Student


@pytest.fixture(scope="module")
def student(released) -> Student:
    return model_folder.student(*model_folder.load(released))


def spectrogram(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-6.9, 3, (frames, 64)).astype(np.float32)


def test_logits_are_those_of_a_plain_interpreter(student, released):
    from ai_edge_litert.interpreter import Interpreter

    log_mel = spectrogram(96 + 48 * 3)
    interpreter = Interpreter(model_path=str(released / TFLITE))
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (target,) = (each for each in interpreter.get_output_details() if each["shape"][-1] == NUM_CLASSES)
    scale, zero = source["quantization"]
    expected = []
    for patch in YAMNET.patches(log_mel):
        steps = np.clip(np.rint(patch / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], steps[None, ..., None])
        interpreter.invoke()
        expected.append(interpreter.get_tensor(target["index"])[0].astype(np.float32))
    scale, zero = target["quantization"]
    expected = (np.array(expected) - zero) * scale
    # A value near a rounding boundary may move one input by one step.
    np.testing.assert_allclose(student.logits(log_mel), expected, rtol=0, atol=2.1 * scale)
    assert (student.logits(log_mel) == expected.astype(np.float32)).mean() > 0.9


@given(value=st.floats(-30, 30, width=32))
def test_quantisation_rounds_and_saturates(student, value):
    step = int(student.quantize(np.array([value], np.float32))[0])
    ideal = value / student.input_scale + student.input_zero_point
    assert abs(step - min(max(ideal, -128), 127)) <= 0.501


def test_too_few_frames_give_no_logits(student):
    assert student.logits(spectrogram(95)).shape == (0, 521)


def test_eight_threads_get_the_answers_of_one(student):
    inputs = [spectrogram(96 + 48 * 5, seed) for seed in range(8)]
    expected = [student.logits(log_mel) for log_mel in inputs]
    received: list[np.ndarray | None] = [None] * 8

    def work(number: int) -> None:
        for _ in range(20):
            received[number] = student.logits(inputs[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, want in zip(received, expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_what_is_no_tflite_file_is_refused():
    with pytest.raises(ModelError, match="not a readable TFLite file"):
        Student(b"nothing of the kind" * 10, YAMNET, NUM_CLASSES)


@pytest.mark.slow
def test_a_model_with_other_inputs_is_refused():
    import keras

    from yamnet_cry.distill.quantize import to_int8

    inputs = keras.Input((96, 64, 1))
    other = keras.Model(inputs, keras.layers.Dense(7)(keras.layers.GlobalAveragePooling2D()(inputs)))
    content = to_int8(other, spectrogram(96)[None, ..., None])
    with pytest.raises(ModelError, match=r"\(1, 521\).*Received: .*\(1, 7\), 'int8'"):
        Student(content, YAMNET, NUM_CLASSES)

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from yamnet_cry.distill import students
from yamnet_cry.distill.quantize import to_int8
from yamnet_cry.distill.sections import StudentSettings
from yamnet_cry.errors import RunError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.folder import METRICS, TFLITE
from yamnet_cry.model.runtime import Student

pytestmark = pytest.mark.slow

CALIBRATION = np.random.default_rng(0).uniform(-6.9, 3, (50, 96, 64, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return students.build(StudentSettings(), 521)


@pytest.fixture(scope="module")
def exported(model) -> bytes:
    return to_int8(model, CALIBRATION)


def test_it_fits_the_budget(exported):
    assert len(exported) <= 113_500


def test_every_tensor_between_input_and_output_is_an_integer(exported):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=exported, num_threads=1)
    interpreter.allocate_tensors()
    kinds = {np.dtype(tensor["dtype"]) for tensor in interpreter.get_tensor_details()}
    assert kinds == {np.dtype(np.int8), np.dtype(np.int32)}


def test_it_answers_like_the_keras_model(model, exported):
    student = Student(exported, YAMNET, 521)
    log_mel = CALIBRATION[0, ..., 0]
    expected = model.predict(log_mel[None, ..., None], verbose=0)
    received = student.logits(log_mel)
    spread = expected.max() - expected.min()
    assert np.abs(received - expected).max() < 0.1 * spread
    assert np.corrcoef(received[0], expected[0])[0, 1] > 0.99


def test_the_same_model_gives_the_same_bytes(model, exported):
    assert to_int8(model, CALIBRATION) == exported


def test_under_another_backend_it_runs_in_a_process_of_its_own(model, exported, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    ran = []
    run = subprocess.run

    def recording(command, env, **named):
        ran.append((command[:3], env["KERAS_BACKEND"]))
        return run(command, env=env, **named)

    monkeypatch.setattr(subprocess, "run", recording)
    received = to_int8(model, CALIBRATION)
    assert ran == [([sys.executable, "-m", "yamnet_cry.distill.quantize"], "tensorflow")]
    assert len(received) == len(exported)
    found, expected = (
        Student(each, YAMNET, 521).logits(CALIBRATION[0, ..., 0]) for each in (received, exported)
    )
    np.testing.assert_array_equal(found, expected)


def test_a_converter_that_fails(model, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(sys, "executable", os.fspath("/bin/false"))
    with pytest.raises(RunError, match="TensorFlow could not convert the student"):
        to_int8(model, CALIBRATION)


def test_multiply_accumulates_are_those_of_the_tflite_graph(released):
    """Counts them independently from the shapes of the released graph's tensors."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(released / TFLITE))
    interpreter.allocate_tensors()
    shape = {each["index"]: each["shape"] for each in interpreter.get_tensor_details()}
    total = 0
    for operator in interpreter._get_ops_details():
        if operator["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weights, output = shape[operator["inputs"][1]], shape[operator["outputs"][0]]
            # A dense layer's output is one position.
            positions = np.prod(output[1:3]) if len(output) == 4 else 1
            total += int(positions * np.prod(weights))
    assert total == json.loads((released / METRICS).read_text())["size"]["multiply_accumulates"]


@pytest.fixture(scope="module")
def recurrent() -> tuple[keras.Model, bytes]:
    keras.utils.set_random_seed(0)
    network = students.build(StudentSettings(architecture="lstm", units=16, dropout=0.2, head_rank=4), 3)
    return network, to_int8(network, CALIBRATION)


def test_an_lstm_is_one_operator(recurrent):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=recurrent[1], num_threads=1)
    names = [each["op_name"] for each in interpreter._get_ops_details() if each["op_name"] != "DELEGATE"]
    assert names == ["RESHAPE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "MEAN", "FULLY_CONNECTED", "FULLY_CONNECTED"]


def test_an_lstm_answers_like_the_keras_model_whatever_came_before(recurrent):
    network, exported = recurrent
    student = Student(exported, YAMNET, 3)
    expected = network.predict(CALIBRATION, verbose=0)
    received = np.concatenate([student.logits(patch[..., 0]) for patch in CALIBRATION])
    assert np.corrcoef(received.ravel(), expected.ravel())[0, 1] > 0.99
    # The LSTM's state is reset for each window.
    np.testing.assert_array_equal(student.logits(CALIBRATION[3, ..., 0])[0], received[3])


def test_an_lstm_on_a_microcontroller(recurrent):
    micro = pytest.importorskip("tflite_micro.python.tflite_micro", reason="no TFLite-Micro here").runtime
    student = Student(recurrent[1], YAMNET, 3)
    interpreter = micro.Interpreter.from_bytes(recurrent[1], arena_size=256 * 1024)
    for patch in CALIBRATION[:5]:
        interpreter.reset()
        interpreter.set_input(student.quantize(patch[..., 0])[None, ..., None], 0)
        interpreter.invoke()
        steps = interpreter.get_output(0).astype(np.float32) - student.output_zero_point
        np.testing.assert_allclose(
            steps[0] * student.output_scale, student.logits(patch[..., 0])[0], atol=3 * student.output_scale
        )

"""Limits on an LSTM in a TFLite file: a small one, changed part by part."""

from dataclasses import replace

import numpy as np
import pytest
from model_parts import mutated_model, packed, unpacked

from yamnet_cry.errors import ModelError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.runtime import Student

FRONT_END = replace(YAMNET, name="small", patch_frames=12, patch_hop=6, mel_bands=8)
UNITS = 5


@pytest.fixture(scope="module")
def model() -> bytes:
    import keras

    from yamnet_cry.distill import quantize, students
    from yamnet_cry.distill.sections import StudentSettings

    keras.utils.set_random_seed(0)
    network = students.build(StudentSettings(architecture="lstm", units=UNITS), 3, FRONT_END)
    patches = np.random.default_rng(0).normal(size=(30, 12, 8, 1)).astype(np.float32)
    return quantize.to_int8(network, patches)


def changed(model, change):
    parts = unpacked(model)
    graph = parts.subgraphs[0]
    (lstm,) = (each for each in graph.operators if each.intermediates is not None)
    for operator in graph.operators:
        operator.inputs = operator.inputs.copy()
    change(parts, graph, lstm)
    return packed(parts)


def option(**fields):
    return lambda parts, graph, lstm: vars(lstm.builtinOptions).update(fields)


def tensor(place, **fields):
    return lambda parts, graph, lstm: vars(graph.tensors[lstm.inputs[place]]).update(fields)


def quantization(place, **fields):
    return lambda parts, graph, lstm: vars(graph.tensors[lstm.inputs[place]].quantization).update(fields)


def inner(place, **fields):
    return lambda parts, graph, lstm: vars(graph.tensors[lstm.intermediates[place]]).update(fields)


def inputs(**places):
    def change(parts, graph, lstm):
        for place, number in places.items():
            lstm.inputs[int(place.removeprefix("at"))] = number

    return change


def content(place):
    """Gives an input that must be empty the content of the first weights."""

    def change(parts, graph, lstm):
        graph.tensors[lstm.inputs[place]].buffer = graph.tensors[lstm.inputs[1]].buffer

    return change


def same_state_twice(parts, graph, lstm):
    lstm.inputs[18] = lstm.inputs[19]


def without_inner_values(parts, graph, lstm):
    lstm.intermediates = lstm.intermediates[:4]


def inner_values_elsewhere(parts, graph, lstm):
    graph.operators[0].intermediates = lstm.intermediates


def state_as_input_elsewhere(parts, graph, lstm):
    graph.operators[-1].inputs[0] = lstm.inputs[18]


LSTM = "an operator UNIDIRECTIONAL_SEQUENCE_LSTM of the model has inputs or options"
KEPT = "of an LSTM, cannot be used"


def test_as_it_is_it_hears(model):
    student = Student(model, FRONT_END, 3)
    log_mel = np.random.default_rng(1).normal(size=(24, 8)).astype(np.float32)
    assert student.logits(log_mel).shape == (3, 3)
    assert Student(changed(model, lambda *parts: None), FRONT_END, 3).logits(log_mel).shape == (3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (option(fusedActivationFunction=1), LSTM),
        (option(timeMajor=True), LSTM),
        (option(projClip=1.0), LSTM),
        (option(asymmetricQuantizeInputs=True), LSTM),
        (option(diagonalRecurrentTensors=True), LSTM),
        (inputs(at9=1), LSTM),
        (inputs(at16=1), LSTM),
        (inputs(at1=-1), LSTM),
        (inputs(at12=-1), LSTM),
        (inputs(at20=1), LSTM),
        (tensor(5, shape=np.array([1, 25], np.int32)), LSTM),
        (tensor(12, shape=np.array([1, 5], np.int32)), LSTM),
        (quantization(1, zeroPoint=np.array([3])), LSTM),
        (quantization(19, scale=np.array([0.0001], np.float32)), LSTM),
        (tensor(18, shape=np.array([1, 6], np.int32)), LSTM),
        (tensor(18, isVariable=False), KEPT),
        (tensor(18, type=0), KEPT),
        (tensor(18, quantization=None), KEPT),
        (tensor(18, shape=np.array([5], np.int32)), KEPT),
        (tensor(19, isVariable=False), KEPT),
        (tensor(19, type=9), KEPT),
        (quantization(19, scale=np.array([], np.float32)), KEPT),
        (quantization(18, zeroPoint=np.array([999])), KEPT),
        (content(18), KEPT),
        (inner(4, quantization=None), KEPT),
        (inner(4, type=0), KEPT),
        (inner(0, isVariable=True), KEPT),
        (inner(0, shape=np.array([7], np.int32)), KEPT),
        (same_state_twice, "an LSTM's tensors are used twice"),
        (without_inner_values, KEPT),
        (inner_values_elsewhere, "has intermediates that cannot be used"),
        (state_as_input_elsewhere, "has inputs that cannot be used"),
    ],
)
def test_what_an_lstm_may_not_be(model, change, message):
    with pytest.raises(ModelError, match=message):
        Student(changed(model, change), FRONT_END, 3)


@pytest.mark.parametrize("seed", range(150))
def test_damage_is_refused_or_harmless(model, seed):
    log_mel = np.zeros((12, 8), np.float32)
    try:
        student = Student(mutated_model(model, np.random.default_rng(seed)), FRONT_END, 3)
    except ModelError:
        return
    assert student.logits(log_mel).shape == (1, 3)

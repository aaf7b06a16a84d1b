"""The data of the page in the browser, and the models it refuses; tests/space tests the page itself."""

import dataclasses
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from yamnet_cry.browser import network, page
from yamnet_cry.browser.server import Server
from yamnet_cry.errors import ExportError, RunError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import folder as model_folder


@pytest.fixture(scope="module")
def release(released: Path) -> tuple[Any, ...]:
    return model_folder.load(released)


def changed(model: bytes, change: Callable[[Any], object]) -> bytes:
    """Unpacks a model, changes its graph, and packs it again."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    apart = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    change(apart.subgraphs[0])
    builder = flatbuffers.Builder(len(model))
    builder.Finish(apart.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def set_option(number: int, **values: int) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        for name, value in values.items():
            setattr(graph.operators[number].builtinOptions, name, value)

    return change


def set_input(number: int, place: int, tensor: int) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        # Arrays are views of the file's bytes, which are read-only.
        inputs = graph.operators[number].inputs = graph.operators[number].inputs.copy()
        inputs[place] = tensor

    return change


def test_layers_follow_each_other(release):
    _, model, context = release
    found = network.layers(model, context.inputs)
    assert [layer["kind"] for layer in found].count("mean") == 1
    assert found[0]["input"] == [96, 64, 1]
    assert found[-1]["output"] == [1, 1, context.inputs]
    assert all(one["output"] == other["input"] for one, other in pairwise(found))
    # The layer that computes the classes' logits follows the embeddings.
    assert len(network.layers(model, 521)) == len(found) + 1
    assert network.layers(changed(model, set_option(0, fusedActivationFunction=3)), 48)[0]["highest"] == 255


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_option(0, dilationHFactor=2), "supports only convolutions without dilation"),
        (set_option(0, fusedActivationFunction=2), "supports only ReLU and ReLU6"),
        (set_option(1, depthMultiplier=2), "supports only depthwise convolutions of multiplier 1"),
        (set_input(4, 0, 28), "supports only networks without branches"),
        (lambda graph: graph.operators.pop(), "no operator of the model computes its output"),
    ],
)
def test_networks_that_the_page_cannot_compute(release, monkeypatch, change, message):
    # Without the check that refuses invalid networks first.
    monkeypatch.setattr(network, "check", lambda model: None)
    with pytest.raises(ExportError, match=message):
        network.layers(changed(release[1], change), 521)


def test_an_operator_that_the_page_does_not_know(small_model):
    with pytest.raises(
        ExportError, match=r"This model has AVERAGE_POOL_2D; serve it with `yamnet-cry space`"
    ):
        network.layers((small_model / "model_int8.tflite").read_bytes(), 3)


def test_a_front_end_that_the_page_does_not_have(release):
    config, model, context = release
    other = dataclasses.replace(config, front_end=dataclasses.replace(YAMNET, log_offset=0.01))
    with pytest.raises(
        ExportError, match="this model's has front_end.log_offset: expected 0.001, received 0.01"
    ):
        page.files(other, model, context)


def test_a_port_that_is_taken_and_an_address_of_nobody():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"port {port} is in use; choose another port with --port"):
            Server({}, port=port)
    with pytest.raises(RunError, match=r"192\.0\.2\.1, port 0 cannot be used"):
        Server({}, "192.0.2.1")

"""Training on several devices: two virtual CPU devices of JAX, in separate processes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from yamnet_cry.distill import devices, recipes
from yamnet_cry.distill.sections import ContextSettings, Train
from yamnet_cry.errors import RunError
from yamnet_cry.model.folder import METRICS, RECIPE

CHILD = Path(__file__).with_name("devices_child.py")
ENVIRONMENT = {
    **os.environ,
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
}
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="there is no JAX")


def run(folder: Path, count: int, bits: int = 0, stop: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, CHILD, folder, str(count), str(bits), str(stop)]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def on_one(tmp_path_factory):
    return run(tmp_path_factory.mktemp("devices") / "one", 1)


@pytest.fixture(scope="module")
def on_two(tmp_path_factory):
    return run(tmp_path_factory.mktemp("devices") / "two", 2)


def assert_the_same(folder: Path, other: Path) -> None:
    """Asserts that losses of every epoch, final logits and weights are the same, except for rounding."""
    first, second = (json.loads((each / "done.json").read_text()) for each in (folder, other))
    for part in ("history", "context"):
        assert len(first[part]) == len(second[part]) > 1
        for one, two in zip(first[part], second[part], strict=True):
            assert one == pytest.approx(two, rel=1e-4), part
    with np.load(folder / "outputs.npz") as one, np.load(other / "outputs.npz") as two:
        assert set(one.files) == set(two.files)
        for name in one.files:
            np.testing.assert_allclose(one[name], two[name], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@needs_jax
def test_two_devices_learn_what_one_does(on_one, on_two):
    assert_the_same(on_one, on_two)
    one, two = (json.loads((folder / "done.json").read_text()) for folder in (on_one, on_two))
    assert (one["devices"], two["devices"]) == ([1], [2])
    assert one["history"][-1]["loss"] < 0.95 * one["history"][0]["loss"]


@pytest.mark.slow
@needs_jax
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_run_goes_on_with_another_number_of_devices(on_one, tmp_path, before, after):
    folder = run(tmp_path / "run", before, stop=2)
    assert not (folder / "done.json").exists()
    assert len(json.loads((folder / "history.json").read_text())) == 2
    assert_the_same(on_one, run(folder, after))


@pytest.mark.slow
@needs_jax
def test_weights_of_few_bits_are_held_on_two_devices(tmp_path):
    folder = run(tmp_path / "run", 2, bits=4)
    history = json.loads((folder / "done.json").read_text())["history"]
    assert history[-1]["loss"] < history[0]["loss"]


@pytest.mark.slow
@needs_jax
def test_a_whole_run_on_two_devices(run_arguments, tmp_path):
    command = [sys.executable, "-m", "yamnet_cry", "distill", "--recipe", "reference", "--devices", "2"]
    command += ["--audio", run_arguments["audio"], "--teacher", os.fspath(run_arguments["teacher"])]
    command += ["--out", os.fspath(tmp_path / "model"), "--cache", os.fspath(run_arguments["cache"])]
    command += ["--set", "train.epochs=2", "--set", "train.batch_size=8"]
    refused = subprocess.run(
        [*command, "--devices", "3"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "expected --devices from 1 to 2, as many as JAX finds. Received: 3" in refused.stderr
    assert not list(tmp_path.iterdir())
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "training on 2 devices" in result.stderr
    recorded = json.loads((tmp_path / "model" / RECIPE).read_text())["trained_on"]
    assert recorded == {"backend": "jax", "devices": 2}
    metrics = json.loads((tmp_path / "model" / METRICS).read_text())
    assert len(metrics["training"]["history"]) == 2


def test_other_backends_share_nothing(monkeypatch):
    if keras.backend.backend() == "jax":
        pytest.skip("the backend is JAX")
    with pytest.raises(RunError, match="set KERAS_BACKEND=jax. Received: --devices 2 and KERAS_BACKEND="):
        devices.check(2, recipes.get("reference"))


@pytest.fixture
def on_jax(monkeypatch):
    """Simulates the JAX backend with six devices."""
    monkeypatch.setattr(devices.keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(devices.keras.distribution, "list_devices", lambda: [f"gpu:{n}" for n in range(6)])


def test_a_batch_without_equal_shares_is_refused(on_jax):
    recipe = recipes.get("reference", ["train.batch_size=32"])
    devices.check(4, recipe)
    with pytest.raises(
        RunError,
        match="train.batch_size to be a multiple of the 3 devices, .*: 32; use --set train.batch_size=33",
    ):
        devices.check(3, recipe)
    of_context = replace(
        recipes.get("context"), train=Train(batch_size=60), context=ContextSettings(batch_size=16)
    )
    with pytest.raises(
        RunError, match="context.batch_size to be .* Received: 16; use --set context.batch_size=20"
    ):
        devices.check(5, of_context)


@pytest.mark.parametrize("count", [0, 7])
def test_devices_that_are_not_there_are_refused(on_jax, count):
    with pytest.raises(RunError, match=f"--devices from 1 to 6, as many as JAX finds. Received: {count}"):
        devices.check(count, recipes.get("reference"))


def test_idle_devices_are_spoken_of(on_jax, caplog):
    caplog.set_level("INFO")
    devices.check(1, recipes.get("reference"))
    assert "training on one of 6 devices; use all with --devices 6" in caplog.text


class Batches:
    """Batches of four consecutive numbers, with a count of epoch ends."""

    def __init__(self, total):
        self.total, self.batch_size, self.ended = total, 4, 0

    def __len__(self):
        return -(-self.total // 4)

    def __getitem__(self, number):
        values = np.arange(self.total)[4 * number : 4 * number + 4]
        return (values, values * 2.0), values + 1

    def on_epoch_end(self):
        self.ended += 1


@pytest.mark.parametrize(
    ("total", "last"),
    [(8, [4, 5, 6, 7]), (6, [4, 5]), (7, [4, 5, 6, 4, 5, 6]), (1, [0, 0])],
)
def test_a_last_batch_that_cannot_be_shared_is_repeated(total, last):
    batches = Batches(total)
    shared = devices.Shared(batches, 2)
    shared.on_epoch_end()
    assert (len(shared), batches.ended) == (len(batches), 1)
    (first, second), targets = shared[len(shared) - 1]
    assert (first.tolist(), second.tolist(), targets.tolist()) == (
        last,
        [2.0 * value for value in last],
        [value + 1 for value in last],
    )
    # The loss of each number is its square: first as Keras averages it, with repetitions, then counted once.
    squares = [np.square(shared[number][1]) for number in range(len(shared))]
    before = float(np.mean(np.concatenate(squares[:-1]))) if len(squares) > 1 else 0.0
    expected = np.mean(np.square(np.arange(total) + 1.0))
    assert shared.mean(before, float(np.mean(np.concatenate(squares)))) == pytest.approx(expected)

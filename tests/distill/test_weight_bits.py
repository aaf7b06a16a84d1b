"""Weights of few bits: rounding, and training with rounded weights."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.distill import weight_bits
from yamnet_cry.distill.weight_bits import HeldToBits, rounded


@given(st.integers(2, 8), st.integers(1, 5), st.integers(0, 2**32 - 1), st.floats(1e-4, 1e3))
def test_weights_become_few_multiples_of_a_step(bits, outputs, seed, size):
    weights = (size * np.random.default_rng(seed).standard_normal((40, outputs))).astype(np.float32)
    found = rounded(weights, bits)
    assert (found.shape, found.dtype) == (weights.shape, np.float32)
    for before, after in zip(weights.T, found.T, strict=True):
        highest = 2 ** (bits - 1) - 1
        # All weights are multiples of a step that divides the largest.
        multiples = [after / np.abs(after).max() * largest for largest in range(1, highest + 1)]
        assert any(np.allclose(each, np.round(each), atol=1e-3) for each in multiples)
        # The error is never larger than with all weights zero.
        assert ((after - before) ** 2).sum() <= (before**2).sum() * (1 + 1e-5)


def test_more_bits_are_closer():
    weights = np.random.default_rng(0).standard_normal((3, 3, 8, 16)).astype(np.float32)
    errors = [np.abs(rounded(weights, bits) - weights).mean() for bits in (2, 3, 4, 6, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02


def test_no_weights_at_all_stay_none():
    assert not rounded(np.zeros((4, 2), np.float32), 4).any()


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    network.compile(keras.optimizers.Adam(0.02), "mse")
    return network


def data(count: int = 256) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)
    return x, np.abs(x[:, :1]) - x[:, 1:2]


@pytest.mark.slow
def test_what_is_learnt_is_learnt_for_rounded_weights():
    x, y = data()
    afterwards, held = model(), model()
    afterwards.fit(x, y, epochs=60, verbose=0)
    held.fit(x, y, epochs=60, verbose=0, callbacks=[HeldToBits(2)])
    for network in (afterwards, held):
        weight_bits.hold(network, 2)
    assert held.evaluate(x, y, verbose=0) < 0.75 * afterwards.evaluate(x, y, verbose=0)


def test_validation_is_of_rounded_weights_and_training_goes_on_with_all_bits():
    x, y = data(64)
    network = model()
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel = self.model.layers[0].get_weights()[0]
            seen.append((kernel, logs["val_loss"]))

    network.fit(x, y, validation_data=(x, y), epochs=3, verbose=0, callbacks=[HeldToBits(3), Look()])
    kernel, loss = seen[-1]
    assert not np.allclose(kernel, rounded(kernel, 3))
    weight_bits.hold(network, 3)
    np.testing.assert_allclose(network.evaluate(x, y, verbose=0), loss, rtol=1e-5)


def test_a_network_that_cannot_change_stays_as_it_is():
    """A learning rate of 0 leaves the full-precision weights unchanged, except for float32 rounding."""
    network = model()
    network.optimizer.learning_rate = 0.0
    before = network.get_weights()
    network.fit(*data(64), epochs=2, verbose=0, callbacks=[HeldToBits(2)])
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)


@pytest.mark.parametrize(
    ("bits", "expected"), [(8, 40 + 4 * (9 + 9)), (2, 10 + 4 * (9 + 9)), (4, 20 + 4 * (9 + 9))]
)
def test_the_size_when_packed(bits, expected):
    """The network has 40 weights, a step for each of 9 outputs, and 9 biases."""
    assert weight_bits.packed_bytes(model(), bits) == expected

"""The context network: exact, causal, the same in pieces; inputs it refuses."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.model.context import LARGEST_STEP, STEP, TAPS, Context, ContextLayer


def a_context(
    seed: int = 0, width: int = 6, filters: int = 5, dilations: tuple[int, ...] = (1, 2, 3)
) -> Context:
    generator = np.random.default_rng(seed)
    layers, inputs = [], width
    for number, dilation in enumerate((*dilations, 1)):
        last = number == len(dilations)
        outputs, taps = (1, 1) if last else (filters, TAPS)
        layers.append(
            ContextLayer(
                generator.integers(-127, 128, (taps, inputs, outputs)).astype(np.int8),
                generator.uniform(1e-4, 2e-2, outputs).astype(np.float32) * (1e-3 if last else 1),
                generator.normal(0, 1 if last else 30, outputs).astype(np.float32),
                dilation,
            )
        )
        inputs = outputs
    return Context(tuple(layers))


def heard(windows: int, width: int = 6, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-255, 256, (windows, width)).astype(np.int16)


def by_definition(context: Context, embeddings: np.ndarray) -> np.ndarray:
    """The outputs, computed window by window with integers and loops."""
    rows = [[int(value) for value in row] for row in embeddings]
    for layer in context.layers:
        taps, _, outputs = layer.weights.shape
        found = []
        for time in range(len(rows)):
            sums = np.zeros(outputs, np.int64)
            for tap in range(taps):
                before = time - (taps - 1 - tap) * layer.dilation
                if before >= 0:
                    sums += np.array(rows[before], np.int64) @ layer.weights[tap].astype(np.int64)
            y = sums.astype(np.float32) * layer.multiplier + layer.bias
            if layer is context.layers[-1]:
                found.append(y)
            else:
                found.append([int(min(max(np.floor(v + np.float32(0.5)), 0), LARGEST_STEP)) for v in y])
        rows = found
    return np.array(rows)[:, 0]


def test_it_is_what_its_definition_says():
    context, embeddings = a_context(), heard(40)
    found = context.listen()(embeddings)
    assert found.dtype == np.float32
    assert np.ptp(found) > 0
    np.testing.assert_array_equal(found, by_definition(context, embeddings))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 5))
def test_pieces_give_what_the_whole_gives(sizes, seed):
    context, embeddings = a_context(seed), heard(sum(sizes), seed=seed)
    listening = context.listen()
    ends = np.cumsum(sizes)
    pieces = [listening(embeddings[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    np.testing.assert_array_equal(np.concatenate(pieces), context.listen()(embeddings))


def test_what_is_older_than_its_reach_does_not_matter():
    context, embeddings = a_context(), heard(60)
    assert context.windows == 1 + 2 * (1 + 2 + 3)
    other = embeddings.copy()
    other[: 60 - context.windows] = 0
    assert context.listen()(embeddings)[-1] == context.listen()(other)[-1]
    other[60 - context.windows] += 200
    assert context.listen()(embeddings)[-1] != context.listen()(other)[-1]


def test_bytes_are_the_same_network_again_and_the_same_bytes():
    context = a_context()
    content = context.to_bytes()
    again = Context.from_bytes(content)
    assert again.to_bytes() == content
    assert (again.windows, again.inputs, again.parameters) == (13, 6, context.parameters)
    np.testing.assert_array_equal(again.listen()(heard(9)), context.listen()(heard(9)))


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def arrays_of(context: Context) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(context.to_bytes())) as arrays:
        return dict(arrays)


def claiming(before: str, after: str) -> bytes:
    """A network file in which a text of the dilations' array header is replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(a_context().to_bytes())) as archive, zipfile.ZipFile(file, "w") as other:
        for entry in archive.infolist():
            content = archive.read(entry)
            if entry.filename == "dilations.npy":
                assert before.encode() in content
                content = content.replace(before.encode(), after.encode().ljust(len(before)))
            other.writestr(entry.filename, content)
    return file.getvalue()


def compressed() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays_of(a_context()))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable npz file"),
        (b"PK\x03\x04 and so on", "not a readable npz file"),
        (a_context().to_bytes()[:-40], "not a readable npz file"),
        (compressed(), "it is compressed"),
        (packed({"dilations": np.array([1], np.int32)}), "weights0"),
        (packed({**arrays_of(a_context()), "more": np.zeros(1)}), "more is unknown"),
        (packed({**arrays_of(a_context()), "dilations": np.ones(4)}), "dilations"),
        (
            packed({**arrays_of(a_context()), "dilations": np.array([1, 2, 99, 1], np.int32)}),
            "dilation of 1 to",
        ),
        (packed({**arrays_of(a_context()), "bias0": np.zeros(5)}), "float32 with 1"),
        (
            packed({**arrays_of(a_context()), "bias0": np.full(5, np.nan, np.float32)}),
            "bias of layer 1 to be",
        ),
        (
            packed({**arrays_of(a_context()), "multiplier1": np.full(5, 1e9, np.float32)}),
            "at most 1000 in size",
        ),
        (packed({"dilations": np.zeros((2, 2), order="F")}), "does not match its header"),
        (claiming("(4,)", "(9,)"), "does not match its header"),
        (claiming("(4,)", "(-1)"), "."),
        (claiming("'<i4'", "'|O'"), "does not match its header"),
        (packed({**arrays_of(a_context()), "bias0": np.zeros(4, np.float32)}), "shapes"),
        (packed({**arrays_of(a_context()), "weights3": np.zeros((2, 5, 1), np.int8)}), "layer 4"),
        (packed({f"weights{n}": np.zeros(1) for n in range(40)}), "more than a context network"),
    ],
)
def test_anything_else_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        Context.from_bytes(content)


def test_too_wide_networks_are_refused():
    with pytest.raises(ValueError, match="128 channels"):
        a_context(width=129)
    with pytest.raises(ValueError, match="1 to 8 layers"):
        a_context(dilations=(1,) * 8)


def test_sums_stay_within_32_bits():
    # The C code has 32 bits; this is the largest possible sum at the limits of the file format.
    assert TAPS * 128 * 127 * LARGEST_STEP < 2**31
    assert LARGEST_STEP * STEP > 31

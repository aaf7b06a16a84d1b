"""The context network: from the student's embeddings of the last seconds to whether a baby cries.

A single window of a meow sounds much like one of a cry; the rhythm over ten seconds distinguishes them. So a
small causal network, a stack of dilated convolutions (van den Oord et al. 2016, arXiv:1609.03499), takes the
student's embeddings of the last windows and returns one log-odds value per window.

It looks back a fixed number of windows and has no other state, so results on endless streams cannot drift.
Weights are int8, activations are 16-bit integers, and sums are exact: for a recording, a stream and the C
code of the firmware kit, results are bit-identical for any block sizes.
"""

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.frontend import Float32

Int8 = NDArray[np.int8]
Int16 = NDArray[np.int16]

#: Kernel size of each convolution, in windows; they are a dilation apart.
TAPS = 3

#: Quantization scale of activations. Products with a power of two are exact; 15 bits give values up to 32.
STEP = 2.0**-10
LARGEST_STEP = 2**15 - 1

#: Limits for networks that are read, which bound the cost, and keep sums within 32 bits, as in C.
MOST_LAYERS, MOST_CHANNELS, MOST_DILATION = 8, 128, 64
LARGEST_MULTIPLIER, LARGEST_BIAS = 1e3, 1e9


@dataclass(frozen=True, eq=False)
class ContextLayer:
    """A causal convolution: ``weights[k]`` applies to the input of ``(TAPS - 1 - k) * dilation`` windows ago.

    Its output is ``sum * multiplier + bias``; in all layers except the last, the output is rounded to
    integers and rectified.

    Attributes:
        weights: int8 of shape (taps, inputs, outputs); `TAPS` taps, or one in the last layer.
        multiplier: float32 of shape (outputs,), scales the sum to steps of `STEP`, or to log-odds in the last
            layer.
        bias: float32 of shape (outputs,), in the same unit.
        dilation: In windows.
    """

    weights: Int8
    multiplier: Float32
    bias: Float32
    dilation: int = 1

    @property
    def reach(self) -> int:
        """Number of windows that it looks back."""
        return (len(self.weights) - 1) * self.dilation


@dataclass(frozen=True, eq=False)
class Context:
    """A trained context network.

    Attributes:
        layers: The layers in order; the last has one output, the log-odds.

    Raises:
        ValueError: If the shapes of layers do not match, or exceed the limits.

    Examples:
        >>> layer = ContextLayer(np.ones((3, 2, 1), np.int8), np.float32([0.5]), np.float32([0.0]))
        >>> context = Context((layer, ContextLayer(np.int8([[[1]]]), np.float32([0.1]), np.float32([-1.0]))))
        >>> context.windows, context.inputs
        (3, 2)
        >>> listening = context.listen()
        >>> listening(np.int16([[10, 10]])).tolist(), listening(np.int16([[0, 0], [10, 10]])).tolist()
        ([0.0], [0.0, 1.0])
    """

    layers: tuple[ContextLayer, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= MOST_LAYERS:
            raise ValueError(f"expected 1 to {MOST_LAYERS} layers. Received: {len(self.layers)}")
        inputs = self.inputs
        for number, layer in enumerate(self.layers, start=1):
            last = number == len(self.layers)
            taps, outputs = 1 if last else TAPS, 1 if last else layer.weights.shape[-1]
            shapes = [layer.weights.shape, layer.multiplier.shape, layer.bias.shape]
            if shapes != [(taps, inputs, outputs), (outputs,), (outputs,)]:
                raise ValueError(
                    f"expected weights, multiplier and bias of layer {number} of shapes "
                    f"{[(taps, inputs, outputs), (outputs,), (outputs,)]}. Received: {shapes}"
                )
            if not (1 <= inputs <= MOST_CHANNELS and 1 <= layer.dilation <= MOST_DILATION):
                raise ValueError(
                    f"expected 1 to {MOST_CHANNELS} channels and a dilation of 1 to {MOST_DILATION} in layer "
                    f"{number}. Received: {inputs} and {layer.dilation}"
                )
            for name, limit in (("multiplier", LARGEST_MULTIPLIER), ("bias", LARGEST_BIAS)):
                # Written so that NaN fails too.
                if not (np.abs(getattr(layer, name)) <= limit).all():
                    raise ValueError(f"expected {name} of layer {number} to be at most {limit:g} in size")
            inputs = outputs

    @property
    def inputs(self) -> int:
        """Width of its input embeddings."""
        return int(self.layers[0].weights.shape[1])

    @property
    def windows(self) -> int:
        """Receptive field in windows, including the newest."""
        return 1 + sum(layer.reach for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Number of weights, multipliers and biases."""
        return sum(layer.weights.size + layer.multiplier.size + layer.bias.size for layer in self.layers)

    def listen(self) -> "Listening":
        """Returns a new state for a recording or stream, with zeros as the windows before it."""
        return Listening(self.layers)

    def to_bytes(self) -> bytes:
        """Returns the content of its file in a model folder: npz, the same bytes for the same network."""
        arrays: dict[str, Any] = {"dilations": np.array([layer.dilation for layer in self.layers], np.int32)}
        for number, layer in enumerate(self.layers):
            arrays |= {name: value for name, value in _named(number, layer)}
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Creates a context network from the result of `to_bytes`.

        Raises:
            ValueError: If the content is invalid; the message says why.
        """
        try:
            arrays = _arrays(content)
            dilations = arrays.pop("dilations")
            if dilations.ndim != 1 or dilations.dtype != np.int32 or not 1 <= len(dilations) <= MOST_LAYERS:
                raise ValueError("dilations are not a list of whole numbers")
            layers = tuple(
                ContextLayer(
                    _typed(arrays, f"weights{number}", np.int8, 3),
                    _typed(arrays, f"multiplier{number}", np.float32, 1),
                    _typed(arrays, f"bias{number}", np.float32, 1),
                    int(dilation),
                )
                for number, dilation in enumerate(dilations)
            )
            if arrays:
                raise ValueError(f"{', '.join(sorted(arrays))[:80]} is unknown")
            return cls(layers)
        except (zipfile.BadZipFile, KeyError, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"it is not a readable npz file ({error})") from None


class Listening:
    """Runs a context network on one recording or stream; created by `Context.listen`.

    Args:
        layers: The layers of the network.
    """

    def __init__(self, layers: Sequence[ContextLayer]) -> None:
        self._layers = layers
        # float64 represents integers of 53 bits exactly, and its matrix products are faster than of integers.
        self._weights = [layer.weights.astype(np.float64) for layer in layers]
        self._before = [np.zeros((layer.reach, layer.weights.shape[1])) for layer in layers]

    def __call__(self, embeddings: Int16) -> Float32:
        """Returns the log-odds for the next windows.

        Args:
            embeddings: int16 of shape (windows, inputs): the student's quantized embeddings minus their zero
                point.

        Returns:
            float32 of shape (windows,): the log-odds that a baby cries, given each window and those before.
        """
        x = embeddings.astype(np.float64)
        for number, (layer, weights) in enumerate(zip(self._layers, self._weights, strict=True)):
            x = np.concatenate([self._before[number], x])
            count = len(x) - layer.reach
            self._before[number] = x[count:]
            total = sum(
                x[tap * layer.dilation : tap * layer.dilation + count] @ weights[tap]
                for tap in range(len(weights))
            )
            # In float32 and in this order, as in C.
            y = np.asarray(total).astype(np.float32) * layer.multiplier + layer.bias
            if layer is self._layers[-1]:
                return y[:, 0]
            x = np.clip(np.floor(y + np.float32(0.5)), 0, LARGEST_STEP).astype(np.float64)
        raise AssertionError("a context network has layers")


def _named(number: int, layer: ContextLayer) -> list[tuple[str, Any]]:
    return [
        (f"weights{number}", layer.weights),
        (f"multiplier{number}", layer.multiplier),
        (f"bias{number}", layer.bias),
    ]


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        # Only uncompressed entries, so that nothing unpacks to more than was downloaded.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed")
        if len(entries) > 1 + 3 * MOST_LAYERS:
            raise ValueError("it contains more than a context network")
        return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}


def _array(content: bytes) -> NDArray[Any]:
    """Reads an npy file; numpy itself would allocate any size that the header claims."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("expected arrays of npy version 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    rest = content[file.tell() :]
    if fortran or dtype.hasobject or math.prod(shape) * dtype.itemsize != len(rest):
        raise ValueError("an array in it does not match its header")
    return np.frombuffer(rest, dtype).reshape(shape)


def _typed(arrays: dict[str, NDArray[Any]], name: str, dtype: type, dimensions: int) -> NDArray[Any]:
    array = arrays.pop(name)
    if array.dtype != dtype or array.ndim != dimensions:
        raise ValueError(
            f"expected {name} to be {np.dtype(dtype)} with {dimensions} dimensions. "
            f"Received: {array.dtype} with {array.ndim}"
        )
    return array

"""The INT8 student on LiteRT: from log-mel patches to logits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Self

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from yamnet_cry.errors import ModelError
from yamnet_cry.frontend import Float32, FrontEnd
from yamnet_cry.model.check import check
from yamnet_cry.model.check_lstm import LSTM

Int8 = NDArray[np.int8]
Int16 = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class QuantizedLogits:
    """Quantized logits of an INT8 student, a quarter of the size of floats.

    For 521 classes, they take 47 MB for twelve hours.

    Attributes:
        values: int8 of shape (windows, classes).
        scale: Quantization scale, in logits.
        zero_point: Quantized value of a logit of 0.
    """

    values: Int8
    scale: float
    zero_point: int

    def dequantized(self) -> Float32:
        """Returns the logits: float32 of shape (windows, classes).

        Examples:
            >>> QuantizedLogits(np.int8([[4, -6]]), scale=0.5, zero_point=-2).dequantized().tolist()
            [[3.0, -2.0]]
        """
        return (self.values.astype(np.float32) - self.zero_point) * np.float32(self.scale)

    def __getitem__(self, windows: slice) -> Self:
        return replace(self, values=self.values[windows])

    @staticmethod
    def joined(parts: "Sequence[QuantizedLogits]") -> "QuantizedLogits":
        """Concatenates the logits of consecutive windows from one student.

        Args:
            parts: At least one.

        Examples:
            >>> part = QuantizedLogits(np.zeros((2, 3), np.int8), scale=0.5, zero_point=0)
            >>> QuantizedLogits.joined([part, part]).values.shape
            (4, 3)
        """
        return replace(parts[0], values=np.concatenate([part.values for part in parts]))


@dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs of a student for some windows.

    Attributes:
        logits: The logits of all classes.
        embeddings: int16 of shape (windows, width): quantized embeddings minus their zero point, the input of
            a context network; width 0 for a student without embeddings.
    """

    logits: QuantizedLogits
    embeddings: Int16


class Student:
    """A full-integer student: from int8 log-mel patches to int8 logits, and embeddings for a context network.

    One object may be shared between threads; a lock serialises calls.

    Args:
        model: The bytes of a ``.tflite`` file.
        front_end: The front end that computes its input.
        classes: Number of its logits.
        embedding: Width of its embeddings; 0 for none.

    Attributes:
        output_numbers: Numbers of the outputs with logits and, if it has them, embeddings, in this order.
        input_scale: Quantization scale of the input, in nepers.
        input_zero_point: Quantized value of a log-mel value of 0.
        output_scale: Quantization scale of the logits.
        output_zero_point: Quantized value of a logit of 0.
        embedding_scale: Quantization scale of the embeddings; without them, that of the logits.
        embedding_zero_point: Quantized value of 0 in an embedding; without them, that of the logits.

    Raises:
        ModelError: If the bytes are not a TFLite model, `model.check.check` rejects it, or it has other
            inputs or outputs.

    Examples:
        >>> from yamnet_cry import CryDetector
        >>> detector = CryDetector.from_pretrained()
        >>> log_mel = detector.config.front_end.log_mel(np.zeros(32_000, np.float32))
        >>> log_mel.shape, detector.student.logits(log_mel).shape
        ((198, 64), (3, 521))
    """

    def __init__(self, model: bytes, front_end: FrontEnd, classes: int, embedding: int = 0) -> None:
        check(model)
        try:
            # One thread: at 24 microseconds per window, a second one costs more than it gains.
            self._interpreter = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError, IndexError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"the model is not a readable TFLite file ({reason})") from None
        self._lock = Lock()
        self._recurrent = LSTM in {each["op_name"] for each in self._interpreter._get_ops_details()}
        self._front_end, self._classes, self._width = front_end, classes, embedding
        # The converter may change the order of outputs: these are the numbers of logits and embeddings.
        self.output_numbers = sorted(
            range(len(outputs)), key=lambda number: tuple(outputs[number]["shape"]) != (1, classes)
        )
        outputs = [outputs[number] for number in self.output_numbers]
        received = [(tuple(map(int, t["shape"])), t["dtype"].__name__) for t in inputs + outputs]
        size = (1, front_end.patch_frames, front_end.mel_bands, 1)
        expected = [(size, "int8"), ((1, classes), "int8")]
        if embedding:
            expected.append(((1, embedding), "int8"))
        if received != expected:
            raise ModelError(
                f"expected a model with input and output {expected}, the input being that of its front end"
                f"{_differing(size, received[0][0])}. Received: {received}"
            )
        self._input, self._outputs = inputs[0]["index"], [output["index"] for output in outputs]
        self.input_scale, self.input_zero_point = inputs[0]["quantization"]
        self.output_scale, self.output_zero_point = outputs[0]["quantization"]
        self.embedding_scale, self.embedding_zero_point = outputs[-1]["quantization"]

    def quantize(self, log_mel: Float32) -> Int8:
        """Quantizes log-mel values to the model's int8 input, saturating at both ends.

        Args:
            log_mel: float32 array of any shape, in nepers.

        Returns:
            int8 array of the same shape.

        Examples:
            >>> from yamnet_cry import CryDetector
            >>> student = CryDetector.from_pretrained().student
            >>> student.quantize(np.float32([-100, 0, 100])).tolist() == [-128, student.input_zero_point, 127]
            True
        """
        steps = np.rint(log_mel * np.float32(1.0 / self.input_scale))
        steps += np.float32(self.input_zero_point)
        return np.clip(steps, -128, 127, out=steps).astype(np.int8)

    def logits(self, log_mel: Float32) -> Float32:
        """Classifies every patch of a log-mel spectrogram.

        Args:
            log_mel: float32 array of shape (frames, bands), such as (240, 64).

        Returns:
            float32 array of shape (patches, classes), with the patches of `FrontEnd.patches`: for YAMNet's
            front end, ``1 + (frames - 96) // 48``.

        Examples:
            >>> from yamnet_cry import CryDetector
            >>> student = CryDetector.from_pretrained().student
            >>> student.logits(np.zeros((240, 64), np.float32)).shape
            (4, 521)
        """
        return self.outputs(log_mel).logits.dequantized()

    def outputs(self, log_mel: Float32) -> Outputs:
        """Runs the student on every patch as `logits` does, and returns its quantized outputs.

        Args:
            log_mel: float32 array of shape (frames, bands).

        Examples:
            >>> from yamnet_cry import CryDetector
            >>> outputs = CryDetector.from_pretrained().student.outputs(np.zeros((240, 64), np.float32))
            >>> outputs.logits.values.shape, outputs.embeddings.shape
            ((4, 521), (4, 48))
        """
        # Frames are quantised once: all patches except the first and last share them with two others.
        inputs = self._front_end.patches(self.quantize(log_mel))[:, None, :, :, None]
        logits = np.empty((len(inputs), self._classes), np.int8)
        embeddings = np.empty((len(inputs), self._width), np.int8)
        with self._lock:
            for number, patch in enumerate(inputs):
                if self._recurrent:
                    # An LSTM would keep the state of the previous window.
                    self._interpreter.reset_all_variables()
                self._interpreter.set_tensor(self._input, patch)
                self._interpreter.invoke()
                logits[number] = self._interpreter.get_tensor(self._outputs[0])[0]
                if self._width:
                    embeddings[number] = self._interpreter.get_tensor(self._outputs[1])[0]
        return self.said(logits, embeddings)

    def said(self, logits: Int8, embeddings: Int8) -> Outputs:
        """Wraps int8 outputs of this model, from any runtime, as `Outputs`.

        Args:
            logits: int8 of shape (windows, classes).
            embeddings: int8 of shape (windows, width).

        Examples:
            >>> from yamnet_cry import CryDetector
            >>> student = CryDetector.from_pretrained().student
            >>> student.said(np.zeros((2, 521), np.int8), np.zeros((2, 48), np.int8)).embeddings.dtype
            dtype('int16')
        """
        centred = embeddings.astype(np.int16) - np.int16(self.embedding_zero_point)
        return Outputs(self.quantized(logits), centred)

    def quantized(self, outputs: Int8) -> QuantizedLogits:
        """Wraps int8 logits of this model, from any runtime, with their scale and zero point.

        Args:
            outputs: int8 of shape (windows, classes).

        Examples:
            >>> from yamnet_cry import CryDetector
            >>> student = CryDetector.from_pretrained().student
            >>> zero = student.quantized(np.full((1, 521), student.output_zero_point, np.int8))
            >>> zero.dequantized().any().item()
            False
        """
        return QuantizedLogits(outputs, self.output_scale, self.output_zero_point)


def embedding_scale(model: bytes, width: int) -> float:
    """Returns the quantization scale of a student's embeddings.

    Args:
        model: The bytes of its ``.tflite`` file.
        width: Width of the embeddings.
    """
    outputs = Interpreter(model_content=model).get_output_details()
    (own,) = (output for output in outputs if tuple(output["shape"]) == (1, width))
    return float(own["quantization"][0])


def _differing(expected: tuple[int, ...], received: tuple[int, ...]) -> str:
    """Returns the fields of a front end that do not match the input shape of a model; may be empty."""
    if len(expected) != len(received):
        return ""
    fields = zip(("", "patch_frames", "mel_bands", ""), expected, received, strict=True)
    named = [f"front_end.{name} is {own}" for name, own, other in fields if name and own != other]
    return f", whose {' and '.join(named)}" if named else ""

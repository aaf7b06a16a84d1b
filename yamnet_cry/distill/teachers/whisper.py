"""The encoder of Whisper (Radford et al. 2022, arXiv:2212.04356) in ONNX, a teacher without labels."""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from yamnet_cry.distill.teacher import EMBEDDING, TeacherKind
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import Float32, FrontEnd

_POSITIONS = "embed_positions.weight"
# Whisper clips log-mel values at this far below the maximum of its input, in bels.
_RANGE = 8.0
_FRAMES_PER_POSITION = 2

#: Whisper's front end, except that Whisper pads with reflections, and this one with silence.
_LOG_MEL = FrontEnd(
    name="whisper",
    sample_rate=16_000,
    frame_length=400,
    frame_hop=160,
    fft_length=400,
    mel_bands=80,
    mel_min_hz=0.0,
    mel_max_hz=8_000.0,
    log_offset=1e-10,
    patch_frames=1,
    patch_hop=1,
    centred=True,
    spectrum="power",
    mel_scale="slaney",
)


class WhisperTeacher:
    """The output of Whisper's encoder for each window, averaged over time: an embedding.

    A probe for the labels is trained on the corpus, see `probe`. The encoder takes thirty seconds; it is
    shortened to the length of a window, because padding with silence would cost as much time as speech.

    Args:
        folder: A folder with the file names of ``optimum`` and Transformers.js: ``config.json`` of a Whisper
            model and one ``encoder_model*.onnx`` in it or a subfolder (input ``input_features``, float32 of
            shape (1, 80, frames); first output float32 of shape (1, frames / 2, width)).
        front_end: The front end that defines the windows, of at most thirty seconds.

    Raises:
        TeacherError: If a file is missing, or is not what is expected.
        ImportError: If ONNX and its runtime are not installed.
    """

    kind: TeacherKind = EMBEDDING

    def __init__(self, folder: Path, front_end: FrontEnd) -> None:
        try:
            import onnx
            import onnxruntime
        except ImportError:
            raise ImportError('Whisper needs onnx and onnxruntime: pip install "yamnet-cry[onnx]"') from None
        networks = sorted(folder.rglob("encoder_model*.onnx"))
        if len(networks) != 1:
            raise TeacherError(
                f"expected one encoder_model*.onnx in {folder}, such as encoder_model_quantized.onnx. "
                f"Received: {len(networks)}"
            )
        self._front_end = front_end
        try:
            name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["_name_or_path"]
            content = networks[0].read_bytes()
            model = onnx.load_model_from_string(content)
            _shorten(model, self._positions)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            self._output = self._session.get_outputs()[0].name
            width = len(self._embedding(np.zeros(front_end.patch_samples, np.float32)))
        except TeacherError:
            raise
        except Exception as error:
            raise TeacherError(f"{networks[0]} is not a Whisper encoder ({error})") from error
        self.name = f"encoder of {name}"
        self.labels = tuple(f"embedding {number}" for number in range(width))
        windows = f" {front_end.patch_samples} {front_end.patch_hop_samples}"
        self.fingerprint = hashlib.sha256(content).hexdigest() + windows

    @property
    def _positions(self) -> int:
        frames = self._front_end.patch_samples // _LOG_MEL.frame_hop
        return math.ceil(frames / _FRAMES_PER_POSITION)

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Returns the embedding of every window; see `Teacher`."""
        each = [self._front_end.waveforms(waveform) for waveform in waveforms]
        ends = np.cumsum([len(windows) for windows in each])
        # One window per run: with INT8 weights, activations are quantized too, with one scale per run.
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            embeddings = list(pool.map(self._embedding, (window for windows in each for window in windows)))
        return np.split(np.stack(embeddings), ends[:-1])

    def _embedding(self, waveform: Float32) -> Float32:
        count = self._positions * _FRAMES_PER_POSITION
        bels = _LOG_MEL.log_mel(waveform)[:count] / np.float32(math.log(10.0))
        bels = np.maximum(bels, bels.max() - _RANGE)
        features = np.full((1, _LOG_MEL.mel_bands, count), bels.min(), np.float32)
        features[0, :, : len(bels)] = bels.T
        (heard,) = self._session.run([self._output], {"input_features": (features + 4) / 4})
        return np.asarray(heard[0].mean(axis=0), np.float32)


def _shorten(model: "onnx.ModelProto", positions: int) -> None:  # type: ignore[name-defined] # noqa: F821
    """Keeps only the first position embeddings; all other shapes follow from the input's."""
    from onnx import numpy_helper

    (table,) = (each for each in model.graph.initializer if each.name == _POSITIONS)
    values = numpy_helper.to_array(table)
    if positions > len(values):
        raise TeacherError(
            f"expected windows of at most {len(values) * 0.02:g} s. Received: {positions * 0.02:g} s"
        )
    # Recorded shapes, and outputs with attention maps, are for thirty seconds.
    del model.graph.value_info[:]
    del model.graph.output[1:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    table.CopyFrom(numpy_helper.from_array(values[:positions].copy(), _POSITIONS))

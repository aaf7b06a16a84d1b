"""Runs a Transformers checkpoint in a separate process: PyTorch cannot be imported after TensorFlow.

    python -m yamnet_cry.distill.checkpoint_process

reads a line of JSON, `Asked` as a dictionary, and writes a line of JSON with ``labels`` or ``error``. Then,
for each array of windows on its standard input, it writes an array of logits to its standard output, in the
format of `send`.
"""

import json
import os
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import soxr
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

#: Supported speech models of Transformers; their labels are in their configuration.
SPEECH_MODELS = ("wav2vec2", "hubert", "wavlm", "unispeech-sat")
#: The supported model that compares sounds with text.
CLAP = "clap"


@dataclass(frozen=True)
class Asked:
    """The request to the process: the checkpoint to load.

    Attributes:
        folder: The checkpoint, as ``save_pretrained`` writes it.
        model_type: One of `SPEECH_MODELS`, or `CLAP`.
        sample_rate: Sample rate of the windows, in hertz.
        prompts: For `CLAP`, one sentence per label.
    """

    folder: str
    model_type: str
    sample_rate: int
    prompts: Sequence[str] = ()


def send(stream: IO[bytes], array: Float32) -> None:
    """Writes a 2D array: its shape as two 32-bit integers, then float32 values, all little-endian."""
    stream.write(struct.pack("<II", *array.shape) + array.astype("<f4").tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> Float32 | None:
    """Reads an array that `send` wrote; returns None at the end of the stream.

    Examples:
        >>> from io import BytesIO
        >>> stream = BytesIO()
        >>> send(stream, np.ones((1, 2), np.float32))
        >>> _ = stream.seek(0)
        >>> receive(stream).tolist(), receive(stream)
        ([[1.0, 1.0]], None)
    """
    header = stream.read(8)
    if len(header) < 8:
        return None
    rows, columns = struct.unpack("<II", header)
    content = stream.read(4 * rows * columns)
    if len(content) < 4 * rows * columns:
        return None
    return np.frombuffer(content, "<f4").astype(np.float32).reshape(rows, columns)


def loaded(asked: Asked) -> tuple[list[str], Callable[[Float32], Float32]]:
    """Loads a checkpoint; returns its labels, if it has any, and a function from a window to logits.

    Raises:
        ValueError: If the checkpoint cannot be used; the message says why.
    """
    import torch
    import transformers

    def from_folder(name: str, **options: Any) -> Any:
        # Other formats of weights may be pickles, and a checkpoint's own code is not trusted.
        return getattr(transformers, name).from_pretrained(
            asked.folder, local_files_only=True, trust_remote_code=False, **options
        )

    if asked.model_type == CLAP:
        model = from_folder("ClapModel", use_safetensors=True).eval()
        prepare = from_folder("ClapProcessor")
        return [], _clap(torch, model, prepare, asked)
    model = from_folder("AutoModelForAudioClassification", use_safetensors=True).eval()
    prepare = from_folder("AutoFeatureExtractor")
    if prepare.sampling_rate != asked.sample_rate:
        raise ValueError(
            f"expected a checkpoint for {asked.sample_rate} Hz. Received: {prepare.sampling_rate}"
        )

    def judged(window: Float32) -> Float32:
        with torch.inference_mode():
            inputs = prepare(window, sampling_rate=asked.sample_rate, return_tensors="pt")
            return np.asarray(model(**inputs).logits[0].float().numpy(), np.float32)

    names = model.config.id2label
    return [str(names[number]) for number in range(len(names))], judged


def _clap(torch: Any, model: Any, prepare: Any, asked: Asked) -> Callable[[Float32], Float32]:
    def unit(features: Any) -> Any:
        # Since Transformers 5, this is an output object that contains the features.
        features = getattr(features, "pooler_output", features)
        return features / features.norm(dim=-1, keepdim=True)

    rate = prepare.feature_extractor.sampling_rate
    with torch.inference_mode():
        words = prepare(text=list(asked.prompts), return_tensors="pt", padding=True)
        sentences = unit(model.get_text_features(**words))
        scale = float(model.logit_scale_a.exp())

    def judged(window: Float32) -> Float32:
        with torch.inference_mode():
            wave = soxr.resample(window, asked.sample_rate, rate)
            inputs = prepare(audio=wave, sampling_rate=rate, return_tensors="pt")
            cosines = unit(model.get_audio_features(**inputs)) @ sentences.T
            return np.asarray(scale * cosines[0].float().numpy(), np.float32)

    return judged


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answers requests until the end of the stream."""
    try:
        labels, judged = loaded(Asked(**json.loads(requests.readline())))
    except Exception as error:
        answers.write(json.dumps({"error": " ".join(str(error).split())[:500]}).encode() + b"\n")
        answers.flush()
        return
    answers.write(json.dumps({"labels": labels}).encode() + b"\n")
    answers.flush()
    while (windows := receive(requests)) is not None:
        send(answers, np.stack([judged(window) for window in windows]))


if __name__ == "__main__":
    # Redirect what libraries print to standard error, away from the arrays on standard output.
    _answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, _answers)

"""Transformers checkpoints as teachers: fine-tuned wav2vec 2.0 and similar speech models, and CLAP."""

import dataclasses
import json
import subprocess
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from yamnet_cry.distill import checkpoint_process
from yamnet_cry.distill.checkpoint_process import CLAP, Asked, receive, send
from yamnet_cry.distill.teacher import TeacherKind
from yamnet_cry.distill.teachers.fingerprint import fingerprint
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import Float32, FrontEnd


class CheckpointTeacher:
    """A Transformers checkpoint, as written by ``save_pretrained`` of model and processor.

    A speech classifier such as a fine-tuned wav2vec 2.0 has its labels in ``id2label``. CLAP (Wu et al. 2022,
    arXiv:2211.06687) is used zero-shot: logits are the cosine similarities of a window with a sentence for
    each label, times the temperature that the checkpoint has learnt.

    It runs in a separate process, see `checkpoint_process`.

    Args:
        folder: A folder with ``config.json``, one ``.safetensors`` file and the processor's files.
        model_type: The model type in ``config.json``.
        front_end: The front end that defines the windows to score.
        labels: For CLAP, the label of each sentence.
        prompts: For CLAP, a sentence for each label, such as "This is the sound of a dog barking.".

    Raises:
        TeacherError: If the checkpoint cannot be loaded, or the number of sentences is not that of labels.
        ImportError: If Transformers is not installed.
    """

    kind: TeacherKind = "exclusive"

    def __init__(
        self,
        folder: Path,
        model_type: str,
        front_end: FrontEnd,
        labels: Sequence[str] = (),
        prompts: Sequence[str] = (),
    ) -> None:
        missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
        if missing:
            raise ImportError(
                f"a checkpoint of Transformers needs {' and '.join(missing)}: "
                'pip install "yamnet-cry[transformers]"'
            )
        if model_type == CLAP and (not prompts or len(prompts) != len(labels)):
            raise TeacherError(
                f"expected a sentence in teaching.prompts for each of {len(labels)} labels in task.labels, "
                f"because CLAP compares sounds with them. Received: {len(prompts)}; set both with "
                "--set task.labels=... and --set teaching.prompts=..., or in a recipe of your own"
            )
        weights = sorted(folder.glob("*.safetensors"))
        if len(weights) != 1:
            raise TeacherError(f"expected one .safetensors file in {folder}. Received: {len(weights)}")
        self._front_end = front_end
        asked = Asked(str(folder), model_type, front_end.sample_rate, tuple(prompts))
        self._process = subprocess.Popen(
            [sys.executable, "-m", checkpoint_process.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        # The process ends when its input is closed, at the latest when this process ends.
        ended = weakref.finalize(self, _end, self._process)
        self._requests.write(json.dumps(dataclasses.asdict(asked)).encode() + b"\n")
        self._requests.flush()
        answer = json.loads(self._answers.readline() or b'{"error": "its process ended"}')
        if "error" in answer:
            ended()
            raise TeacherError(f"{folder} cannot be loaded by Transformers ({answer['error']})")
        self.labels = tuple(answer["labels"] or labels)
        self.name = f"{folder.name} ({model_type})"
        words = [list(prompts), front_end.patch_samples, front_end.patch_hop_samples]
        self.fingerprint = f"{fingerprint(weights[0])} {json.dumps(words)}"

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Scores every window; see `Teacher`."""
        return [self._judged(self._front_end.waveforms(waveform)) for waveform in waveforms]

    def _judged(self, windows: Float32) -> Float32:
        try:
            send(self._requests, windows)
            said = receive(self._answers)
        except OSError:
            said = None
        if said is None:
            raise TeacherError(f"the process of {self.name} crashed while scoring")
        return said

    @property
    def _requests(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout


def _end(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        # Closing flushes, which fails if the process has ended.
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
    process.wait()

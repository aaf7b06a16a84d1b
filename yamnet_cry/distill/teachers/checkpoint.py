"""Checkpoints of Transformers as teachers: fine-tuned wav2vec 2.0 and its kin, and CLAP."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from yamnet_cry.distill.teachers.fingerprint import fingerprint
from yamnet_cry.distill.teachers.kinds import TeacherKind
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import Float32, FrontEnd

_NEEDED = 'a checkpoint of Transformers needs transformers and torch: pip install "yamnet-cry[transformers]"'

#: Of Transformers' models, those that `SpeechTeacher` loads.
SPEECH_MODELS = ("wav2vec2", "hubert", "wavlm", "unispeech-sat")
CLAP = "clap"


class _Checkpoint:
    """A checkpoint on disk, and the windows that it judges."""

    kind: TeacherKind = "exclusive"

    def __init__(self, folder: Path, front_end: FrontEnd) -> None:
        try:
            import torch
            import transformers
        except ImportError:
            raise ImportError(_NEEDED) from None
        self._torch, self._transformers = torch, transformers
        self._folder, self._front_end = folder, front_end
        weights = sorted(folder.glob("*.safetensors"))
        # Others may be pickles, which run code.
        if len(weights) != 1:
            raise TeacherError(f"expected one .safetensors file in {folder}. Received: {len(weights)}")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.name = f"{config.get('_name_or_path') or folder.name} ({config['model_type']})"
        self._weights = fingerprint(weights[0])

    def _loaded(self, model: str, processor: str) -> tuple[Any, Any]:
        try:
            loaded = getattr(self._transformers, model).from_pretrained(
                self._folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
            prepare = getattr(self._transformers, processor).from_pretrained(
                self._folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise TeacherError(f"{self._folder} cannot be loaded by Transformers ({reason})") from error
        return loaded.eval(), prepare

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Judges every window; see `Teacher`."""
        with self._torch.inference_mode():
            return [
                np.stack([self._judged(window) for window in self._front_end.waveforms(waveform)])
                for waveform in waveforms
            ]

    def _judged(self, waveform: Float32) -> Float32:
        raise NotImplementedError


class SpeechTeacher(_Checkpoint):
    """A classifier of audio with wav2vec 2.0's layout, fine-tuned by its user.

    Args:
        folder: As ``save_pretrained`` of an ``AutoModelForAudioClassification`` and its feature extractor
            write it; its ``id2label`` says what it tells apart.
        front_end: Whose windows it judges.

    Raises:
        TeacherError: If it is not that.
        ImportError: If Transformers is not installed.
    """

    def __init__(self, folder: Path, front_end: FrontEnd) -> None:
        super().__init__(folder, front_end)
        self._model, self._prepare = self._loaded("AutoModelForAudioClassification", "AutoFeatureExtractor")
        rate = self._prepare.sampling_rate
        if rate != front_end.sample_rate:
            raise TeacherError(f"expected {folder} to hear {front_end.sample_rate} Hz. Received: {rate}")
        names = self._model.config.id2label
        self.labels = tuple(str(names[number]) for number in range(len(names)))
        self.fingerprint = f"{self._weights} {front_end.patch_samples} {front_end.patch_hop_samples}"

    def _judged(self, waveform: Float32) -> Float32:
        prepared = self._prepare(
            np.ascontiguousarray(waveform), sampling_rate=self._front_end.sample_rate, return_tensors="pt"
        )
        return np.asarray(self._model(**prepared).logits[0].float().numpy(), np.float32)


class ClapTeacher(_Checkpoint):
    """CLAP (Wu et al. 2022, arXiv:2211.06687): it compares a window with a sentence for each label.

    Nothing is trained: the label is the sentence that fits best, and logits are cosines times the
    temperature that the checkpoint has learnt.

    Args:
        folder: As ``save_pretrained`` of a ``ClapModel`` and its ``ClapProcessor`` write it.
        front_end: Whose windows it judges.
        labels: What the sentences stand for.
        prompts: A sentence for each label, in their order, such as "This is the sound of a dog barking.".

    Raises:
        TeacherError: If it is not that, or there is another number of sentences than of labels.
        ImportError: If Transformers is not installed.
    """

    def __init__(
        self, folder: Path, front_end: FrontEnd, labels: Sequence[str], prompts: Sequence[str]
    ) -> None:
        if not prompts or len(prompts) != len(labels):
            raise TeacherError(
                f"expected a sentence in teaching.prompts for each of {len(labels)} labels in task.labels, "
                f"for CLAP compares sounds with them. Received: {len(prompts)}; a recipe of your own, or "
                "--set task.labels=... --set teaching.prompts=..., names both"
            )
        super().__init__(folder, front_end)
        self._model, self._prepare = self._loaded("ClapModel", "ClapProcessor")
        self._rate = self._prepare.feature_extractor.sampling_rate
        self.labels = tuple(labels)
        with self._torch.inference_mode():
            words = self._prepare(text=list(prompts), return_tensors="pt", padding=True)
            self._sentences = self._unit(self._model.get_text_features(**words))
            self._scale = float(self._model.logit_scale_a.exp())
        asked = json.dumps([list(prompts), front_end.patch_samples, front_end.patch_hop_samples])
        self.fingerprint = f"{self._weights} {asked}"

    def _unit(self, features: Any) -> Any:
        # Since version 5 of Transformers, an output with the features in it.
        features = getattr(features, "pooler_output", features)
        return features / features.norm(dim=-1, keepdim=True)

    def _judged(self, waveform: Float32) -> Float32:
        wave = soxr.resample(waveform, self._front_end.sample_rate, self._rate)
        heard = self._prepare(audio=wave, sampling_rate=self._rate, return_tensors="pt")
        cosines = self._unit(self._model.get_audio_features(**heard)) @ self._sentences.T
        return np.asarray(self._scale * cosines[0].float().numpy(), np.float32)

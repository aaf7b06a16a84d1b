"""Checkpoints of Transformers as teachers: tiny random ones, written by Transformers itself."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from yamnet_cry.distill import teachers
from yamnet_cry.distill.recipes import WAV2SMALL
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET

WAVE = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)

# PyTorch and TensorFlow cannot be loaded in the same process, so a separate one makes the checkpoints.
MAKE = {
    "wav2vec2": """
import sys, numpy, torch, transformers
folder, torch_seed = sys.argv[1], torch.manual_seed(0)
config = transformers.Wav2Vec2Config(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(16, 16),
    conv_stride=(160, 2), conv_kernel=(400, 2), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    classifier_proj_size=8, id2label={0: "angry", 1: "happy", 2: "sad"},
    label2id={"angry": 0, "happy": 1, "sad": 2},
)
model = transformers.Wav2Vec2ForSequenceClassification(config).eval()
model.save_pretrained(folder)
prepare = transformers.Wav2Vec2FeatureExtractor(sampling_rate=int(sys.argv[2]))
prepare.save_pretrained(folder)
windows = numpy.load(f"{folder}/windows.npy")
with torch.inference_mode():
    said = [model(**prepare(w, sampling_rate=prepare.sampling_rate, return_tensors="pt")).logits[0].numpy()
            for w in windows]
numpy.save(f"{folder}/expected.npy", said)
""",
    "clap": """
import sys, torch, transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
folder, torch_seed = sys.argv[1], torch.manual_seed(0)
layer = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
config = transformers.ClapConfig(
    text_config={"vocab_size": 300, "projection_dim": 8, **layer},
    audio_config={
        "patch_embeds_hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2], "hidden_size": 32,
        "projection_dim": 8, "spec_size": 256, "num_mel_bins": 64, "window_size": 4,
    },
    projection_dim=8,
)
transformers.ClapModel(config).save_pretrained(folder)
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *alphabet])}
tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
words = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
)
extractor = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")
transformers.ClapProcessor(extractor, words).save_pretrained(folder)
""",
}

pytestmark = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None,
    reason="no Transformers here: pip install yamnet-cry[transformers]",
)


def made(kind, folder, rate=16_000):
    np.save(folder / "windows.npy", WAV2SMALL.waveforms(WAV2SMALL.pad(WAVE)))
    subprocess.run(
        [sys.executable, "-c", MAKE[kind], str(folder), str(rate)], check=True, capture_output=True
    )
    return folder


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A wav2vec 2.0 classifier of three emotions with random weights."""
    return made("wav2vec2", tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="module")
def clap(tmp_path_factory):
    """A CLAP with one small layer each for audio and text, random weights, and a byte tokenizer."""
    return made("clap", tmp_path_factory.mktemp("clap"))


def test_a_fine_tuned_classifier_judges_every_window(speech):
    teacher = teachers.load(speech, WAV2SMALL)
    assert (teacher.labels, teacher.kind) == (("angry", "happy", "sad"), "exclusive")
    assert teacher.name == f"{speech.name} (wav2vec2)"
    heard, again = teacher.logits([WAV2SMALL.pad(WAVE)] * 2)
    assert (heard.shape, heard.dtype) == ((2, 3), np.float32)
    np.testing.assert_allclose(heard, np.load(speech / "expected.npy"), atol=1e-5)
    np.testing.assert_array_equal(heard, again)
    assert teacher.fingerprint != teachers.load(speech, YAMNET).fingerprint


def test_clap_compares_windows_with_sentences(clap):
    prompts = ("a dog barking", "a dog whining", "rain")
    teacher = teachers.load(clap, YAMNET, ("bark", "whine", "other"), prompts)
    assert teacher.labels == ("bark", "whine", "other")
    (heard,) = teacher.logits([YAMNET.pad(WAVE)])
    assert heard.shape == (YAMNET.num_patches(len(WAVE)), 3)
    assert np.isfinite(heard).all()
    # With one sentence fewer it is a different teacher, and the other labels' logits stay the same.
    other = teachers.load(clap, YAMNET, ("bark", "whine"), prompts[:2])
    assert other.fingerprint != teacher.fingerprint
    np.testing.assert_allclose(other.logits([YAMNET.pad(WAVE)])[0], heard[:, :2], atol=1e-3)


def test_clap_needs_a_sentence_for_each_label(clap):
    with pytest.raises(
        TeacherError, match="a sentence in teaching.prompts for each of 2 labels.*Received: 1"
    ):
        teachers.load(clap, YAMNET, ("bark", "whine"), ("a dog",))


def test_a_checkpoint_that_hears_another_rate(tmp_path):
    folder = made("wav2vec2", tmp_path, 8_000)
    with pytest.raises(TeacherError, match="expected a checkpoint for 16000 Hz. Received: 8000"):
        teachers.load(folder)


def test_weights_that_are_missing_or_pickled(speech, tmp_path):
    (tmp_path / "config.json").write_bytes((speech / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(TeacherError, match=r"expected one .safetensors file in .*Received: 0"):
        teachers.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(TeacherError, match="cannot be loaded by Transformers"):
        teachers.load(tmp_path)


def test_a_process_that_dies_is_told(speech, processes):
    teacher = teachers.load(speech, YAMNET)
    processes[-1].kill()
    processes[-1].wait()
    with pytest.raises(TeacherError, match=r"the process of .* \(wav2vec2\) crashed while scoring"):
        teacher.logits([YAMNET.pad(WAVE)])

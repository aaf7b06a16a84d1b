"""The sibling recipes end to end: from synthetic audio to a classifier, also on TFLite-Micro."""

import json

import numpy as np
import pytest
import soundfile
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from click.testing import CliRunner

from yamnet_cry import Classifier, export
from yamnet_cry.cli import main
from yamnet_cry.distill import distill, recipes, students
from yamnet_cry.distill.quantize import multiply_accumulates, parameter_counts
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.folder import CARD, METRICS, TFLITE
from yamnet_cry.task import NONE

pytestmark = pytest.mark.slow

RATE = 16_000

# Settings that make each recipe fast enough for a test; the network is unchanged.
FASTER = {
    "ser": ("train.epochs=3", "train.learning_rate=3e-3", "train.batch_size=4"),
    "ser-tiny": ("train.epochs=3", "train.learning_rate=3e-3", "train.batch_size=4"),
    "kws": ("train.epochs=2", "train.batch_size=16", "augmentation.views=30"),
    "dogs": ("train.epochs=3", "train.batch_size=4", "augmentation.views=10"),
    "aed": ("train.epochs=3", "train.batch_size=4", "augmentation.views=10", "export.weight_bits=4"),
}

#: As the sources count them: Wav2Tiny without its front end's 5,082, DS-CNN whole; for Wav2Small they give
#: only 90K.
PARAMETERS = {"ser": (7, 90_307), "ser-tiny": (7, 10_797), "kws": (12, 119_372), "aed": (3, 33_219)}


def voice(label: int, generator: np.random.Generator) -> np.ndarray:
    """A buzz whose pitch and brightness depend on the label."""
    time = np.arange(RATE) / RATE
    pitch = (120 + 60 * label) * generator.uniform(0.95, 1.05)
    wave = sum(np.sin(2 * np.pi * pitch * n * time) / n ** (0.3 * label + 0.5) for n in range(1, 12))
    return 0.1 * np.asarray(wave) + generator.normal(0, 0.003, RATE)


@pytest.fixture(scope="module", params=list(FASTER))
def sibling(request, tmp_path_factory):
    """A corpus of all labels of a recipe, and the model distilled from it."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = recipes.get(request.param, FASTER[request.param])
    labels = recipe.task.labels or ("angry", "happy", "sad")
    generator = np.random.default_rng(0)
    lines = ["file,label,split,group"]
    for number in range(5 * len(labels)):
        label, split = number % len(labels), ("train", "train", "train", "val", "test")[number // len(labels)]
        wave = (
            0.001 * generator.standard_normal(RATE) if labels[label] == "silence" else voice(label, generator)
        )
        soundfile.write(folder / f"{number}.wav", wave, RATE)
        lines.append(f'{number}.wav,"{labels[label]}",{split},{number}')
    if recipe.task.kind == "independent":
        soundfile.write(folder / "none.wav", 0.001 * generator.standard_normal(RATE), RATE)
        lines.append(f"none.wav,{NONE},train,none")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return distill(str(folder), None, folder / "model", recipe=recipe, progress=False), folder


def test_it_becomes_a_classifier(sibling):
    model, folder = sibling
    name = model.config.recipe
    assert type(model) is Classifier
    assert model.config.front_end == recipes.get(name).front_end
    ran = CliRunner().invoke(
        main, ["classify", str(folder / "0.wav"), "--model", str(folder / "model"), "--json"]
    )
    assert ran.exit_code == 0, ran.output
    heard = json.loads(ran.stdout)
    assert set(heard["probabilities"]) == set(model.config.task.labels)
    size = json.loads((folder / "model" / METRICS).read_text())["size"]
    # Half a byte for each of 2 * 64 * 256 + 64 * 3 weights; four bytes for 515 steps and 259 biases.
    assert size.get("packed_bytes") == (32_960 // 2 + 4 * (515 + 259) if name == "aed" else None)
    assert f"recipe `{name}`" in (folder / "model" / CARD).read_text()


def test_a_microcontroller_gives_the_same_answers(sibling):
    micro = pytest.importorskip("tflite_micro.python.tflite_micro", reason="no TFLite-Micro here").runtime
    model, folder = sibling
    tflite = (folder / "model" / TFLITE).read_bytes()
    front_end = model.config.front_end
    microcontroller = micro.Interpreter.from_bytes(tflite, arena_size=4 * 2**20)
    kernels = Interpreter(
        model_content=tflite,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    kernels.allocate_tensors()
    generator = np.random.default_rng(1)
    for label in range(2):
        microcontroller.reset()
        kernels.reset_all_variables()
        log_mel = front_end.log_mel(front_end.pad(voice(label, generator).astype(np.float32)))
        patch = model.student.quantize(log_mel)[None, : front_end.patch_frames, :, None]
        microcontroller.set_input(patch, 0)
        microcontroller.invoke()
        kernels.set_tensor(kernels.get_input_details()[0]["index"], patch)
        kernels.invoke()
        expected = kernels.get_tensor(kernels.get_output_details()[0]["index"])
        assert np.abs(microcontroller.get_output(0).astype(int) - expected).max() <= 1


@pytest.mark.filterwarnings("ignore:In the future `np:FutureWarning")  # from tf2onnx
@pytest.mark.parametrize("format", ["tflite", "keras", "c-array", "onnx"])
def test_it_can_be_taken_elsewhere(sibling, tmp_path, format):
    model, folder = sibling
    target = tmp_path / ("out" if format == "c-array" else f"out.{format}")
    said = export.write(Classifier.from_pretrained(folder / "model"), format, target)
    assert target.exists()
    assert said.startswith(
        ("an INT8 TFLite file", "a Keras model", "an ONNX model", "yamnet_cry_model.h and")
    )
    if format == "c-array":
        header = (target / "yamnet_cry_model.h").read_text()
        # The header does not describe YAMNet's front end: the kit's own code computes it.
        named = f'"name": "{model.config.front_end.name}"' in header
        assert named == (model.config.front_end != YAMNET)


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_students_are_as_large_as_the_sources_say(name):
    labels, trainable = PARAMETERS[name]
    recipe = recipes.get(name)
    student = students.build(recipe.student, labels, recipe.front_end)
    assert parameter_counts(student)["trainable"] == trainable
    assert f"{trainable:,} parameters" in recipe.about
    assert multiply_accumulates(student) < 200_000_000

"""Recipe sounds end to end: a classifier from any folder of sounds, with a teacher or without."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from yamnet_cry import Classifier, CryDetector
from yamnet_cry.cli import main
from yamnet_cry.distill import distill, recipes
from yamnet_cry.errors import CorpusError, RecipeError, TeacherError
from yamnet_cry.model import publish
from yamnet_cry.model.folder import CARD, KERAS_METADATA, METRICS, RECIPE, RELEASE_FILES

pytestmark = pytest.mark.slow

RATE = 16_000
SETTINGS = (
    "train.epochs=15",
    "train.batch_size=4",
    "train.learning_rate=3e-3",
    "augmentation.views=0",
    "student.blocks=[[16,2],[24,2],[32,2]]",
    "student.head_rank=0",
    "student.start=random",
)


def tone(hertz: float, generator: np.random.Generator) -> np.ndarray:
    """Two seconds, of which the last quarter is digital silence, as in padded clips."""
    time = np.arange(int(1.5 * RATE)) / RATE
    wave = 0.3 * np.sin(2 * np.pi * hertz * generator.uniform(0.9, 1.1) * time)
    return np.pad(wave + generator.normal(0, 0.01, len(wave)), (0, RATE // 2))


@pytest.fixture(scope="module")
def beeps(tmp_path_factory):
    """A folder for each of three pitches; each file is a separate group."""
    folder = tmp_path_factory.mktemp("beeps")
    generator = np.random.default_rng(0)
    for label, hertz in (("low", 200.0), ("middle", 800.0), ("high", 3_000.0)):
        (folder / label).mkdir()
        for number in range(21):
            soundfile.write(folder / label / f"{number}.wav", tone(hertz, generator), RATE)
    return folder


@pytest.fixture(scope="module")
def classifier(beeps, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "model"
    return distill(str(beeps), None, out, recipe=recipes.get("sounds", SETTINGS), progress=False), out


def test_it_learns_to_tell_them_apart(classifier, beeps):
    model, out = classifier
    assert type(model) is Classifier
    assert model.config.task.labels == ("high", "low", "middle")
    metrics = json.loads((out / METRICS).read_text())
    measured = metrics["models"]["int8"]
    assert measured["all"]["accuracy"]["value"] == 1.0
    assert measured["confusion"] == (3 * np.eye(3, dtype=int)).tolist()
    assert set(metrics["models"]) == {"int8", "fp32"}
    result = model((tone(210, np.random.default_rng(5)), RATE))
    assert result.label == "low"
    assert str(result).startswith("low 0.")


def test_the_folder_is_whole_and_can_be_published(classifier):
    _, out = classifier
    assert {path.name for path in out.iterdir()} == {*RELEASE_FILES, KERAS_METADATA}
    assert set(publish.check(out)) == {*RELEASE_FILES, KERAS_METADATA}
    card = (out / CARD).read_text()
    for words in (
        "A classifier of 3 sounds: high, low, middle.",
        "| low | 3 |",
        "Trained on the labels of clips only.",
    ):
        assert words in card
    for words in ("cry", "521", "YAMNet v1"):
        assert words not in card.partition("## Citation")[0].replace("yamnet-cry", "").replace(
            "yamnet_cry", ""
        )
    record = json.loads((out / RECIPE).read_text())
    assert (record["teachers"], record["recipe"]["selection"]) == ([], None)


def test_metrics_are_of_what_users_get(classifier, beeps):
    from yamnet_cry.distill import evaluate, sources

    model, out = classifier
    task = model.config.task
    clips = [clip for clip in sources.load(str(beeps), task=task) if clip.split == "test"]
    again = evaluate.evaluate(model, clips, "test", progress=False)
    before = json.loads((out / METRICS).read_text())
    assert again["models"]["int8"] == before["models"]["int8"]
    assert again["evaluation"] == before["evaluation"]


def test_a_teacher_of_other_labels_helps_through_a_second_head(beeps, small_teacher, tmp_path):
    recipe = recipes.get("sounds", SETTINGS)
    model = distill(
        str(beeps), small_teacher, tmp_path / "m", recipe=recipe, cache=tmp_path / "c.sqlite", progress=False
    )
    assert model.keras_model.output_shape == (None, 3)
    metrics = json.loads((tmp_path / "m" / METRICS).read_text())
    assert metrics["models"]["int8"]["all"]["accuracy"]["value"] > 0.6
    assert "matched by `softmax`" in (tmp_path / "m" / CARD).read_text()


def test_a_student_teaches_the_next_one(classifier, beeps, tmp_path):
    """Iterative distillation: the labels are the same, so the metrics have teacher and student."""
    _, out = classifier
    recipe = recipes.get("sounds", (*SETTINGS, "student.blocks=[[12,2],[24,2]]", "loss.label_weight=0"))
    model = distill(
        str(beeps), out, tmp_path / "m", recipe=recipe, cache=tmp_path / "c.sqlite", progress=False
    )
    metrics = json.loads((tmp_path / "m" / METRICS).read_text())
    assert metrics["models"]["teacher"]["all"]["accuracy"]["value"] == 1.0
    assert metrics["models"]["int8"]["all"]["accuracy"]["value"] > 0.8
    assert model.config.parameters["total"] < Classifier.from_pretrained(out).config.parameters["total"]


class Judge:
    """A teacher that classifies the pitch of whole clips."""

    name, fingerprint, kind = "judge", "pitch", "exclusive"
    labels = ("low", "middle", "high")

    def logits(self, waveforms):
        rows = []
        for wave in waveforms:
            hertz = np.abs(np.fft.rfft(wave[:RATE])).argmax()
            rows.append(np.float32([[-abs(np.log(hertz / pitch)) * 9 for pitch in (200, 800, 3_000)]]))
        return rows


def test_a_teacher_of_clips_stands_beside_its_student(beeps, tmp_path):
    settings = (*SETTINGS, 'teaching.roles=["clips"]', "teaching.weights=[0.5]", "train.epochs=2")
    recipe = recipes.get("sounds", settings)
    distill(str(beeps), Judge(), tmp_path / "m", recipe=recipe, cache=tmp_path / "c.sqlite", progress=False)
    metrics = json.loads((tmp_path / "m" / METRICS).read_text())
    assert metrics["models"]["judge"]["all"]["accuracy"]["value"] == 1.0
    assert "| Teacher of clips | 1.000" in (tmp_path / "m" / CARD).read_text()


def test_sounds_that_come_together(beeps, tmp_path):
    generator = np.random.default_rng(1)
    lines = ["file,label,split,group"]
    for number in range(60):
        split = ("train", "train", "val", "test")[number % 4]
        low, high = number % 3 != 0, number % 3 != 1
        wave = low * tone(200, generator) + high * tone(3_000, generator)
        soundfile.write(tmp_path / f"{number}.wav", wave, RATE)
        lines.append(f"{number}.wav,{';'.join(['low'] * low + ['high'] * high)},{split},{number}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    recipe = recipes.get("sounds", (*SETTINGS, "task.kind=independent", "loss.target=sigmoid"))
    model = distill(str(tmp_path), None, tmp_path / "m", recipe=recipe, progress=False)
    measured = json.loads((tmp_path / "m" / METRICS).read_text())["models"]["int8"]
    assert measured["all"]["macro_auc"]["value"] > 0.9
    assert "confusion" not in measured
    both = model((tone(200, generator) + tone(3_000, generator), RATE))
    assert (both.label_probabilities > 0.5).all()


def test_another_front_end_is_heard_through(beeps, tmp_path):
    recipe = recipes.get("sounds", SETTINGS)
    front_end = dataclasses.replace(
        recipe.front_end, name="narrow", mel_bands=40, patch_frames=98, patch_hop=49
    )
    recipe = dataclasses.replace(recipe, front_end=front_end)
    model = distill(str(beeps), None, tmp_path / "m", recipe=recipe, progress=False)
    assert model.config.front_end == front_end
    assert model.keras_model.input_shape == (None, 98, 40, 1)
    metrics = json.loads((tmp_path / "m" / METRICS).read_text())
    assert metrics["models"]["int8"]["all"]["accuracy"]["value"] > 0.8


def test_errors_come_before_the_work(beeps, synthetic_corpus, tmp_path):
    recipe = recipes.get("sounds", SETTINGS)
    with pytest.raises(TeacherError, match="recipe cry expects 1 teacher"):
        distill(str(synthetic_corpus), None, tmp_path / "m", recipe=recipes.get("cry"), progress=False)
    (tmp_path / "one" / "dog").mkdir(parents=True)
    soundfile.write(tmp_path / "one" / "dog" / "a.wav", np.zeros(RATE), RATE)
    with pytest.raises(CorpusError, match="at least two labels"):
        distill(str(tmp_path / "one"), None, tmp_path / "m", recipe=recipe, progress=False)
    with pytest.raises(TeacherError, match="expected a teacher: tfhub"):
        distill(str(beeps), tmp_path / "nowhere", tmp_path / "m", recipe=recipe, progress=False)
    pets = recipes.get("cry", ['task.group=["Dog"]', "task.target=dog"])
    with pytest.raises(RecipeError, match="an unusable model: this model .* needs a cry detection model"):
        distill(str(synthetic_corpus), None, tmp_path / "m", recipe=pets, progress=False)
    centred = dataclasses.replace(recipe, front_end=dataclasses.replace(recipe.front_end, centred=True))
    with pytest.raises(RecipeError, match="an unusable model: streaming needs a model for 16 kHz"):
        distill(str(beeps), None, tmp_path / "m", recipe=centred, progress=False)
    assert not list(tmp_path.glob("m*"))


def test_the_command_says_what_there_is_and_ends_with_a_picture(beeps, tmp_path):
    # The recipe's default, which starts from the released model's weights.
    settings = ["--set", "train.epochs=4", "--set", "train.batch_size=8", "--set", "augmentation.views=20"]
    result = CliRunner().invoke(
        main,
        ["distill", "--recipe", "sounds", "--audio", str(beeps), "--out", str(tmp_path / "m"), *settings],
    )
    assert result.exit_code == 0, result.output
    assert "low                                15      3      3      21" in result.stderr
    assert "| label | clips | F1 | precision | recall |" in result.stdout
    metrics = json.loads((tmp_path / "m" / METRICS).read_text())
    assert metrics["models"]["int8"]["all"]["accuracy"]["value"] > 0.8
    began = json.loads((tmp_path / "m" / RECIPE).read_text())["began_with"]
    assert began["sha256"] == CryDetector.from_pretrained().config.files["model.keras"]["sha256"]
    assert "started from the weights of a model of recipe `context`" in (tmp_path / "m" / CARD).read_text()
    assert result.stdout.splitlines()[-1] == f"Picture: {tmp_path / 'm' / 'evaluation.png'}"
    evaluated = CliRunner().invoke(main, ["evaluate", str(tmp_path / "m"), "--audio", str(beeps)])
    assert json.loads(evaluated.stdout)["models"]["int8"]["all"]["clips"] == 9

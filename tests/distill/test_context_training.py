"""Training with a context network: its training data, resuming, and the resulting model."""

import json
import shutil
import subprocess
from dataclasses import replace
from importlib.metadata import version

import keras
import numpy as np
import pytest

from yamnet_cry import CryDetector
from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill import context, distill, evaluate, measuring, recipes, sources, targets
from yamnet_cry.distill.losses import DistillationLoss
from yamnet_cry.distill.sections import ContextSettings, StudentSettings
from yamnet_cry.errors import ModelError, RecipeError
from yamnet_cry.events import EventSettings
from yamnet_cry.firmware import kit
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import card, context_keras, publish
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model.folder import CARD, CONFIG, CONTEXT, KERAS, METRICS, RECIPE, TFLITE
from yamnet_cry.model.runtime import embedding_scale

pytestmark = pytest.mark.slow

SETTINGS = (
    "train.epochs=12",
    "train.drop_epoch=9",
    "train.batch_size=8",
    "augmentation.views=24",
    "augmentation.seconds=4",
    "augmentation.surround=0.5",
    "loss.label_weight=0.2",
)
SMALL = ContextSettings(
    filters=8, dilations=(1, 2), windows=6, epochs=6, batch_size=4, learning_rate=3e-3, prior=0.2
)
TINY = replace(
    recipes.get("reference", SETTINGS),
    student=StudentSettings(fold=4, stem_stride=(2, 1), blocks=((16, 2), (32, 2)), head_rank=12),
    context=SMALL,
    events=EventSettings(smoothing=1, votes=1, window=1),
)


@pytest.fixture(scope="module")
def arguments(run_arguments):
    return {**run_arguments, "recipe": TINY}


@pytest.fixture(scope="module")
def finished(arguments, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "model"
    distill(out=out, **arguments)
    return out


@pytest.fixture(scope="module")
def detector(finished):
    return CryDetector.from_pretrained(finished)


def test_the_folder_holds_the_context_network(finished, detector):
    assert (finished / CONTEXT).read_bytes() == detector.context.to_bytes()
    assert detector.context.inputs == 12
    assert detector.context.windows == 7
    assert set(publish.check(finished)) == set(model_folder.release_files(detector.config))
    metrics = json.loads((finished / METRICS).read_text())
    assert len(metrics["training"]["context_history"]) == SMALL.epochs
    assert metrics["size"]["context_bytes"] == (finished / CONTEXT).stat().st_size
    assert "context network" in (finished / CARD).read_text()


def test_it_learns(finished):
    metrics = json.loads((finished / METRICS).read_text())
    losses = [epoch["val_loss"] for epoch in metrics["training"]["context_history"]]
    assert losses[-1] < losses[0]
    # Over eight test clips; chance is 0.5.
    assert metrics["models"]["int8"]["all"]["auc"]["value"] > 0.7


def test_streams_give_what_files_give(synthetic_corpus, detector):
    clips = [clip for clip in sources.load(str(synthetic_corpus)) if clip.split == "test"]
    wave = np.concatenate([clip.read() for clip in clips])
    whole = detector((wave, 16_000))
    assert whole.track is not None
    blocks = np.array_split(wave, 77)
    np.testing.assert_array_equal(
        [update.probability for update in detector.stream(blocks, 16_000) if not update.closing],
        whole.probabilities,
    )
    log_mel = YAMNET.log_mel(YAMNET.pad(wave))
    np.testing.assert_array_equal(detector.log_odds(log_mel), whole.track)
    # The window's score is still the student's.
    np.testing.assert_array_equal(whole.scores, CRY_TASK.score(detector.logits(log_mel)))


def test_it_is_calibrated_for_its_prior(detector, synthetic_corpus):
    clips = [clip for clip in sources.load(str(synthetic_corpus)) if clip.split == "val" and clip.labels]
    tracks = [detector((clip.read(), 16_000)).track for clip in clips]
    settings = detector.config.events
    fitted = evaluate.fit_calibration(evaluate.labels(clips), tracks, settings, prior=0.2)
    assert detector.config.calibration == fitted
    assert detector.prior == 0.2
    before = detector((clips[0].read(), 16_000)).probability
    other = CryDetector(detector.config, detector.model, detector.context)
    other.prior = 0.5
    assert other((clips[0].read(), 16_000)).probability > before
    odds = [p / (1 - p) for p in (before, other((clips[0].read(), 16_000)).probability)]
    assert odds[1] / odds[0] == pytest.approx(4.0)
    with pytest.raises(ValueError, match="a prior between 0 and 1"):
        other.prior = 0.0


def test_a_changed_prior_is_saved_copied_and_listened_with(detector, tmp_path):
    other = CryDetector(detector.config, detector.model, detector.context)
    other.prior = 0.05
    other.save_pretrained(tmp_path / "saved")
    again = CryDetector.from_pretrained(tmp_path / "saved")
    assert again.prior == 0.05
    wave = np.random.default_rng(0).normal(0, 0.1, 48_000)
    expected = other((wave, 16_000)).probabilities
    np.testing.assert_array_equal(again((wave, 16_000)).probabilities, expected)
    # The threshold that corresponds to 0.6 at the new prior has the same recall.
    recall, before = again.config.event_recall, detector.config.event_recall
    odds = 0.6 / 0.4 * (0.05 / 0.95) / (0.2 / 0.8)
    assert recall.at(odds / (1 + odds)) == pytest.approx(before.at(0.6), abs=1e-9)
    assert (recall.thresholds[0], recall.thresholds[-1]) == (0.0, 1.0)
    heard = [update.probability for update in again.stream([wave], 16_000) if not update.closing]
    np.testing.assert_array_equal(heard, expected)


def test_it_is_measured_beside_the_release_before(
    finished, detector, synthetic_corpus, release_0_1_0, tmp_path
):
    clips = [clip for clip in sources.load(str(synthetic_corpus)) if clip.split != "train" and clip.labels]
    windows = targets.teacher_pass(
        clips, [], YAMNET, tmp_path / "cache.sqlite", tmp_path / "windows", progress=False
    )
    scale = embedding_scale(detector.model, detector.context.inputs)
    measured = measuring.measure(
        clips,
        windows,
        keras.models.load_model(finished / KERAS, compile=False),
        detector.config,
        detector.model,
        (context_keras.dequantized(detector.context, scale), detector.context),
        0.2,
        previous=CryDetector.from_pretrained(release_0_1_0),
        progress=False,
    )
    models = measured.results["models"]
    assert set(models) == {"fp32", "int8", "previous"}
    assert measured.config.calibration == detector.config.calibration
    # The previous model was trained on real crying, not on these synthetic sounds.
    assert models["previous"]["all"]["auc"]["value"] != models["int8"]["all"]["auc"]["value"]
    assert "INT8 student of the previous release |" in card.results_table(measured.results)


def test_an_interrupted_context_goes_on(arguments, finished, tmp_path, monkeypatch):
    def interrupted(self, epoch, logs=None):
        original(self, epoch, logs)
        if self._folder.name == "context" and epoch == 1:
            raise KeyboardInterrupt

    original = context.Checkpoints.on_epoch_end
    monkeypatch.setattr(context.Checkpoints, "on_epoch_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        distill(out=tmp_path / "model", **arguments)
    monkeypatch.undo()
    distill(out=tmp_path / "model", resume=True, **arguments)
    for name in (TFLITE, CONTEXT, METRICS):
        assert (tmp_path / "model" / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.parametrize("name", [CONTEXT])
def test_a_damaged_or_missing_context_is_named(finished, tmp_path, name):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in (CONFIG, TFLITE, CONTEXT):
        (folder / file).write_bytes((finished / file).read_bytes())
    (folder / name).write_bytes(b"something else")
    with pytest.raises(ModelError, match=f"{name} is not the file that config.json describes"):
        CryDetector.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        CryDetector.from_pretrained(folder)


def test_quantising_changes_little():
    keras.utils.set_random_seed(0)
    network = context_keras.build(16, (1, 2, 4), 10)
    generator = np.random.default_rng(0)
    steps = generator.integers(-128, 128, (50, 10))
    scale = 0.05
    exact = np.asarray(network((steps * scale)[None].astype(np.float32)))[0]
    found = context_keras.quantized(network, scale).listen()(steps.astype(np.int16))
    assert np.abs(found - exact).max() < 0.03 * np.ptp(exact)
    assert np.corrcoef(found, exact)[0, 1] > 0.999
    again = context_keras.dequantized(context_keras.quantized(network, scale), scale)
    rounded = np.asarray(again((steps * scale)[None].astype(np.float32)))[0]
    # The same, except for the rounding of activations.
    assert np.abs(rounded - found).max() < 0.003 * np.ptp(exact)


def test_the_loss_by_hand():
    student = DistillationLoss("group", 3, (1,), teachers=())
    loss = context.ContextLoss(student, student_weight=0.5, window_weight=0.25)
    log_odds = np.array([[9.0, 1.0, -2.0]], np.float32)
    logits = np.zeros((1, 3, 3), np.float32)
    y_pred = np.concatenate([log_odds[..., None], logits], axis=-1)
    # The first window is from another clip; the last has no target; one of three has a student target.
    y_true = np.float32([[[1, 0, 0, -1], [1, 1, 1, -1], [1, 1, -1, 1]]])

    def cross_entropy(z, p):
        return np.log1p(np.exp(z)) - p * z

    shares = np.exp([1.0, -2.0]) / np.exp([1.0, -2.0]).sum()
    clip = cross_entropy(shares @ [1.0, -2.0], 1)
    windows = (cross_entropy(9.0, 0) + cross_entropy(1.0, 1)) / 2
    of_student = cross_entropy(np.log(1 / 2), 1) / 3
    expected = 0.75 * clip + 0.25 * windows + 0.5 * of_student
    assert float(loss(y_true, y_pred)) == pytest.approx(expected, rel=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(again(y_true, y_pred)) == pytest.approx(expected, rel=1e-5)


def test_recipes_that_no_context_network_fits():
    with pytest.raises(RecipeError, match="student.head_rank of at least 1"):
        replace(recipes.get("reference"), context=ContextSettings())
    with pytest.raises(RecipeError, match="task with a group"):
        replace(recipes.get("sounds"), context=ContextSettings())
    with pytest.raises(RecipeError, match="context.dilations"):
        replace(TINY, context=ContextSettings(dilations=(0,)))
    with pytest.raises(RecipeError, match="context.dropped_learning_rate"):
        replace(TINY, context=ContextSettings(learning_rate=1e-6))


STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion", "-Wno-sign-conversion")
SANITIZED = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def test_its_c_code_is_strict_and_overruns_nothing(detector, tmp_path):
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no gcc")
    for name, text in kit.contents(detector.config, detector.model, detector.context).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    own = tmp_path / kit.SOURCES
    subprocess.run(
        [compiler, *STRICT, "-c", own / "yamnet_cry_context.c", "-o", tmp_path / "context.o"], check=True
    )
    test = (tmp_path / "extras" / "host_test.c", own / "yamnet_cry_self_test.c")
    sources = [f"-I{own}", *test, *kit.c_sources(tmp_path)]
    command = [compiler, "-std=c99", *SANITIZED, *sources, "-o", tmp_path / "test", "-lm"]
    subprocess.run(command, check=True)
    result = subprocess.run([tmp_path / "test"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "PASS"), result.stdout + result.stderr


def test_the_firmware_kit_hears_the_same(detector, tmp_path):
    for name, text in kit.contents(detector.config, detector.model, detector.context).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert "yamnet_cry_context_push" in (tmp_path / "README.md").read_text()
    printed = kit.self_test(tmp_path)
    if printed is None:
        pytest.skip("there is no C compiler")
    assert f"{'context, log-odds':28} largest difference 0 (at most 0)" in printed
    assert printed.count("PASS") == len(kit.BUILDS)


def test_a_run_may_begin_with_a_model(arguments, finished, tmp_path):
    recipe = replace(
        TINY,
        student=replace(TINY.student, start="released"),
        train=replace(TINY.train, epochs=1, drop_epoch=0, learning_rate=1e-4),
        context=replace(SMALL, epochs=1),
    )
    distill(out=tmp_path / "more", start=finished, **{**arguments, "recipe": recipe})
    began = json.loads((tmp_path / "more" / RECIPE).read_text())["began_with"]
    files = json.loads((finished / CONFIG).read_text())["files"]
    assert began == {"recipe": "reference", "package_version": version("yamnet-cry"), **files[KERAS]}
    before, after = (
        json.loads((folder / METRICS).read_text())["training"]["history"][0]["val_loss"]
        for folder in (finished, tmp_path / "more")
    )
    assert after < before, "it knows what the first one learnt"
    assert f"SHA-256 {files[KERAS]['sha256'][:12]}" in (tmp_path / "more" / CARD).read_text()


def test_a_model_that_a_run_cannot_begin_with(arguments, finished, tmp_path):
    with pytest.raises(
        RecipeError,
        match="recipe reference starts from random weights; to start from a model, "
        "use --set student.start=released",
    ):
        distill(out=tmp_path / "m", start=finished, **arguments)
    other = replace(
        TINY, student=StudentSettings(blocks=((7, 2),), stem_filters=5, head_rank=3, start="released")
    )
    with pytest.raises(RecipeError, match="to match the initial model in at least one layer"):
        distill(out=tmp_path / "m", start=finished, **{**arguments, "recipe": other})
    with pytest.raises(ModelError, match="expected a model folder or a repository id"):
        distill(out=tmp_path / "m", start=tmp_path / "none", **{**arguments, "recipe": other})
    assert not list(tmp_path.iterdir())

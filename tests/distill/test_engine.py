"""Distillation end to end, on a synthetic corpus with a small teacher: the real engine, fit and export."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from yamnet_cry import CryDetector
from yamnet_cry.audioset import cry_score
from yamnet_cry.calibration import log_odds
from yamnet_cry.cli import main
from yamnet_cry.distill import corpus, distill, engine, fitness, recipes, sources, students, training
from yamnet_cry.errors import CorpusError, RunError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.folder import (
    CARD,
    CONFIG,
    KERAS,
    KERAS_METADATA,
    METRICS,
    RECIPE,
    RELEASE_FILES,
    TFLITE,
)

pytestmark = pytest.mark.slow

SETTINGS = (
    "train.epochs=6",
    "train.drop_epoch=4",
    "train.batch_size=8",
    "augmentation.views=12",
    "augmentation.seconds=2",
    "loss.label_weight=0.2",
    "student.blocks=[[24,2],[48,2],[64,2]]",
)
TINY = recipes.get("reference", SETTINGS)


@pytest.fixture(scope="module")
def arguments(run_arguments):
    return {**run_arguments, "recipe": TINY}


@pytest.fixture(scope="module")
def finished(arguments, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "model"
    distill(out=out, **arguments)
    return out


def contents(folder: Path) -> dict[str, object]:
    """The contents that a repeated run must reproduce; the Keras file also holds the time of saving."""
    return {
        TFLITE: (folder / TFLITE).read_bytes(),
        METRICS: json.loads((folder / METRICS).read_text()),
        RECIPE: json.loads((folder / RECIPE).read_text()),
    }


def test_a_run_leaves_a_whole_model_folder(finished):
    assert {path.name for path in finished.iterdir()} == {*RELEASE_FILES, KERAS_METADATA}
    assert not finished.with_name("model.partial").exists()


def test_the_student_learns_what_the_teacher_hears(finished):
    metrics = json.loads((finished / METRICS).read_text())
    history = metrics["training"]["history"]
    assert len(history) == 6
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert [round(epoch["learning_rate"], 6) for epoch in history] == [1e-3] * 4 + [1e-4] * 2
    for model in ("teacher", "teacher_sigmoid", "fp32", "int8"):
        assert metrics["models"][model]["all"]["cry"] == 4
        assert set(metrics["models"][model]["by_source"]) == {"even", "odd"}


def test_the_folder_says_what_is_in_it(finished):
    config = json.loads((finished / CONFIG).read_text())
    metrics = json.loads((finished / METRICS).read_text())
    recipe = json.loads((finished / RECIPE).read_text())
    assert config["threshold"] == metrics["models"]["int8"]["threshold"] == 0.5
    student = students.build(TINY.student, len(TINY.task.labels))
    trainable = sum(int(np.prod(weights.shape)) for weights in student.trainable_weights)
    assert config["parameters"] == {"total": student.count_params(), "trainable": trainable}
    assert metrics["size"]["int8_bytes"] == (finished / TFLITE).stat().st_size
    settings = TINY.to_dict()
    del settings["task"]["labels"]
    assert recipe["recipe"] == settings
    assert recipe["sources"]["even"]["licences"] == ["CC0"]
    assert recipe["sources"]["even"]["clips"]["train/unlabelled"] == 1
    assert "recipe `reference`" in (finished / CARD).read_text()


def test_int8_answers_like_fp32(finished, synthetic_corpus):
    student = keras.models.load_model(finished / KERAS)
    detector = CryDetector.from_pretrained(finished)
    for clip in sources.load(str(synthetic_corpus))[::7]:
        patches = YAMNET.patches(YAMNET.log_mel(YAMNET.pad(clip.read())))
        expected = cry_score(student.predict(patches[..., None], verbose=0))
        np.testing.assert_allclose(detector((clip.read(), 16_000)).scores, expected, atol=0.1)


def test_the_calibration_comes_from_validation(finished, arguments):
    from yamnet_cry.distill import evaluate

    detector = CryDetector.from_pretrained(finished)
    clips = corpus.labelled(sources.load(arguments["audio"]), "val")
    tracks = [log_odds(detector(clip.open()).scores) for clip in clips]
    settings = detector.config.events
    assert detector.config.calibration == evaluate.fit_calibration(evaluate.labels(clips), tracks, settings)


def test_the_folder_says_what_a_higher_threshold_costs(finished):
    recall = CryDetector.from_pretrained(finished).config.event_recall
    assert recall is not None
    assert recall.clips >= recall.groups >= 1
    assert recall.at(0.0) == 1.0


def test_evaluate_repeats_the_metrics_of_the_run(finished, arguments):
    from yamnet_cry.distill import evaluate

    detector = CryDetector.from_pretrained(finished)
    clips = corpus.labelled(sources.load(arguments["audio"]), "test")
    again = evaluate.evaluate(detector, clips, "test", progress=False)
    metrics = json.loads((finished / METRICS).read_text())
    assert again["models"]["int8"] == metrics["models"]["int8"]
    assert again["evaluation"] == metrics["evaluation"]


def test_another_seed_gives_another_model(finished, arguments, tmp_path):
    distill(out=tmp_path / "other", seed=1, **arguments)
    assert contents(tmp_path / "other")[TFLITE] != contents(finished)[TFLITE]


def command(arguments, out: Path, cache: Path, *more: str) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    places = ["--audio", arguments["audio"], "--teacher", os.fspath(arguments["teacher"])]
    places += ["--out", os.fspath(out), "--cache", os.fspath(cache)]
    return ["distill", "--recipe", "reference", *places, *settings, *more]


def start(*arguments) -> subprocess.Popen[bytes]:
    """Starts a run in a separate process, which can be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "yamnet_cry", *command(*arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def kill_when(process: subprocess.Popen[bytes], reached) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, process.communicate()[0].decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_run_that_is_killed_twice_goes_on(finished, arguments, tmp_path):
    """It is killed in the teacher pass, and then while training."""
    out, cache = tmp_path / "model", tmp_path / "logits.sqlite"
    history = tmp_path / "model.partial" / "checkpoints" / training.HISTORY
    kill_when(start(arguments, out, cache), cache.is_file)
    assert not history.exists()
    again = start(arguments, out, cache, "--resume")
    kill_when(again, lambda: history.is_file() and len(json.loads(history.read_text())) >= 2)
    done = len(json.loads(history.read_text()))
    assert 2 <= done < 6
    assert not out.exists()

    refused = CliRunner().invoke(main, command(arguments, out, cache))
    assert refused.exit_code == 2
    assert "contains an unfinished run; continue it with --resume, or delete it" in refused.stderr

    resumed = start(arguments, out, cache, "--resume")
    message = resumed.communicate()[0].decode()
    assert resumed.returncode == 0, message
    assert f"resuming after epoch {done} of 6" in message
    metrics = json.loads((out / METRICS).read_text(encoding="utf-8"))
    assert (f"{out} is ready" in message) == (not fitness.doubt(metrics))
    assert contents(out) == contents(finished)


def test_resume_refuses_another_run(arguments, tmp_path, monkeypatch):
    def stop(*_arguments, **_named):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.targets, "teacher_pass", stop)
    with pytest.raises(KeyboardInterrupt):
        distill(out=tmp_path / "model", **arguments)
    with pytest.raises(RunError, match="is from a run with another seed; resume with the same arguments"):
        distill(out=tmp_path / "model", resume=True, seed=5, **arguments)
    other = {**arguments, "recipe": recipes.get("reference", ["train.epochs=9"])}
    with pytest.raises(RunError, match="is from a run with another recipe and seed"):
        distill(out=tmp_path / "model", resume=True, seed=5, **other)


def test_nothing_is_overwritten(finished, arguments, tmp_path):
    with pytest.raises(RunError, match="exists; choose another folder"):
        distill(out=finished, **arguments)
    theirs = tmp_path / "model.partial" / "diary.txt"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    with pytest.raises(RunError, match="model.partial is not an unfinished run \\(it has no run.json"):
        distill(out=tmp_path / "model", resume=True, **arguments)
    assert theirs.read_text() == "mine"


def test_a_full_disk_loses_nothing_and_one_seed_gives_one_model(finished, arguments, tmp_path, monkeypatch):
    def full(*_arguments, **_named):
        raise OSError(28, "No space left on device")

    arguments = {**arguments, "cache": tmp_path / "fresh.sqlite"}
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002 (what others still draw from)
    with monkeypatch.context() as patched:
        patched.setattr(engine.card, "render", full)
        with pytest.raises(RunError, match=r"No space left on device\); the training is saved.*--resume"):
            distill(out=tmp_path / "model", **arguments)
    # The global random state is not changed.
    assert random.random() == random.Random(7).random()
    assert np.random.random() == np.random.RandomState(7).random()  # noqa: NPY002
    assert not (tmp_path / "model").exists()
    distill(out=tmp_path / "model", resume=True, **arguments)
    assert contents(tmp_path / "model") == contents(finished)


def test_a_corpus_without_test_cries(arguments, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    source = Path(arguments["audio"])
    rows = (source / "manifest.csv").read_text().splitlines()
    kept = [row for row in rows if "test_cry" not in row]
    for row in kept[1:]:
        name = row.split(",")[0]
        (folder / name).write_bytes((source / name).read_bytes())
    (folder / "manifest.csv").write_text("\n".join(kept))
    with pytest.raises(
        CorpusError, match="split 'test' needs clips of both cry and not_cry. Received: not_cry"
    ):
        distill(out=tmp_path / "model", **{**arguments, "audio": str(folder)})
    assert not list(tmp_path.glob("model*"))

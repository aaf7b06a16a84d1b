"""Linear probes map embeddings to logits of labels, fitted on training clips alone."""

import json
import logging

import numpy as np
import pytest
import soundfile

from yamnet_cry.distill import distill, probe, recipes
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.windows import Opinion, Windows
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.folder import METRICS, RECIPE
from yamnet_cry.task import NONE, Task

pytestmark = pytest.mark.slow

WIDTH = 6


def windows(labels, embeddings, role="windows", silent=()):
    """One window for each clip with these labels; a quarter of the clips is in val, a quarter in test."""
    count = len(labels)
    splits = ("train", "val", "train", "test")
    log_mel = np.zeros((96 * count, 64), np.float32)
    for number in silent:
        log_mel[96 * number : 96 * (number + 1)] = np.log(YAMNET.log_offset)
    clips = [
        Clip(str(number), own, splits[number % 4], str(number), "made", lambda: "")
        for number, own in enumerate(labels)
    ]
    names = tuple(f"embedding {number}" for number in range(embeddings.shape[1]))
    opinion = Opinion(role, 0.5, names, "embedding", embeddings.astype(np.float32))
    return Windows(clips, YAMNET, log_mel, 96 * np.arange(count), np.arange(count), [opinion])


def embedded(truth, generator):
    """Noisy embeddings with a direction for each label, and dimensions of very different scales."""
    hidden = generator.standard_normal((truth.shape[1], WIDTH))
    noise = generator.standard_normal((len(truth), WIDTH))
    return (truth @ hidden * 3 + noise) * np.logspace(-3, 3, WIDTH) + 100


@pytest.mark.parametrize("role", ["windows", "clips"])
@pytest.mark.parametrize("count", [2, 3])
def test_labels_are_learnt_from_training_clips(role, count, caplog):
    generator = np.random.default_rng(0)
    task = Task(tuple("abc"[:count]))
    truth = np.eye(count)[generator.integers(count, size=240)]
    labels = [tuple(name for name, is_it in zip(task.labels, row, strict=True) if is_it) for row in truth]
    with caplog.at_level(logging.INFO, logger="yamnet_cry"):
        found = probe.fitted(windows(labels, embedded(truth, generator), role), task)
    (opinion,) = found.opinions
    assert (opinion.kind, opinion.labels, opinion.role, opinion.weight) == (
        "exclusive",
        task.labels,
        role,
        0.5,
    )
    assert opinion.logits.shape == (240, count)
    tested = np.arange(240) % 4 == 3
    right = opinion.logits.argmax(axis=1) == truth.argmax(axis=1)
    assert right[tested].mean() > 0.85
    assert f"linear probe of {', '.join(task.labels)}: log loss 0." in caplog.text


def test_labels_that_come_together_are_learnt_one_by_one():
    generator = np.random.default_rng(1)
    task = Task(("a", "b"), "independent")
    truth = generator.integers(2, size=(400, 2))
    labels = [tuple(name for name, is_it in zip("ab", row, strict=True) if is_it) for row in truth]
    # The labels of a clip without labels are unknown.
    labels[0] = ()
    (opinion,) = probe.fitted(windows(labels, embedded(truth, generator)), task).opinions
    assert (opinion.kind, opinion.logits.shape) == ("independent", (400, 2))
    assert ((opinion.logits > 0) == truth)[np.arange(400) % 4 == 3].mean() > 0.85


def test_neither_test_clips_nor_silence_are_fitted_to():
    generator = np.random.default_rng(2)
    task = Task(("a", "b"))
    truth = np.eye(2)[generator.integers(2, size=120)]
    labels = [("a",) if row[0] else ("b",) for row in truth]
    embeddings = embedded(truth, generator)
    (before,) = probe.fitted(windows(labels, embeddings, silent=[4]), task).opinions
    swapped = list(labels)
    for number in range(3, 120, 4):
        swapped[number] = ("b",) if labels[number] == ("a",) else ("a",)
    swapped[4] = ("b",) if labels[4] == ("a",) else ("a",)
    (after,) = probe.fitted(windows(swapped, embeddings, silent=[4]), task).opinions
    np.testing.assert_array_equal(before.logits, after.logits)


class Encoder:
    """Returns the mean of each group of eight bands in each window."""

    name, fingerprint, kind = "encoder", "bands", "embedding"
    labels = tuple(f"embedding {number}" for number in range(8))

    def logits(self, waveforms):
        each = [YAMNET.patches(YAMNET.log_mel(wave)) for wave in waveforms]
        return [patches.reshape(len(patches), 96, 8, 8).mean(axis=(1, 3)) for patches in each]


@pytest.fixture(scope="module")
def beeps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beeps")
    generator = np.random.default_rng(0)
    time = np.arange(16_000) / 16_000
    for label, hertz in (("low", 200.0), ("high", 3_000.0)):
        (folder / label).mkdir()
        for number in range(21):
            wave = 0.3 * np.sin(2 * np.pi * hertz * generator.uniform(0.8, 1.2) * time)
            wave += generator.normal(0, 0.02, len(wave))
            soundfile.write(folder / label / f"{number}.wav", wave, 16_000)
    return folder


SETTINGS = (
    "train.epochs=30",
    "train.batch_size=4",
    "train.learning_rate=3e-3",
    "augmentation.views=0",
    "student.blocks=[[16,2],[24,2]]",
    "student.head_rank=0",
    "student.start=random",
)


def test_an_encoder_teaches_like_any_teacher(beeps, tmp_path):
    recipe = recipes.get("sounds", (*SETTINGS, "loss.label_weight=0"))
    distill(str(beeps), Encoder(), tmp_path / "m", recipe=recipe, cache=tmp_path / "c.sqlite", progress=False)
    metrics = json.loads((tmp_path / "m" / METRICS).read_text())
    # The encoder has no labels; its probe is in the metrics beside the student.
    assert metrics["models"]["teacher"]["all"]["accuracy"]["value"] == 1.0
    assert metrics["models"]["int8"]["all"]["accuracy"]["value"] > 0.8
    assert json.loads((tmp_path / "m" / RECIPE).read_text())["teachers"][0]["name"] == "encoder"


def test_an_encoder_cannot_teach_crying(synthetic_corpus, tmp_path):
    with pytest.raises(TeacherError, match="expected teachers with the labels of the task's group"):
        distill(str(synthetic_corpus), Encoder(), tmp_path / "m", recipe=recipes.get("cry"), progress=False)


def test_clips_that_have_none_of_the_labels_are_learnt_from():
    """Labels are independent: without clips that have none, what is not one label would be the other."""
    generator = np.random.default_rng(3)
    task = Task(("a", "b"), "independent")
    truth = np.eye(3)[generator.integers(3, size=300)]
    labels = [(("a",), ("b",), (NONE,))[row.argmax()] for row in truth]
    (opinion,) = probe.fitted(windows(labels, embedded(truth, generator)), task).opinions
    tested = np.arange(300) % 4 == 3
    assert ((opinion.logits > 0) == truth[:, :2].astype(bool))[tested].mean() > 0.85

"""What must not be published: folders that are incomplete, or contradict themselves."""

import json
from pathlib import Path

import pytest

from yamnet_cry import CryDetector, release
from yamnet_cry.errors import HubError, ModelError
from yamnet_cry.model_folder import (
    CARD,
    CONFIG,
    KERAS,
    KERAS_WEIGHTS,
    METRICS,
    RECIPE,
    RELEASE_FILES,
    TFLITE,
    TRAINING_PLOT,
)


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_the_released_folder_is_whole_and_holds_nothing_else(released):
    assert set(release.check(released)) == set(RELEASE_FILES)
    assert {path.name for path in released.iterdir()} == set(RELEASE_FILES)


@pytest.mark.parametrize("name", RELEASE_FILES)
def test_an_incomplete_folder(model_copy, name):
    (model_copy / name).unlink()
    with pytest.raises(HubError, match=f"is incomplete: it has no {name}. Push the whole folder as"):
        release.check(model_copy)


def test_a_folder_that_only_a_detector_wrote(tmp_path):
    CryDetector.from_pretrained().save_pretrained(tmp_path / "mine")
    with pytest.raises(HubError, match="it has no model.keras, model.weights.h5, recipe.json, metrics.json"):
        release.check(tmp_path / "mine")


@pytest.mark.parametrize("name", [TFLITE, KERAS, KERAS_WEIGHTS])
def test_another_model(model_copy, name):
    (model_copy / name).write_bytes((model_copy / name).read_bytes() + b"\0")
    with pytest.raises(HubError, match=f"{name} is not the file that {CONFIG} describes"):
        release.check(model_copy)


def test_what_keras_would_read_is_the_model(model_copy):
    config = json.loads((model_copy / CONFIG).read_text())
    change(model_copy / CONFIG, config={**config["config"], "name": "another"})
    with pytest.raises(HubError, match="model.keras is not the model of config.json and model.weights.h5"):
        release.check(model_copy)


def test_metrics_of_another_model(model_copy):
    metrics = json.loads((model_copy / METRICS).read_text())
    change(model_copy / METRICS, size={**metrics["size"], "int8_bytes": 1})
    with pytest.raises(HubError, match=r"measured on a model with int8_bytes 1, and config.json has 109144"):
        release.check(model_copy)


def test_a_recipe_of_another_model(model_copy):
    recipe = json.loads((model_copy / RECIPE).read_text())
    change(model_copy / RECIPE, recipe={**recipe["recipe"], "name": "reference"})
    with pytest.raises(HubError, match="recipe.json is of 'reference', and config.json of 'cry'"):
        release.check(model_copy)


def test_a_card_that_says_more_than_was_measured(model_copy):
    card = (model_copy / CARD).read_text()
    assert "0.977 (0.960" in card
    (model_copy / CARD).write_text(card.replace("0.977 (0.960", "0.997 (0.990", 1))
    with pytest.raises(
        HubError, match="README.md does not say what was measured: it lacks 1 lines, the first"
    ):
        release.check(model_copy)
    release.write_card(model_copy)
    assert (model_copy / CARD).read_text() == card
    release.check(model_copy)


def test_a_card_may_say_something_besides(model_copy):
    with (model_copy / CARD).open("a") as file:
        file.write("\n## Our nursery\n\nIt works in ours.\n")
    release.check(model_copy)


@pytest.mark.parametrize("name", [METRICS, RECIPE])
@pytest.mark.parametrize(
    ("content", "message"), [("{", "is not JSON"), ("[]", "expected an object"), ("{}", "lacks")]
)
def test_a_record_that_cannot_be_read(model_copy, name, content, message):
    (model_copy / name).write_text(content)
    with pytest.raises(HubError, match=message):
        release.check(model_copy)
    with pytest.raises(HubError, match=message):
        release.write_card(model_copy)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(HubError, match="is incomplete"):
        release.check(tmp_path / "nothing")
    with pytest.raises(HubError, match="is no model folder"):
        release.write_card(tmp_path / "nothing")


def test_pictures_are_part_of_it(model_copy):
    (model_copy / TRAINING_PLOT).rename(model_copy / "else.png")
    with pytest.raises(HubError, match="it has no training.png"):
        release.check(model_copy)


def test_the_keras_model_of_a_folder(released, model_copy):
    import numpy as np

    patches = np.random.default_rng(0).uniform(-6.9, 3, (2, 96, 64, 1)).astype(np.float32)
    detector = CryDetector.from_pretrained(model_copy)
    logits = np.asarray(detector.keras_model(patches))
    quantized = np.stack([detector._student.logits(patch[..., 0])[0] for patch in patches])
    assert np.abs(logits - quantized).max() < 2.0, "the same student but for its quantisation"
    (model_copy / KERAS).write_bytes(b"PK")
    with pytest.raises(ModelError, match=f"{KERAS} is not the file that config.json describes"):
        _ = detector.keras_model
    (model_copy / KERAS).unlink()
    with pytest.raises(ModelError, match=f"has no {KERAS}"):
        _ = detector.keras_model

"""Folders that must not be published: incomplete or inconsistent ones."""

import json
from pathlib import Path

import pytest
import yaml

from yamnet_cry import CryDetector
from yamnet_cry.errors import HubError, ModelError
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model import hub, publish
from yamnet_cry.model.folder import (
    CARD,
    CONFIG,
    KERAS,
    KERAS_METADATA,
    KERAS_WEIGHTS,
    METRICS,
    RECIPE,
    TFLITE,
    TRAINING_PLOT,
    fingerprint,
)

FILES = model_folder.release_files(model_folder.load(hub.locate().folder)[0])


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_the_released_folder_is_whole_and_holds_nothing_else(released):
    assert set(publish.check(released)) == set(FILES)
    assert {path.name for path in released.iterdir()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_an_incomplete_folder(model_copy, name):
    (model_copy / name).unlink()
    with pytest.raises(HubError, match=f"is incomplete: it has no {name}. Push the whole folder as"):
        publish.check(model_copy)


def test_a_folder_that_only_a_detector_wrote(tmp_path):
    CryDetector.from_pretrained().save_pretrained(tmp_path / "mine")
    with pytest.raises(HubError, match="it has no model.keras, model.weights.h5, recipe.json, metrics.json"):
        publish.check(tmp_path / "mine")


@pytest.mark.parametrize("name", [TFLITE, KERAS, KERAS_WEIGHTS, KERAS_METADATA])
def test_another_model(model_copy, name):
    (model_copy / name).write_bytes((model_copy / name).read_bytes() + b"\0")
    with pytest.raises(HubError, match=f"{name} is not the file that {CONFIG} describes"):
        publish.check(model_copy)


def test_what_keras_would_read_is_the_model(model_copy):
    config = json.loads((model_copy / CONFIG).read_text())
    change(model_copy / CONFIG, config={**config["config"], "name": "another"})
    with pytest.raises(HubError, match="model.keras is not the model of config.json and model.weights.h5"):
        publish.check(model_copy)


def test_metadata_of_another_keras_file(model_copy):
    (model_copy / KERAS_METADATA).write_text('{"keras_version": "3.0.0"}')
    config = json.loads((model_copy / CONFIG).read_text())
    described = fingerprint((model_copy / KERAS_METADATA).read_bytes())
    change(model_copy / CONFIG, files={**config["files"], KERAS_METADATA: described})
    with pytest.raises(HubError, match="metadata.json is not that of model.keras"):
        publish.check(model_copy)


def test_a_folder_without_metadata_of_keras_is_published_as_before(model_copy):
    config = json.loads((model_copy / CONFIG).read_text())
    del config["files"][KERAS_METADATA]
    change(model_copy / CONFIG, files=config["files"])
    (model_copy / KERAS_METADATA).unlink()
    assert set(publish.check(model_copy)) == set(FILES) - {KERAS_METADATA}


def test_metrics_of_another_model(model_copy):
    metrics = json.loads((model_copy / METRICS).read_text())
    change(model_copy / METRICS, size={**metrics["size"], "int8_bytes": 1})
    size = metrics["size"]["int8_bytes"]
    with pytest.raises(HubError, match=f"measured on a model with int8_bytes 1, but config.json has {size}"):
        publish.check(model_copy)


def test_a_recipe_of_another_model(model_copy):
    recipe = json.loads((model_copy / RECIPE).read_text())
    change(model_copy / RECIPE, recipe={**recipe["recipe"], "name": "reference"})
    with pytest.raises(HubError, match="recipe.json is for 'reference', but config.json for 'context'"):
        publish.check(model_copy)


def test_a_card_that_says_more_than_was_measured(model_copy):
    card = (model_copy / CARD).read_text()
    auc = json.loads((model_copy / METRICS).read_text())["models"]["int8"]["all"]["auc"]
    measured = f"{auc['value']:.3f} ({auc['low']:.3f}"
    assert measured in card
    (model_copy / CARD).write_text(card.replace(measured, "0.999 (0.998", 1))
    with pytest.raises(HubError, match="README.md does not match metrics.json: it lacks 1 lines, the first"):
        publish.check(model_copy)
    publish.write_card(model_copy)
    assert (model_copy / CARD).read_text() == card
    publish.check(model_copy)


def test_a_card_may_say_something_besides(model_copy):
    with (model_copy / CARD).open("a") as file:
        file.write("\n## Our nursery\n\nIt works in ours.\n")
    publish.check(model_copy)


@pytest.mark.parametrize("name", [METRICS, RECIPE])
@pytest.mark.parametrize(
    ("content", "message"), [("{", "is not JSON"), ("[]", "expected an object"), ("{}", "lacks")]
)
def test_a_record_that_cannot_be_read(model_copy, name, content, message):
    (model_copy / name).write_text(content)
    with pytest.raises(HubError, match=message):
        publish.check(model_copy)
    with pytest.raises(HubError, match=message):
        publish.write_card(model_copy)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(HubError, match="is incomplete"):
        publish.check(tmp_path / "nothing")
    with pytest.raises(HubError, match="is not a model folder"):
        publish.write_card(tmp_path / "nothing")


def test_pictures_are_part_of_it(model_copy):
    (model_copy / TRAINING_PLOT).rename(model_copy / "else.png")
    with pytest.raises(HubError, match="it has no training.png"):
        publish.check(model_copy)


def test_the_keras_model_of_a_folder(released, model_copy):
    import numpy as np

    patches = np.random.default_rng(0).uniform(-6.9, 3, (2, 96, 64, 1)).astype(np.float32)
    detector = CryDetector.from_pretrained(model_copy)
    logits = np.asarray(detector.keras_model(patches))
    quantized = np.stack([detector.student.logits(patch[..., 0])[0] for patch in patches])
    assert np.abs(logits - quantized).max() < 2.0, "the same student but for its quantisation"
    (model_copy / KERAS).write_bytes(b"PK")
    with pytest.raises(ModelError, match=f"{KERAS} is not the file that config.json describes"):
        _ = detector.keras_model
    (model_copy / KERAS).unlink()
    with pytest.raises(ModelError, match=f"has no {KERAS}"):
        _ = detector.keras_model


HOSTILE = "a */ | <script>alert(1)</script> [x](//x) ![](//x) `</code>` \n---\nlicense: gpl\u2028# Big"


def test_texts_of_a_folder_are_no_markdown_or_html(model_copy):
    recipe = json.loads((model_copy / RECIPE).read_text())
    recipe["teachers"][0]["name"] = HOSTILE
    recipe["sources"] = {HOSTILE: {"clips": {"train/cry": 1}, "licences": [HOSTILE]}}
    recipe["recipe"]["train"]["epochs"] = HOSTILE
    metrics = json.loads((model_copy / METRICS).read_text())
    metrics["evaluation"]["split"] = HOSTILE
    by_source = metrics["models"]["int8"]["by_source"]
    by_source[HOSTILE] = next(iter(by_source.values()))
    change(model_copy / RECIPE, **recipe)
    change(model_copy / METRICS, **metrics)
    before = CryDetector.from_pretrained(model_copy).config
    publish.write_card(model_copy)
    text = (model_copy / CARD).read_text()
    for raw in ("<script", "[x](", "![](", "</code>", "\nlicense: gpl", "\u2028"):
        assert raw not in text
    rows = [line for line in text.splitlines() if line.startswith("| a *")]
    assert len(rows) == 2
    # Only unescaped bars separate columns.
    assert {line.replace(r"\|", "").count("|") for line in rows} == {4, 8}
    front = text.removeprefix("---\n").split("\n---\n")[0]
    assert yaml.safe_load(front)["license"] == "mit"
    assert before.recipe == "context"


@pytest.mark.parametrize("name", [RECIPE, METRICS])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "is not JSON .it is nested too deeply"),
        (b'{"a": NaN}', "is not JSON .NaN is not a finite number"),
        (b"[1]", r"expected an object. Received: \[1\]"),
        (b'{"size": 1, "recipe": 1}', "lacks values for the card"),
    ],
)
def test_records_that_are_none(model_copy, name, content, message):
    (model_copy / name).write_bytes(content)
    for use in (publish.check, publish.write_card):
        with pytest.raises(HubError, match=message) as raised:
            use(model_copy)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", ["high", None, [], True, 10**18, 1e300])
def test_a_measure_that_is_no_number(model_copy, value):
    metrics = json.loads((model_copy / METRICS).read_text())
    metrics["size"]["multiply_accumulates"] = value
    metrics["models"]["int8"]["all"]["auc"] = value
    change(model_copy / METRICS, **metrics)
    with pytest.raises(HubError, match="lacks values for the card"):
        publish.write_card(model_copy)

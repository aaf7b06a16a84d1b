import json

import pytest

from yamnet_cry.model import card
from yamnet_cry.model import folder as model_folder


@pytest.fixture
def parts(released):
    config, *_ = model_folder.load(released)
    texts = ((released / name).read_text("utf-8") for name in (model_folder.RECIPE, model_folder.METRICS))
    return config, *map(json.loads, texts)


def front_matter(text: str) -> list[str]:
    return text.split("---\n")[1].splitlines()


def test_the_licence_is_that_of_the_run(parts):
    config, recipe, metrics = parts
    assert "license: mit" in front_matter(card.render(config, recipe, metrics))
    own = card.render(config, {**recipe, "license": "cc-by-4.0"}, metrics)
    assert "license: cc-by-4.0" in front_matter(own)
    # Folders of older versions have no licence field.
    del recipe["license"]
    assert not [line for line in front_matter(card.render(config, recipe, metrics)) if "license" in line]


def test_texts_of_a_run_are_no_template(parts):
    config, recipe, metrics = parts
    recipe["teachers"][0]["name"] = "{{ config.recipe }} {% raw %}"
    assert "{{ config.recipe }} {% raw %}" in card.render(config, recipe, metrics)


def test_sentences_follow_the_settings(parts):
    config, recipe, metrics = parts
    assert "augmented views" in card.render(config, recipe, metrics)
    recipe["recipe"]["augmentation"]["views"] = 0
    recipe["recipe"]["loss"]["label_weight"] = 0.0
    recipe["recipe"]["context"] = None
    plain = card.render(config, recipe, metrics)
    assert "augmented views" not in plain
    assert "binary cross-entropy" not in plain

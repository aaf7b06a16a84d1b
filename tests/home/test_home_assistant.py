"""The files for Home Assistant are valid YAML and refer to existing entities."""

import re
from pathlib import Path

import pytest
import yaml

from yamnet_cry.home import discovery
from yamnet_cry.home.broker import Broker

FOLDER = Path(__file__).parents[2] / "examples" / "home_assistant"
ENTITIES = {
    each["default_entity_id"]
    for each in discovery.config(Broker("pi.local", 1883), "nursery", "1.2.3")["components"].values()
}


class Input(str):
    """An input that a user sets when creating an automation from a blueprint."""


class Loader(yaml.SafeLoader):
    """A YAML loader with Home Assistant's tag."""


Loader.add_constructor("!input", lambda loader, node: Input(loader.construct_scalar(node)))


def inputs(value):
    if isinstance(value, Input):
        return {str(value)}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return set().union(*map(inputs, parts))


def test_the_blueprint_uses_what_it_asks_for():
    blueprint = yaml.load((FOLDER / "blueprint_cry_alert.yaml").read_text(), Loader)
    assert blueprint.keys() == {"blueprint", "mode", "max_exceeded", "variables", "triggers", "actions"}
    asked = blueprint["blueprint"]["input"]
    assert inputs(blueprint) == asked.keys()
    assert {name for name, each in asked.items() if "default" not in each} == {"crying", "problem", "phone"}
    assert [each["trigger"] for each in blueprint["triggers"]] == ["state"] * 3


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_entities_exist(path):
    named = re.findall(r"\b(?:binary_sensor|sensor|event|switch)\.nursery\w+", path.read_text())
    assert set(named) <= ENTITIES
    assert named, f"{path.name} names no entity"


def test_the_card_can_be_read():
    card = yaml.safe_load((FOLDER / "dashboard_card.yaml").read_text())
    assert card["type"] == "vertical-stack"
    assert {each["type"] for each in card["cards"]} == {"conditional", "horizontal-stack", "history-graph"}

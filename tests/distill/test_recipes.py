import dataclasses

import pytest

from yamnet_cry.distill import recipes
from yamnet_cry.distill.recipes import RECIPES, REFERENCE
from yamnet_cry.errors import RecipeError


def test_reference_is_the_published_recipe():
    """The values of the card of chayuto/yamnet-cry-distill-int8 v0.2.0."""
    published = REFERENCE.to_dict()
    assert published.pop("augmentation")["views"] == 0
    assert published == {
        "name": "reference",
        "student": {
            "architecture": "ds_cnn",
            "stem_filters": 8,
            "blocks": [[16, 1], [32, 2], [64, 2], [128, 2]],
            "head_rank": 0,
        },
        "selection": {"positive_above": 0.30, "negative_below": 0.05},
        "sampling": {"negatives_per_positive": 3},
        "loss": {"target": "raw_sigmoid", "temperature": 1.0, "label_weight": 0.0},
        "train": {
            "epochs": 60,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "weight_decay": 1e-4,
            "schedule": "drop",
            "drop_epoch": 30,
            "dropped_learning_rate": 1e-4,
        },
        "export": {"calibration_patches": 200, "dense_per_channel": True},
    }


@pytest.mark.parametrize(
    ("setting", "section", "field", "value"),
    [
        ("train.epochs=5", "train", "epochs", 5),
        ("train.learning_rate=1", "train", "learning_rate", 1.0),
        ("loss.target=softmax", "loss", "target", "softmax"),
        ("student.blocks=[[4, 1], [8, 2]]", "student", "blocks", ((4, 1), (8, 2))),
    ],
)
def test_settings_change_one_thing(setting, section, field, value):
    changed = recipes.get("reference", [setting])
    assert getattr(getattr(changed, section), field) == value
    back = dataclasses.replace(changed, **{section: getattr(REFERENCE, section)})
    assert back == REFERENCE == RECIPES["reference"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.epoch=5", r"one of student.architecture.*train.epochs.*Received: 'train.epoch=5'"),
        ("epochs=5", "Received: 'epochs=5'"),
        ("train=5", "Received: 'train=5'"),
        ("train.epochs", "KEY=VALUE"),
        ("train.epochs=many", "train.epochs takes a value such as 60. Received: 'many'"),
        ("train.epochs=1.5", "Received: '1.5'"),
        ("train.epochs=true", "Received: 'true'"),
        ("loss.target=3", "loss.target takes a value such as 'raw_sigmoid'"),
    ],
)
def test_bad_settings_are_explained(setting, message):
    with pytest.raises(RecipeError, match=message):
        recipes.get("reference", [setting])


def test_an_unknown_recipe():
    with pytest.raises(RecipeError, match="there are: cry, reference. Received: 'best'"):
        recipes.get("best")

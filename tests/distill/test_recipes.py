import dataclasses
import json
import re
import subprocess
import sys
from typing import get_args

import pytest
from click.testing import CliRunner

from yamnet_cry.cli import main
from yamnet_cry.distill import recipes
from yamnet_cry.distill.recipe import Recipe
from yamnet_cry.distill.recipes import RECIPES, REFERENCE
from yamnet_cry.distill.sections import Architecture, Selection, Train
from yamnet_cry.distill.settings import described
from yamnet_cry.errors import RecipeError


def test_reference_is_the_published_recipe():
    """The values of the card of chayuto/yamnet-cry-distill-int8 v0.2.0."""
    published = REFERENCE.to_dict()
    assert published.pop("augmentation")["views"] == 0
    assert published.pop("front_end")["name"] == "yamnet"
    task = published.pop("task")
    assert (len(task.pop("labels")), task) == (
        521,
        {"kind": "exclusive", "group": ["Crying, sobbing", "Baby cry, infant cry"], "target": "cry"},
    )
    assert published == {
        "name": "reference",
        "student": {
            "architecture": "ds_cnn",
            "fold": 1,
            "stem_filters": 8,
            "stem_kernel": [3, 3],
            "stem_stride": [2, 2],
            "blocks": [[16, 1], [32, 2], [64, 2], [128, 2]],
            "pooling": "average",
            "dropout": 0.0,
            "norm_momentum": 0.99,
            "units": 64,
            "head_rank": 0,
            "start": "random",
        },
        "selection": {"positive_above": 0.30, "negative_below": 0.05},
        "sampling": {"negatives_per_positive": 3},
        "teaching": {"roles": ["windows"], "weights": [1.0], "prompts": []},
        "loss": {"target": "raw_sigmoid", "temperature": 1.0, "label_weight": 0.0, "label_smoothing": 0.0},
        "train": {
            "epochs": 60,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "weight_decay": 1e-4,
            "schedule": "drop",
            "drop_epoch": 30,
            "dropped_learning_rate": 1e-4,
        },
        "context": None,
        "export": {"calibration_patches": 200, "dense_per_channel": True, "weight_bits": 0},
        "events": {"smoothing": 2, "votes": 2, "window": 3, "release": 0.5, "hold_seconds": 2.0},
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
        ("train.epoch=5", "expected a setting KEY=VALUE with one of task.labels, task.kind, "),
        ("train.epoch=5", ", train.epochs, "),
        ("train.epoch=5", "Received: 'train.epoch=5'. `yamnet-cry recipes show reference` explains them"),
        ("epochs=5", "Received: 'epochs=5'"),
        ("train=5", "Received: 'train=5'"),
        ("train.epochs", "KEY=VALUE"),
        (
            "train.epochs=many",
            "expected train.epochs to be a whole number from 1 to 100000. Received: 'many'",
        ),
        ("train.epochs=1.5", "a whole number from 1 to 100000. Received: 1.5"),
        ("train.epochs=true", "a whole number from 1 to 100000. Received: True"),
        ("train.epochs=0", "a whole number from 1 to 100000. Received: 0"),
        ("train.epochs=-1", "a whole number from 1 to 100000. Received: -1"),
        ("train.epochs=[[[[", "Received: '[[[['"),
        ("train.batch_size=0", "expected train.batch_size to be a whole number from 1 to 65536. Received: 0"),
        (
            "train.learning_rate=0",
            "expected train.learning_rate to be a number from 1e-09 to 1. Received: 0.0",
        ),
        ("train.learning_rate=NaN", "Received: 'NaN'"),
        ("train.weight_decay=-1", "Received: -1.0"),
        ("train.schedule=linear", "expected train.schedule to be drop or cosine. Received: 'linear'"),
        ("train.drop_epoch=-1", "expected train.drop_epoch to be a whole number from 0"),
        ("loss.target=3", "expected loss.target to be raw_sigmoid, softmax or sigmoid. Received: 3"),
        ("loss.temperature=0", "expected loss.temperature to be a number from 0.01 to 100. Received: 0.0"),
        ("loss.label_weight=2", "expected loss.label_weight to be a number from 0 to 1. Received: 2.0"),
        (
            "loss.label_smoothing=1",
            "expected loss.label_smoothing to be a number from 0 to 0.9. Received: 1.0",
        ),
        ("task.kind=several", "expected task.kind to be exclusive or independent. Received: 'several'"),
        (
            'task.labels=["a", "a"]',
            "different names, each of 1 to 200 printable characters. Received: ('a', 'a')",
        ),
        ('task.group=["Cry"]', "expected task.group to name labels of the task. Received: 'Cry'"),
        ("task.target=", "expected task.group and task.target together, or neither. Received:"),
        ('teaching.roles=["pupils"]', "a list of 1 to 8 of windows or clips. Received: ('pupils',)"),
        (
            'teaching.roles=["windows", "clips"]',
            "teaching.weights to have a weight for each of 2 roles. Received: 1",
        ),
        ("teaching.weights=[0]", "a list of 1 to 8 numbers from 0.001 to 1000. Received: (0,)"),
        (
            'teaching.roles=["clips"]',
            "selection needs a task with a group and a first teacher with the role windows",
        ),
        ("sampling.negatives_per_positive=0", "Received: 0"),
        (
            "student.architecture=transformer",
            "expected student.architecture to be ds_cnn, vgg or lstm. Received: 'transfor",
        ),
        ("student.stem_filters=0", "expected student.stem_filters to be a whole number from 1"),
        (
            "student.blocks=[[0, 1]]",
            "with filters from 1 to 1024 and stride from 1 to 4. Received: ((0, 1),)",
        ),
        ("student.blocks=[[8, 0]]", "Received: ((8, 0),)"),
        ("student.blocks=[[8]]", "Received: ((8,),)"),
        ("student.blocks=[]", "Received: ()"),
        ("student.head_rank=-1", "Received: -1"),
        ("student.start=mine", "expected student.start to be random or released. Received: 'mine'"),
        ("augmentation.views=-1", "Received: -1"),
        ("augmentation.pitch=1.1", "expected augmentation.pitch to be a number from 0 to 1. Received: 1.1"),
        ("augmentation.rates=[1.2, 0.8]", "from 0.25 to 4, the lower one first. Received: (1.2, 0.8)"),
        ("augmentation.rates=[0, 1]", "Received: (0, 1)"),
        ("augmentation.rates=1", "Received: 1"),
        ("export.calibration_patches=0", "Received: 0"),
        ("export.dense_per_channel=1", "expected export.dense_per_channel to be true or false. Received: 1"),
        (
            "selection.negative_below=0.4",
            "expected selection.negative_below to be at most selection.positive_above, which is 0.3. "
            "Received: 0.4",
        ),
        (
            "train.learning_rate=1e-5",
            "expected train.dropped_learning_rate to be at most train.learning_rate, which is 1e-05. "
            "Received: 0.0001",
        ),
    ],
)
def test_bad_settings_are_explained(setting, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        recipes.get("reference", [setting])


def test_settings_may_contradict_each_other_in_between():
    changed = recipes.get("cry", ["selection.negative_below=0.2", "selection.positive_above=0.3"])
    assert changed.selection == Selection(positive_above=0.3, negative_below=0.2)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"train": Train(epochs=0)},
            "expected train.epochs to be a whole number from 1 to 100000. Received: 0",
        ),
        ({"train": {"epochs": 5}}, "expected train to be Train(...). Received: {'epochs': 5}"),
        (
            {"name": "*/ system();"},
            "expected name to be 1 to 64 of the characters a-z, 0-9, _ and -. Received:",
        ),
        ({"selection": Selection(0.1, 0.2)}, "expected selection.negative_below to be at most"),
    ],
)
def test_recipes_made_in_python_are_checked_as_well(parts, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        Recipe(**{"name": "mine", **parts})


def test_every_setting_has_a_rule_that_holds_and_a_meaning():
    for recipe in RECIPES.values():
        settings = described(recipe)
        assert {setting.key for setting in settings} == {
            f"{section}.{name}"
            for section, values in recipe.to_dict().items()
            if section not in ("name", "front_end") and values is not None
            for name in values
        }
        assert all(setting.meaning and setting.expected for setting in settings)
        assert all(recipe[setting.key] == setting.value for setting in settings)


def test_every_architecture_has_a_builder():
    from yamnet_cry.distill import students

    assert set(get_args(Architecture)) == set(students.BUILDERS)


def test_an_unknown_recipe():
    with pytest.raises(
        RecipeError, match=f"expected one of the recipes {', '.join(RECIPES)}. Received: 'best'"
    ):
        recipes.get("best")


def test_the_program_lists_and_explains_recipes():
    listed = CliRunner().invoke(main, ["recipes"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(RECIPES)
    shown = CliRunner().invoke(main, ["recipes", "show", "cry"])
    assert (
        "train.epochs=44\n    Number of epochs. Expected: a whole number from 1 to 100000.\n" in shown.stdout
    )
    assert "Needs" not in shown.stdout
    needs = CliRunner().invoke(main, ["recipes", "show", "kws"]).stdout
    assert "Needs the unpacked Speech Commands v0.02" in " ".join(needs.split())
    unknown = CliRunner().invoke(main, ["recipes", "show", "best"])
    assert (unknown.exit_code, unknown.stderr) == (
        2,
        f"Error: expected one of the recipes {', '.join(RECIPES)}. Received: 'best'\n",
    )


def test_what_the_program_shows_can_be_set_again():
    told = json.loads(CliRunner().invoke(main, ["recipes", "show", "--json", "context"]).stdout)
    typed = CliRunner().invoke(main, ["recipes", "show", "context"]).stdout.splitlines()
    keys = [setting["key"] for setting in told["settings"]]
    again = [line for line in typed if line.partition("=")[0] in keys]
    assert len(again) == len(keys)
    # Only some of AudioSet's 521 labels are shown, with their number.
    again.remove(next(line for line in again if line.endswith("(521 in all)")))
    # The recipe reference has no context network.
    of_context = [line for line in again if line.startswith("context.")]
    assert len(of_context) > 10
    everything = recipes.get("reference", [line for line in again if line not in of_context])
    context = recipes.get("context", of_context).context
    assert dataclasses.replace(everything, name="context", context=context) == RECIPES["context"]
    assert {setting["key"]: setting["value"] for setting in told["settings"]} == {
        key: RECIPES["context"].to_dict()[key.split(".")[0]][key.split(".")[1]] for key in keys
    }


def test_recipes_are_explained_without_the_extra():
    """The extra's packages are hidden from the import system, as in a base install."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('keras', 'tensorflow', 'sklearn', 'scipy')))\n"
        "sys.argv = ['yamnet-cry', 'recipes', 'show', 'cry']\n"
        "from yamnet_cry.cli import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "train.epochs=44" in result.stdout


def test_the_rest_says_what_it_needs():
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'keras' else find(name, *a)\n"
        "from yamnet_cry.distill import {}"
    )
    for name in ("distill", "corpus"):
        command = [sys.executable, "-c", code.format(name)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert 'needs keras, which the base install leaves out: pip install "yamnet-cry[distill]"' in (
            result.stderr
        )

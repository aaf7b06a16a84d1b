"""Public names are documented, and tests, tools and examples use no private ones."""

import ast
import inspect
import re
from functools import cached_property
from pathlib import Path

import pytest

import yamnet_cry
from yamnet_cry import distill
from yamnet_cry.frontend import FrontEnd
from yamnet_cry.model.runtime import Student

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "examples", "space", "tests", "tools", "yamnet_cry")

# Endings of the names of functions that take names as strings: getattr, monkeypatch.setattr and so on.
BY_STRING = ("attr", "patch", "patch.object")

CLASSES = [
    *(getattr(yamnet_cry, name) for name in yamnet_cry.__all__ if name != "__version__"),
    distill.Recipe,
    FrontEnd,
    Student,
]


def members() -> list[tuple[type, str, object]]:
    """The public methods and properties of every public class, including those inherited in the package."""
    found = []
    for each in CLASSES:
        for name, member in inspect.getmembers_static(each):
            if name.startswith("_") and name != "__call__":
                continue
            owner = next(base for base in each.__mro__ if name in vars(base))
            if owner.__module__.startswith("yamnet_cry.") and is_explained_by_itself(member):
                found.append((owner, name, member))
    return list(dict.fromkeys(found))


def is_explained_by_itself(member: object) -> bool:
    """Whether a member needs its own docstring; fields of a dataclass are documented by its class."""
    return is_method(member) or isinstance(member, property | cached_property)


def is_method(member: object) -> bool:
    return isinstance(member, classmethod | staticmethod) or inspect.isfunction(member)


def parameters(callable_: object) -> set[str]:
    function = callable_.__func__ if isinstance(callable_, classmethod | staticmethod) else callable_
    return set(inspect.signature(function).parameters) - {"self", "cls"}


def explained(text: str, *sections: str) -> set[str]:
    """The names documented in sections of a docstring."""
    found = re.findall(rf"^(?:{'|'.join(sections)}):\n((?:    .*\n|\n)*)", text + "\n", re.MULTILINE)
    return set(re.findall(r"^    (\w+): \S", "".join(found), re.MULTILINE))


def of(each: object) -> str:
    return f"{each[0].__name__}.{each[1]}" if isinstance(each, tuple) else each.__name__


def test_the_members_are_found():
    names = {of(each) for each in members()}
    assert {
        "CryDetector.stream",
        "CryDetector.threshold",
        "Classifier.__call__",
        "Classifier.from_pretrained",
        "Classification.label_probabilities",
        "FrontEnd.log_mel",
        "Event.seconds",
    } <= names
    assert "Classification.seconds" not in names


@pytest.mark.parametrize("each", CLASSES, ids=of)
def test_classes_are_explained(each):
    text = inspect.cleandoc(vars(each)["__doc__"])
    assert ">>> " in text
    if each.__init__ is not Exception.__init__ and "__init__" in vars(each):
        assert parameters(each) <= explained(text, "Args", "Attributes")


@pytest.mark.parametrize("each", members(), ids=of)
def test_methods_and_properties_are_explained(each):
    _, _, member = each
    text = inspect.cleandoc(member.__doc__ or "")
    assert re.match(r"\S.+\.", text)
    if is_method(member):
        assert ">>> " in text
        assert parameters(member) == explained(text, "Args")


@pytest.mark.parametrize("name", distill.__all__)
def test_distillation_is_explained(name):
    if name == "distill":
        reason = "needs the extra distill"
        pytest.importorskip("yamnet_cry.distill.engine", reason=reason, exc_type=ImportError)
    each = getattr(distill, name)
    if name == "RECIPES":
        assert all(recipe.about for recipe in each.values())
        return
    text = inspect.cleandoc(each.__doc__)
    assert ">>> " in text
    assert parameters(each) <= explained(text, "Args", "Attributes")


def private(tree: ast.AST) -> list[str]:
    """Private names of modules that are imported, or are reached through strings.

    ruff finds private attributes (SLF001).
    """
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(BY_STRING):
            strings = (each.value for each in node.args if isinstance(each, ast.Constant))
            names = [part for each in strings if isinstance(each, str) for part in each.split(".")]
        else:
            continue
        found += [name for name in names if re.fullmatch(r"_[A-Za-z]\w*", name)]
    return found


def test_private_names_are_found():
    program = """
from yamnet_cry.work import AHEAD, _hidden
from yamnet_cry._hidden import name
monkeypatch.setattr("yamnet_cry.home.labels._PATIENCE", 0.1)
monkeypatch.setattr(work, "_AHEAD", 3)
getattr(work, "__name__")
from __future__ import annotations
"""
    assert private(ast.parse(program)) == ["_hidden", "_hidden", "_PATIENCE", "_AHEAD"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_private_is_needed(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    used = {str(file.relative_to(ROOT)): private(ast.parse(file.read_bytes())) for file in files}
    assert {file: names for file, names in used.items() if names} == {}

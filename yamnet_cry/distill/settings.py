"""Settings of a recipe: the rule and the meaning of each, read from its declaration.

A section of a recipe is a dataclass. The annotation of a field contains the rule for its value, and the
``Attributes`` of the docstring contain its meaning; checks and explanations of a setting use these.
"""

import dataclasses
import inspect
import re
from typing import Any

from yamnet_cry import fields
from yamnet_cry.fields import Rule
from yamnet_cry.frontend import FrontEnd
from yamnet_cry.task import LABELS

#: True or false, for ``Annotated[bool, FLAG]``.
FLAG = Rule("true or false", lambda value: type(value) is bool)

#: Bits per weight in quantisation-aware training, or 0.
WEIGHT_BITS = Rule(
    "0, or a whole number from 2 to 8", lambda value: value == 0 or fields.integer(2, 8).holds(value)
)

#: A label of a task, or an empty text.
LABEL_OR_NOTHING = Rule("a label, or nothing", lambda value: value == "" or LABELS.holds([value]))


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting of a recipe.

    Attributes:
        key: Its section and name, such as ``train.epochs``.
        value: What it is set to.
        expected: What it must be, in words.
        meaning: What it decides, in words.
    """

    key: str
    value: Any
    expected: str
    meaning: str


def each_of(names: tuple[str, ...], longest: int) -> Rule:
    """A list of given words, with repetitions allowed.

    Examples:
        >>> rule = each_of(("a", "b"), 3)
        >>> rule.meaning, rule.holds(["a", "a"]), rule.holds([]), rule.holds("a")
        ('a list of 1 to 3 of a or b', True, False, False)
    """
    one = fields.one_of(names)
    return Rule(
        f"a list of 1 to {longest} of {one.meaning}",
        lambda value: (
            isinstance(value, list | tuple) and 1 <= len(value) <= longest and all(map(one.holds, value))
        ),
    )


def each_within(low: float, high: float, longest: int) -> Rule:
    """A list of numbers within bounds.

    Examples:
        >>> each_within(0, 1, 2).holds((0, 0.5)), each_within(0, 1, 2).holds(())
        (True, False)
    """
    one = fields.number(low, high)
    return Rule(
        f"a list of 1 to {longest} numbers from {low:g} to {high:g}",
        lambda value: (
            isinstance(value, list | tuple) and 1 <= len(value) <= longest and all(map(one.holds, value))
        ),
    )


def integers(low: int, high: int, shortest: int, longest: int) -> Rule:
    """A list of whole numbers within bounds.

    Examples:
        >>> rule = integers(1, 4, 2, 2)
        >>> rule.meaning, rule.holds((2, 1)), rule.holds((2,)), rule.holds((2, 5))
        ('a list of 2 whole numbers from 1 to 4', True, False, False)
    """
    one = fields.integer(low, high)
    count = str(longest) if shortest == longest else f"{shortest} to {longest}"
    return Rule(
        f"a list of {count} whole numbers from {low} to {high}",
        lambda value: (
            isinstance(value, list | tuple)
            and shortest <= len(value) <= longest
            and all(map(one.holds, value))
        ),
    )


def texts(longest: int, most: int) -> Rule:
    """A list of printable texts.

    Examples:
        >>> rule = texts(3, 2)
        >>> rule.meaning, rule.holds(["a", ""]), rule.holds(["long"]), rule.holds("a")
        ('a list of at most 2 texts of up to 3 printable characters', True, False, False)
    """
    return Rule(
        f"a list of at most {most:,} texts of up to {longest} printable characters",
        lambda value: (
            isinstance(value, list | tuple)
            and len(value) <= most
            and all(isinstance(each, str) and len(each) <= longest and each.isprintable() for each in value)
        ),
    )


def span(low: float, high: float) -> Rule:
    """A range from which numbers are sampled: two numbers within bounds, in increasing order.

    Examples:
        >>> [span(0, 9).holds(value) for value in ((1, 2), (2, 2), (2, 1), (1, 10), (1,), 1)]
        [True, True, False, False, False, False]
    """
    each = fields.number(low, high)
    return Rule(
        f"two numbers from {low:g} to {high:g}, the lower one first",
        lambda value: _has_length(value, 2) and all(map(each.holds, value)) and value[0] <= value[1],
    )


def pairs(longest: int, *each: tuple[str, int, int]) -> Rule:
    """A list of lists of whole numbers, each number with its own name and bounds.

    Examples:
        >>> rule = pairs(2, ("filters", 1, 64), ("stride", 1, 2))
        >>> rule.meaning
        'a list of 1 to 2 [filters, stride], with filters from 1 to 64 and stride from 1 to 2'
        >>> rule.holds([[8, 1]]), rule.holds([[8, 3]]), rule.holds([8, 1]), rule.holds([])
        (True, False, False, False)
    """
    names = ", ".join(name for name, _, _ in each)
    bounds = " and ".join(f"{name} from {low} to {high}" for name, low, high in each)
    rules = [fields.integer(low, high) for _, low, high in each]
    return Rule(
        f"a list of 1 to {longest} [{names}], with {bounds}",
        lambda value: (
            isinstance(value, list | tuple)
            and 1 <= len(value) <= longest
            and all(
                _has_length(item, len(rules))
                and all(rule.holds(v) for rule, v in zip(rules, item, strict=True))
                for item in value
            )
        ),
    )


def meanings(section: type) -> dict[str, str]:
    """Returns the description of each field from the docstring of a section, as plain text.

    Examples:
        >>> meanings(Setting)["value"]
        'What it is set to.'
    """
    _, _, attributes = inspect.cleandoc(section.__doc__ or "").partition("Attributes:\n")
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", attributes, re.MULTILINE)
    return {name: " ".join(text.replace("`", "").split()) for name, text in found}


def sections(recipe: Any) -> dict[str, Any]:
    """Returns the sections of a recipe, by name; a front end is a single value, not a section."""
    values = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    return {
        name: value
        for name, value in values.items()
        if dataclasses.is_dataclass(value) and not isinstance(value, FrontEnd)
    }


def described(recipe: Any) -> list[Setting]:
    """Returns every setting of a recipe."""
    found = []
    for name, section in sections(recipe).items():
        meaning = meanings(type(section))
        for key, rule in fields.rules(type(section)).items():
            value = getattr(section, key)
            found.append(Setting(f"{name}.{key}", value, rule.meaning, meaning.get(key, "")))
    return found


def _has_length(value: object, length: int) -> bool:
    return isinstance(value, list | tuple) and len(value) == length

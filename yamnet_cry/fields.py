"""Parses untrusted JSON strictly, and validates it field by field."""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

# Keras model descriptions have about a dozen levels.
_MAX_DEPTH = 100


@dataclass(frozen=True)
class Rule:
    """A validation rule for a field.

    Attributes:
        meaning: Description of valid values, to complete "expected ... to be".
        holds: Returns whether a value is valid.
        optional: Whether the field may be missing.
    """

    meaning: str
    holds: Callable[[Any], bool]
    optional: bool = False


def number(low: float, high: float, *, optional: bool = False) -> Rule:
    """A number within bounds; True, False, NaN and infinities are invalid.

    Examples:
        >>> number(0, 1).holds(0.5), number(0, 1).holds(True), number(0, 1).holds(2)
        (True, False, False)
    """
    return Rule(
        f"a number from {low:g} to {high:g}",
        lambda value: type(value) in (int, float) and low <= value <= high,
        optional,
    )


def integer(low: int, high: int, *, optional: bool = False) -> Rule:
    """A whole number within bounds, written without a decimal point."""
    return Rule(
        f"a whole number from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high,
        optional,
    )


def text(pattern: str, meaning: str, *, optional: bool = False) -> Rule:
    """A string that matches a regular expression as a whole."""
    compiled = re.compile(pattern)
    return Rule(
        meaning, lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None, optional
    )


def numbers(low: float, high: float, longest: int) -> Rule:
    """A list of numbers within bounds.

    Examples:
        >>> numbers(0, 1, 3).holds([0, 0.5]), numbers(0, 1, 3).holds([2]), numbers(0, 1, 3).holds([0] * 4)
        (True, False, False)
    """
    each = number(low, high)
    return Rule(
        f"a list of at most {longest} numbers from {low:g} to {high:g}",
        lambda value: isinstance(value, list) and len(value) <= longest and all(map(each.holds, value)),
    )


def exactly(expected: object) -> Rule:
    """Exactly one value, of the same type.

    Examples:
        >>> exactly([19, 20]).holds([19, 20]), exactly(1).holds(True)
        (True, False)
    """
    return Rule(repr(expected), lambda value: type(value) is type(expected) and value == expected)


def one_of(names: tuple[str, ...]) -> Rule:
    """One of several strings.

    Examples:
        >>> one_of(("a", "b", "c")).meaning
        'a, b or c'
    """
    return Rule(
        " or ".join(filter(None, (", ".join(names[:-1]), names[-1]))),
        lambda value: isinstance(value, str) and value in names,
    )


#: Names of recipes: they appear in C comments, YAML, Markdown and file names.
NAME = text(r"[a-z0-9_-]{1,64}", "1 to 64 of the characters a-z, 0-9, _ and -")

VERSION = text(r"[0-9A-Za-z.+!_-]{1,64}", "a version such as 1.2.3")

OBJECT = Rule("an object", lambda value: isinstance(value, dict))
OPTIONAL_OBJECT = Rule(OBJECT.meaning, OBJECT.holds, optional=True)


def parse(content: bytes) -> Any:
    """Parses JSON, and rejects what the standard leaves open: NaN, infinities, huge integers, repeated keys.

    Raises:
        ValueError: If it is invalid; the message says why.

    Examples:
        >>> parse(b'{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ...
        ValueError: the key 'a' appears twice
    """
    try:
        value = json.loads(
            content,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(_MAX_DEPTH):
        children = (list(each.values()) if isinstance(each, dict) else each for each in level)
        level = [child for each in children if isinstance(each, list) for child in each]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def check(values: object, rules: Mapping[str, Rule], where: str = "") -> dict[str, Any]:
    """Checks the fields of an object, each by its rule.

    Args:
        values: The value to check; must be a dictionary.
        rules: Rules by field name.
        where: Name of the object in messages; empty for the top level of a file.

    Returns:
        The fields that have rules.

    Raises:
        ValueError: If a field is missing or breaks its rule; the message names it.

    Examples:
        >>> check({"smoothing": 2.5}, {"smoothing": integer(1, 250)}, "events")
        Traceback (most recent call last):
        ...
        ValueError: expected events.smoothing to be a whole number from 1 to 250. Received: 2.5
    """
    if not isinstance(values, dict):
        raise ValueError(f"expected {where or 'the file'} to be an object. Received: {shortened(values)}")
    found = {}
    for name, rule in rules.items():
        full = f"{where}.{name}" if where else name
        if name not in values:
            if rule.optional:
                continue
            raise ValueError(f"it lacks the field {full!r}")
        if not rule.holds(values[name]):
            raise ValueError(f"expected {full} to be {rule.meaning}. Received: {shortened(values[name])}")
        found[name] = values[name]
    return found


def check_only(values: object, rules: Mapping[str, Rule], where: str) -> dict[str, Any]:
    """Checks fields as `check` does, and rejects unknown fields.

    Raises:
        ValueError: As `check`, and if a field has no rule.
    """
    found = check(values, rules, where)
    unknown = sorted(set(values if isinstance(values, dict) else ()) - set(rules))
    if unknown:
        raise ValueError(f"{where} has an unknown field {shortened(unknown[0])}; known: {', '.join(rules)}")
    return found


def rules(declared: type) -> dict[str, Rule]:
    """Returns the rules that a dataclass declares, each in the annotation of its field."""
    hints = get_type_hints(declared, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in dataclasses.fields(declared)}


def shortened(value: object) -> str:
    """Returns the repr of a value, cut to 200 characters, for a message."""
    written = repr(value)
    return written if len(written) <= 200 else f"{written[:197]}..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(
            f"the key {shortened(next(key for key in keys if keys.count(key) > 1))} appears twice"
        )
    return found


def _integer(digits: str) -> int:
    if len(digits) > 19:
        raise ValueError(f"the number {digits[:20]}... is too large")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is not a finite number")
    return value

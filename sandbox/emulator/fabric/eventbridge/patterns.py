"""Event patterns: read strictly, then asked whether an event matches."""

from __future__ import annotations

import functools
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# A value test sees the leaves at a path: none when the path is absent.
Test = Callable[[list[Any]], bool]
Path = tuple[str, ...]
_NUMBER_LIMIT = 5e9
_OR = "$or"


class InvalidPattern(ValueError):
    """The pattern is not one that EventBridge takes; the text says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an event must look like: each alternative is a set of tests by path.

    ``$or`` multiplies the alternatives out, as the service's own limit on them does.
    """

    alternatives: tuple[tuple[tuple[Path, tuple[Test, ...]], ...], ...]

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether the event has, at every path, a value that one of its tests accepts."""
        return any(_consistent(event, alternative) for alternative in self.alternatives)


@functools.lru_cache(maxsize=2048)
def read_pattern(text: str) -> Pattern:
    """The pattern in a rule's JSON text.

    Raises:
        InvalidPattern: says what is wrong with it.
    """
    try:
        found = json.loads(text, object_pairs_hook=_unique)
    except InvalidPattern:
        raise
    except ValueError as error:
        raise InvalidPattern(f"Invalid JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidPattern("Filter is not an object")
    if not found:
        raise InvalidPattern("Empty patterns are not allowed")
    alternatives = tuple(tuple(clauses.items()) for clauses in _read(found, ()))
    if len(alternatives) > 1000:
        raise InvalidPattern("Rule is too complex - try using fewer $or relationships")
    return Pattern(alternatives)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise InvalidPattern(f'Path "{name}" is allowed only once')
        seen[name] = value
    return seen


def _read(node: Mapping[str, Any], path: Path) -> list[dict[Path, tuple[Test, ...]]]:
    """Each dictionary is one alternative; the parts of an object are all demanded together."""
    found: list[dict[Path, tuple[Test, ...]]] = [{}]
    for name, value in node.items():
        if name == _OR and _is_or(value):
            branches = [clauses for item in value for clauses in _read(item, path)]
        elif isinstance(value, dict):
            if not value:
                raise InvalidPattern(f'Empty objects are not allowed: "{name}"')
            branches = _read(value, (*path, name))
        elif isinstance(value, list):
            if not value:
                raise InvalidPattern("Empty arrays are not allowed")
            branches = [{(*path, name): tuple(_read_test(item) for item in value)}]
        else:
            raise InvalidPattern(f'"{name}" must be an object or an array')
        found = [{**before, **branch} for before in found for branch in branches]
        if len(found) > 1000:
            raise InvalidPattern("Rule is too complex - try using fewer $or relationships")
    return found


def _is_or(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(item, dict) for item in value):
        return False
    if any(not item for item in value):
        raise InvalidPattern("Empty objects are not allowed in $or")
    return True


def _read_test(item: Any) -> Test:
    if item is None or isinstance(item, str | bool | int | float):
        return _any_leaf(functools.partial(_equals, item))
    if isinstance(item, list):
        raise InvalidPattern("Match value must be String, number, true, false, or null")
    if len(item) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    operator, operand = next(iter(item.items()))
    if operator == "exists":
        if not isinstance(operand, bool):
            raise InvalidPattern("exists match pattern must be either true or false.")
        return (lambda leaves: bool(leaves)) if operand else (lambda leaves: not leaves)
    if operator == "anything-but":
        return _anything_but(operand)
    return _any_leaf(_value_test(operator, operand))


def _any_leaf(test: Callable[[Any], bool]) -> Test:
    return lambda leaves: any(test(leaf) for leaf in leaves)


def _value_test(operator: str, operand: Any) -> Callable[[Any], bool]:
    match operator:
        case "prefix" | "suffix":
            return _affix(operator, operand)
        case "equals-ignore-case":
            wanted = _text(operator, operand).lower()
            return lambda value: isinstance(value, str) and value.lower() == wanted
        case "wildcard":
            pattern = _wildcard(_text(operator, operand))
            return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None
        case "numeric":
            return _numeric(operand)
        case "cidr":
            return _cidr(operand)
    raise InvalidPattern(f"Unrecognized match type {operator}")


def _equals(wanted: Any, value: Any) -> bool:
    # In Python True == 1; in JSON they are strangers.
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    return bool(wanted == value)


def _text(operator: str, operand: Any) -> str:
    if not isinstance(operand, str):
        raise InvalidPattern(f"{operator} match pattern must be a string")
    return operand


def _affix(operator: str, operand: Any) -> Callable[[Any], bool]:
    fold = False
    if isinstance(operand, dict):
        if list(operand) != ["equals-ignore-case"]:
            raise InvalidPattern(f"Unsupported anything in {operator}: {', '.join(map(str, operand))}")
        operand, fold = operand["equals-ignore-case"], True
    wanted = _text(operator, operand)
    wanted = wanted.lower() if fold else wanted

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        text = value.lower() if fold else value
        return text.startswith(wanted) if operator == "prefix" else text.endswith(wanted)

    return test


def _wildcard(text: str) -> re.Pattern[str]:
    if "**" in text:
        raise InvalidPattern("Consecutive wildcard characters at pos " + str(text.index("**")))
    parts, position = [], 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
            if position >= len(text) or text[position] not in "*\\":
                raise InvalidPattern(f"Invalid escape character at pos {position - 1}")
            parts.append(re.escape(text[position]))
        else:
            parts.append(".*" if character == "*" else re.escape(character))
        position += 1
    return re.compile("".join(parts), re.DOTALL)


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    "=": lambda left, right: left == right,
    ">=": lambda left, right: left >= right,
    ">": lambda left, right: left > right,
}


def _numeric(operand: Any) -> Callable[[Any], bool]:
    if not isinstance(operand, list) or not operand:
        raise InvalidPattern("Value of numeric must be an array.")
    if len(operand) not in (2, 4):
        raise InvalidPattern("Too many terms in numeric range expression or a value is missing")
    tests = list(zip(operand[::2], operand[1::2], strict=True))
    for comparison, number in tests:
        if comparison not in _COMPARISONS:
            raise InvalidPattern(f"Unrecognized numeric range operator: {comparison}")
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidPattern(f"Value of {comparison} must be numeric")
        if abs(number) > _NUMBER_LIMIT:
            raise InvalidPattern("Value must be between -5.0E9 and +5.0E9, inclusive")
    if len(tests) == 2:
        (first, low), (second, high) = tests
        if first not in (">", ">=") or second not in ("<", "<="):
            raise InvalidPattern(f"Bad numeric range operator: {first if first[0] != '>' else second}")
        if low >= high:
            raise InvalidPattern("Bottom must be less than top")

    def test(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return all(_COMPARISONS[comparison](value, number) for comparison, number in tests)

    return test


def _cidr(operand: Any) -> Callable[[Any], bool]:
    try:
        network = ipaddress.ip_network(_text("cidr", operand), strict=False)
    except ValueError as error:
        raise InvalidPattern(f"Malformed CIDR, {error}") from None

    def test(value: Any) -> bool:
        try:
            return ipaddress.ip_address(value) in network if isinstance(value, str) else False
        except ValueError:
            return False

    return test


def _anything_but(operand: Any) -> Test:
    """Holds for a path that is there, unless one of the values is what is excluded."""
    if isinstance(operand, dict):
        if len(operand) != 1:
            raise InvalidPattern("Only one key allowed in match expression")
        operator, inner = next(iter(operand.items()))
        if operator not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise InvalidPattern(f"Unsupported anything-but pattern: {operator}")
        items = inner if isinstance(inner, list) else [inner]
        if not items:
            raise InvalidPattern("Empty arrays are not allowed")
        if any(item == "" for item in items) and operator in ("prefix", "suffix"):
            raise InvalidPattern("Null prefix/suffix not allowed")
        excluded = [_value_test(operator, item) for item in items]
    else:
        items = operand if isinstance(operand, list) else [operand]
        if not items:
            raise InvalidPattern("Empty arrays are not allowed")
        for item in items:
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                raise InvalidPattern("Inside anything but list, only string or number are accepted")
        if len({isinstance(item, str) for item in items}) > 1:
            raise InvalidPattern("Inside anything but list, either all values are number or string, mixed")
        excluded = [functools.partial(_equals, item) for item in items]
    return lambda leaves: any(not any(test(leaf) for test in excluded) for leaf in leaves)


# An event's leaf: its path and value, and which element of which array it stands in.
Place = tuple[tuple[Path, int], ...]


def _leaves(node: Any, path: Path, place: Place) -> Iterator[tuple[Path, Any, Place]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, (*path, name), place)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            inside = (*place, (path, index)) if isinstance(value, dict | list) else place
            yield from _leaves(value, path, inside)
    else:
        yield path, node, place


def _consistent(event: Mapping[str, Any], alternative: tuple[tuple[Path, tuple[Test, ...]], ...]) -> bool:
    """Whether each path has a value that fits, all within the same elements of arrays of objects."""
    leaves: dict[Path, list[tuple[Any, Place]]] = {}
    for path, value, place in _leaves(event, (), ()):
        leaves.setdefault(path, []).append((value, place))
    choices: list[list[Place]] = []
    for path, tests in alternative:
        found = leaves.get(path, [])
        if any(test([]) for test in tests) and not found:
            continue
        places = [place for value, place in found if any(test([value]) for test in tests)]
        if not places:
            return False
        choices.append(places)
    return _fits(choices, {})


def _fits(choices: list[list[Place]], taken: dict[Path, int]) -> bool:
    if not choices:
        return True
    for place in dict.fromkeys(choices[0]):
        if all(taken.get(path, index) == index for path, index in place) and _fits(
            choices[1:], {**taken, **dict(place)}
        ):
            return True
    return False

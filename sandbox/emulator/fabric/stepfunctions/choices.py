"""The rules of Choice states.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.fabric.stepfunctions import paths
from sandbox.emulator.fabric.stepfunctions.errors import StatesError
from sandbox.emulator.fabric.stepfunctions.queries import JSONPATH, Scope

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_RULE = re.compile(r"(String|Numeric|Timestamp|Boolean)(\w+?)(Path)?$")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")


def holds(rule: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a choice rule, plain or made of others, holds.

    Raises:
        StatesError: it compares something that is not there.
    """
    if "And" in rule:
        return all(holds(each, scope) for each in rule["And"])
    if "Or" in rule:
        return any(holds(each, scope) for each in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], scope)
    variable = rule["Variable"]
    if "IsPresent" in rule:
        return _is_present(variable, scope) is bool(rule["IsPresent"])
    value = JSONPATH.resolve(variable, scope, "Variable")
    name, wanted = next(
        (name, wanted) for name, wanted in rule.items() if name in _TESTS or _RULE.match(name)
    )
    if name in _TESTS:
        return _TESTS[name](value) is bool(wanted)
    match = _RULE.match(name)
    assert match is not None
    kind, comparison, by_path = match.groups()
    if by_path:
        wanted = JSONPATH.resolve(wanted, scope, name)
    if comparison == "Matches":
        return isinstance(value, str) and _glob(wanted, value)
    left, right = _READ[kind](value), _READ[kind](wanted)
    return left is not None and right is not None and _COMPARE[comparison](left, right)


def known(name: str) -> bool:
    """Whether a member of a rule is a comparison."""
    match = _RULE.match(name)
    return (
        name in _TESTS
        or name == "IsPresent"
        or (match is not None and (match[2] in _COMPARE or match[2] == "Matches"))
    )


def _is_present(path: str, scope: Scope) -> bool:
    try:
        if path.startswith("$$"):
            paths.read(path[1:], scope.context)
        elif path[1:2] not in ("", ".", "["):
            paths.read(f"$.{path[1:]}", scope.variables)
        else:
            paths.read(path, scope.input)
    except paths.NoSuchPath:
        return False
    return True


def _moment(value: Any) -> dt.datetime | None:
    return dt.datetime.fromisoformat(value) if isinstance(value, str) and _STAMP.match(value) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


_READ: dict[str, Callable[[Any], Any]] = {
    "String": lambda value: value if isinstance(value, str) else None,
    "Numeric": _number,
    "Timestamp": _moment,
    "Boolean": lambda value: value if isinstance(value, bool) else None,
}
_TESTS: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": lambda value: _number(value) is not None,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: _moment(value) is not None,
}


def _glob(pattern: str, value: str) -> bool:
    """``*`` stands for anything, ``\\*`` for itself."""
    parts = re.split(r"(?<!\\)\*", pattern)
    expression = ".*".join(re.escape(part.replace("\\*", "*").replace("\\\\", "\\")) for part in parts)
    return re.fullmatch(expression, value, re.DOTALL) is not None


def no_choice() -> StatesError:
    """What an execution fails with when no rule holds and there is no default."""
    return StatesError("States.NoChoiceMatched", "Failed to find a match in the choices")

"""Content filters: the pattern language that Lambda mappings and SNS subscriptions share.

A pattern maps names to nested patterns or to lists of rules, of which one has to hold.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html#filtering-syntax
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Pattern = Mapping[str, Any]

_MISSING = object()
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RULES = {"anything-but", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"}


def matches(pattern: Pattern, event: Mapping[str, Any]) -> bool:
    """Whether ``event`` has what ``pattern`` asks for."""
    return all(_member_matches(name, wanted, event) for name, wanted in pattern.items())


def problem_with(pattern: Any) -> str:
    """What is wrong with a pattern, or nothing."""
    if not isinstance(pattern, dict) or not pattern:
        return "a pattern is an object with at least one member"
    for name, wanted in pattern.items():
        if name == "$or":
            if not isinstance(wanted, list) or not wanted:
                return "$or is a list of patterns"
            found = next((problem for each in wanted if (problem := problem_with(each))), "")
        elif isinstance(wanted, dict):
            found = problem_with(wanted)
        elif isinstance(wanted, list) and wanted:
            found = next((problem for rule in wanted if (problem := _problem_with_rule(rule))), "")
        else:
            found = f"{name} must be an object or a list with at least one rule"
        if found:
            return found
    return ""


def _member_matches(name: str, wanted: Any, event: Mapping[str, Any]) -> bool:
    if name == "$or":
        return any(matches(each, event) for each in wanted)
    value = event.get(name, _MISSING)
    if isinstance(wanted, Mapping):
        if isinstance(value, list):
            return any(isinstance(item, Mapping) and matches(wanted, item) for item in value)
        # Within what is not there, only `exists: false` can hold.
        return matches(wanted, value if isinstance(value, Mapping) else {})
    return any(_holds(rule, value) for rule in wanted)


def _holds(rule: Any, value: Any) -> bool:
    if isinstance(rule, Mapping) and "exists" in rule:
        return bool(rule["exists"]) == (value is not _MISSING)
    if value is _MISSING:
        return False
    if isinstance(value, list):
        return any(_holds(rule, item) for item in value)
    if not isinstance(rule, Mapping):
        return _same(rule, value)
    [(name, wanted)] = rule.items()
    if name == "anything-but":
        unwanted = wanted if isinstance(wanted, list) else [wanted]
        return not any(_holds(each, value) for each in _spread(unwanted))
    if name == "numeric":
        return _is_number(value) and all(
            _COMPARISONS[sign](value, bound) for sign, bound in zip(wanted[::2], wanted[1::2], strict=True)
        )
    return isinstance(value, str) and _text_holds(name, wanted, value)


def _spread(rules: list[Any]) -> list[Any]:
    """``{"prefix": ["a", "b"]}`` within anything-but means either."""
    spread: list[Any] = []
    for rule in rules:
        if isinstance(rule, Mapping):
            [(name, wanted)] = rule.items()
            spread += [{name: each} for each in (wanted if isinstance(wanted, list) else [wanted])]
        else:
            spread.append(rule)
    return spread


def _text_holds(name: str, wanted: Any, value: str) -> bool:
    if isinstance(wanted, Mapping):
        return _text_holds(name, str(wanted["equals-ignore-case"]).lower(), value.lower())
    match name:
        case "prefix":
            return value.startswith(wanted)
        case "suffix":
            return value.endswith(wanted)
        case "equals-ignore-case":
            return value.lower() == str(wanted).lower()
        case "wildcard":
            parts = [re.escape(part) for part in str(wanted).split("*")]
            return re.fullmatch(".*".join(parts), value, re.DOTALL) is not None
    return False


def _same(wanted: Any, value: Any) -> bool:
    if _is_number(wanted) and _is_number(value):
        return bool(wanted == value)
    return type(wanted) is type(value) and bool(wanted == value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _problem_with_rule(rule: Any) -> str:
    if isinstance(rule, list):
        return "a rule is a value or an object"
    if not isinstance(rule, dict):
        return ""
    if len(rule) != 1:
        return "a rule has exactly one member"
    [(name, wanted)] = rule.items()
    if name not in _RULES:
        return f"{name} is no rule"
    if name == "exists" and not isinstance(wanted, bool):
        return "exists is true or false"
    if name == "numeric":
        paired = isinstance(wanted, list) and wanted and len(wanted) % 2 == 0
        if not paired or not all(
            s in _COMPARISONS and _is_number(b) for s, b in zip(wanted[::2], wanted[1::2], strict=True)
        ):
            return "numeric is a list of comparisons and numbers"
    if name in {"prefix", "suffix", "wildcard"} and not isinstance(wanted, str):
        nested = isinstance(wanted, dict) and set(wanted) == {"equals-ignore-case"} and name != "wildcard"
        return "" if nested else f"{name} is a text"
    return ""

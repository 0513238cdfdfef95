"""Requests' condition keys that would let a statement apply: what a caller could bring about. Pure."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graders.iam.model import as_list

Context = Mapping[str, str]
_LIMIT = 8
_SET = re.compile(r"^(ForAnyValue|ForAllValues):")


def base(region: str) -> dict[str, str]:
    """What every request over TLS to a region carries."""
    return {
        "aws:SecureTransport": "true",
        "aws:RequestedRegion": region,
        "aws:CurrentTime": "2030-01-01T00:00:00Z",
        "aws:EpochTime": "1893456000",
        "aws:ViaAWSService": "false",
    }


def contexts(
    statements: Iterable[Mapping[str, Any]], region: str, denies: Iterable[Mapping[str, Any]] = ()
) -> tuple[Context, ...]:
    """The plain context, and those that meet the conditions of a statement and keep clear of the denies'.

    As far as we can tell: a condition that no request of ours meets lets nothing be tried.
    """
    clear: dict[str, str] = {}
    for statement in denies:
        clear |= _avoiding(statement.get("Condition") or {})
    plain = base(region)
    found: list[Context] = [plain]
    for statement in ({}, *statements):
        for wanted in _meeting(statement.get("Condition") or {}):
            for given in ({**plain, **wanted}, {**plain, **clear, **wanted}):
                if given not in found:
                    found.append(given)
    return tuple(found)


def _avoiding(conditions: Mapping[str, Any]) -> Context:
    """Keys that keep a deny from applying, beyond those it suffices to leave out."""
    found: dict[str, str] = {}
    for operator, keys in conditions.items():
        name = _SET.sub("", operator)
        for key, values in keys.items():
            first = next(iter(_strings(values)), "")
            value = _value(operator.replace("Not", ""), first)
            if name == "Null":
                # Denied when absent: give it.
                found |= {key: "x"} if first == "true" else {}
            elif "Not" in name and value is not None:
                found[key] = value
            elif name == "BoolIfExists":
                found[key] = "false" if first == "true" else "true"
            elif name.endswith("IfExists"):
                found[key] = "another"
    return found


def _meeting(conditions: Mapping[str, Any]) -> Iterator[Context]:
    choices: list[list[tuple[str, str | None]]] = []
    for operator, keys in conditions.items():
        for key, values in keys.items():
            texts = [_value(operator, str(value)) for value in _strings(values)]
            if "Not" not in operator:
                choices.append([(key, text) for text in texts])
    for chosen in itertools.islice(itertools.product(*choices), _LIMIT):
        yield {key: text for key, text in chosen if text is not None}


def _strings(values: Any) -> list[str]:
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in as_list(values)]


def _value(operator: str, value: str) -> str | None:
    """A value that meets an operator; None: the key's absence does."""
    name = _SET.sub("", operator).removesuffix("IfExists")
    if name == "Null":
        return None if value == "true" else "x"
    if name == "IpAddress":
        return str(ipaddress.ip_network(value, strict=False)[0])
    if name.startswith("Numeric"):
        step = {"NumericLessThan": -1, "NumericGreaterThan": 1}.get(name, 0)
        return f"{float(value) + step:g}"
    if name.startswith("Date"):
        # Far ahead or long ago, whichever the comparison asks for.
        return {"DateLessThan": "1971-01-01T00:00:00Z", "DateGreaterThan": "2200-01-01T00:00:00Z"}.get(
            name, value
        )
    if name in ("StringLike", "ArnLike", "ArnEquals"):
        return value.replace("*", "x").replace("?", "x")
    return value

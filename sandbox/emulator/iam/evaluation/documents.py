"""Reads policy documents into statements ready to be matched, each document once.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from sandbox.emulator.iam.evaluation import variables
from sandbox.emulator.iam.evaluation.conditions import compile_condition, known_operator
from sandbox.emulator.iam.evaluation.model import Policy
from sandbox.emulator.iam.evaluation.principals import Principals, read_principals
from sandbox.emulator.iam.evaluation.statements import Actions, Document, Resources, Statement

VERSIONS = ("2008-10-17", "2012-10-17")
WITH_VARIABLES = "2012-10-17"
"""The version that knows variables. A document without ``Version`` is of 2008-10-17."""
_TOP = ("Version", "Id", "Statement")
_STATEMENT = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)
_PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")


class MalformedPolicy(ValueError):
    """A document that is no policy. ``where`` is the place in it, such as ``Statement[0].Effect``."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}" if where else problem)
        self.where = where
        self.problem = problem


def parse_policy(document: str | Mapping[str, Any], name: str = "") -> Policy:
    """A policy ready to be evaluated, called ``name`` in explanations. Documents are compiled once.

    Raises:
        MalformedPolicy: it does not follow the grammar. Whether AWS would accept it where it is attached,
            with which message, is ``validation.validate``'s question.
    """
    return _parse(document if isinstance(document, str) else json.dumps(document), name)


@lru_cache(maxsize=4096)
def _parse(text: str, name: str) -> Policy:
    return Policy(name, _compile(text))


@lru_cache(maxsize=2048)
def _compile(text: str) -> Document:
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except (json.JSONDecodeError, RecursionError) as error:
        raise MalformedPolicy("", f"not JSON: {error}") from error
    return Document(tuple(_statements(value)))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if repeated := sorted({key for key in keys if keys.count(key) > 1}):
        raise MalformedPolicy("", f"key {repeated[0]!r} occurs twice in one object")
    return dict(pairs)


def _statements(document: Any) -> Iterator[Statement]:
    document = _object(document, "")
    _known_keys(document, _TOP, "")
    version = document.get("Version", VERSIONS[0])
    if version not in VERSIONS:
        raise MalformedPolicy("Version", f"must be one of {', '.join(VERSIONS)}")
    if not isinstance(document.get("Id", ""), str):
        raise MalformedPolicy("Id", "must be text")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        yield _statement(statements, "Statement", 0, version == WITH_VARIABLES)
        return
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicy("Statement", "must be a statement or a list of at least one")
    for index, value in enumerate(statements):
        yield _statement(value, f"Statement[{index}]", index, version == WITH_VARIABLES)


def _statement(value: Any, where: str, index: int, with_variables: bool) -> Statement:
    value = _object(value, where)
    _known_keys(value, _STATEMENT, where)
    effect = value.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise MalformedPolicy(f"{where}.Effect", "must be Allow or Deny")
    sid = value.get("Sid", "")
    if not isinstance(sid, str):
        raise MalformedPolicy(f"{where}.Sid", "must be text")
    principal = _one_of(value, "Principal", where, required=False)
    action = _one_of(value, "Action", where, required=True)
    resource = _one_of(value, "Resource", where, required=not principal)
    return Statement(
        index=index,
        sid=sid,
        allows=effect == "Allow",
        principals=_principals(value[principal], f"{where}.{principal}") if principal else None,
        not_principals=principal == "NotPrincipal",
        actions=Actions(_texts(value[action], f"{where}.{action}"), action == "NotAction"),
        resources=Resources(
            [
                variables.read_resource(text, variables=with_variables)
                for text in _texts(value[resource], f"{where}.{resource}")
            ],
            resource == "NotResource",
        )
        if resource
        else None,
        conditions=tuple(_conditions(value.get("Condition", {}), f"{where}.Condition", with_variables)),
    )


def _one_of(value: Mapping[str, Any], name: str, where: str, *, required: bool) -> str:
    present = [key for key in (name, f"Not{name}") if key in value]
    if len(present) > 1:
        raise MalformedPolicy(where, f"has both {name} and Not{name}")
    if required and not present:
        raise MalformedPolicy(where, f"needs {name} or Not{name}")
    return present[0] if present else ""


def _conditions(block: Any, where: str, with_variables: bool) -> Iterator[Any]:
    for name, keys in _object(block, where).items():
        if not known_operator(name):
            raise MalformedPolicy(f"{where}.{name}", "is no condition operator")
        for key, values in _object(keys, f"{where}.{name}").items():
            texts = _values(values, f"{where}.{name}.{key}")
            yield compile_condition(name, key, texts, with_variables=with_variables)


def _values(value: Any, where: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    texts = []
    for item in values:
        if isinstance(item, bool):
            texts.append("true" if item else "false")
        elif isinstance(item, str | int | float):
            texts.append(str(item))
        else:
            raise MalformedPolicy(where, "must be text, a number, true or false, or a list of those")
    return texts


def _principals(value: Any, where: str) -> Principals:
    if value == "*":
        return read_principals("*")
    block = _object(value, where)
    _known_keys(block, _PRINCIPAL_KINDS, where)
    if not block:
        raise MalformedPolicy(where, "names nobody")
    return read_principals({kind: _texts(entries, f"{where}.{kind}") for kind, entries in block.items()})


def _texts(value: Any, where: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) for item in values):
        raise MalformedPolicy(where, "must be text or a list of text, not empty")
    return values


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedPolicy(where, "must be an object")
    return value


def _known_keys(value: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in value:
        if key not in known:
            raise MalformedPolicy(where, f"has no key {key!r}; it may have {', '.join(known)}")

"""Statements ready to be matched, and documents that find those that speak of an action."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.iam.evaluation import variables
from sandbox.emulator.iam.evaluation.conditions import AnyCondition, Lookup
from sandbox.emulator.iam.evaluation.patterns import (
    EVERYTHING,
    Pieces,
    glob,
    resource_expression,
    resource_pattern,
    text_of,
)
from sandbox.emulator.iam.evaluation.principals import Principals

_REMEMBERED = 4096
"""Actions and requests whose statements a document remembers, before it forgets all and starts again."""


class Actions:
    """``Action`` or ``NotAction``. Case does not matter.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """

    __slots__ = ("_exact", "_patterns", "inverted", "texts")

    def __init__(self, texts: Sequence[str], inverted: bool) -> None:
        self.texts = tuple(texts)
        self.inverted = inverted
        read = [variables.read(text.lower(), variables=False) for text in texts]
        pieces = [each for template in read if (each := variables.fixed(template)) is not None]
        self._exact = frozenset(text for each in pieces if (text := text_of(each)) is not None)
        self._patterns = [glob(each) for each in pieces if text_of(each) is None]

    def cover(self, action: str) -> bool:
        """Whether the statement speaks of an action, given in lower case."""
        listed = action in self._exact or any(pattern.fullmatch(action) for pattern in self._patterns)
        return listed != self.inverted


class Resources:
    """``Resource`` or ``NotResource``. Case matters."""

    __slots__ = ("_everything", "_exact", "_fixed", "_templates", "inverted", "prefixes")

    def __init__(self, templates: Sequence[variables.Template], inverted: bool) -> None:
        self.inverted = inverted
        known = [pieces for template in templates if (pieces := variables.fixed(template)) is not None]
        self._everything = EVERYTHING in known
        self._exact = frozenset(text for pieces in known if (text := text_of(pieces)) is not None)
        self._fixed = _union(pieces for pieces in known if text_of(pieces) is None)
        self._templates = [each for each in templates if variables.fixed(each) is None]
        self.prefixes = frozenset({""} if inverted else map(variables.literal_prefix, templates))
        """Every resource that is covered begins with one of these."""

    def settled(self, resource: str) -> bool | None:
        """Whether the statement speaks of a resource, as far as no variable matters. ``None``: one does."""
        listed = (
            self._everything
            or resource in self._exact
            or (self._fixed is not None and self._fixed.fullmatch(resource) is not None)
        )
        if not listed and self._templates:
            return None
        return listed != self.inverted

    def cover(self, resource: str, value_of: Lookup) -> bool:
        """Whether the statement speaks of a resource."""
        settled = self.settled(resource)
        if settled is not None:
            return settled
        listed = False
        for template in self._templates:
            pieces = variables.fill(template, value_of)
            if pieces is not None:
                listed = listed or resource_pattern(pieces).fullmatch(resource) is not None
            elif self.inverted:
                # A variable without a value makes the statement invalid.
                return False
        return listed != self.inverted


def _union(patterns: Iterable[Pieces]) -> re.Pattern[str] | None:
    expressions = [f"(?:{resource_expression(pieces)})" for pieces in patterns]
    return re.compile("|".join(expressions), re.DOTALL) if expressions else None


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement. ``principals`` only in policies of resources; ``resources`` not in trust policies."""

    index: int
    sid: str
    allows: bool
    principals: Principals | None
    not_principals: bool
    actions: Actions
    resources: Resources | None
    conditions: tuple[AnyCondition, ...]

    def covers(self, resource: str, value_of: Lookup) -> bool:
        """Whether it speaks of a resource."""
        return self.resources is None or self.resources.cover(resource, value_of)

    def meets_conditions(self, value_of: Lookup) -> bool:
        """Whether all its conditions hold."""
        for condition in self.conditions:  # noqa: SIM110  twice as fast as all()
            if not condition.holds(value_of):
                return False
        return True


Candidate = tuple[Statement, bool]
"""A statement that speaks of the action; true when its resource still has to be asked, for its variables."""


class _ByPrefix:
    """Finds the statements that may cover a resource by the text their patterns begin with.

    A policy of a hundred resources then costs a look-up for each length of such text, not a hundred matches.
    """

    __slots__ = ("_lengths", "statements")

    def __init__(self, statements: tuple[Statement, ...]) -> None:
        self.statements = statements
        self._lengths: dict[int, dict[str, list[Statement]]] = {}
        for statement in statements:
            for prefix in statement.resources.prefixes if statement.resources is not None else ("",):
                self._lengths.setdefault(len(prefix), {}).setdefault(prefix, []).append(statement)

    def beginning_like(self, resource: str) -> list[Statement]:
        """Those whose patterns begin as the resource does, in the order of the policy."""
        found = {
            statement.index: statement
            for length, prefixes in self._lengths.items()
            for statement in prefixes.get(resource[:length], ())
        }
        return [found[index] for index in sorted(found)]


class Document:
    """The statements of a policy, found by action and resource."""

    __slots__ = ("_by_action", "_by_request", "statements")

    def __init__(self, statements: tuple[Statement, ...]) -> None:
        self.statements = statements
        self._by_action: dict[str, _ByPrefix] = {}
        self._by_request: dict[tuple[str, str], tuple[Candidate, ...]] = {}

    def speaking_of(self, action: str) -> tuple[Statement, ...]:
        """The statements whose ``Action`` covers an action, given in lower case."""
        return self._of_action(action).statements

    def candidates(self, action: str, resource: str) -> tuple[Candidate, ...]:
        """The statements that may cover a request, leaving principals, variables and conditions open."""
        found = self._by_request.get((action, resource))
        if found is None:
            found = tuple(self._covering(action, resource))
            _remember(self._by_request, (action, resource), found)
        return found

    def _of_action(self, action: str) -> _ByPrefix:
        found = self._by_action.get(action)
        if found is None:
            found = _ByPrefix(
                tuple(statement for statement in self.statements if statement.actions.cover(action))
            )
            _remember(self._by_action, action, found)
        return found

    def _covering(self, action: str, resource: str) -> Iterable[Candidate]:
        for statement in self._of_action(action).beginning_like(resource):
            settled = statement.resources.settled(resource) if statement.resources is not None else True
            if settled is not False:
                yield statement, settled is None


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value

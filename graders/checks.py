"""Declaring checks, and the seed's parameters, in a lab's ``checks.py``."""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

from graders.errors import LabBroken
from graders.findings import Dimension, Finding, Visibility
from graders.functions import FunctionView
from graders.iam.declared import Right
from graders.sandbox import Sandbox
from sandbox.account import CAPABILITIES

CheckFunction = Callable[[Sandbox], Finding]
Parameters = dict[str, Any]
_ID = re.compile(r"[a-z][a-z0-9]{0,7}")
_F = TypeVar("_F", bound=Callable[..., Any])
_ROLE = "__coldstart_role__"


@dataclass(frozen=True, slots=True)
class Check:
    """One question about the sandbox, worth points. Call it like the function it decorates."""

    id: str
    title: str
    points: float
    dimension: Dimension
    visibility: Visibility
    needs: frozenset[str]
    after: tuple[str, ...]
    question: CheckFunction
    description: str = ""
    static: bool = False

    def __call__(self, sandbox: Sandbox) -> Finding:
        return self.question(sandbox)


def check(
    *,
    id: str,
    points: float,
    dimension: Dimension,
    visibility: Visibility,
    needs: set[str] | frozenset[str] = frozenset(),
    after: Check | tuple[Check, ...] = (),
    static: bool = False,
) -> Callable[[CheckFunction], Check]:
    """Declare a check. The first line of its docstring is the title a learner sees.

    ``after`` leaves it not_assessed until those checks have passed, so one slip yields one finding.
    ``needs`` are capability codes; on a backend without them the check is not_assessed.
    ``static`` says that it reads the template or package only and never a running stack's behaviour.

    Raises:
        LabBroken: the declaration is wrong; the message says where.
    """

    def declare(question: CheckFunction) -> Check:
        where = f"{question.__module__}.{question.__name__}"
        doc = inspect.getdoc(question) or ""
        problems = []
        if not _ID.fullmatch(id):
            problems.append(f"id `{id}` should be a letter and a few letters or digits, like `f1`")
        if not doc:
            problems.append("the docstring's first line is the title; write one")
        if points <= 0:
            problems.append(f"{points} points: a check is worth more than 0")
        unknown = sorted(set(needs) - CAPABILITIES)
        if unknown:
            problems.append(f"unknown capability {', '.join(unknown)}")
        if problems:
            raise LabBroken(f"{where}: " + "; ".join(problems) + ".")
        earlier = after if isinstance(after, tuple) else (after,)
        title, _, description = doc.partition("\n")
        return Check(
            id=id,
            title=title.strip(),
            points=points,
            dimension=Dimension(dimension),
            visibility=Visibility(visibility),
            needs=frozenset(needs),
            after=tuple(item.id for item in earlier),
            question=question,
            description=description.strip(),
            static=static,
        )

    return declare


def parameters(function: _F) -> _F:
    """Mark ``(random: random.Random) -> dict``: the seed's parameters.

    They are a pure function of lab version and seed: draw from the given ``random`` alone.
    """
    setattr(function, _ROLE, "parameters")
    return function


def stack_parameters(function: _F) -> _F:
    """Mark ``(parameters) -> dict[str, str]``: the stack's CloudFormation parameters for this seed."""
    setattr(function, _ROLE, "stack_parameters")
    return function


def overlay(function: _F) -> _F:
    """Mark ``(parameters) -> dict[str, bytes]``: files that replace those of the submission before the build.

    The contract tells learners which files these are.
    """
    setattr(function, _ROLE, "overlay")
    return function


def rights(function: _F) -> _F:
    """Mark ``(sandbox, function: FunctionView) -> Sequence[Right]``: what the contract lets a function have.

    The budget of :meth:`Sandbox.judge_rights`, and what a minimal policy may generalise names to.
    """
    setattr(function, _ROLE, "rights")
    return function


def partners(function: _F) -> _F:
    """Mark ``(parameters) -> dict[str, str]``: stack parameter → partner, whose ARN is passed in.

    A partner is a function that the grader owns; a check finds it as ``sandbox.partner(name)``.
    """
    setattr(function, _ROLE, "partners")
    return function


@dataclass(frozen=True, slots=True)
class LabChecks:
    """All that a lab's ``checks.py`` declares."""

    checks: tuple[Check, ...]
    _parameters: Callable[[random.Random], Parameters] | None = field(default=None, repr=False)
    _stack_parameters: Callable[[Parameters], Mapping[str, str]] | None = field(default=None, repr=False)
    _overlay: Callable[[Parameters], Mapping[str, bytes]] | None = field(default=None, repr=False)
    _partners: Callable[[Parameters], Mapping[str, str]] | None = field(default=None, repr=False)
    rights: Callable[[Sandbox, FunctionView], Sequence[Right]] | None = field(default=None, repr=False)

    def parameters(self, lab_version: str, seed: int) -> Parameters:
        """The seed's parameters; the same for the same lab version and seed, always."""
        if self._parameters is None:
            return {}
        return self._parameters(random.Random(f"{lab_version}/{seed}"))

    def stack_parameters(self, parameters: Parameters) -> dict[str, str]:
        """The CloudFormation parameters for these parameters."""
        return {} if self._stack_parameters is None else dict(self._stack_parameters(parameters))

    def overlay(self, parameters: Parameters) -> dict[str, bytes]:
        """The files that replace the submission's for these parameters."""
        return {} if self._overlay is None else dict(self._overlay(parameters))

    def partners(self, parameters: Parameters) -> dict[str, str]:
        """The partners by the stack parameter that takes their ARN."""
        return {} if self._partners is None else dict(self._partners(parameters))


def collect(module: ModuleType) -> LabChecks:
    """What a loaded ``checks.py`` declares, in the order it declares it.

    Raises:
        LabBroken: no checks, two with one id, or an ``after`` that comes later.
    """
    found = [value for value in vars(module).values() if isinstance(value, Check)]
    seen: set[str] = set()
    for item in found:
        if item.id in seen:
            raise LabBroken(f"{module.__file__}: two checks have the id `{item.id}`.")
        late = [earlier for earlier in item.after if earlier not in seen]
        if late:
            raise LabBroken(
                f"{module.__file__}: `{item.id}` is after {', '.join(late)}, declared later or not at all."
            )
        seen.add(item.id)
    roles = {
        getattr(value, _ROLE): value
        for value in vars(module).values()
        if inspect.isfunction(value) and hasattr(value, _ROLE)
    }
    return LabChecks(
        tuple(found),
        roles.get("parameters"),
        roles.get("stack_parameters"),
        roles.get("overlay"),
        roles.get("partners"),
        roles.get("rights"),
    )

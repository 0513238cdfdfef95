"""What a lab says its functions may do: the budget of rights, and the names it lets be generalised. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.emulator.iam.evaluation.model import ContextValue
from sandbox.emulator.iam.evaluation.patterns import glob, resource_pattern
from sandbox.emulator.iam.evaluation.variables import fixed, read, read_resource


@dataclass(frozen=True, slots=True)
class Right:
    """Some actions on some resources that a contract lets a function have.

    Both may hold ``*`` and ``?``, as policies do. ``when`` are condition keys with the values that a request
    must have, such as ``{"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}``: without them the
    request is beyond the budget. ``needed`` marks rights that the function needs though no check makes it
    use them, such as those of an error path.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    when: Mapping[str, str] = field(default_factory=dict)
    needed: bool = False

    def covers(self, action: str, resource: str, context: Mapping[str, ContextValue] | None = None) -> bool:
        """Whether a request is within it; without a context, whether some request of this kind is."""
        return (
            any(_action_matches(pattern, action) for pattern in self.actions)
            and any(matches(pattern, resource) for pattern in self.resources)
            and (context is None or _has(context, self.when))
        )


def right(
    actions: str | Iterable[str],
    resources: str | Iterable[str],
    *,
    when: Mapping[str, str] | None = None,
    needed: bool = False,
) -> Right:
    """A :class:`Right`; actions and resources as one text or several."""
    return Right(_tuple(actions), _tuple(resources), dict(when or {}), needed)


def matches(pattern: str, resource: str) -> bool:
    """Whether a resource is covered by a pattern, as the ``Resource`` of a policy would."""
    pieces = fixed(read_resource(pattern, variables=True))
    return pieces is not None and resource_pattern(pieces).fullmatch(resource) is not None


def literal(resource: str) -> str:
    """A resource as a policy names it: what would be a wildcard or a variable there is escaped."""
    return re.sub(r"\*|\?|\$(?=\{)", lambda found: f"${{{found[0]}}}", resource)


def generalised(action: str, resource: str, rights: Iterable[Right]) -> str:
    """The resource as a policy should name it: by the narrowest pattern that a right declares for it.

    A log stream is named by Lambda anew for each environment, so it always stands for all of its group.
    """
    found = [
        pattern
        for each in rights
        if each.covers(action, resource)
        for pattern in each.resources
        if matches(pattern, resource)
    ]
    if found:
        return max(found, key=lambda pattern: (len(pattern.replace("*", "")), pattern))
    if resource == "*":
        return resource
    head, stream, _ = resource.partition(":log-stream:")
    return f"{literal(head)}:*" if stream else literal(resource)


def _action_matches(pattern: str, action: str) -> bool:
    pieces = fixed(read(pattern.lower(), variables=False))
    assert pieces is not None
    return glob(pieces).fullmatch(action.lower()) is not None


def _has(context: Mapping[str, ContextValue], wanted: Mapping[str, str]) -> bool:
    given = {key.lower(): value for key, value in context.items()}
    return all(
        value in (found if isinstance(found, list | tuple) else (str(found),))
        for key, value in wanted.items()
        for found in (given.get(key.lower()),)
    )


def _tuple(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)

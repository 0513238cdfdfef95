"""Whom the policies of resources let in besides their own account: asked of the evaluator. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graders.iam import actions
from graders.iam.contexts import base
from graders.iam.model import as_list, parsed
from sandbox.emulator.iam.evaluation import Caller, CallerKind, Policies, Policy, Request, evaluate

STRANGER = "210987654321"
"""An account that nobody has anything to do with."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """A resource that others may use: ``kind`` is ``public``, ``cross-account`` or ``any-source``.

    ``any-source``: a service is let in without saying on whose behalf, so it may come for another account.
    """

    arn: str
    kind: str
    who: str
    actions: tuple[str, ...]
    index: int
    sid: str = ""

    @property
    def sentence(self) -> str:
        """What a learner reads."""
        may = f"may {', '.join(self.actions[:3])}{' …' if len(self.actions) > 3 else ''}"
        if self.kind == "public":
            return f"Anyone {may}, without credentials."
        if self.kind == "any-source":
            return (
                f"{self.who} {may} for any account: neither aws:SourceArn nor aws:SourceAccount is asked for."
            )
        return f"{self.who} {may}."


def exposures(
    arn: str, document: Mapping[str, Any], *, account_id: str, region: str, friends: tuple[str, ...] = ()
) -> tuple[Exposure, ...]:
    """What a resource's policy opens; ``friends`` are accounts that the lab wants let in.

    A request carries nothing but what anybody's does, so conditions on where it comes from keep it out.
    """
    found: dict[tuple[str, str], Exposure] = {}
    for index, statement in enumerate(as_list(document.get("Statement"))):
        if statement.get("Effect") != "Allow":
            continue
        for kind, who, caller in _callers(statement, account_id, friends):
            allowed = tuple(_allowed(arn, document, statement, caller, account_id, region))
            if allowed:
                exposure = Exposure(arn, kind, who, allowed, index, str(statement.get("Sid", "")))
                found.setdefault((kind, who), exposure)
    public = any(kind == "public" for kind, _ in found)
    return tuple(each for (kind, _), each in found.items() if kind != "cross-account" or not public)


def _callers(
    statement: Mapping[str, Any], account_id: str, friends: tuple[str, ...]
) -> Iterator[tuple[str, str, Caller]]:
    yield "public", "Anyone", Caller(CallerKind.ANONYMOUS)
    yield "cross-account", "Any AWS account", _user(STRANGER)
    principal = statement.get("Principal")
    for text in as_list(principal.get("AWS") if isinstance(principal, Mapping) else None):
        named = re.search(r"\d{12}", str(text))
        if named and named[0] not in (account_id, *friends):
            yield "cross-account", f"Account {named[0]}", _named(str(text), named[0])
    for service in as_list(principal.get("Service") if isinstance(principal, Mapping) else None):
        yield "any-source", str(service), Caller.of_service(str(service))


def _named(text: str, account: str) -> Caller:
    parts = text.split(":", 5)
    if len(parts) == 6 and parts[5].startswith("role/"):
        session = f"arn:aws:sts::{account}:assumed-role/{parts[5].rsplit('/', 1)[-1]}/grader"
        return Caller.role_session(account, session, text)
    if len(parts) == 6 and parts[5].startswith("user/"):
        return Caller.user(account, text)
    return _user(account)


def _user(account: str) -> Caller:
    return Caller.user(account, f"arn:aws:iam::{account}:user/someone")


def _allowed(
    arn: str,
    document: Mapping[str, Any],
    statement: Mapping[str, Any],
    caller: Caller,
    account_id: str,
    region: str,
) -> Iterator[str]:
    policy = _alone(document, statement)
    if policy is None:
        return
    own = parsed(_EVERYTHING, "the caller's own")
    assert own is not None
    context = base(region)
    if caller.kind is CallerKind.SERVICE:
        context |= {"aws:SourceAccount": STRANGER, "aws:SourceArn": f"arn:aws:s3:::{STRANGER}-bucket"}
    for action in actions.covered(statement):
        for resource in (arn, f"{arn}/any"):
            request = Request(action, resource, account_id, context)
            identity = (own,) if caller.kind is not CallerKind.ANONYMOUS else ()
            if evaluate(caller, request, Policies(identity, policy)).allowed:
                yield action
                break


_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def _alone(document: Mapping[str, Any], statement: Mapping[str, Any]) -> Policy | None:
    """The statement with the document's denies, so that what one statement opens is its own finding."""
    denies = [each for each in as_list(document.get("Statement")) if each.get("Effect") == "Deny"]
    return parsed({**document, "Statement": [statement, *denies]}, "resource")

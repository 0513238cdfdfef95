"""Cases as JSON: a principal, a request and the policies. Read strictly, all problems reported together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from sandbox.emulator.iam.evaluation.documents import MalformedPolicy, parse_policy
from sandbox.emulator.iam.evaluation.model import (
    Caller,
    CallerKind,
    ContextValue,
    Decision,
    Policies,
    Policy,
    Request,
)

KINDS = (CallerKind.USER, CallerKind.ROLE_SESSION, CallerKind.SERVICE)
"""The sorts of principal a case may have."""
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9_-]+")
_USER = re.compile(r"arn:[a-z0-9-]+:iam::(\d{12}):user/\S+")
_SESSION = re.compile(r"arn:([a-z0-9-]+):sts::(\d{12}):assumed-role/([^/\s]+)/[^/\s]+")
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::(\d{12}):role/\S+")
_RESOURCE = re.compile(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:.*", re.DOTALL)


class BadCases(ValueError):
    """Input that is no case or list of cases. ``problems`` are sentences that say where."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Case:
    """One question to the evaluator."""

    id: str | int | None
    caller: Caller
    request: Request
    policies: Policies


@dataclass(frozen=True, slots=True)
class Cases:
    """What a file asks. ``as_list``: it held a list, so the answer is one."""

    cases: tuple[Case, ...]
    as_list: bool


def read_cases(text: str) -> Cases:
    """Read one case or a list of cases.

    Raises:
        BadCases: anything unknown, missing or of the wrong type, and every malformed policy.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except RecursionError as error:
        raise BadCases(["nested too deeply"]) from error
    except ValueError as error:
        raise BadCases([f"not JSON: {error}"]) from error
    reader = _Reader()
    if isinstance(value, list):
        cases = [reader.case(item, f"[{number}]") for number, item in enumerate(value)]
        ids = [case.id for case in cases if case and case.id is not None]
        for repeated in sorted({name for name in ids if ids.count(name) > 1}, key=str):
            reader.problems.append(f"id {repeated!r} occurs twice")
    else:
        cases = [reader.case(value, "")]
    if reader.problems:
        raise BadCases(reader.problems)
    return Cases(tuple(case for case in cases if case), isinstance(value, list))


def answer(case: Case, decision: Decision) -> dict[str, Any]:
    """A decision as JSON: ``{id, decision, reason, statements}``."""
    return {
        "id": case.id,
        "decision": "Allow" if decision.allowed else "Deny",
        "reason": str(decision.reason),
        "statements": [ref.as_json() for ref in decision.statements],
    }


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"key {key!r} occurs twice in one object")
        seen[key] = value
    return seen


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@dataclass(slots=True)
class _Reader:
    """Reads cases and keeps every problem, each with its place."""

    problems: list[str] = field(default_factory=list)

    def case(self, value: Any, where: str) -> Case | None:
        before = len(self.problems)
        parts = self._object(value, where or "the case", ("id", "principal", "request", "policies"))
        prefix = f"{where}." if where else ""
        name = parts.get("id")
        if "id" in parts and (isinstance(name, bool) or not isinstance(name, str | int)):
            self._problem(f"{prefix}id", "must be text or a whole number")
        caller = self._caller(self._part(parts, "principal", prefix), f"{prefix}principal")
        request = self._request(self._part(parts, "request", prefix), f"{prefix}request")
        policies = self._policies(parts.get("policies", {}), f"{prefix}policies")
        if len(self.problems) > before or caller is None:
            return None
        return Case(name, caller, request, policies)

    def _caller(self, value: Any, where: str) -> Caller | None:
        known = ("type", "account", "arn", "role_arn", "service", "service_linked")
        parts = self._object(value, where, known)
        kind = parts.get("type")
        if kind not in KINDS:
            self._problem(f"{where}.type", f"must be one of {', '.join(KINDS)}")
            return None
        linked = parts.get("service_linked", False)
        if not isinstance(linked, bool):
            self._problem(f"{where}.service_linked", "must be true or false")
        texts = {key: self._text(parts, key, where) for key in known[1:5]}
        if kind == CallerKind.SERVICE:
            self._absent(parts, ("role_arn",), where, "a service")
            if not texts["service"]:
                self._problem(f"{where}.service", "is missing; such as sns.amazonaws.com")
            return Caller(CallerKind.SERVICE, arn=texts["arn"], service=texts["service"])
        self._absent(parts, ("service",), where, "a user or a role session")
        if kind == CallerKind.USER:
            self._absent(parts, ("role_arn", "service_linked"), where, "a user")
        pattern = _USER if kind == CallerKind.USER else _SESSION
        match = pattern.fullmatch(texts["arn"])
        if not match:
            example = (
                "iam::111122223333:user/ada" if kind == CallerKind.USER else "sts::…:assumed-role/role/name"
            )
            self._problem(f"{where}.arn", f"must be like arn:aws:{example}")
            return None
        account = match[1] if kind == CallerKind.USER else match[2]
        self._same_account(texts["account"], account, f"{where}.account")
        role_arn = texts["role_arn"]
        if kind == CallerKind.ROLE_SESSION:
            role_arn = self._role(role_arn, match, f"{where}.role_arn")
        return Caller(CallerKind(kind), account, texts["arn"], role_arn, service_linked=linked is True)

    def _role(self, role_arn: str, session: re.Match[str], where: str) -> str:
        """The session's role. A role with a path has to be given, its path is not in the session's ARN."""
        if not role_arn:
            return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
        match = _ROLE.fullmatch(role_arn)
        if not match or match[1] != session[2] or role_arn.rpartition("/")[2] != session[3]:
            self._problem(where, f"must be the ARN of role {session[3]} in account {session[2]}")
        return role_arn

    def _same_account(self, given: str, expected: str, where: str) -> None:
        if given and given != expected:
            self._problem(where, f"must be {expected}, the account of the ARN")

    def _request(self, value: Any, where: str) -> Request:
        parts = self._object(value, where, ("action", "resource", "resource_account", "context"))
        action = self._text(parts, "action", where)
        if not _ACTION.fullmatch(action):
            self._problem(f"{where}.action", "must be one action, such as s3:GetObject")
        resource = self._text(parts, "resource", where) or "*"
        if not _RESOURCE.fullmatch(resource):
            self._problem(f"{where}.resource", "must be an ARN, or * for an action without resources")
        account = self._text(parts, "resource_account", where)
        if account and not _ACCOUNT.fullmatch(account):
            self._problem(f"{where}.resource_account", "must be twelve digits")
        return Request(action, resource, account, self._context(parts.get("context", {}), f"{where}.context"))

    def _context(self, value: Any, where: str) -> Mapping[str, ContextValue]:
        keys = self._object(value, where, None)
        lower = [key.lower() for key in keys]
        for repeated in sorted({key for key in lower if lower.count(key) > 1}):
            self._problem(where, f"key {repeated!r} occurs twice; the case of keys does not matter")
        for key, values in keys.items():
            items = values if isinstance(values, list) else [values]
            if not all(isinstance(item, str | int | float) for item in items):
                self._problem(f"{where}.{key}", "must be text, a number, true or false, or a list of those")
        return keys

    def _policies(self, value: Any, where: str) -> Policies:
        parts = self._object(value, where, ("identity", "resource", "boundary", "session", "scps"))
        levels = self._list(parts.get("scps", []), f"{where}.scps", "levels, each a list of policies")
        return Policies(
            identity=self._documents(parts.get("identity", []), where, "identity"),
            resource=self._document(parts["resource"], where, "resource") if "resource" in parts else None,
            boundary=self._document(parts["boundary"], where, "boundary") if "boundary" in parts else None,
            session=self._documents(parts.get("session", []), where, "session"),
            scps=tuple(
                self._documents(level, where, f"scps[{number}]") for number, level in enumerate(levels)
            ),
        )

    def _documents(self, value: Any, where: str, name: str) -> tuple[Policy, ...]:
        documents = [
            self._document(item, where, f"{name}[{number}]")
            for number, item in enumerate(self._list(value, f"{where}.{name}", "policies"))
        ]
        return tuple(document for document in documents if document is not None)

    def _document(self, value: Any, where: str, name: str) -> Policy | None:
        if not isinstance(value, dict):
            self._problem(f"{where}.{name}", "must be a policy, as a JSON object")
            return None
        try:
            policy = parse_policy(value, name)
        except MalformedPolicy as error:
            self.problems.append(f"{where}.{name}: malformed policy: {error}")
            return None
        for statement in policy.document.statements:
            place = f"{where}.{name}: malformed policy: statement {statement.index + 1}"
            if name == "resource" and statement.principals is None:
                self.problems.append(f"{place} of a resource's policy needs Principal or NotPrincipal")
            if name != "resource" and statement.principals is not None:
                self.problems.append(f"{place} has a principal, which only a resource's policy names")
        return policy

    def _part(self, parts: Mapping[str, Any], name: str, prefix: str) -> Any:
        if name not in parts:
            self._problem(f"{prefix}{name}", "is missing")
        return parts.get(name, {})

    def _object(self, value: Any, where: str, known: tuple[str, ...] | None) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._problem(where, "must be an object")
            return {}
        for key in value if known is not None else ():
            if key not in (known or ()):
                self._problem(where, f"has no key {key!r}.{_did_you_mean(key, known or ())}")
        return value

    def _list(self, value: Any, where: str, of: str) -> list[Any]:
        if isinstance(value, list):
            return value
        self._problem(where, f"must be a list of {of}")
        return []

    def _text(self, parts: Mapping[str, Any], key: str, where: str) -> str:
        value = parts.get(key, "")
        if isinstance(value, str) and (value or key not in parts):
            return value
        self._problem(f"{where}.{key}", "must be text" if not isinstance(value, str) else "must not be empty")
        return ""

    def _absent(self, parts: Mapping[str, Any], keys: Iterable[str], where: str, of: str) -> None:
        for key in keys:
            if key in parts:
                self._problem(f"{where}.{key}", f"does not belong to {of}")

    def _problem(self, where: str, problem: str) -> None:
        self.problems.append(f"{where} {problem}")


def _did_you_mean(key: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(key, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" It may have {', '.join(known)}."

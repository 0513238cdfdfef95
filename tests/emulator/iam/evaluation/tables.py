"""Reads the tables of cases in ``cases/`` and asks the evaluator about every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from sandbox.emulator.iam.evaluation import (
    Caller,
    CallerKind,
    Decision,
    MalformedPolicy,
    Policies,
    Policy,
    Request,
    evaluate,
    parse_policy,
)

FOLDER = Path(__file__).with_name("cases")
ACCOUNT = "111122223333"
USER = Caller(CallerKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ada", unique_id="AIDAEXAMPLE")
SESSION = Caller(
    CallerKind.ROLE_SESSION,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/job-1",
    f"arn:aws:iam::{ACCOUNT}:role/app/worker",
    unique_id="AROAEXAMPLE:job-1",
)


@dataclass(frozen=True)
class Row:
    """A question with AWS's answer. ``reason``: empty where the document does not say more than yes or no."""

    id: str
    source: str
    caller: Caller
    request: Request
    policies: Policies
    allowed: bool
    reason: str = ""

    def decision(self) -> Decision:
        return evaluate(self.caller, self.request, self.policies)

    def holds(self) -> bool:
        decision = self.decision()
        effect = "Allow" if self.allowed else "Deny"
        return (
            decision.allowed == self.allowed
            and self.reason in ("", str(decision.reason))
            and {ref.effect for ref in decision.statements} <= {effect}
        )


@dataclass(frozen=True)
class OperatorRow:
    """Whether there is an operator of a name."""

    id: str
    source: str
    operator: str
    known: bool

    def holds(self) -> bool:
        statement = {
            "Effect": "Allow",
            "Action": "*",
            "Resource": "*",
            "Condition": {self.operator: {"x:k": "true"}},
        }
        try:
            parse_policy(_document(statement))
        except MalformedPolicy:
            return not self.known
        return self.known


@cache
def operators() -> tuple[OperatorRow, ...]:
    """The rows of ``cases/operators.json``."""
    tables = json.loads((FOLDER / "operators.json").read_text("utf-8"))
    return tuple(
        OperatorRow(f"operator-{name}", table["source"], name, known)
        for table in tables
        for name, known in table["rows"]
    )


@cache
def rows(name: str) -> tuple[Row, ...]:
    """The rows of ``cases/<name>.json``."""
    tables = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return tuple(
        row for number, table in enumerate(tables) for row in READERS[name](table, f"{name}-{number}")
    )


def documented() -> tuple[Row, ...]:
    return tuple(row for name in DOCUMENTED for row in rows(name))


def _document(statement: dict[str, Any], version: str | None = "2012-10-17") -> dict[str, Any]:
    return {**({"Version": version} if version else {}), "Statement": [statement]}


def _covered(
    name: str, source: str, statement: dict[str, Any], request: Request, covers: bool, **more: Any
) -> Iterator[Row]:
    """A statement that covers a request allows it, and as a Deny beside an Allow of everything denies it."""
    version = more.pop("version", "2012-10-17")
    caller = more.pop("caller", USER)
    allow = parse_policy(_document({"Effect": "Allow", **statement}, version), "tested")
    everything = parse_policy(_document({"Effect": "Allow", "Action": "*", "Resource": "*"}), "everything")
    deny = parse_policy(_document({"Effect": "Deny", **statement}, version), "tested")
    yield Row(f"{name}-allow", source, caller, request, Policies(identity=(allow,)), covers)
    yield Row(f"{name}-deny", source, caller, request, Policies(identity=(everything, deny)), not covers)


def _conditions(table: dict[str, Any], prefix: str) -> Iterator[Row]:
    for number, (operator, values, given, holds) in enumerate(table["rows"]):
        statement = {"Action": "*", "Resource": "*", "Condition": {operator: {"x:Key": values}}}
        context = {} if given is None else {"x:key": given}
        request = Request("x:Do", context=context)
        yield from _covered(f"{prefix}-{number}-{operator}", table["source"], statement, request, holds)


def _elements(table: dict[str, Any], prefix: str) -> Iterator[Row]:
    for number, (element, values, asked, covers) in enumerate(table["rows"]):
        of_action = element.endswith("Action")
        statement = {element: values, **({"Resource": "*"} if of_action else {"Action": "*"})}
        request = Request(asked, "*") if of_action else Request("x:Do", asked)
        yield from _covered(f"{prefix}-{number}", table["source"], statement, request, covers)


def _variables(table: dict[str, Any], prefix: str) -> Iterator[Row]:
    for number, row in enumerate(table["rows"]):
        statement: dict[str, Any] = {"Action": "*", "Condition": row.get("condition", {})}
        if "not_resource" in row:
            statement["NotResource"] = row["not_resource"]
        else:
            statement["Resource"] = row.get("resource", "*")
        base = SESSION if table.get("session") else USER
        caller = Caller(
            base.kind,
            base.account,
            base.arn,
            base.role_arn,
            unique_id=base.unique_id,
            tags=row.get("tags", {}),
        )
        request = Request("x:Do", row.get("asked", "*"), context=row.get("context", {}))
        yield from _covered(
            f"{prefix}-{number}",
            table["source"],
            statement,
            request,
            row["covers"],
            version=row.get("version", "2012-10-17"),
            caller=caller,
        )


CALLERS = {
    "user": USER,
    "tagged": replace(USER, tags={"access-project": "peg"}),
    "management": replace(USER, management_account=True),
    "canonical": replace(
        USER, canonical_id="79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
    ),
    "user-with-colon": replace(USER, unique_id="AIDAEXAMPLE:x"),
    "session": SESSION,
    "service-linked": replace(SESSION, service_linked=True),
    "federated-user": Caller(
        CallerKind.FEDERATED_USER,
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:federated-user/ada",
        user_arn=f"arn:aws:iam::{ACCOUNT}:user/ada",
        unique_id=f"{ACCOUNT}:ada",
    ),
    "root": Caller(CallerKind.ROOT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"),
    "sns": Caller.of_service("sns.amazonaws.com"),
    "lambda": Caller.of_service("lambda.amazonaws.com"),
    "web-identity": Caller(CallerKind.EXTERNAL, identity_provider="cognito-identity.amazonaws.com"),
    "anonymous": Caller(CallerKind.ANONYMOUS),
}


def _policies(case: dict[str, Any], prefix: str) -> Iterator[Row]:
    given = case["policies"]

    def parsed(statements: list[dict[str, Any]], name: str) -> Policy:
        return parse_policy({"Version": "2012-10-17", "Statement": statements}, name)

    policies = Policies(
        identity=tuple(parsed(each, "identity") for each in given.get("identity", [])),
        resource=parsed(given["resource"], "resource") if "resource" in given else None,
        boundary=parsed(given["boundary"], "boundary") if "boundary" in given else None,
        session=tuple(parsed(each, "session") for each in given.get("session", [])),
        scps=tuple(tuple(parsed(each, "scp") for each in level) for level in given.get("scps", [])),
    )
    request = Request(
        case["action"], case["resource"], case.get("resource_account", ""), case.get("context", {})
    )
    allowed = case["decision"] == "Allow"
    yield Row(
        case["id"],
        case["source"],
        CALLERS[case["caller"]],
        request,
        policies,
        allowed,
        case.get("reason", ""),
    )


# The matrix: every combination of these, each decided by the first rule of cases/matrix.json that fits it.
OTHER_ACCOUNT = "444455556666"
NAMES: dict[str, Any] = {
    "nobody": {"AWS": "999999999999"},
    "user": {"AWS": USER.arn},
    "role": {"AWS": SESSION.role_arn},
    "session": {"AWS": SESSION.arn},
    "account": {"AWS": ACCOUNT},
    "everyone": "*",
    "service": {"Service": "sns.amazonaws.com"},
}
NAMED = {
    "user": {"user", "account", "everyone"},
    "session": {"role", "session", "account", "everyone"},
    "service": {"service", "everyone"},
}
"""Which of the names name which caller."""
LIMITS = ("absent", "allows", "silent", "denies")


@cache
def _effect(effect: str, name: str) -> Policy:
    """A policy that allows the request, denies it, or says nothing of it."""
    statements = {
        "allows": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
        "silent": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}],
        "denies": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"},
        ],
    }
    return parse_policy({"Version": "2012-10-17", "Statement": statements[effect]}, name)


@cache
def _naming(effect: str, names: str) -> Policy:
    statement = {"Effect": effect, "Principal": NAMES[names], "Action": "s3:GetObject", "Resource": "*"}
    return parse_policy({"Version": "2012-10-17", "Statement": [statement]}, "resource")


def _combinations() -> Iterator[dict[str, str]]:
    for caller, account, resource, names, identity, boundary, session in product(
        NAMED, ("same", "cross"), ("absent", "allows", "denies"), NAMES, LIMITS[1:], LIMITS, LIMITS
    ):
        if resource == "absent" and names != "nobody":
            continue
        if caller == "user" and session != "absent":
            continue
        if caller == "service" and (identity, boundary, session, account) != (
            "silent",
            "absent",
            "absent",
            "same",
        ):
            continue
        yield {
            "caller": caller,
            "account": account,
            "resource": resource,
            "names": names,
            "named": "yes" if resource != "absent" and names in NAMED[caller] else "no",
            "identity": identity,
            "boundary": boundary,
            "session": session,
        }


def fits(combination: dict[str, str], rule: dict[str, Any]) -> bool:
    def matches(pattern: dict[str, str]) -> bool:
        return all(combination[key] in wanted.split("|") for key, wanted in pattern.items())

    return matches(rule["when"]) and not ("unless" in rule and matches(rule["unless"]))


@cache
def matrix() -> tuple[tuple[Row, int], ...]:
    """Every combination with the number of the rule that decides it."""
    rules = json.loads((FOLDER / "matrix.json").read_text("utf-8"))["rules"]
    found = []
    for combination in _combinations():
        number = next(number for number, rule in enumerate(rules) if fits(combination, rule))
        rule = rules[number]
        resource, boundary, session = (combination[key] for key in ("resource", "boundary", "session"))
        policies = Policies(
            identity=(_effect(combination["identity"], "identity"),),
            resource=None
            if resource == "absent"
            else _naming({"allows": "Allow", "denies": "Deny"}[resource], combination["names"]),
            boundary=None if boundary == "absent" else _effect(boundary, "boundary"),
            session=() if session == "absent" else (_effect(session, "session"),),
        )
        account = ACCOUNT if combination["account"] == "same" else OTHER_ACCOUNT
        request = Request("s3:GetObject", "arn:aws:s3:::bucket/key", account)
        caller = CALLERS["sns" if combination["caller"] == "service" else combination["caller"]]
        allowed = rule["decision"] == "Allow"
        name = " ".join(f"{key}={value}" for key, value in combination.items())
        found.append(
            (Row(name, rule["source"], caller, request, policies, allowed, rule.get("reason", "")), number)
        )
    return tuple(found)


def _unknown(item: dict[str, Any], prefix: str) -> Iterator[Row]:
    """What AWS does not document or does otherwise: not AWS's answer, but ours, kept from changing unseen."""
    for kind in ("conditions", "elements", "variables"):
        if kind in item:
            yield from READERS[kind]({"source": item["source"], "rows": item[kind]}, f"{prefix}-{kind}")
    for case in item.get("policies", []):
        yield from _policies(case, prefix)


DOCUMENTED = ("conditions", "elements", "variables", "policies")
READERS = {
    "conditions": _conditions,
    "elements": _elements,
    "variables": _variables,
    "policies": _policies,
    "unknown": _unknown,
}


def every_row() -> Iterator[Row | OperatorRow]:
    """The documented cases, what is pinned where AWS is unknown, and the matrix."""
    yield from operators()
    for name in READERS:
        yield from rows(name)
    for row, _ in matrix():
        yield row

"""Reads the tables of cases in ``cases/`` and asks the evaluator about every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from sandbox.emulator.iam.evaluation import (
    Caller,
    CallerKind,
    Decision,
    Policies,
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
        return decision.allowed == self.allowed and self.reason in ("", str(decision.reason))


@cache
def rows(name: str) -> tuple[Row, ...]:
    """The rows of ``cases/<name>.json``."""
    tables = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return tuple(row for number, table in enumerate(tables) for row in READERS[name](table, f"{name}-{number}"))


def all_rows() -> tuple[Row, ...]:
    return tuple(row for name in READERS for row in rows(name))


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
            base.kind, base.account, base.arn, base.role_arn, unique_id=base.unique_id, tags=row.get("tags", {})
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


READERS = {"conditions": _conditions, "elements": _elements, "variables": _variables}

"""For each role and user: what it is granted, what it used, and what it was refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from moto.iam.models import iam_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.iam.enforcement import Record
from sandbox.emulator.iam.enforcement.policies import default_version


def of_principals(core: AccountCore, account_id: str) -> list[dict[str, Any]]:
    """One object for each role, then each user, by name.

    ``granted`` holds policy statements as they were written, ``used`` and ``denied`` hold actions on
    resources with how often.
    """
    records = core.guard.log.since()
    with core.dispatch_lock:
        backend = iam_backends[account_id]["aws"]
        holders = [("role", role) for role in sorted(backend.roles.values(), key=lambda each: each.name)]
        holders += [("user", user) for user in sorted(backend.users.values(), key=lambda each: each.name)]
        found = [(kind, str(each.arn), str(each.name), list(_granted(each))) for kind, each in holders]
    return [
        {
            "kind": kind,
            "arn": arn,
            "name": name,
            "granted": granted,
            "used": _counted(records, arn, allowed=True),
            "denied": _counted(records, arn, allowed=False),
        }
        for kind, arn, name, granted in found
    ]


def _granted(holder: Any) -> Iterator[dict[str, Any]]:
    documents = [(f"{holder.name}/{name}", text) for name, text in holder.policies.items()]
    documents += [(arn, default_version(policy)) for arn, policy in holder.managed_policies.items()]
    for name, text in documents:
        value = json.loads(text) if isinstance(text, str) else text
        statements = value.get("Statement", [])
        for index, statement in enumerate(statements if isinstance(statements, list) else [statements]):
            yield {"policy": name, "index": index, **statement}


def _counted(records: Iterable[Record], arn: str, *, allowed: bool) -> list[dict[str, Any]]:
    counted = Counter(
        (verdict.request.action, verdict.request.resource)
        for record in records
        if arn in (record.role_arn, record.principal)
        for verdict in record.verdicts
        if verdict.decision.allowed is allowed
    )
    return [
        {"action": action, "resource": resource, "times": times}
        for (action, resource), times in sorted(counted.items())
    ]

"""Faults a check switches on for the time of a block."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from graders.errors import NotAssessed
from graders.functions import FunctionView
from sandbox.account import Account

_POLICY = "coldstart-fault"


class Faults:
    """The faults of one check. Every one is undone when its block ends, also when the check breaks."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._denied: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    @contextmanager
    def on(self, name: str, **settings: Any) -> Iterator[None]:
        """One fault by name; raises NotAssessed when the backend has no such fault."""
        with ExitStack() as undo:
            if name == "deny":
                undo.enter_context(self._deny(**settings))
            elif name == "throttle":
                undo.enter_context(self._throttle(**settings))
            else:
                undo.enter_context(self._switch(name, settings))
            yield

    @contextmanager
    def _deny(
        self, *, function: FunctionView, actions: Sequence[str], resources: Sequence[str] = ("*",)
    ) -> Iterator[None]:
        if "IE" not in self._account.capabilities:
            raise NotAssessed(
                "This backend does not enforce IAM policies yet, so a right can't be taken away."
            )
        role = function.role_arn.rsplit("/", 1)[-1]
        statement = {"Effect": "Deny", "Action": list(actions), "Resource": list(resources)}
        self._denied[role].append(statement)
        self._put_denials(role)
        try:
            yield
        finally:
            self._denied[role].remove(statement)
            self._put_denials(role)

    def _put_denials(self, role: str) -> None:
        """One policy for all that a role is denied: functions may share a role, and faults may overlap."""
        iam = self._account.client("iam")
        if self._denied[role]:
            document = json.dumps({"Version": "2012-10-17", "Statement": self._denied[role]})
            iam.put_role_policy(RoleName=role, PolicyName=_POLICY, PolicyDocument=document)
        else:
            iam.delete_role_policy(RoleName=role, PolicyName=_POLICY)

    @contextmanager
    def _throttle(self, *, function: FunctionView, concurrency: int = 0) -> Iterator[None]:
        if "LC" not in self._account.capabilities:
            raise NotAssessed("This backend does not enforce reserved concurrency yet.")
        client = self._account.client("lambda")
        before = client.get_function_concurrency(FunctionName=function.name).get(
            "ReservedConcurrentExecutions"
        )
        client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=concurrency)
        try:
            yield
        finally:
            if before is None:
                client.delete_function_concurrency(FunctionName=function.name)
            else:
                client.put_function_concurrency(
                    FunctionName=function.name, ReservedConcurrentExecutions=before
                )

    @contextmanager
    def _switch(self, name: str, settings: dict[str, Any]) -> Iterator[None]:
        fault_id = self._account.begin_fault(name, settings)
        try:
            yield
        finally:
            self._account.end_fault(fault_id)

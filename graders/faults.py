"""Faults a check switches on for the time of a block."""

from __future__ import annotations

import json
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
        self._switches: list[tuple[str, dict[str, Any]]] = []

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
        iam = self._account.client("iam")
        role = function.role_arn.rsplit("/", 1)[-1]
        statement = {"Effect": "Deny", "Action": list(actions), "Resource": list(resources)}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role, PolicyName=_POLICY, PolicyDocument=document)
        try:
            yield
        finally:
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
        entry = (name, settings)
        self._account.set_fault(name, **settings)
        self._switches.append(entry)
        try:
            yield
        finally:
            self._switches.remove(entry)
            self._account.clear_faults()
            for other, values in self._switches:
                self._account.set_fault(other, **values)

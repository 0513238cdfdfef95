"""The resource policy of a function, one per qualifier.

moto keeps one list of statements for all versions of a function; what belongs to which qualifier is
told by a statement's own Resource.
Source: https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import names
from sandbox.emulator.functions.names import LATEST, FunctionName
from sandbox.emulator.functions.store import FunctionStore


class Permissions:
    """AddPermission, GetPolicy and RemovePermission."""

    def __init__(self, core: AccountCore, store: FunctionStore) -> None:
        self._core = core
        self._store = store

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("lambda", "AddPermission"): self.add,
            ("lambda", "GetPolicy"): self.get,
            ("lambda", "RemovePermission"): self.remove,
        }

    def add(self, call: Call) -> dict[str, Any]:
        """Add a statement."""
        name = self._name(call)
        statement = _statement(call.params, name)
        with self._core.dispatch_lock:
            policy = self._policy(name)
            _check_revision(policy, call.params)
            if any(kept["Sid"] == statement["Sid"] for kept in _belonging(policy, name)):
                raise AwsError(
                    "ResourceConflictException",
                    f"The statement id ({statement['Sid']}) provided already exists. Please provide a new "
                    "statement id, or remove the existing statement.",
                    409,
                    Type="User",
                )
            policy.statements.append(statement)
            policy.revision = str(uuid.uuid4())
        return {"Statement": json.dumps(statement)}

    def get(self, call: Call) -> dict[str, Any]:
        """The policy of one qualifier."""
        name = self._name(call)
        with self._core.dispatch_lock:
            policy = self._policy(name)
            statements = _belonging(policy, name)
            if not statements:
                raise AwsError(
                    "ResourceNotFoundException",
                    "The resource you requested does not exist.",
                    404,
                    Type="User",
                )
            document = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
            return {"Policy": json.dumps(document), "RevisionId": policy.revision}

    def remove(self, call: Call) -> dict[str, Any]:
        """Remove one statement."""
        name = self._name(call)
        with self._core.dispatch_lock:
            policy = self._policy(name)
            _check_revision(policy, call.params)
            for statement in _belonging(policy, name):
                if statement["Sid"] == call.params["StatementId"]:
                    policy.statements.remove(statement)
                    policy.revision = str(uuid.uuid4())
                    return {}
        raise AwsError(
            "ResourceNotFoundException",
            f"Statement {call.params['StatementId']} is not found in resource policy.",
            404,
            Type="User",
        )

    @staticmethod
    def _name(call: Call) -> FunctionName:
        name = names.of(call)
        if name.qualifier == LATEST:
            raise AwsError(
                "InvalidParameterValueException", "We currently do not support adding policies for $LATEST."
            )
        return name

    def _policy(self, name: FunctionName) -> Any:
        self._store.find(name)
        return self._store.find(name.at("")).policy


def _belonging(policy: Any, name: FunctionName) -> list[dict[str, Any]]:
    return [statement for statement in policy.statements if statement.get("Resource") == name.qualified_arn]


def _check_revision(policy: Any, params: dict[str, Any]) -> None:
    wanted = params.get("RevisionId")
    if wanted and wanted != policy.revision:
        raise AwsError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to "
            "retrieve the latest Revision Id",
            412,
            Type="User",
        )


def _statement(params: dict[str, Any], name: FunctionName) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(str(params["Principal"])),
        "Action": params["Action"],
        "Resource": name.qualified_arn,
    }
    conditions = {
        "SourceAccount": ("StringEquals", "AWS:SourceAccount"),
        "SourceArn": ("ArnLike", "AWS:SourceArn"),
        "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
        "EventSourceToken": ("StringEquals", "lambda:EventSourceToken"),
        "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
    }
    given: dict[str, dict[str, str]] = {}
    for member, (operator, key) in conditions.items():
        if params.get(member):
            given.setdefault(operator, {})[key] = params[member]
    if params.get("InvokedViaFunctionUrl") is not None:
        given.setdefault("Bool", {})["lambda:InvokedViaFunctionUrl"] = str(
            params["InvokedViaFunctionUrl"]
        ).lower()
    if given:
        statement["Condition"] = given
    return statement


def _principal(text: str) -> str | dict[str, str]:
    if text == "*":
        return text
    if text.isdigit() and len(text) == 12:
        return {"AWS": f"arn:aws:iam::{text}:root"}
    if text.startswith("arn:"):
        return {"AWS": text}
    return {"Service": text}

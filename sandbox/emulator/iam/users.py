"""Permissions boundaries of IAM users, which moto does not keep.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html
"""

from __future__ import annotations

from typing import Any

from moto.iam.models import iam_backends

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.iam.enforcement.policies import managed_document


class UserBoundaries:
    """Sets, shows and takes away the boundary of a user."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def handlers(self) -> Handlers:
        """Operations taken over from moto."""
        return {
            ("iam", "PutUserPermissionsBoundary"): self.put,
            ("iam", "DeleteUserPermissionsBoundary"): self.delete,
            ("iam", "CreateUser"): self.create_user,
            ("iam", "GetUser"): self.get_user,
        }

    def put(self, call: Call) -> dict[str, Any]:
        """Bound a user by a managed policy."""
        arn = str(call.params["PermissionsBoundary"])
        with self._core.dispatch_lock:
            user = _user(call)
            _check(call, arn)
            user.permissions_boundary_arn = arn
        return {}

    def delete(self, call: Call) -> dict[str, Any]:
        """Unbind a user."""
        with self._core.dispatch_lock:
            _user(call).permissions_boundary_arn = None
        return {}

    def create_user(self, call: Call) -> dict[str, Any]:
        """A user, perhaps bound from the first moment."""
        arn = str(call.params.get("PermissionsBoundary") or "")
        with self._core.dispatch_lock:
            if arn:
                _check(call, arn)
            made = self._core.moto(call)
            if arn:
                _user(call).permissions_boundary_arn = arn
        return _shown(made, arn)

    def get_user(self, call: Call) -> dict[str, Any]:
        """A user with its boundary."""
        with self._core.dispatch_lock:
            found = self._core.moto(call)
            user = iam_backends[call.account_id]["aws"].users.get(found["User"]["UserName"])
            return _shown(found, str(getattr(user, "permissions_boundary_arn", None) or ""))


def _user(call: Call) -> Any:
    name = str(call.params["UserName"])
    user = iam_backends[call.account_id]["aws"].users.get(name)
    if user is None:
        raise AwsError("NoSuchEntity", f"The user with name {name} cannot be found.", 404)
    return user


def _check(call: Call, arn: str) -> None:
    if managed_document(call.account_id, arn) is None:
        raise AwsError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)


def _shown(answer: dict[str, Any], arn: str) -> dict[str, Any]:
    if arn:
        boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}
        answer["User"] = {**answer["User"], "PermissionsBoundary": boundary}
    return answer

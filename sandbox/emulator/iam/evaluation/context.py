"""The request's context: condition keys, whatever their case, and the keys that follow from who calls."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from sandbox.emulator.iam.evaluation.model import Caller, CallerKind, ContextValue, Request

PRINCIPAL_TYPES = {
    CallerKind.USER: "User",
    CallerKind.ROLE_SESSION: "AssumedRole",
    CallerKind.FEDERATED_USER: "FederatedUser",
    CallerKind.ROOT: "Account",
    CallerKind.ANONYMOUS: "Anonymous",
}
"""Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principaltype"""


def texts(value: ContextValue) -> tuple[str, ...]:
    """A context value as the texts that operators compare. Nothing and an empty list are no value."""
    if value is None:
        return ()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(_text(item) for item in value)
    return (_text(value),)


def _text(value: str | bool | int | float | bytes) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


class Context:
    """Looks condition keys up. Built only when a statement asks, since most have no condition."""

    __slots__ = ("_caller", "_request", "_values")

    def __init__(self, caller: Caller, request: Request) -> None:
        self._caller = caller
        self._request = request
        self._values: dict[str, tuple[str, ...]] | None = None

    def __call__(self, key: str) -> tuple[str, ...]:
        """The values of a key, given in lower case. Empty when the request has none."""
        if self._values is None:
            self._values = derived(self._caller, self._request)
            self._values.update((name.lower(), texts(value)) for name, value in self._request.context.items())
        return self._values.get(key, ())


def derived(caller: Caller, request: Request) -> dict[str, tuple[str, ...]]:
    """The keys that follow from the caller and the resource.

    For a role session ``aws:PrincipalArn`` is the role's ARN, not the session's.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    keys = {f"aws:principaltag/{name.lower()}": value for name, value in caller.tags.items()}
    keys["aws:principaltype"] = PRINCIPAL_TYPES.get(caller.kind, "")
    keys["aws:principalarn"] = caller.role_arn or caller.arn
    keys["aws:principalaccount"] = caller.account
    keys["aws:userid"] = caller.unique_id or (caller.account if caller.kind is CallerKind.ROOT else "")
    keys["aws:username"] = caller.arn.rpartition("/")[2] if caller.kind is CallerKind.USER else ""
    keys["aws:resourceaccount"] = account_of(request, caller)
    if caller.kind is not CallerKind.ANONYMOUS:
        keys["aws:principalisawsservice"] = "true" if caller.kind is CallerKind.SERVICE else "false"
    keys["aws:principalservicename"] = caller.service
    keys["aws:principalservicenameslist"] = caller.service
    tags = {key for key in keys if key.startswith("aws:principaltag/")}
    return {key: (value,) for key, value in keys.items() if value or key in tags}


def account_of(request: Request, caller: Caller) -> str:
    """Whose resource it is: as the request says, else as its ARN says, else the caller's own account.

    AWS's own resources, such as ``arn:aws:iam::aws:policy/ReadOnlyAccess``, are nobody else's.
    """
    if request.resource_account:
        return request.resource_account
    named = "".join(request.resource.split(":")[4:5])
    return named if named.isdecimal() else caller.account

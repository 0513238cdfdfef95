"""The request's context: condition keys, whatever their case, and the keys that follow from who calls."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

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
    """Looks condition keys up, each only when a statement asks, since most have no condition."""

    __slots__ = ("_caller", "_given", "_request")

    def __init__(self, caller: Caller, request: Request) -> None:
        self._caller = caller
        self._request = request
        self._given: dict[str, tuple[str, ...]] | None = None  # and what was derived meanwhile

    def __call__(self, key: str) -> tuple[str, ...]:
        """The values of a key, given in lower case. Empty when the request has none."""
        if self._given is None:
            self._given = {name.lower(): texts(value) for name, value in self._request.context.items()}
        found = self._given.get(key)
        if found is None:
            found = self._given[key] = _derived(key, self._caller, self._request)
        return found


def _derived(key: str, caller: Caller, request: Request) -> tuple[str, ...]:
    """The values of a key that follow from who calls and from the resource."""
    read = _FROM_CALLER.get(key)
    if read is not None:
        value = read(caller, request)
        return (value,) if value else ()
    if key.startswith(_TAG):
        return next(((value,) for name, value in caller.tags.items() if _TAG + name.lower() == key), ())
    return ()


def _user_id(caller: Caller, _: Request) -> str:
    return caller.unique_id or (caller.account if caller.kind is CallerKind.ROOT else "")


def _is_service(caller: Caller, _: Request) -> str:
    if caller.kind is CallerKind.ANONYMOUS:
        return ""
    return "true" if caller.kind is CallerKind.SERVICE else "false"


def account_of(request: Request, caller: Caller) -> str:
    """Whose resource it is: as the request says, else as its ARN says, else the caller's own account.

    AWS's own resources, such as ``arn:aws:iam::aws:policy/ReadOnlyAccess``, are nobody else's.
    """
    if request.resource_account:
        return request.resource_account
    named = "".join(request.resource.split(":")[4:5])
    return named if named.isdecimal() else caller.account


_TAG = "aws:principaltag/"
_FROM_CALLER: dict[str, Callable[[Caller, Request], str]] = {
    # For a role session the role's ARN, not the session's.
    "aws:principalarn": lambda caller, _: caller.role_arn or caller.arn,
    "aws:principalaccount": lambda caller, _: caller.account,
    "aws:principaltype": lambda caller, _: PRINCIPAL_TYPES.get(caller.kind, ""),
    "aws:userid": _user_id,
    "aws:username": lambda caller, _: caller.arn.rpartition("/")[2] if caller.kind is CallerKind.USER else "",
    "aws:principalisawsservice": _is_service,
    "aws:principalservicename": lambda caller, _: caller.service,
    "aws:principalservicenameslist": lambda caller, _: caller.service,
    "aws:resourceaccount": lambda caller, request: account_of(request, caller),
}
"""Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""

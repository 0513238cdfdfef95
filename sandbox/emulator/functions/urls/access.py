"""Who may call a function URL.

Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
"""

from __future__ import annotations

from typing import Protocol

from sandbox.emulator.calls import Principal, PrincipalKind
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions.urls.configs import FunctionUrl
from sandbox.emulator.gateway import signatures
from sandbox.emulator.gateway.keys import Issued
from sandbox.emulator.gateway.requests import HttpRequest

_ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "", "")
# Both are needed for addresses made since October 2025.
_ACTIONS = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")


class Keys(Protocol):
    """The access keys that this account process accepts. Call with the dispatch lock held."""

    def find(self, access_key_id: str) -> Issued | None:
        """Whose key this is."""


class UrlAccess:
    """Authenticates a request by the address's AuthType, and has the policies decide."""

    def __init__(self, core: AccountCore, keys: Keys) -> None:
        self._core = core
        self._keys = keys

    def caller(self, url: FunctionUrl, request: HttpRequest) -> Principal:
        """Who calls: whoever signed the request, or nobody where nobody has to.

        Raises:
            AwsError: the address wants a signature, and this one is missing or wrong.
        """
        if url.auth_type == "NONE":
            return _ANONYMOUS
        signed = signatures.read_signature(request)
        with self._core.dispatch_lock:
            issued = self._keys.find(signed.access_key_id)
        signatures.verify(
            request,
            signed,
            issued,
            wall_time=self._core.clock.wall_time(),
            account_time=self._core.clock.time(),
        )
        assert issued is not None
        return issued.principal

    def unique_id(self, caller: Principal) -> str:
        """What ``aws:userid`` says of a caller."""
        with self._core.dispatch_lock:
            return self._core.guard.principals.of(caller).caller.unique_id

    def refusal(self, url: FunctionUrl, caller: Principal) -> str:
        """Why the caller may not use the address; empty when it may."""
        for action in _ACTIONS:
            refusal = self._core.guard.refusal(
                caller,
                action,
                url.name.qualified_arn,
                region=url.name.region,
                context={
                    "lambda:FunctionUrlAuthType": url.auth_type,
                    "lambda:InvokedViaFunctionUrl": "true",
                },
            )
            if refusal:
                return refusal
        return ""

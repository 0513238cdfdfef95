"""Operations that anybody may call: they show a client's id or a token instead of a signature.

Sources: https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html and
https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flows-public-server-side.html
"""

from __future__ import annotations

import functools
import json
import threading
from dataclasses import dataclass
from urllib.parse import parse_qs

from moto.cognitoidp.models import cognitoidp_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.utils import get_service_model

from sandbox.emulator.calls import Call, Principal, PrincipalKind
from sandbox.emulator.gateway.requests import HttpRequest

_PREFIX = "AWSCognitoIdentityProviderService."


@dataclass(frozen=True, slots=True)
class Anybody:
    """Who calls without a signature, where what is called for lives."""

    service: str
    region: str
    principal: Principal


@functools.cache
def operations() -> frozenset[str]:
    """The operations of user pools that go unsigned, by Cognito's own model."""
    model = get_service_model("cognito-idp")
    return frozenset(
        name for name in model.operation_names if model.operation_model(name).auth_type == "none"
    )


def needs_none(call: Call) -> bool:
    """Whether this call may come from anybody."""
    anonymous = call.principal.kind is PrincipalKind.ANONYMOUS
    if call.service == "sns":
        return anonymous and call.operation == "ConfirmSubscription"
    return anonymous and call.service == "cognito-idp" and call.operation in operations()


def find_caller(request: HttpRequest, lock: threading.RLock) -> Anybody | None:
    """Who calls, if the request is one that needs no signature and has none. ``lock`` is the dispatch lock.

    It is performed where its client or token is known, and otherwise where nothing is.
    """
    target = request.headers.get("x-amz-target", "")
    if request.headers.get("authorization") or "X-Amz-Algorithm=" in request.query:
        return None
    if request.method == "GET" and "Action=ConfirmSubscription" in request.query:
        return _confirming(request)
    if not target.startswith(_PREFIX) or target.removeprefix(_PREFIX) not in operations():
        return None
    with lock:
        account_id, region = _home(request.body) or (DEFAULT_ACCOUNT_ID, "us-east-1")
    principal = Principal(PrincipalKind.ANONYMOUS, account_id, "anonymous")
    return Anybody("cognito-idp", region, principal)


def _confirming(request: HttpRequest) -> Anybody | None:
    """Who visits the address by which a subscription is confirmed: whoever has its token."""
    given = parse_qs(request.query)
    topic = given.get("TopicArn", [""])[0].split(":")
    if given.get("Action") != ["ConfirmSubscription"] or len(topic) != 6 or topic[2] != "sns":
        return None
    return Anybody("sns", topic[3], Principal(PrincipalKind.ANONYMOUS, topic[4], "anonymous"))


def _home(body: bytes) -> tuple[str, str] | None:
    try:
        given = json.loads(body)
    except ValueError:
        return None
    if not isinstance(given, dict):
        return None
    client, token, session = (str(given.get(name) or "") for name in ("ClientId", "AccessToken", "Session"))
    for account_id, regions in list(cognitoidp_backends.items()):
        for region, backend in list(regions.items()):
            pools = backend.user_pools.values()
            known = any(client in pool.clients or token in pool.access_tokens for pool in pools)
            if known or session in backend.sessions:
                return account_id, region
    return None

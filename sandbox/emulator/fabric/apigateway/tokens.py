"""JSON Web Tokens as authorizers check them: signed by a user pool of the account.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from sandbox.emulator.fabric.cognito import pools
from sandbox.emulator.fabric.cognito.tokens import signing_key

_ISSUER = re.compile(r"https://cognito-idp\.([a-z0-9-]+)\.amazonaws\.com/([\w-]+)")
_LEEWAY_S = 5.0


class BadToken(Exception):
    """The token is not one that the authorizer accepts."""


class UnknownIssuer(Exception):
    """The issuer's keys are beyond the account's network. Ours."""


def verify(
    text: str, issuers: Sequence[str], audience: Sequence[str], now: float, *, lock: threading.RLock
) -> dict[str, Any]:
    """The claims of a token by one of ``issuers``, for one of ``audience``; ``now`` is account time.

    Raises:
        BadToken: it is not acceptable.
        UnknownIssuer: no user pool of this account issues such tokens.
    """
    if not text:
        raise BadToken("there is no token")
    key = None
    for issuer in issuers:
        match = _ISSUER.fullmatch(issuer)
        if match is None:
            raise UnknownIssuer(f"Tokens of {issuer} can't be checked in a sandbox. This is our gap.")
        with lock:
            key = key or _key_of(*match.groups())
    if key is None:
        raise BadToken("the user pool does not exist")
    try:
        claims = dict(jwt.decode(text, key, algorithms=["RS256"]).claims)
    except (JoseError, ValueError, KeyError) as error:
        raise BadToken(str(error)) from None
    if claims.get("iss") not in issuers:
        raise BadToken("the issuer is another")
    if float(claims.get("exp") or 0) < now - _LEEWAY_S:
        raise BadToken("the token has expired")
    if any(float(claims.get(name) or 0) > now + _LEEWAY_S for name in ("nbf", "iat")):
        raise BadToken("the token is not valid yet")
    held = claims.get("aud") or claims.get("client_id") or ()
    if audience and not set([held] if isinstance(held, str) else held) & set(audience):
        raise BadToken("the token does not have a valid audience")
    return claims


def _key_of(region: str, pool_id: str) -> Any:
    pool = pools.find(region, pool_id)
    return None if pool is None else signing_key(pool)

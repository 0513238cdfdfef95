"""What anybody may fetch of a user pool: its public keys and its OpenID configuration.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.cognito import pools
from sandbox.emulator.fabric.cognito.tokens import public_keys
from sandbox.emulator.gateway.requests import raw_path

_PATH = re.compile(r"/(([a-z0-9-]+)_\w+)/\.well-known/(jwks\.json|openid-configuration)")


class WellKnown:
    """A pool's pages under ``/{pool}/.well-known/``, at the gateway and at Cognito's own host name."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    @staticmethod
    def find(host: str, path: str) -> bool:
        """Whether the request is for one of these pages."""
        return _PATH.fullmatch(path) is not None

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer it."""
        match = _PATH.fullmatch(raw_path(environ))
        with self._core.dispatch_lock:
            pool = pools.find(match[2], match[1]) if match else None
        if match is not None and self._core.faults.region_down(match[1]):
            status, told = "503 Service Unavailable", {"message": "Service Unavailable"}
        elif match is None or pool is None:
            status, told = "404 Not Found", {"message": "User pool does not exist."}
        else:
            status, told = "200 OK", public_keys(pool) if match[3] == "jwks.json" else _configuration(pool)
        body = json.dumps(told).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _configuration(pool: Any) -> dict[str, Any]:
    issuer = f"https://cognito-idp.{pool.region}.amazonaws.com/{pool.id}"
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "token"],
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }

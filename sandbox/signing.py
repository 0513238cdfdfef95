"""Signature Version 4 for web requests that no SDK client makes, such as those to an API."""

from __future__ import annotations

from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.account import AccessKeys


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    keys: AccessKeys,
    *,
    region: str,
    service: str = "execute-api",
) -> dict[str, str]:
    """The headers with a signature added to them; ``url`` is where the request really goes."""
    request = AWSRequest(method=method, url=url, headers=dict(headers), data=body or None)
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
    SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers.items())

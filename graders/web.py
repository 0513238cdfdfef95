"""Web requests to the APIs and function URLs of the stack under test, and to nothing else."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from graders.errors import ResourceNotFound
from sandbox.account import AccessKeys, Account
from sandbox.signing import signed

# What a template may give as the address of an API: the grader calls no other host for a learner.
_OF_AWS = re.compile(r"[a-z0-9]+\.(execute-api\.[a-z0-9-]+\.amazonaws\.com|lambda-url\.[a-z0-9-]+\.on\.aws)")
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_TIMEOUT_S = 35.0  # An API waits 30 seconds for its function.


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """An answer as it came. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def describe(self) -> str:
        """Status and the beginning of the body, for evidence."""
        text = self.body[:160].decode("utf-8", "replace")
        return f"{self.status} {text}".strip()


def ask(
    account: Account,
    method: str,
    address: str,
    headers: Mapping[str, str],
    body: bytes,
    keys: AccessKeys | None = None,
    client: str = "",
) -> WebAnswer:
    """Send one request to an address of the stack, signed if there are keys; redirects are not followed.

    ``client`` keeps what a name of the account's hosted zones was last told to be for its time to live.

    Raises:
        ResourceNotFound: it is not the https address of an API, a function URL or a name of the account's.
        OSError: nobody answered.
    """
    named = urlsplit(address)
    url = _reachable(account, address, client) if named.scheme == "https" else ""
    if not url:
        raise ResourceNotFound(
            f"`{address}` is not the address of an API or a function URL.",
            hint="It begins with https:// and names {api}.execute-api.{region}.amazonaws.com,"
            " {id}.lambda-url.{region}.on.aws or a name in a hosted zone of the account.",
            look=("Outputs in template.yaml",),
        )
    if keys is not None:
        headers = signed(method, url, headers, body, keys, region=account.region)
    target = urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(target.hostname), target.port, timeout=_TIMEOUT_S)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    try:
        connection.request(method, path, body=body or None, headers=dict(headers))
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return WebAnswer(answer.status, told, answer.read())
    finally:
        connection.close()


def _reachable(account: Account, address: str, client: str) -> str:
    """Where an address of the account's answers; empty for any other."""
    host = urlsplit(address).netloc.lower()
    if _OF_AWS.fullmatch(host):
        return account.url(address)
    url = account.url(address, client) if _NAME.fullmatch(host) else address
    known = url != address and urlsplit(url).path.startswith("/_aws/name/")
    return url if known else ""

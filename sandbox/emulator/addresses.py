"""AWS addresses, as ones that answer on this machine."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_API = re.compile(r"(?P<api>[a-z0-9]+)\.execute-api\.[a-z0-9\-]+\.amazonaws\.com")
_FUNCTION = re.compile(r"(?P<id>[a-z0-9]+)\.lambda-url\.[a-z0-9\-]+\.on\.aws")
_BUCKET = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.\-]+)\.s3[.\-](?:[a-z0-9\-]+\.)?amazonaws\.com")
_SERVICE = re.compile(r"(?:s3|sqs|sns|dynamodb|lambda|[a-z0-9\-]+)(?:[.\-][a-z0-9\-]+)?\.amazonaws\.com")


def local(address: str, port: int) -> str:
    """``address`` (execute-api, function URL, bucket, queue) as a URL of the gateway on ``port``.

    An address that is not one of AWS comes back unchanged; one that begins with ``wss`` is a WebSocket's.
    """
    parts = urlsplit(address if "://" in address else f"https://{address}")
    host = (parts.hostname or "").lower()
    path = parts.path or "/"
    if found := _API.fullmatch(host):
        prefix = f"/_aws/execute-api/{found['api']}"
    elif found := _FUNCTION.fullmatch(host):
        prefix = f"/_aws/lambda-url/{found['id']}"
    elif found := _BUCKET.fullmatch(host):
        prefix = f"/{found['bucket']}"
    elif _SERVICE.fullmatch(host):
        prefix = ""
    else:
        return address
    return urlunsplit(
        (_scheme(parts.scheme), f"127.0.0.1:{port}", f"{prefix}{path}", parts.query, parts.fragment)
    )


def named(address: str, port: int, client: str = "") -> str:
    """``address``, at a name of the account's own zones, as a URL of the gateway on ``port``.

    ``client`` keeps what it was told of the name as long as the time to live says; without, nobody does.
    """
    parts = urlsplit(address if "://" in address else f"https://{address}")
    host = (parts.hostname or "").lower()
    path = f"/_aws/name/{client}/{host}{parts.path or '/'}"
    return urlunsplit((_scheme(parts.scheme), f"127.0.0.1:{port}", path, parts.query, parts.fragment))


def _scheme(given: str) -> str:
    return "ws" if given in ("ws", "wss") else "http"

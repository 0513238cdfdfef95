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

    An address that is not one of AWS comes back unchanged.
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
    return urlunsplit(("http", f"127.0.0.1:{port}", f"{prefix}{path}", parts.query, parts.fragment))

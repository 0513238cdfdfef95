"""Links to S3 of Signature Version 2: what boto3 and version 1 of `aws` make by default in us-east-1.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import unquote

from sandbox.emulator.gateway.requests import HttpRequest

# The parameters that are part of what a request is about, and so are signed.
_SIGNED = frozenset(
    [
        "acl",
        "cors",
        "delete",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "partNumber",
        "policy",
        "requestPayment",
        "restore",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
    ]
)


# The signature itself, what stands for headers, and how to list: all else would be another operation.
_FREE = re.compile(
    r"AWSAccessKeyId|Signature|Expires|x-amz-[\w-]+|content-(type|md5)|x-id|prefix|delimiter|marker|list-type"
    r"|continuation-token|start-after|encoding-type|fetch-owner|[a-z-]+-marker|max-(keys|uploads|parts)|",
    re.IGNORECASE,
)


def names_more(request: HttpRequest) -> bool:
    """Whether a request was made another one by something that the signature does not cover."""
    names = (part.partition("=")[0] for part in request.query.split("&"))
    return any(not _FREE.fullmatch(name) and name not in _SIGNED for name in names)


def is_old_link(query: Mapping[str, str]) -> bool:
    """Whether a request carries such a signature."""
    return {"AWSAccessKeyId", "Signature", "Expires"} <= query.keys()


def signature(request: HttpRequest, secret: str) -> str:
    """What the link's signature has to be."""
    query = dict(request.parameters)
    # What was signed of the headers stands in the link; whoever follows it may send them as well.
    headers = {name.lower(): value for name, value in query.items()} | dict(request.headers)
    amazons = sorted(name for name in headers if name.startswith("x-amz-"))
    text = "\n".join(
        (
            request.method,
            headers.get("content-md5", ""),
            headers.get("content-type", ""),
            query["Expires"],
            *(f"{name}:{headers[name].strip()}" for name in amazons),
            _resource(request),
        )
    )
    made = hmac.new(secret.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha1)
    return base64.b64encode(made.digest()).decode()


def _resource(request: HttpRequest) -> str:
    pairs = [part.partition("=") for part in request.query.split("&")]
    signed = sorted((name, value) for name, _, value in pairs if name in _SIGNED)
    shown = "&".join(f"{name}={unquote(value)}" if value else name for name, value in signed)
    path = request.path_style().path
    return f"{path}?{shown}" if shown else path

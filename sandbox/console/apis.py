"""APIs and function URLs: what they answer to, and calling them. No other address can be called."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from sandbox.account import Account
from sandbox.console.refusals import Refused, asks
from sandbox.errors import AccountUnavailable

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_TIMEOUT_S = 35.0
_SHOWN_BYTES = 200_000
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "expect"})


@dataclass(frozen=True, slots=True)
class Api:
    """Something of the stack that answers HTTP at ``host``, below ``base``."""

    id: str
    name: str
    kind: str
    host: str
    base: str
    routes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Answer:
    """What it answered."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: str
    cut: bool


@asks
def rest_api(account: Account, api_id: str) -> list[Api]:
    """A REST API, once a stage."""
    client = account.client("apigateway")
    name = client.get_rest_api(restApiId=api_id)["name"]
    routes = tuple(
        f"{method} {item['path']}"
        for page in client.get_paginator("get_resources").paginate(restApiId=api_id)
        for item in sorted(page["items"], key=lambda each: each["path"])
        for method in sorted(item.get("resourceMethods", ()))
    )
    host = f"{api_id}.execute-api.{account.region}.amazonaws.com"
    return [
        Api(f"{api_id}/{stage['stageName']}", name, "REST", host, f"/{stage['stageName']}", routes)
        for stage in client.get_stages(restApiId=api_id)["item"]
    ]


@asks
def http_api(account: Account, api_id: str) -> list[Api]:
    """An HTTP API, once a stage."""
    client = account.client("apigatewayv2")
    found = client.get_api(ApiId=api_id)
    if found["ProtocolType"] != "HTTP":
        return []
    routes = tuple(sorted(item["RouteKey"] for item in client.get_routes(ApiId=api_id)["Items"]))
    host = f"{api_id}.execute-api.{account.region}.amazonaws.com"
    return [
        Api(
            f"{api_id}/{stage['StageName']}",
            found["Name"],
            "HTTP",
            host,
            "" if stage["StageName"] == "$default" else f"/{stage['StageName']}",
            routes,
        )
        for stage in client.get_stages(ApiId=api_id)["Items"]
    ]


@asks
def function_url(account: Account, function: str) -> list[Api]:
    """A function's URL, if it has one."""
    client = account.client("lambda")
    listed = client.list_function_url_configs(FunctionName=function)["FunctionUrlConfigs"]
    name = function.rpartition(":")[2]
    return [
        Api(urlsplit(each["FunctionUrl"]).netloc, name, "URL", urlsplit(each["FunctionUrl"]).netloc, "")
        for each in listed
    ]


def call(
    account: Account, api: Api, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    """Call it, as anybody without keys would.

    The account's own port is asked and nothing else: the path can't name a host, and redirects are shown
    and not followed.

    Raises:
        Refused: method, path or a header can't be sent.
        AccountUnavailable: nobody answered.
    """
    if method not in METHODS:
        raise Refused(f"The method is one of {', '.join(METHODS)}.")
    if not path.startswith("/"):
        raise Refused("The path begins with /.")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS or re.search(r"[\r\n\0]", value):
            raise Refused(f"The header {name!r} can't be sent from here.")
    target = quote(f"{api.base}{path}", safe="/?&=%:@!$'()*+,;~-._")
    at = urlsplit(account.endpoint_url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=_TIMEOUT_S)
    try:
        connection.request(method, target, body or None, {**headers, "Host": api.host})
        answered = connection.getresponse()
        read = answered.read(_SHOWN_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise AccountUnavailable(f"Nothing answered within {_TIMEOUT_S:.0f} s: {error}") from error
    finally:
        connection.close()
    return Answer(
        answered.status,
        answered.reason,
        answered.getheaders(),
        read[:_SHOWN_BYTES].decode("utf-8", "replace"),
        len(read) > _SHOWN_BYTES,
    )

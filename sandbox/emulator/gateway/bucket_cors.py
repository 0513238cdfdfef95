"""What buckets let browsers do for pages of other origins.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from moto.s3.models import s3_backends

from sandbox.emulator.calls import AwsError
from sandbox.emulator.gateway.requests import HttpAnswer, HttpRequest

_ASKED = "access-control-request-method"
_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a bucket; header names in lower case where they are compared."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age_s: str

    def allows(self, origin: str, method: str, headers: Iterable[str]) -> bool:
        """Whether a request of this kind may be made."""
        return (
            method in self.methods
            and any(_fits(pattern, origin) for pattern in self.origins)
            and all(any(_fits(pattern, name) for pattern in self.headers) for name in headers)
        )


def is_preflight(request: HttpRequest) -> bool:
    """Whether a browser asks whether it may ask."""
    return request.method == "OPTIONS" and _ASKED in request.headers and "origin" in request.headers


def find_rules(request: HttpRequest) -> tuple[Rule, ...] | None:
    """The rules of the bucket that a request is for, None if it is for none. Hold the dispatch lock."""
    name = request.path_style().path.lstrip("/").partition("/")[0]
    _, owner = s3_backends.bucket_accounts.get(name, ("aws", ""))
    bucket = s3_backends[owner]["aws"].buckets.get(name) if owner else None
    return None if bucket is None else tuple(_read(rule) for rule in bucket.cors or ())


def preflight(request: HttpRequest, rules: Sequence[Rule]) -> HttpAnswer:
    """The answer to a browser that asks whether it may ask.

    Raises:
        AwsError: it may not.
    """
    method, origin = request.headers[_ASKED], request.headers["origin"]
    asked = request.headers.get("access-control-request-headers", "")
    headers = [name.strip().lower() for name in asked.split(",") if name.strip()]
    if not rules:
        raise _refused("CORS is not enabled for this bucket.", request, method)
    for rule in rules:
        if rule.allows(origin, method, headers):
            more = (("Access-Control-Allow-Headers", ", ".join(headers)),) if headers else ()
            return HttpAnswer(200, (*_told(rule, origin), *more), b"")
    raise _refused(
        "This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
        "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the "
        "resource's CORS spec.",
        request,
        method,
    )


def allowed(request: HttpRequest, rules: Sequence[Rule], answer: HttpAnswer) -> HttpAnswer:
    """An answer with what lets the page that asked read it."""
    origin = request.headers["origin"]
    rule = next((rule for rule in rules if rule.allows(origin, request.method, ())), None)
    if rule is None:
        return answer
    kept = tuple(each for each in answer.headers if not each[0].lower().startswith("access-control-"))
    return replace(answer, headers=(*kept, *_told(rule, origin)))


def _told(rule: Rule, origin: str) -> tuple[tuple[str, str], ...]:
    anybody = "*" in rule.origins
    found = [
        ("Access-Control-Allow-Origin", "*" if anybody else origin),
        ("Access-Control-Allow-Methods", ", ".join(rule.methods)),
        ("Access-Control-Expose-Headers", ", ".join(rule.exposed)),
        ("Access-Control-Max-Age", rule.max_age_s),
        ("Access-Control-Allow-Credentials", "" if anybody else "true"),
        ("Vary", _VARY),
    ]
    return tuple((name, value) for name, value in found if value)


def _read(rule: Any) -> Rule:
    return Rule(
        _several(rule.allowed_origins),
        _several(rule.allowed_methods),
        tuple(name.lower() for name in _several(rule.allowed_headers)),
        _several(rule.exposed_headers),
        str(rule.max_age_seconds or ""),
    )


def _several(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(str(each) for each in given or ())


def _fits(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text))


def _refused(why: str, request: HttpRequest, method: str) -> AwsError:
    kind = "OBJECT" if request.path_style().path.strip("/").count("/") else "BUCKET"
    return AwsError("AccessForbidden", f"CORSResponse: {why}", 403, Method=method, ResourceType=kind)

"""Browsers' pages of other origins get from buckets what these allow."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.config import Config

from tests.emulator.gateway.conftest import Connect

PAGE = "https://shop.example.com"


def browse(
    url: str, method: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of what a page gets; underscores are hyphens."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, fields, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode()


@pytest.fixture
def s3(connect: Connect) -> Any:
    client = connect("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    client.create_bucket(Bucket="uploads", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    return client


@pytest.fixture
def link(s3: Any) -> str:
    """A link by which anybody may put an object."""
    return str(s3.generate_presigned_url("put_object", {"Bucket": "uploads", "Key": "cat.png"}))


def allow(s3: Any, *rules: dict[str, Any]) -> None:
    s3.put_bucket_cors(Bucket="uploads", CORSConfiguration={"CORSRules": list(rules)})


def ask(link: str, origin: str = PAGE, method: str = "PUT", headers: str = "content-type") -> Any:
    asked = {"Access_Control_Request_Method": method, "Access_Control_Request_Headers": headers}
    return browse(link, "OPTIONS", Origin=origin, **asked)


def test_a_page_may_do_what_a_rule_allows(s3: Any, link: str) -> None:
    allow(
        s3,
        {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]},
        {
            "AllowedMethods": ["PUT", "POST"],
            "AllowedOrigins": ["https://*.example.com"],
            "AllowedHeaders": ["Content-*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 600,
        },
    )
    status, headers, _ = ask(link)
    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-methods"] == "PUT, POST"
    assert headers["access-control-allow-headers"] == "content-type"
    assert (headers["access-control-max-age"], headers["access-control-allow-credentials"]) == ("600", "true")

    status, headers, _ = browse(link, "PUT", b"meow", Origin=PAGE)
    assert (status, headers["access-control-allow-origin"]) == (200, PAGE)
    assert headers["access-control-expose-headers"] == "ETag"
    read = s3.generate_presigned_url("get_object", {"Bucket": "uploads", "Key": "cat.png"})
    status, headers, body = browse(read, "GET", Origin="https://elsewhere.example.org")
    assert (status, headers["access-control-allow-origin"], body) == (200, "*", "meow")
    assert "access-control-allow-credentials" not in headers
    assert "access-control-allow-origin" not in browse(read, "GET")[1]


@pytest.mark.parametrize(
    "asked",
    [
        {"origin": "https://shop.example.org"},
        {"method": "DELETE"},
        {"headers": "content-type, x-amz-meta-a"},
    ],
)
def test_a_page_may_do_nothing_else(s3: Any, link: str, asked: dict[str, str]) -> None:
    allow(
        s3,
        {"AllowedMethods": ["PUT"], "AllowedOrigins": [PAGE], "AllowedHeaders": ["content-type"]},
    )
    assert ask(link)[0] == 200
    status, headers, body = ask(link, **asked)
    assert status == 403
    assert re.search("<Code>AccessForbidden</Code><Message>CORSResponse: This CORS request is not", body)
    assert "access-control-allow-origin" not in headers


def test_a_bucket_without_rules_allows_nothing(s3: Any, link: str) -> None:
    status, _, body = ask(link)
    assert (status, "CORS is not enabled for this bucket." in body) == (403, True)
    status, headers, _ = browse(link, "PUT", b"meow", Origin=PAGE)
    assert (status, "access-control-allow-origin" in headers) == (200, False)

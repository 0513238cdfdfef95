"""DNS messages inside an environment, and whose the sockets are that they come to."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

import pytest

from sandbox.isolation import names

A, AAAA, MX, ANY = 1, 28, 15, 255


def query(name: str, kind: int = A, *, flags: int = 0x0100, questions: int = 1, of_class: int = 1) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    return (
        struct.pack(">HHHHHH", 7, flags, questions, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, of_class)
    )


def read(message: bytes | None) -> tuple[int, int, list[str]]:
    """Number, code and addresses."""
    assert message is not None
    number, flags, questions, answers, _authorities, _more = struct.unpack_from(">HHHHHH", message)
    assert flags & 0x8000
    found = []
    if answers:
        assert (questions, answers) == (1, 1)
        pointer, kind, of_class, _ttl, length = struct.unpack_from(">HHHIH", message, len(message) - 16)
        assert (pointer, kind, of_class, length) == (0xC00C, A, 1, 4)
        found.append(socket.inet_ntoa(message[-4:]))
    return number, flags & 15, found


@pytest.mark.parametrize(
    "name",
    [
        "sqs.eu-north-1.amazonaws.com",
        "orders.s3.dualstack.eu-north-1.amazonaws.com",
        "a1b2c3.execute-api.eu-north-1.amazonaws.com",
        "abc.lambda-url.eu-north-1.on.aws",
        "lambda.eu-north-1.api.aws",
        "STS.AmazonAWS.com.",
    ],
)
def test_names_of_aws_lead_to_this_environment(name: str) -> None:
    assert read(names.answer(query(name))) == (7, 0, ["127.0.0.1"])
    assert read(names.answer(query(name, ANY))) == (7, 0, ["127.0.0.1"])


def test_they_have_an_address_of_version_4_and_nothing_else() -> None:
    for kind in (AAAA, MX):
        assert read(names.answer(query("s3.amazonaws.com", kind))) == (7, 0, [])
    assert read(names.answer(query("s3.amazonaws.com", of_class=3))) == (7, 0, [])


@pytest.mark.parametrize(
    "name",
    ["example.com", "amazonaws.com", "notamazonaws.com", "s3.amazonaws.com.cn", "amazonaws.com.evil.org", ""],
)
def test_other_names_do_not_exist(name: str) -> None:
    assert read(names.answer(query(name))) == (7, 3, [])


def test_the_question_comes_back_as_it_was_asked() -> None:
    asked = query("S3.AmaZonAws.com")
    said = names.answer(asked)
    assert said is not None
    assert said[12 : len(asked)] == asked[12:]


def test_what_is_no_query_is_refused_or_passed_over() -> None:
    assert names.answer(b"") is None
    assert names.answer(query("s3.amazonaws.com", flags=0x8000)) is None
    assert read(names.answer(query("s3.amazonaws.com", flags=0x2800))) == (7, 4, [])
    for broken in (
        query("s3.amazonaws.com", questions=0),
        query("s3.amazonaws.com", questions=2),
        query("s3.amazonaws.com")[:-3],
        query("s3.amazonaws.com")[:12],
        query("")[:12] + b"\xc0\x0c\x00\x01\x00\x01",
        query(".".join(["a" * 63] * 5) + ".amazonaws.com"),
    ):
        assert read(names.answer(broken)) == (7, 1, [])


def test_no_message_whatever_breaks_it() -> None:
    for length in range(600):
        names.answer(os.urandom(length))
        names.answer(query("s3.amazonaws.com")[:12] + os.urandom(length))


CALLING = """
import os, socket
for kind, port in ((socket.SOCK_STREAM, 53), (socket.SOCK_STREAM, 443)):
    socket.socket(type=kind).connect(("127.0.0.1", port))
print("called", flush=True)
import time
while True: time.sleep(60)
"""


def test_what_one_environment_calls_comes_to_no_other(isolated: Any) -> None:
    other, caller = isolated.start("import time\nwhile True: time.sleep(60)"), isolated.start(CALLING)
    assert isolated.ask("printed", name=caller, timeout_s=20)["value"]
    assert isolated.ask("called", name=caller) == {"dns_stream": True, "tls": True}
    assert isolated.ask("called", name=other) == {"dns_stream": False, "tls": False}
    for name in (other, caller):
        isolated.ask("kill", name=name)


def test_a_name_outside_is_refused_at_once(isolated: Any) -> None:
    code = """
import json, socket, time
began, said = time.monotonic(), {}
for name in ("sqs.eu-north-1.amazonaws.com", "example.com", "localhost"):
    try:
        said[name] = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)[0][4]
    except OSError as error:
        said[name] = "no such name"
print(json.dumps({**said, "quick": time.monotonic() - began < 4}), flush=True)
"""
    assert isolated.observe(code) == {
        "sqs.eu-north-1.amazonaws.com": ["127.0.0.1", 443],
        "example.com": "no such name",
        "localhost": ["127.0.0.1", 443],
        "quick": True,
    }

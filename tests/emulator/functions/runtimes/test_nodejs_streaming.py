"""Streaming handlers in Node.js, as their responses arrive at a caller that takes them whole or in parts."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.emulator.functions.runtimes.conftest import LanguageAccount

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def stream(functions: LanguageAccount, **event: Any) -> tuple[bytes, dict[str, Any]]:
    """Everything that was streamed, and how it ended."""
    told = functions.api.invoke_with_response_stream(FunctionName="fn", Payload=json.dumps(event).encode())
    body, end = b"", {}
    for part in told["EventStream"]:
        if "PayloadChunk" in part:
            body += part["PayloadChunk"]["Payload"]
        else:
            end = part["InvokeComplete"]
    return body, end


WAYS = {
    "texts, bytes and objects": (
        "response.write('a'); response.write(Buffer.from('b')); response.write({ c: 1 }); response.end()",
        b'ab{"c":1}',
    ),
    "a last word": ("response.write('a'); response.end('b')", b"ab"),
    "a pipeline": (
        "await require('stream/promises').pipeline(require('stream').Readable.from(['x', 'y']), response)",
        b"xy",
    ),
    "more than fits into buffers": (
        "for (let i = 0; i < 40; i++) if (!response.write('x'.repeat(1 << 16))) "
        "await new Promise((done) => response.once('drain', done)); response.end()",
        b"x" * (40 << 16),
    ),
    "metadata": (
        "const http = awslambda.HttpResponseStream.from(response, { statusCode: 201 }); "
        "http.write('made'); http.end()",
        b'{"statusCode":201}' + bytes(8) + b"made",
    ),
}


@pytest.mark.parametrize(("code", "expected"), WAYS.values(), ids=WAYS.keys())
def test_a_response_is_streamed_by(functions: LanguageAccount, code: str, expected: bytes) -> None:
    functions.node(f"exports.handler = awslambda.streamifyResponse(async (event, response) => {{ {code} }})")
    body, end = stream(functions)
    assert body == expected
    assert "ErrorCode" not in end


FAILURES = {
    "an error after the beginning": (
        "async (event, response) => { response.write('half'); throw new TypeError('broke') }",
        b"half",
        "broke",
    ),
    "an error before it": (
        "async (event, response) => { throw new TypeError('broke') }",
        b"",
        "broke",
    ),
    "no promise": (
        "(event, response) => { response.write('x') }",
        b"x",
        "Streaming does not support non-async handlers.",
    ),
    "a content type that comes too late": (
        "async (event, response) => { response.write('x'); response.setContentType('text/plain') }",
        b"x",
        "Cannot set content-type, too late.",
    ),
}


@pytest.mark.parametrize(("handler", "expected", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_a_stream_fails_by(functions: LanguageAccount, handler: str, expected: bytes, words: str) -> None:
    functions.node(f"exports.handler = awslambda.streamifyResponse({handler})")
    body, end = stream(functions)
    assert body == expected
    assert words in end["ErrorDetails"]
    assert any("Invoke Error" in line and words in line for line in functions.logs())


def test_the_environment_serves_on_after_streams_and_failures(functions: LanguageAccount) -> None:
    functions.node(
        """
        let count = 0
        exports.handler = awslambda.streamifyResponse(async (event, response) => {
          count++
          if (event.fails) throw new Error('no')
          response.end(String(count))
        }, { highWaterMark: 1024 })
        """
    )
    assert [stream(functions, fails=fails)[0] for fails in (False, True, False)] == [b"1", b"", b"3"]

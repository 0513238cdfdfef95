"""OTLP as it comes off the wire from code that nobody vouches for, and the segments that spans become."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import time
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.emulator.telemetry.otlp import receiver, spans
from sandbox.emulator.telemetry.otlp.receiver import Export, Reply
from sandbox.emulator.telemetry.otlp.segments import segment
from sandbox.emulator.telemetry.otlp.spans import Span
from sandbox.emulator.telemetry.otlp.wire import Malformed

TRACE, SPAN, PARENT = "5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8", "70de5b6f19ff9a0a"
NOW = int(time.time())
BINARY, JSON = "application/x-protobuf", "application/json"


def _field(number: int, content: bytes | int) -> bytes:
    """One field of a message: text or another message, or a number of 64 bits."""
    if isinstance(content, int):
        return _varint(number << 3 | 1) + struct.pack("<Q", content)
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    head = b""
    while value > 0x7F:
        head += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return head + bytes((value,))


def _request(span: bytes) -> bytes:
    return _field(1, _field(2, _field(2, span)))


def _attribute(key: str, value: bytes) -> bytes:
    return _field(9, _field(1, key.encode()) + _field(2, value))


WHOLE = _request(
    _field(1, bytes.fromhex(TRACE))
    + _field(2, bytes.fromhex(SPAN))
    + _field(5, b"charge")
    + b"\x30\x03"  # kind: client
    + _field(7, NOW * 10**9)
    + _field(8, NOW * 10**9 + 500_000_000)
    + _attribute("attempt", b"\x18" + b"\xff" * 9 + b"\x01")  # -1
    + _attribute("share", b"\x21" + struct.pack("<d", 0.5))
    + _attribute("tags", _field(5, _field(1, _field(1, b"a")) + _field(1, b"\x10\x01")))
    + b"\xba\x3e\x02hi"  # a field of the future
)


def _answer(body: bytes, kind: str = BINARY, **given: Any) -> tuple[Reply, list[Span], list[str]]:
    taken: list[Span] = []
    dropped: list[str] = []
    headers = {"content-type": kind} | given.pop("headers", {})
    export = Export(given.get("method", "POST"), given.get("path", "/v1/traces"), headers, body)
    return receiver.answer(export, taken.extend, dropped.append), taken, dropped


def test_protocol_buffers_say_what_they_say() -> None:
    reply, [span], _ = _answer(WHOLE)
    assert reply == Reply(200, b"", BINARY)
    assert (span.trace_id, span.span_id, span.parent_id, span.name) == (TRACE, SPAN, "", "charge")
    assert (span.kind, span.start, span.end) == (spans.CLIENT, NOW, NOW + 0.5)
    assert span.attributes == {"attempt": -1, "share": 0.5, "tags": ["a", True]}


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_compressed_requests_are_taken(coding: str, pack: Any) -> None:
    reply, taken, _ = _answer(pack(WHOLE), headers={"content-encoding": coding})
    assert (reply.status, len(taken)) == (200, 1)


def _deep(depth: int) -> bytes:
    value = _field(1, b"x")
    for _ in range(depth):
        value = _field(5, _field(1, value))
    return _request(_attribute("deep", value))


@pytest.mark.parametrize(
    ("body", "kind", "coding", "why"),
    [
        (b"\x0b", BINARY, "", "wire type 3"),
        (WHOLE[:-1], BINARY, "", "EOF"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", BINARY, "", "overflow"),
        (b"\x08\x01", BINARY, "", "resourceSpans of ExportTraceServiceRequest has the wrong wire type"),
        (_request(_field(1, b"short")), BINARY, "", "traceId"),
        (_deep(200), BINARY, "", "deep"),
        (_deep(14), BINARY, "", "deep"),
        (_field(1, b"") * 300_000, BINARY, "", "values"),
        (_request(b"")[:2] + b"", BINARY, "", "EOF"),
        (_field(1, _field(2, _field(2, b"") * 10_001)), BINARY, "", "spans"),
        (b"no gzip", BINARY, "gzip", "incorrect header"),
        (gzip.compress(WHOLE)[:-9], BINARY, "gzip", "EOF"),
        (gzip.compress(bytes(9 * 1024 * 1024)), BINARY, "gzip", "too large"),
        (WHOLE, BINARY, "zstd", "unsupported Content-Encoding: zstd"),
        (b"{", JSON, "", "line 1 column 2"),
        (b"[" * 100_000, JSON, "", "deep"),
        (b"[]", JSON, "", "no object"),
        (b'{"resourceSpans": 7}', JSON, "", "resourceSpans"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": {}}]}]}]}', JSON, "", "no integer"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"endTimeUnixNano": "-1"}]}]}]}', JSON, "", "time"),
        (b'{"resourceSpans": "\xff"}', JSON, "", "codec"),
    ],
)
def test_what_can_t_be_read_is_refused_as_the_collector_does(
    body: bytes, kind: str, coding: str, why: str
) -> None:
    reply, taken, [told] = _answer(body, kind, headers={"content-encoding": coding})
    assert (reply.status, reply.content_type, taken) == (400, kind, [])
    assert why in told
    if kind == JSON:
        assert json.loads(reply.body)["code"] == 3
    else:
        assert reply.body.startswith(b"\x08\x03\x12")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"path": "/"}, 404),
        ({"method": "GET"}, 405),
        ({"kind": "text/plain"}, 415),
        ({"path": "/v1/metrics"}, 200),
        ({"path": "/v1/logs"}, 200),
    ],
)
def test_other_requests_are_answered_as_the_collector_does(given: dict[str, str], status: int) -> None:
    reply, taken, dropped = _answer(b"", **given)
    assert (reply.status, taken) == (status, [])
    assert len(dropped) == (status == 200)  # Signals that nobody keeps are told of.


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))))
def test_no_bytes_whatsoever_do_more_than_be_refused(given: bytes | tuple[int, int]) -> None:
    if isinstance(given, bytes):
        bodies = [given, WHOLE[:40] + given]
    else:
        place, byte = given
        bodies = [WHOLE[:place] + bytes((byte,)) + WHOLE[place + 1 :]]
    for body in bodies:
        try:
            for span in spans.read(body, as_json=False):
                json.dumps(segment(span))
        except Malformed:
            continue


def _json_span(**given: Any) -> Span:
    attributes = [{"key": key, "value": _any(value)} for key, value in given.pop("attributes", {}).items()]
    resource = [{"key": key, "value": _any(value)} for key, value in given.pop("resource", {}).items()]
    span = {
        "traceId": TRACE.upper(),
        "spanId": SPAN,
        "name": "work",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": 1700000001000000000,
        "attributes": attributes,
        **given,
    }
    request = {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"spans": [span]}]}]}
    [found] = spans.read(json.dumps(request).encode(), as_json=True)
    return found


def _any(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any(each) for each in value]}}
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {kinds[type(value)]: str(value) if type(value) is int else value}


# Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/awsxrayexporter
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"kind": 2, "parentSpanId": PARENT, "resource": {"service.name": "shop"}},
            {"name": "shop", "type": None},
        ),
        ({"kind": 1, "parentSpanId": PARENT}, {"name": "work", "type": "subsegment", "namespace": None}),
        ({"kind": 3, "parentSpanId": PARENT}, {"type": "subsegment", "namespace": "remote"}),
        ({"kind": 5, "parentSpanId": PARENT}, {"type": "subsegment", "namespace": None}),
        ({"kind": 3}, {"type": None, "namespace": "remote"}),
        ({"kind": "SPAN_KIND_CLIENT"}, {"namespace": "remote"}),
        (
            {"kind": 3, "attributes": {"peer.service": "bank", "aws.service": "S3"}},
            {"name": "bank", "namespace": "remote"},
        ),
        ({"kind": 3, "attributes": {"aws.service": "S3"}}, {"name": "S3", "namespace": "aws"}),
        (
            {
                "kind": 3,
                "attributes": {"rpc.system": "aws-api", "rpc.service": "SQS", "rpc.method": "SendMessage"},
            },
            {"name": "SQS", "namespace": "aws"},
        ),
        (
            {
                "kind": 3,
                "attributes": {"db.name": "shop", "db.connection_string": "jdbc:mysql://db.example.com:3306"},
            },
            {"name": "shop@db.example.com"},
        ),
        ({"kind": 3, "attributes": {"http.host": "api.example.com"}}, {"name": "api.example.com"}),
        ({"name": "GET /{order}?"}, {"name": "GET /order"}),
        ({"name": "{}"}, {"name": "span"}),
        ({"status": {"code": 2}}, {"fault": True, "error": None, "cause": None}),
        ({"status": {"code": "STATUS_CODE_ERROR"}}, {"fault": True}),
        ({"attributes": {"http.status_code": 404}}, {"error": True, "fault": None}),
        (
            {"status": {"code": 2}, "attributes": {"http.status_code": 429}},
            {"error": True, "throttle": True, "fault": None},
        ),
        ({"attributes": {"http.response.status_code": 503}}, {"fault": True}),
        ({"attributes": {"http.status_code": 200}, "status": {"code": 1}}, {"fault": None, "error": None}),
        ({"attributes": {"enduser.id": "ann"}}, {"user": "ann"}),
        ({"attributes": {"aws.xray.inprogress": True}}, {"in_progress": True, "end_time": None}),
        (
            {"attributes": {"a.b": 1, "c": "x", "aws.xray.annotations": ["a.b"]}},
            {"annotations": {"a_b": 1}, "metadata": {"default": {"c": "x"}}},
        ),
        ({"attributes": {"aws.xray.metadata.own": '{"k": 1}'}}, {"metadata": {"own": {"k": 1}}}),
        (
            {
                "resource": {
                    "cloud.provider": "aws",
                    "cloud.platform": "aws_ecs",
                    "aws.ecs.launchtype": "fargate",
                }
            },
            {"origin": "AWS::ECS::Fargate"},
        ),
        ({"resource": {"cloud.provider": "gcp"}}, {"origin": None, "aws": None}),
        ({"resource": {"service.version": "7"}}, {"service": {"version": "7"}}),
        (
            {"links": [{"traceId": "0" * 8 + "1" * 24, "spanId": PARENT}]},
            {"links": [{"trace_id": "1-00000000-" + "1" * 24, "id": PARENT}]},
        ),
        (
            {
                "kind": 2,
                "attributes": {
                    "http.method": "GET",
                    "http.scheme": "https",
                    "http.host": "a.example",
                    "http.target": "/b",
                },
            },
            {"http": {"request": {"method": "GET", "url": "https://a.example/b"}}},
        ),
        (
            {"attributes": {"db.system": "mysql", "db.statement": "select ?", "db.user": "me"}},
            {"sql": {"database_type": "mysql", "sanitized_query": "select ?", "user": "me"}},
        ),
    ],
)
def test_a_span_becomes_the_segment_of_the_collector(given: dict[str, Any], expected: dict[str, Any]) -> None:
    made = segment(_json_span(**given))
    assert {name: made.get(name) for name in expected} == expected
    assert made["trace_id"] == f"1-{TRACE[:8]}-{TRACE[8:]}"
    assert made["start_time"] == 1_700_000_000.0


def test_what_aws_is_told_of() -> None:
    made = segment(
        _json_span(
            kind=3,
            attributes={
                "rpc.system": "aws-api",
                "rpc.method": "PutItem",
                "aws.region": "eu-west-1",
                "aws.request_id": "r",
                "aws.dynamodb.table_names": ["orders"],
                "aws.queue.url": "https://sqs/q",
            },
            resource={"cloud.account.id": "123456789012", "telemetry.sdk.name": "opentelemetry"},
        )
    )
    xray = made["aws"].pop("xray")
    assert xray == {"sdk": "opentelemetry", "auto_instrumentation": False}
    assert made["aws"] == {
        "account_id": "123456789012",
        "operation": "PutItem",
        "remote_region": "eu-west-1",
        "request_id": "r",
        "table_name": "orders",
        "queue_url": "https://sqs/q",
    }


def test_spans_with_ids_of_w3c_are_found_and_others_that_break_are_dropped(traced: Any) -> None:
    """The sample's id begins with no time at all; without a collector spans come by datagram."""
    code = """
        import base64, http.client, json, os, socket, time
        def handler(event, context):
            root, parent = [part.split("=")[1] for part in os.environ["_X_AMZN_TRACE_ID"].split(";")[:2]]
            now = str(time.time_ns())
            span = {"traceId": "ffffffffffffffffffffffffffffffff", "spanId": "aaaaaaaaaaaaaaaa",
                    "name": "w3c", "kind": 2, "startTimeUnixNano": now, "endTimeUnixNano": now}
            huge = span | {"spanId": "bbbbbbbbbbbbbbbb", "name": "x" * 10, "attributes":
                           [{"key": str(n), "value": {"stringValue": "y" * 1000}} for n in range(70)]}
            nobody = span | {"spanId": ""}
            body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span, huge, nobody]}]}]})
            connection = http.client.HTTPConnection("localhost", 4318)
            said = []
            for sent in (body, body[:-1]):
                connection.request("POST", "/v1/traces", sent, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                said.append([answer.status, json.loads(answer.read())])
            daemon = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for sent in event:
                daemon.sendto(b'{"format": "json", "version": 1}\\n' + sent.encode(), ("127.0.0.1", 2000))
            return said
    """
    traced.create(code, TracingConfig={"Mode": "Active"})
    now = traced.core.clock.now()
    datagrams = [
        "T1U" + base64.b64encode(WHOLE.replace(b"charge", b"hidden")).decode(),
        "T1S" + base64.b64encode(WHOLE).decode(),
        "T1Sno base64",
        "M1AA",
        "T1S" + base64.b64encode(b"x").decode(),
    ]

    said = json.loads(_invoke(traced, json.dumps(datagrams)))

    assert [status for status, _body in said] == [200, 400]
    dropped = [each.detail["message"] for each in traced.events("delivery") if each.outcome == "dropped"]
    assert len(dropped) == 5
    xray = traced.account.client("xray")
    [segment] = traced.segments("1-ffffffff-" + "f" * 24)
    assert (segment["id"], segment["name"]) == ("a" * 16, "w3c")
    assert [each["name"] for each in traced.segments(f"1-{TRACE[:8]}-{TRACE[8:]}")] == ["charge"]
    found = xray.get_trace_summaries(StartTime=now.replace(microsecond=0), EndTime=traced.core.clock.now())
    assert "1-ffffffff-" + "f" * 24 in [each["Id"] for each in found["TraceSummaries"]]


def test_spans_of_a_role_that_may_not_write_traces_are_dropped(traced: Any) -> None:
    code = """
        import http.client
        def handler(event, context):
            connection = http.client.HTTPConnection("localhost", 4318)
            headers = {"Content-Type": "application/x-protobuf"}
            connection.request("POST", "/v1/traces", bytes.fromhex(event), headers)
            return connection.getresponse().status
    """
    traced.create(code)
    for policy in ("tracing", "reaches"):
        traced.account.client("iam").delete_role_policy(RoleName="fn-role", PolicyName=policy)

    assert _invoke(traced, json.dumps(WHOLE.hex())) == b"200"  # As from a collector, which sends later.

    assert traced.segments(f"1-{TRACE[:8]}-{TRACE[8:]}") == []
    [refused] = [each for each in traced.events("delivery") if each.subject == "xray:fn"]
    assert refused.outcome == "AccessDenied"


def test_x_ray_s_own_endpoint_is_closed_while_segments_go_to_x_ray(traced: Any) -> None:
    """Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html"""
    code = """
        import boto3, os, urllib.error, urllib.request
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        def handler(event, context):
            session, region = boto3.Session(), os.environ["AWS_REGION"]
            url = f"https://xray.{region}.amazonaws.com/v1/traces"
            body = b'{"resourceSpans": []}'
            request = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
            if event:
                SigV4Auth(session.get_credentials(), "xray", region).add_auth(request)
            try:
                urllib.request.urlopen(urllib.request.Request(url, body, dict(request.headers)))
            except urllib.error.HTTPError as error:
                return [error.code, error.read().decode()]
    """
    traced.create(code)
    status, body = json.loads(_invoke(traced, "true"))
    assert (status, json.loads(body)["code"]) == (400, 3)
    assert "CloudWatch Logs as a Trace Segment Destination" in json.loads(body)["message"]
    assert json.loads(_invoke(traced, "false"))[0] == 403
    destination = traced.account.client("xray").get_trace_segment_destination()
    assert (destination["Destination"], destination["Status"]) == ("XRay", "ACTIVE")

    for policy in ("tracing", "reaches"):
        traced.account.client("iam").delete_role_policy(RoleName="fn-role", PolicyName=policy)
    status, body = json.loads(_invoke(traced, "true"))
    assert status == 403
    assert "xray:PutSpans" in body


def _invoke(traced: Any, payload: str) -> bytes:
    outcome = traced.service.invoke(
        "fn", payload.encode(), account_id=traced.core.account_id, region=traced.core.region, source="test"
    )
    return bytes(outcome.payload)

"""What is told of an invocation: by Lambda itself, and by the X-Ray SDK inside, as it is published."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.telemetry.traces.headers import TraceHeader, new_trace_id
from tests.emulator.functions.runtimes import java_builds
from tests.emulator.telemetry.traces.packages import installed, nodejs, powertools

ECHO = "import os\ndef handler(event, context): return os.environ['_X_AMZN_TRACE_ID']"
PARENT = "53995c3f42cd8ad8"


def _header(traced: Any, *, sampled: int | None = 1) -> str:
    text = f"Root={new_trace_id(traced.core.clock.time())};Parent={PARENT}"
    return text if sampled is None else f"{text};Sampled={sampled}"


def _invoke(traced: Any, header: str = "") -> Any:
    outcome = traced.service.invoke(
        "fn",
        b"{}",
        account_id=traced.core.account_id,
        region=traced.core.region,
        source="test",
        trace_header=header,
    )
    return json.loads(outcome.payload)


def test_lambda_tells_of_a_sampled_invocation(traced: Any) -> None:
    traced.create(ECHO, TracingConfig={"Mode": "Active"})
    header = TraceHeader.read(_header(traced))
    assert header is not None

    seen = TraceHeader.read(_invoke(traced, str(header)))

    service, function = traced.segments(header.trace_id)
    assert (service["origin"], service["parent_id"], service["name"]) == ("AWS::Lambda", PARENT, "fn")
    assert service["http"] == {"response": {"status": 200}}
    assert (function["origin"], function["parent_id"]) == ("AWS::Lambda::Function", service["id"])
    assert seen == TraceHeader(header.trace_id, function["id"], True)
    phases = function["subsegments"]
    assert [phase["name"] for phase in phases] == ["Initialization", "Invocation", "Overhead"]
    times = [time for phase in phases for time in (phase["start_time"], phase["end_time"])]
    assert times == sorted(times)
    assert service["start_time"] <= times[0]
    assert times[-1] <= service["end_time"]

    warm = TraceHeader.read(_invoke(traced, str(header)))
    assert warm is not None
    later = [each for each in traced.segments(header.trace_id) if each["id"] == warm.parent_id]
    assert [phase["name"] for phase in later[0]["subsegments"]] == ["Invocation", "Overhead"]


@pytest.mark.parametrize(
    ("mode", "sampled"), [("Active", 0), ("PassThrough", 1), ("PassThrough", 0), ("PassThrough", None)]
)
def test_otherwise_the_header_is_handed_on_and_nothing_told(traced: Any, mode: str, sampled: int) -> None:
    traced.create(ECHO, TracingConfig={"Mode": mode})
    given = TraceHeader.read(_header(traced, sampled=sampled))
    assert given is not None

    seen = TraceHeader.read(_invoke(traced, str(given)))

    assert seen == TraceHeader(given.trace_id, PARENT, bool(sampled))
    assert traced.segments(given.trace_id) == []


def test_what_nobody_decided_is_recorded_once_a_second(traced: Any) -> None:
    traced.create(ECHO, TracingConfig={"Mode": "Active"})
    traced.service._tracer._sampler._chance.random = lambda: 0.9  # None beyond the first.
    seen: list[TraceHeader] = []
    for _ in range(2):
        traced.core.clock.shift(10)
        for _ in range(3):
            header = TraceHeader.read(_invoke(traced))
            assert header is not None
            seen.append(header)
    at = {header.trace_id[2:10]: [] for header in seen}
    for header in seen:
        at[header.trace_id[2:10]].append(header.sampled)
    assert all(decided[0] for decided in at.values())
    assert not any(sampled for decided in at.values() for sampled in decided[1:])
    assert all(bool(traced.segments(header.trace_id)) == header.sampled for header in seen)


def _take_away(traced: Any) -> None:
    """The role may not write traces any more."""
    for policy in ("tracing", "reaches"):
        traced.account.client("iam").delete_role_policy(RoleName="fn-role", PolicyName=policy)


def test_a_role_that_may_not_write_traces_is_refused_active_tracing(traced: Any) -> None:
    _take_away(traced)
    words = "The provided execution role does not have permissions to call PutTraceSegments on XRAY"
    with pytest.raises(ClientError, match=words):
        traced.create(ECHO, TracingConfig={"Mode": "Active"})
    traced.create(ECHO)
    with pytest.raises(ClientError, match=words):
        traced.api.update_function_configuration(FunctionName="fn", TracingConfig={"Mode": "Active"})


def test_a_role_that_may_not_write_traces_leaves_none(traced: Any) -> None:
    traced.create(ECHO, TracingConfig={"Mode": "Active"})
    _take_away(traced)
    header = _header(traced)
    _invoke(traced, header)
    [refused] = [each for each in traced.events("delivery") if each.subject == "xray:fn"]
    assert refused.outcome == "AccessDenied"
    assert traced.segments(header[5:40]) == []


def test_failures_and_throttles_are_told(traced: Any) -> None:
    traced.create("def handler(event, context): raise KeyError('x')", TracingConfig={"Mode": "Active"})
    failing, throttled = _header(traced), _header(traced)
    _invoke(traced, failing)
    traced.api.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=0)
    _invoke(traced, throttled)

    _service, function = traced.segments(failing[5:40])
    assert function["fault"]
    assert function["cause"]["exceptions"][0]["type"] == "KeyError"
    [service] = traced.segments(throttled[5:40])
    assert (service["throttle"], service["http"]["response"]["status"]) == (True, 429)


def test_the_x_ray_sdk_works_unmodified(traced: Any) -> None:
    code = """
        import boto3
        from aws_xray_sdk.core import patch_all, xray_recorder
        patch_all()
        dynamodb = boto3.client("dynamodb")

        @xray_recorder.capture("business")
        def handler(event, context):
            subsegment = xray_recorder.current_subsegment()
            subsegment.put_annotation("order", 7)
            dynamodb.list_tables()
            return event
    """
    traced.create(code, files=installed("aws_xray_sdk", "wrapt"), TracingConfig={"Mode": "Active"})
    header = _header(traced)
    assert _invoke(traced, header) == {}

    _service, function = traced.segments(header[5:40])
    [business] = [each for each in function["subsegments"] if each["name"] == "business"]
    assert business["annotations"] == {"order": 7}
    [call] = business["subsegments"]
    assert (call["name"], call["namespace"], call["aws"]["operation"]) == ("dynamodb", "aws", "ListTables")
    assert call["http"]["response"]["status"] == 200


def test_powertools_tracer_works_unmodified(traced: Any) -> None:
    code = """
        import boto3
        from aws_lambda_powertools import Logger, Tracer
        logger, tracer = Logger(service="checkout"), Tracer(service="checkout")

        @tracer.capture_method
        def charge(order):
            tracer.put_annotation("order", order)
            boto3.client("dynamodb").list_tables()
            raise ValueError("the bank said no")

        @logger.inject_lambda_context
        @tracer.capture_lambda_handler
        def handler(event, context):
            logger.info("charging")
            charge("7")
    """
    traced.create(code, files=powertools(), TracingConfig={"Mode": "Active"}, MemorySize=256)
    header = _header(traced)
    assert _invoke(traced, header)["errorMessage"] == "the bank said no"

    _service, function = traced.segments(header[5:40])
    assert function["fault"]
    [handler] = [each for each in function["subsegments"] if each["name"] == "## handler"]
    assert handler["annotations"] == {"ColdStart": True, "Service": "checkout"}
    [charge] = handler["subsegments"]
    assert (charge["name"], charge["annotations"], charge["fault"]) == ("## app.charge", {"order": "7"}, True)
    assert charge["cause"]["exceptions"][0]["message"] == "the bank said no"
    assert [call["name"] for call in charge["subsegments"]] == ["dynamodb"]
    [told] = [json.loads(line) for line in traced.logs() if '"charging"' in line]
    assert told["xray_trace_id"] == header[5:40]


def test_the_x_ray_sdk_for_nodejs_works_unmodified(traced: Any) -> None:
    settings = {"Runtime": "nodejs22.x", "Handler": "index.handler", "TracingConfig": {"Mode": "Active"}}
    traced.create(files=nodejs(), **settings, MemorySize=256)
    for _ in range(2):  # Warm, the SDK has to follow the header of each invocation.
        header = _header(traced)
        assert _invoke(traced, header) == "done"

        _service, function = traced.segments(header[5:40])
        [business] = [each for each in function["subsegments"] if each["name"] == "business"]
        assert business["annotations"] == {"order": 7}
        [call] = business["subsegments"]
        assert (call["name"], call["namespace"]) == ("DynamoDB", "aws")
        assert call["http"]["response"]["status"] == 200


def test_the_x_ray_sdk_for_java_works_unmodified(traced: Any) -> None:
    traced.create(
        files=java_builds.built("tracing"),
        Runtime="java17",
        Handler="shop.Traced::handle",
        TracingConfig={"Mode": "Active"},
        MemorySize=512,
        Timeout=30,
    )
    for _ in range(2):
        header = _header(traced)
        assert _invoke(traced, header) == header[5:40]

        _service, function = traced.segments(header[5:40])
        [business] = [each for each in function["subsegments"] if each["name"] == "business"]
        assert business["annotations"]["order"] == 7


def test_the_function_s_times_are_the_account_s(traced: Any) -> None:
    traced.core.clock.shift(6 * 3600)
    code = """
        import json, os, socket, time
        def handler(event, context):
            root, parent = [part.split("=")[1] for part in os.environ["_X_AMZN_TRACE_ID"].split(";")[:2]]
            host, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].split(":")
            document = {"id": "aaaaaaaaaaaaaaaa", "name": "mine", "type": "subsegment", "trace_id": root,
                        "parent_id": parent, "start_time": time.time(), "end_time": time.time()}
            datagrams = [b"no header", b'{"format": "json", "version": 1}\\n{', b"[" * 60000, b""]
            datagrams.append(b'{"format": "json", "version": 1}\\n' + json.dumps(document).encode())
            for datagram in datagrams:
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(datagram, (host, int(port)))
    """
    traced.create(code, TracingConfig={"Mode": "Active"})
    header = _header(traced)
    _invoke(traced, header)

    _service, function = traced.segments(header[5:40])
    invocation, mine = function["subsegments"][1:3]
    assert (invocation["name"], mine["name"]) == ("Invocation", "mine")
    assert invocation["start_time"] <= mine["start_time"] <= mine["end_time"] <= invocation["end_time"]
    dropped = [each for each in traced.events("delivery") if each.outcome == "dropped"]
    assert len(dropped) == 4


def test_a_flood_of_datagrams_drives_nothing_off_the_timeline(traced: Any) -> None:
    code = """
        import json, os, socket, time
        def handler(event, context):
            root, parent = [part.split("=")[1] for part in os.environ["_X_AMZN_TRACE_ID"].split(";")[:2]]
            daemon = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            daemon.connect(("127.0.0.1", 2000))
            for number in range(3000):
                document = {"id": f"{number:016x}", "name": "mine", "type": "subsegment", "trace_id": root,
                            "parent_id": parent, "start_time": 1.0, "end_time": 2.0}
                daemon.send(b"no header")
                daemon.send(b'{"format": "json", "version": 1}\\n' + json.dumps(document).encode())
    """
    traced.create(code, TracingConfig={"Mode": "Active"})
    before = traced.core.guard.log.since(0)
    _invoke(traced, _header(traced))
    assert len([each for each in traced.events("delivery") if each.subject == "xray:fn"]) <= 100
    decided = [each for each in traced.core.guard.log.since(0)[len(before) :] if "xray" in str(each)]
    assert 2 <= len(decided) < 30


def test_segments_are_put_and_got_by_the_api(traced: Any) -> None:
    xray = traced.account.client("xray")
    now = traced.core.clock.time()
    segment = {"id": "a" * 16, "name": "web", "trace_id": new_trace_id(now), "start_time": now}
    started, ended = segment | {"in_progress": True}, segment | {"end_time": now + 1.5}
    ancient = ended | {"trace_id": new_trace_id(now - 40 * 86400)}

    for documents in ([started], [ended, ancient], [ended | {"name": "late"}]):
        answer = xray.put_trace_segments(TraceSegmentDocuments=[json.dumps(each) for each in documents])
    assert answer["UnprocessedTraceSegments"] == []
    refused = xray.put_trace_segments(TraceSegmentDocuments=[json.dumps(ancient), "no JSON"])
    assert refused["UnprocessedTraceSegments"] == [
        {
            "Id": "a" * 16,
            "ErrorCode": "InvalidTraceId",
            "Message": "Invalid segment. ErrorCode: InvalidTraceId",
        },
        {"ErrorCode": "ParseError", "Message": "Invalid segment. ErrorCode: ParseError"},
    ]

    unknown = new_trace_id(now)
    found = xray.batch_get_traces(TraceIds=[segment["trace_id"], unknown])
    assert found["UnprocessedTraceIds"] == [unknown]
    [trace] = found["Traces"]
    assert (trace["Id"], trace["Duration"]) == (segment["trace_id"], 1.5)
    assert json.loads(trace["Segments"][0]["Document"]) == ended

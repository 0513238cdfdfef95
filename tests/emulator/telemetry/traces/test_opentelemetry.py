"""Spans of OpenTelemetry's SDKs, as they are published, become segments beside those of Lambda."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from sandbox.emulator.telemetry.traces.headers import new_trace_id
from tests.emulator.telemetry.traces.packages import nodejs, opentelemetry

PARENT = "53995c3f42cd8ad8"
PYTHON = """
    import boto3
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from opentelemetry.sdk.extension.aws.resource._lambda import AwsLambdaResourceDetector
    from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator
    from opentelemetry.sdk.resources import Resource, get_aggregated_resources
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource.create({"service.name": "checkout"})
    resource = get_aggregated_resources([AwsLambdaResourceDetector()], named)
    provider = TracerProvider(id_generator=AwsXRayIdGenerator(), resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("shop")

    def handler(event, context):
        with tracer.start_as_current_span("charge") as span:
            span.set_attribute("order", 7)
            span.set_attribute("aws.xray.annotations", ["order"])
            boto3.client("dynamodb").describe_table(TableName="orders")

    BotocoreInstrumentor().instrument()
    AwsLambdaInstrumentor().instrument()
"""
ACTIVE = {"TracingConfig": {"Mode": "Active"}}


def _invoke(traced: Any, trace_id: str) -> Any:
    outcome = traced.service.invoke(
        "fn",
        b"{}",
        account_id=traced.core.account_id,
        region=traced.core.region,
        source="test",
        trace_header=f"Root={trace_id};Parent={PARENT};Sampled=1",
    )
    return json.loads(outcome.payload)


def _trace(traced: Any) -> str:
    return new_trace_id(traced.core.clock.time())


def _segment(traced: Any, trace_id: str, name: str, origin: str | None = None) -> dict[str, Any]:
    [found] = [
        each for each in traced.segments(trace_id) if (each["name"], each.get("origin")) == (name, origin)
    ]
    return found


def test_the_sdk_for_python_and_its_instrumentations_work_unmodified(traced: Any) -> None:
    variables = {"OTEL_PROPAGATORS": "xray-lambda"}
    traced.create(
        PYTHON,
        files=opentelemetry(),
        **ACTIVE,
        MemorySize=512,
        Timeout=30,
        Environment={"Variables": variables},
    )
    trace_id = _trace(traced)

    assert _invoke(traced, trace_id)["errorType"] == "ResourceNotFoundException"

    function = _segment(traced, trace_id, "fn", "AWS::Lambda::Function")
    serving = _segment(traced, trace_id, "checkout")
    assert (serving["parent_id"], serving["fault"]) == (function["id"], True)
    assert serving["cause"]["exceptions"][0]["type"].endswith("ResourceNotFoundException")
    told = serving["metadata"]["default"]
    assert (told["otel.resource.cloud.provider"], told["otel.resource.faas.name"]) == ("aws", "fn")
    assert serving["aws"]["xray"]["sdk"] == "opentelemetry for python"

    [charge] = serving["subsegments"]
    assert (charge["name"], charge["annotations"], charge["fault"]) == ("charge", {"order": 7}, True)
    assert "/var/task/app.py" in [frame["path"] for frame in charge["cause"]["exceptions"][0]["stack"]]
    [call] = charge["subsegments"]
    assert (call["name"], call["namespace"], call["error"]) == ("DynamoDB", "aws", True)
    assert call["aws"]["operation"] == "DescribeTable"
    assert call["aws"]["table_name"] == "orders"
    assert call["http"]["response"]["status"] == 400


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_the_sdk_for_nodejs_works_unmodified(traced: Any, encoding: str) -> None:
    traced.create(
        files=nodejs("opentelemetry"),
        Runtime="nodejs22.x",
        Handler="index.handler",
        **ACTIVE,
        MemorySize=256,
        Environment={"Variables": {"ENCODING": encoding}},
    )
    trace_id = _trace(traced)
    assert _invoke(traced, trace_id) == "done"

    serving = _segment(traced, trace_id, "checkout")
    assert serving["parent_id"] == _segment(traced, trace_id, "fn", "AWS::Lambda::Function")["id"]
    [call] = serving["subsegments"]
    assert (call["name"], call["namespace"], call["annotations"]) == ("bank", "remote", {"order": 7})
    assert (call["error"], call["throttle"], "fault" in call) == (True, True, False)
    assert call["http"] == {
        "request": {"method": "GET", "url": "https://bank.example.com/limits?order=7"},
        "response": {"status": 429},
    }
    [exception] = call["cause"]["exceptions"]
    assert (exception["type"], exception["message"], exception["remote"]) == ("RangeError", "slow down", True)
    assert exception["stack"][0]["path"] == "/var/task/index.js"

    now = traced.core.clock.now()
    graph = traced.account.client("xray").get_trace_graph(TraceIds=[trace_id])["Services"]
    names = {each["ReferenceId"]: each["Name"] for each in graph}
    edges = {(each["Name"], names[edge["ReferenceId"]]) for each in graph for edge in each["Edges"]}
    assert {("fn", "checkout"), ("checkout", "bank")} <= edges
    summaries = traced.account.client("xray").get_trace_summaries(
        StartTime=now - dt.timedelta(hours=1), EndTime=now, FilterExpression="annotation.order = 7"
    )["TraceSummaries"]
    assert [each["Id"] for each in summaries] == [trace_id]

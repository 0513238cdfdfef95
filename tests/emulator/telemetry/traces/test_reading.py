"""Finding traces: filter expressions, summaries, and the graph of services."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.telemetry.traces.filters import BadFilter, read_filter
from sandbox.emulator.telemetry.traces.headers import new_trace_id
from sandbox.emulator.telemetry.traces.service import Traces
from sandbox.emulator.telemetry.traces.store import Trace
from sandbox.emulator.telemetry.traces.views import view

NOW = 1_800_000_000.0


def _trace(now: float) -> list[dict[str, Any]]:
    """A request to an API that calls a function, which asks a table and a partner, and fails."""
    trace_id = new_trace_id(now)
    call = {
        "id": "2" * 16,
        "name": "Lambda",
        "start_time": now + 0.1,
        "end_time": now + 1.9,
        "namespace": "aws",
    }
    stage = {
        "id": "1" * 16,
        "name": "shop/prod",
        "trace_id": trace_id,
        "start_time": now,
        "end_time": now + 2,
        "origin": "AWS::ApiGateway::Stage",
        "resource_arn": "arn:aws:apigateway:eu-north-1::/restapis/a/stages/prod",
        "http": {
            "request": {"url": "https://shop.example/orders", "method": "POST", "user_agent": "curl/8"},
            "response": {"status": 502},
        },
        "fault": True,
        "subsegments": [call],
    }
    table = {
        "id": "4" * 16,
        "name": "dynamodb",
        "namespace": "aws",
        "start_time": now + 0.3,
        "end_time": now + 0.4,
        "aws": {"operation": "PutItem", "table_name": "orders"},
        "error": True,
        "throttle": True,
    }
    partner = {
        "id": "5" * 16,
        "name": "bank.example",
        "namespace": "remote",
        "start_time": now + 0.5,
        "end_time": now + 1.5,
    }
    function = {
        "id": "3" * 16,
        "name": "checkout",
        "trace_id": trace_id,
        "parent_id": call["id"],
        "start_time": now + 0.2,
        "end_time": now + 1.8,
        "origin": "AWS::Lambda::Function",
        "user": "ada",
        "annotations": {"order": 7, "express": True, "country": "SE"},
        "cause": {"exceptions": [{"id": "6" * 16, "message": "the bank said no"}]},
        "fault": True,
        "subsegments": [table, partner],
    }
    return [stage, function]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("fault", True),
        ("ok", False),
        ("!ok", True),
        ("NOT ok", True),
        ("ok = false", True),
        ("fault != true", False),
        ("error", False),
        ("partial OR inferred", True),
        ("responsetime > 1.9", True),
        ("responsetime >= 2.1", False),
        ("duration >= 2 AND duration <= 8", True),
        ("http.status = 502", True),
        ("http.status != 502", False),
        ('http.url CONTAINS "/orders"', True),
        ('http.url BEGINSWITH "http:"', False),
        ('http.method = "POST" AND http.useragent ENDSWITH "/8"', True),
        ('http.method != "POST"', False),
        ('user = "ada"', True),
        ("annotation.order = 7", True),
        ("annotation[order] > 7", False),
        ("annotation[express] = true", True),
        ('annotation[country] = "SE"', True),
        ('annotation["country"] BEGINSWITH "S"', True),
        ("annotation[missing]", False),
        ("annotation[country] = 7", False),
        ('service("checkout")', True),
        ('service("shop")', False),
        ("service() { fault }", True),
        ('service("orders") { throttle AND inferred }', True),
        ('service("orders") { fault }', False),
        ('service(id(name: "orders", type: "AWS::DynamoDB::Table"))', True),
        ('service(id(type: "AWS::S3"))', False),
        ('service("checkout") { annotation[order] = 7 }', True),
        ('service("shop/prod") { annotation[order] = 7 }', False),
        ('edge("checkout", "bank.example") { responsetime >= 1 }', True),
        ('edge("bank.example", "checkout")', False),
        ('edge("client", "shop/prod") { root }', True),
        ('message CONTAINS "bank"', True),
        ('resource.arn ENDSWITH "/stages/prod"', True),
        ('type = "AWS::Lambda::Function" AND (user = "bob" OR user = "ada")', True),
        ("fault AND ok OR error", False),
    ],
)
def test_an_expression_finds_a_trace_or_does_not(expression: str, found: bool) -> None:
    seen = view(Trace("x", {each["id"]: each for each in _trace(NOW)}))
    assert read_filter(expression)(seen) is found


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("speed > 3", "`speed` is no keyword at position 0"),
        ("responsetime >", "a number is expected at position 14"),
        ("responsetime 3", "a comparison is expected at position 13"),
        ('http.url > "x"', "=, !=, CONTAINS, BEGINSWITH or ENDSWITH is expected at position 9"),
        ("http.url = x", "a text in double quotes is expected at position 11"),
        ("(fault", "`)` is expected at position 6"),
        ("fault fault", "`fault` is unexpected at position 6"),
        ('service("a", "b")', "service() takes fewer names at position 17"),
        ("fault = maybe", "`true` or `false` is expected at position 8"),
        ("fault AND ~", "`~` at position 9"),
        ("!" * 5 + "(" * 60, "it is nested too deeply"),
    ],
)
def test_what_can_t_be_read_is_named_with_its_place(expression: str, told: str) -> None:
    with pytest.raises(BadFilter) as caught:
        read_filter(expression)
    assert told in str(caught.value)


@pytest.fixture
def xray(account: Any) -> Any:
    """X-Ray's API with one failed and two good traces in it."""
    account.add(Traces(account.core).handlers())
    client, now = account.client("xray"), account.core.clock.time()
    documents = _trace(now - 100)
    for number in range(2):
        start = now - 50 + number
        documents.append(
            {
                "id": "a" * 16,
                "name": "web",
                "trace_id": new_trace_id(start),
                "start_time": start,
                "end_time": start + 0.25,
            }
        )
    answer = client.put_trace_segments(TraceSegmentDocuments=[json.dumps(each) for each in documents])
    assert answer["UnprocessedTraceSegments"] == []
    return client


def _range(account: Any, seconds: float = 3600) -> dict[str, dt.datetime]:
    now = account.core.clock.now()
    return {"StartTime": now - dt.timedelta(seconds=seconds), "EndTime": now}


def test_summaries_tell_what_is_worth_knowing(account: Any, xray: Any) -> None:
    found = xray.get_trace_summaries(**_range(account), FilterExpression="fault")
    assert found["TracesProcessedCount"] == 3
    [summary] = found["TraceSummaries"]
    assert (summary["Duration"], summary["ResponseTime"]) == (2.0, 2.0)
    assert (summary["HasFault"], summary["HasError"], summary["HasThrottle"]) == (True, False, False)
    assert summary["Http"] == {
        "HttpURL": "https://shop.example/orders",
        "HttpMethod": "POST",
        "HttpStatus": 502,
        "UserAgent": "curl/8",
    }
    checkout = {"Name": "checkout", "Names": ["checkout"], "Type": "AWS::Lambda::Function"}
    number = {"AnnotationValue": {"NumberValue": 7.0}, "ServiceIds": [checkout]}
    assert summary["Annotations"]["order"] == [number]
    assert [user["UserName"] for user in summary["Users"]] == ["ada"]
    assert [each["Name"] for each in summary["ServiceIds"]] == [
        "shop/prod",
        "checkout",
        "orders",
        "bank.example",
    ]
    assert summary["EntryPoint"]["Name"] == "shop/prod"


def test_only_traces_of_the_time_range_are_found(account: Any, xray: Any) -> None:
    found = xray.get_trace_summaries(**_range(account, 60))["TraceSummaries"]
    assert [summary["ServiceIds"][0]["Name"] for summary in found] == ["web", "web"]
    paged = xray.get_paginator("get_trace_summaries").paginate(**_range(account))
    assert len(list(paged)) == 1
    for wrong, told in ((25 * 3600, "longer than 24 hours"), (-60, "after its end")):
        with pytest.raises(ClientError, match=told):
            xray.get_trace_summaries(**_range(account, wrong))
    with pytest.raises(ClientError, match="`speed` is no keyword at position 0"):
        xray.get_trace_summaries(**_range(account), FilterExpression="speed > 3")


def test_the_service_graph_counts_who_called_whom_and_how_it_went(account: Any, xray: Any) -> None:
    services = xray.get_service_graph(**_range(account))["Services"]
    names = {each["ReferenceId"]: each["Name"] for each in services}
    nodes = {each["Name"]: each for each in services}
    edges = {
        (name, names[edge["ReferenceId"]]): edge["SummaryStatistics"]["TotalCount"]
        for name, node in nodes.items()
        for edge in node["Edges"]
    }
    assert edges == {
        ("client", "shop/prod"): 1,
        ("client", "web"): 2,
        ("shop/prod", "checkout"): 1,
        ("checkout", "orders"): 1,
        ("checkout", "bank.example"): 1,
    }
    assert (nodes["web"]["Root"], nodes["client"]["Type"]) == (True, "client")
    assert nodes["web"]["SummaryStatistics"]["OkCount"] == 2
    assert nodes["web"]["ResponseTimeHistogram"] == [{"Value": 0.25, "Count": 2}]
    assert nodes["orders"]["SummaryStatistics"]["ErrorStatistics"]["ThrottleCount"] == 1
    assert nodes["checkout"]["SummaryStatistics"]["FaultStatistics"]["TotalCount"] == 1
    assert nodes["bank.example"]["Type"] == "remote"

    fault = xray.get_trace_summaries(**_range(account), FilterExpression="fault")["TraceSummaries"][0]
    graph = xray.get_trace_graph(TraceIds=[fault["Id"]])["Services"]
    assert {each["Name"] for each in graph} == {"client", "shop/prod", "checkout", "orders", "bank.example"}


def test_strange_documents_do_no_harm(account: Any, xray: Any) -> None:
    now = account.core.clock.time()
    strange = {
        "id": "f" * 16,
        "name": "strange",
        "trace_id": new_trace_id(now),
        "start_time": now,
        "end_time": now - 5,
        "http": "none",
        "aws": 7,
        "user": {},
        "annotations": [1],
        "cause": {"exceptions": 3},
        "subsegments": [
            {"id": "e" * 16, "namespace": ["aws"], "start_time": "x", "end_time": None},
            {"id": "d" * 16, "namespace": "aws", "name": {}, "aws": []},
        ],
    }
    assert (
        xray.put_trace_segments(TraceSegmentDocuments=[json.dumps(strange)])["UnprocessedTraceSegments"] == []
    )
    expression = 'message = "x" OR http.status = 3 OR user = "x" OR annotation[a] OR name = "strange"'
    found = xray.get_trace_summaries(**_range(account), FilterExpression=expression)["TraceSummaries"]
    assert len(found) == 1
    assert xray.get_service_graph(**_range(account))["Services"]
    assert xray.batch_get_traces(TraceIds=[strange["trace_id"]])["Traces"]

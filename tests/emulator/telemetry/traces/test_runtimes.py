"""One request through an API, a function, a queue, another function and a table, in every two runtimes.

Each function traces by X-Ray's SDK for its language, as it is published.
"""

from __future__ import annotations

import io
import json
import zipfile
from itertools import product
from typing import Any

import pytest

from sandbox.emulator.telemetry.traces.documents import within
from sandbox.emulator.telemetry.traces.headers import new_trace_id
from tests.emulator.functions.runtimes import go_builds, java_builds
from tests.emulator.telemetry.traces.packages import installed, nodejs

PYTHON = """
    import boto3, json, os
    from aws_xray_sdk.core import patch_all
    patch_all()

    def handler(event, context):
        for record in event.get("Records", ()):
            boto3.client("dynamodb").put_item(TableName="orders", Item={"id": {"S": record["messageId"]}})
        if "body" in event:
            queue = json.loads(event["body"])["queue"]
            boto3.client("sqs").send_message(QueueUrl=queue, MessageBody=event["body"])
        return {"statusCode": 200, "body": os.environ["AWS_LAMBDA_FUNCTION_NAME"]}
"""
LANGUAGES = ("python", "nodejs", "java", "go")


def _create(traced: Any, runtime: str, name: str) -> str:
    settings: dict[str, Any] = {"TracingConfig": {"Mode": "Active"}, "MemorySize": 1024, "Timeout": 60}
    if runtime == "python":
        made = traced.create(PYTHON, name, files=installed("aws_xray_sdk", "wrapt"), **settings)
    elif runtime == "nodejs":
        settings |= {"Runtime": "nodejs22.x", "Handler": "index.handler"}
        made = traced.create("", name, files=nodejs("relay"), **settings)
    elif runtime == "java":
        settings |= {"Runtime": "java17", "Handler": "shop.Relay::handle"}
        made = traced.create("", name, files=java_builds.built("relay"), **settings)
    else:
        package = {"ZipFile": _executable(go_builds.built("relay"))}
        settings |= {
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": traced.role,
            "Code": package,
        }
        made = traced.api.create_function(FunctionName=name, **settings)
    return str(made["FunctionArn"])


def _executable(bootstrap: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        opened.writestr(entry, bootstrap)
    return packed.getvalue()


def _build(traced: Any) -> str:
    """An API with a way for each runtime, and for each a queue with its consumer; the API's id."""
    traced.account.client("dynamodb").create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    sqs, client, region = (
        traced.account.client("sqs"),
        traced.account.client("apigateway"),
        traced.core.region,
    )
    api = client.create_rest_api(name="shop")["id"]
    root = client.get_resources(restApiId=api)["items"][0]["id"]
    for runtime in LANGUAGES:
        url = sqs.create_queue(QueueName=runtime, Attributes={"VisibilityTimeout": "360"})["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        _create(traced, runtime, f"end-{runtime}")
        traced.api.create_event_source_mapping(FunctionName=f"end-{runtime}", EventSourceArn=queue)
        start = _create(traced, runtime, f"start-{runtime}")
        traced.api.add_permission(
            FunctionName=start,
            StatementId="api",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
        where = {"restApiId": api, "httpMethod": "POST"}
        where["resourceId"] = client.create_resource(restApiId=api, parentId=root, pathPart=runtime)["id"]
        client.put_method(**where, authorizationType="NONE")
        uri = f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{start}/invocations"
        client.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    deployment = client.create_deployment(restApiId=api)["id"]
    client.create_stage(restApiId=api, stageName="prod", deploymentId=deployment, tracingEnabled=True)
    return str(api)


def _post(traced: Any, api: str, start: str, end: str) -> str:
    """Send an order by one function to the other; the trace's id."""
    trace_id = new_trace_id(traced.core.clock.time())
    queue = traced.account.client("sqs").get_queue_url(QueueName=end)["QueueUrl"]
    body = json.dumps({"queue": queue}).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/_aws/execute-api/{api}/prod/{start}",
        "HTTP_HOST": "localhost",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "HTTP_X_AMZN_TRACE_ID": f"Root={trace_id};Sampled=1",
    }
    assert b"".join(traced.apis.wsgi(environ, lambda *_: None)) == f"start-{start}".encode(), traced.logs(
        f"start-{start}"
    )
    return trace_id


def _by_origin(segments: list[dict[str, Any]], origin: str) -> dict[str, Any]:
    [found] = [each for each in segments if each.get("origin") == origin]
    return found


def _calls(segments: list[dict[str, Any]], operation: str) -> dict[str, Any]:
    """The one call of an AWS service that some segment tells of."""
    every = [part for segment in segments for part in within(segment)]
    [found] = [
        each
        for each in every
        if each.get("namespace") == "aws" and each.get("aws", {}).get("operation") == operation
    ]
    return found


def _edges(traced: Any, *trace_ids: str) -> set[tuple[tuple[str, str], tuple[str, str], str]]:
    graph = traced.account.client("xray").get_trace_graph(TraceIds=list(trace_ids))["Services"]
    nodes = {each["ReferenceId"]: (each["Name"], each["Type"]) for each in graph}
    return {
        (nodes[each["ReferenceId"]], nodes[edge["ReferenceId"]], edge.get("EdgeType", ""))
        for each in graph
        for edge in each["Edges"]
    }


def _named(language: str, service: str, resource: tuple[str, str]) -> tuple[str, str]:
    """Whom a function called: X-Ray's SDK for Go tells of the service, the others of its table or queue."""
    return (service, f"AWS::{service}") if language == "go" else resource


@pytest.mark.timeout(600)
def test_a_request_is_one_connected_trace_whichever_runtimes(traced: Any) -> None:
    api = _build(traced)
    for start, end in product(LANGUAGES, repeat=2):
        trace_id = _post(traced, api, start, end)
        assert traced.core.work.settle(60).settled

        sent = traced.segments(trace_id)
        stage = _by_origin(sent, "AWS::ApiGateway::Stage")
        service, function = _by_origin(sent, "AWS::Lambda"), _by_origin(sent, "AWS::Lambda::Function")
        assert (service["name"], function["name"]) == (f"start-{start}", f"start-{start}")
        assert (service["parent_id"], function["parent_id"]) == (stage["subsegments"][0]["id"], service["id"])
        assert all(each["trace_id"] == trace_id for each in sent)
        message = _calls([function], "SendMessage")

        others = traced.traces.store.all(traced.core.account_id, traced.core.region)
        linked = {
            trace.trace_id: segment["links"]
            for trace in others
            for segment in trace.segments()
            if any(link["trace_id"] == trace_id for link in segment.get("links", ()))
        }
        [(onward, [link])] = linked.items()
        assert link["id"] == message["id"]
        taken = traced.segments(onward)
        consumer = _by_origin(taken, "AWS::Lambda::Function")
        assert (consumer["name"], consumer["parent_id"]) == (
            f"end-{end}",
            _by_origin(taken, "AWS::Lambda")["id"],
        )
        _calls([consumer], "PutItem")

        edges = _edges(traced, trace_id, onward)
        lambda_, environment = "AWS::Lambda", "AWS::Lambda::Function"
        told = {
            (("client", "client"), ("shop/prod", "AWS::ApiGateway::Stage"), ""),
            (("shop/prod", "AWS::ApiGateway::Stage"), (f"start-{start}", lambda_), ""),
            ((f"start-{start}", lambda_), (f"start-{start}", environment), ""),
            ((f"end-{end}", lambda_), (f"end-{end}", environment), ""),
            ((f"end-{end}", environment), _named(end, "DynamoDB", ("orders", "AWS::DynamoDB::Table")), ""),
            ((f"start-{start}", environment), _named(start, "SQS", (end, "AWS::SQS::Queue")), ""),
            (_named(start, "SQS", (end, "AWS::SQS::Queue")), (f"end-{end}", lambda_), "link"),
        }
        assert told <= edges
        assert (("client", "client"), (f"end-{end}", lambda_), "") not in edges

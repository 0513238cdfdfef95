"""A request keeps its trace on its way through services; a batch from a queue is linked to its messages."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from sandbox.emulator.telemetry.traces.headers import TraceHeader, new_trace_id
from tests.emulator.fabric.fakes import create_role

# No SDK of X-Ray's: boto3 in a function hands the header on by itself.
START = """
    import boto3, json, os
    def handler(event, context):
        client = boto3.client(event["service"])
        for name, value in event["calls"]:
            getattr(client, name)(**value)
        return {"statusCode": 200, "body": os.environ["_X_AMZN_TRACE_ID"]}
"""
END = "def handler(event, context): return event"
STAGE = "/_aws/execute-api/{}/prod/orders"


@pytest.fixture
def ends(traced: Any) -> Any:
    """An account with a function that calls what it is told to, and one at the far end."""
    traced.create(START, "start", TracingConfig={"Mode": "Active"})
    end = traced.create(END, "end", TracingConfig={"Mode": "Active"})["FunctionArn"]
    for service in ("sns", "s3", "events", "apigateway"):
        for name in ("start", "end"):
            traced.api.add_permission(
                FunctionName=name,
                StatementId=service,
                Action="lambda:InvokeFunction",
                Principal=f"{service}.amazonaws.com",
            )
    traced.end = end
    return traced


def _start(traced: Any, service: str, **calls: Any) -> str:
    """Have the first function make the calls, in a trace of its own."""
    trace_id = new_trace_id(traced.core.clock.time())
    outcome = traced.service.invoke(
        "start",
        json.dumps({"service": service, "calls": list(calls.items())}).encode(),
        account_id=traced.core.account_id,
        region=traced.core.region,
        source="test",
        trace_header=f"Root={trace_id};Sampled=1",
    )
    assert outcome.succeeded, outcome.payload
    assert traced.core.work.settle(30).settled
    return trace_id


def _functions(segments: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The segments of functions, by name."""
    return {each["name"]: each for each in segments if each["origin"] == "AWS::Lambda::Function"}


def _belongs_to(traced: Any, trace_id: str) -> None:
    segments = traced.segments(trace_id)
    assert set(_functions(segments)) == {"start", "end"}
    [service] = [each for each in segments if each["origin"] == "AWS::Lambda" and each["name"] == "end"]
    assert service["parent_id"] == _functions(segments)["start"]["id"]


def test_an_asynchronous_invocation_belongs_to_the_caller_s_trace(ends: Any) -> None:
    call = {"FunctionName": "end", "InvocationType": "Event", "Payload": "{}"}
    _belongs_to(ends, _start(ends, "lambda", invoke=call))


def test_a_topic_hands_the_trace_on(ends: Any) -> None:
    topic = ends.account.client("sns").create_topic(Name="orders")["TopicArn"]
    ends.account.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=ends.end)
    _belongs_to(ends, _start(ends, "sns", publish={"TopicArn": topic, "Message": "hello"}))


def test_a_bus_hands_the_trace_on_and_so_does_a_topic_behind_it(ends: Any) -> None:
    events, sns = ends.account.client("events"), ends.account.client("sns")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=ends.end)
    events.put_rule(Name="orders", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="orders", Targets=[{"Id": "topic", "Arn": topic}])
    entry = {"Source": "shop", "DetailType": "placed", "Detail": "{}"}
    _belongs_to(ends, _start(ends, "events", put_events={"Entries": [entry]}))


def test_an_entry_s_own_header_comes_first(ends: Any) -> None:
    events = ends.account.client("events")
    events.put_rule(Name="orders", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="orders", Targets=[{"Id": "end", "Arn": ends.end}])
    own = new_trace_id(ends.core.clock.time())
    entry = {"Source": "shop", "DetailType": "placed", "Detail": "{}", "TraceHeader": f"Root={own};Sampled=1"}
    _start(ends, "events", put_events={"Entries": [entry]})
    assert set(_functions(ends.segments(own))) == {"end"}


def test_a_bucket_hands_the_trace_on(ends: Any) -> None:
    s3 = ends.account.client("s3")
    place = {"LocationConstraint": ends.core.region}
    s3.create_bucket(Bucket="orders", CreateBucketConfiguration=place)
    s3.put_bucket_notification_configuration(
        Bucket="orders",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": ends.end, "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )
    _belongs_to(ends, _start(ends, "s3", put_object={"Bucket": "orders", "Key": "1", "Body": "x"}))


def test_a_state_machine_that_may_not_write_traces_hands_them_on(ends: Any) -> None:
    role = create_role(ends.account, "machine", "states.amazonaws.com", "lambda:InvokeFunction")
    states = {"End": {"Type": "Task", "Resource": ends.end, "End": True}}
    machine = ends.account.client("stepfunctions").create_state_machine(
        name="orders", roleArn=role, definition=json.dumps({"StartAt": "End", "States": states})
    )["stateMachineArn"]
    _belongs_to(ends, _start(ends, "stepfunctions", start_execution={"stateMachineArn": machine}))


def _api(traced: Any) -> str:
    """A REST API whose stage is traced and calls the first function; its id."""
    client, region = traced.account.client("apigateway"), traced.core.region
    api = client.create_rest_api(name="shop")["id"]
    root = client.get_resources(restApiId=api)["items"][0]["id"]
    orders = client.create_resource(restApiId=api, parentId=root, pathPart="orders")["id"]
    client.put_method(restApiId=api, resourceId=orders, httpMethod="POST", authorizationType="NONE")
    function = f"arn:aws:lambda:{region}:{traced.core.account_id}:function:start"
    client.put_integration(
        restApiId=api,
        resourceId=orders,
        httpMethod="POST",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function}/invocations",
    )
    deployment = client.create_deployment(restApiId=api)["id"]
    client.create_stage(restApiId=api, stageName="prod", deploymentId=deployment, tracingEnabled=True)
    return str(api)


def _post(traced: Any, api: str, header: str = "") -> bytes:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": STAGE.format(api),
        "HTTP_HOST": "localhost",
        "wsgi.input": io.BytesIO(b"{}"),
        "CONTENT_LENGTH": "2",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        **({"HTTP_X_AMZN_TRACE_ID": header} if header else {}),
    }
    return b"".join(traced.apis.wsgi(environ, lambda *_: None))


def test_one_request_through_api_function_queue_function_and_table_is_connected(ends: Any) -> None:
    sqs = ends.account.client("sqs")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    ends.update_code(
        f"""
        import boto3, os
        def handler(event, context):
            boto3.client("sqs").send_message(QueueUrl={url!r}, MessageBody="order 7")
            return {{"statusCode": 200, "body": os.environ["_X_AMZN_TRACE_ID"]}}
        """,
        "start",
    )
    ends.update_code(
        """
        import boto3
        def handler(event, context):
            boto3.client("dynamodb").list_tables()
            assert "AWSTraceHeader" in event["Records"][0]["attributes"]
        """,
        "end",
    )
    ends.api.create_event_source_mapping(FunctionName="end", EventSourceArn=arn)

    header = TraceHeader.read(_post(ends, _api(ends)).decode())
    assert header is not None
    assert ends.core.work.settle(30).settled

    stage, service, function = ends.segments(header.trace_id)
    assert (stage["name"], stage["origin"]) == ("shop/prod", "AWS::ApiGateway::Stage")
    assert stage["http"]["response"]["status"] == 200
    [call] = stage["subsegments"]
    assert (service["parent_id"], function["parent_id"]) == (call["id"], service["id"])
    assert header.parent_id == function["id"]

    others = ends.traces.store.all(ends.core.account_id, ends.core.region)
    [linked] = [trace for trace in others if trace.trace_id != header.trace_id]
    poller = linked.segments()[0]
    assert poller["name"] == "end"
    assert [(link["trace_id"], link["id"]) for link in poller["links"]] == [(header.trace_id, function["id"])]
    assert set(_functions(linked.segments())) == {"end"}


def test_a_stage_follows_what_was_decided_before_it(ends: Any) -> None:
    api, now = _api(ends), ends.core.clock.time()
    ends.update_code(
        "import os\ndef handler(e, c): return {'statusCode': 500, 'body': os.environ['_X_AMZN_TRACE_ID']}",
        "start",
    )
    unwanted, wanted = new_trace_id(now), new_trace_id(now)
    _post(ends, api, f"Root={unwanted};Parent={'a' * 16};Sampled=0")
    _post(ends, api, f"Root={wanted};Parent={'a' * 16};Sampled=1")
    assert ends.segments(unwanted) == []
    stage = ends.segments(wanted)[0]
    assert (stage["parent_id"], stage["fault"]) == ("a" * 16, True)


def test_an_api_that_starts_an_execution_is_its_parent(ends: Any) -> None:
    role = create_role(ends.account, "machine", "states.amazonaws.com")
    machine = ends.account.client("stepfunctions").create_state_machine(
        name="orders",
        roleArn=role,
        definition=json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}),
        tracingConfiguration={"enabled": True},
    )["stateMachineArn"]
    api, client = _api(ends), ends.account.client("apigateway")
    [orders] = [each["id"] for each in client.get_resources(restApiId=api)["items"] if "pathPart" in each]
    client.put_integration(
        restApiId=api,
        resourceId=orders,
        httpMethod="POST",
        type="AWS",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{ends.core.region}:states:action/StartExecution",
        credentials=create_role(ends.account, "caller", "apigateway.amazonaws.com"),
        requestTemplates={"application/json": json.dumps({"stateMachineArn": machine})},
    )
    client.put_method_response(restApiId=api, resourceId=orders, httpMethod="POST", statusCode="200")
    client.put_integration_response(restApiId=api, resourceId=orders, httpMethod="POST", statusCode="200")
    deployment = client.create_deployment(restApiId=api)["id"]
    client.update_stage(
        restApiId=api,
        stageName="prod",
        patchOperations=[{"op": "replace", "path": "/deploymentId", "value": deployment}],
    )
    trace_id = new_trace_id(ends.core.clock.time())
    assert b"executionArn" in _post(ends, api, f"Root={trace_id};Sampled=1")
    assert ends.core.work.settle(30).settled
    stage, execution = ends.segments(trace_id)
    [call] = stage["subsegments"]
    assert (call["name"], call["aws"]["operation"]) == ("StepFunctions", "StartExecution")
    assert (execution["name"], execution["parent_id"]) == ("orders", call["id"])

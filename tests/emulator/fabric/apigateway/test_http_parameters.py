"""HTTP APIs that change requests and answers on their way, and that call AWS services themselves."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.fabric.apigateway.conftest import HttpAnswer, Web
from tests.emulator.fabric.fakes import RecordingFunctions, create_role, take_bodies


class Front:
    """An HTTP API with one route to whatever a test says."""

    def __init__(self, account: Any, web: Web, function_arn: str) -> None:
        self.account, self.web, self.function = account, web, function_arn
        self.http = account.client("apigatewayv2")
        self.id = self.http.create_api(Name="front", ProtocolType="HTTP")["ApiId"]
        self.http.create_stage(
            ApiId=self.id, StageName="$default", AutoDeploy=True, StageVariables={"colour": "red"}
        )
        self.url = f"https://{self.id}.execute-api.{account.core.region}.amazonaws.com"

    def route(self, key: str, **integration: Any) -> None:
        settings = {"IntegrationType": "AWS_PROXY", **integration}
        if "IntegrationSubtype" not in settings:
            settings = {"PayloadFormatVersion": "2.0", "IntegrationUri": self.function, **settings}
        else:
            settings = {"PayloadFormatVersion": "1.0", **settings}
        made = self.http.create_integration(ApiId=self.id, **settings)["IntegrationId"]
        self.http.create_route(ApiId=self.id, RouteKey=key, Target=f"integrations/{made}")

    def post(self, path: str, body: Any, **headers: str) -> HttpAnswer:
        kind = {"Content-Type": "application/json", **headers}
        return self.web(self.url + path, "POST", kind, json.dumps(body).encode())


@pytest.fixture
def front(account: Any, web: Web, function_arn: str) -> Front:
    return Front(account, web, function_arn)


def test_a_request_is_changed_before_a_function_gets_it(front: Front, functions: RecordingFunctions) -> None:
    front.route(
        "POST /pets/{id}",
        RequestParameters={
            "append:header.x-seen": "$request.header.x-key",
            "overwrite:header.x-pet": "${request.path.id}-${request.body.name}-${stageVariables.colour}",
            "remove:header.x-secret": "''",
            "append:querystring.who": "$context.identity.sourceIp",
            "overwrite:querystring.page": "2",
            "remove:querystring.drop": "''",
            "overwrite:path": "/animals/${request.path.id}",
        },
    )
    front.post("/pets/7?page=1&drop=x&keep=y", {"name": "Rex"}, **{"X-Key": "k", "X-Secret": "s"})
    [event] = functions.events
    headers = event["headers"]
    assert (headers["x-seen"], headers["x-pet"]) == ("k", "7-Rex-red")
    assert "x-secret" not in headers
    assert event["queryStringParameters"] == {"page": "2", "keep": "y", "who": "192.0.2.7"}
    assert event["rawPath"] == "/animals/7"
    assert event["pathParameters"] == {"id": "7"}


def test_an_end_point_gets_the_changed_path(front: Front, functions: RecordingFunctions) -> None:
    partner = front.http.create_api(Name="partner", ProtocolType="HTTP", Target=front.function)
    front.route(
        "ANY /shop/{proxy+}",
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="ANY",
        IntegrationUri=f"{partner['ApiEndpoint']}/ignored",
        PayloadFormatVersion="1.0",
        RequestParameters={"overwrite:path": "/v1/$request.path.proxy", "overwrite:header.x-a": "b"},
    )
    front.web(f"{front.url}/shop/items/1")
    [event] = functions.events
    assert event["rawPath"] == "/v1/$request.path.proxy"

    front.route(
        "ANY /store/{proxy+}",
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="ANY",
        IntegrationUri=partner["ApiEndpoint"],
        PayloadFormatVersion="1.0",
        RequestParameters={"overwrite:path": "/v1/${request.path.proxy}"},
    )
    front.web(f"{front.url}/store/items/1?a=1")
    assert (functions.events[-1]["rawPath"], functions.events[-1]["rawQueryString"]) == ("/v1/items/1", "a=1")


def test_answers_are_changed_by_their_status(front: Front, functions: RecordingFunctions) -> None:
    front.route(
        "POST /pets",
        ResponseParameters={
            "500": {"append:header.x-error": "$context.requestId", "overwrite:statuscode": "403"},
            "200": {
                "overwrite:header.x-who": "${response.body.name} by ${response.header.x-by}",
                "remove:header.x-by": "''",
            },
        },
    )
    answer = {"statusCode": 200, "headers": {"x-by": "ann"}, "body": '{"name": "Rex"}'}
    functions.answer = lambda _event: answer
    found = front.post("/pets", {})
    assert (found.status, found.header("x-who"), found.header("x-by")) == (200, "Rex by ann", None)
    answer["statusCode"] = 500
    found = front.post("/pets", {})
    assert found.status == 403
    assert found.header("x-error") == found.header("apigw-requestid")
    assert found.header("x-by") == "ann"


def test_a_queue_behind_a_route(front: Front) -> None:
    front.account.add(SqsService(front.account.core).handlers())
    sqs = front.account.client("sqs")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    given = {
        "QueueUrl": url,
        "MessageBody": "$request.body",
        "DelaySeconds": "0",
        "MessageAttributes": '{"who": {"DataType": "String", "StringValue": "${request.header.x-who}"}}',
    }
    role = create_role(front.account, "sender", "apigateway.amazonaws.com", "sqs:SendMessage")
    send = {"IntegrationSubtype": "SQS-SendMessage", "CredentialsArn": role}
    front.route("POST /orders", **send, RequestParameters=given)
    answer = front.post("/orders", {"n": 1}, **{"X-Who": "ann"})
    assert (answer.status, answer.header("content-type")) == (200, "text/xml")
    sent = re.search(r"<SendMessageResult>.*<MessageId>([\w-]+)</MessageId>", answer.body.decode())
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert sent is not None
    assert (message["MessageId"], json.loads(message["Body"])) == (sent[1], {"n": 1})
    assert message["MessageAttributes"]["who"]["StringValue"] == "ann"
    front.route("POST /missing", **send, RequestParameters={**given, "QueueUrl": f"{url}-no"})
    answer = front.post("/missing", {})
    assert answer.status == 400
    assert b"NonExistentQueue" in answer.body
    closed = create_role(front.account, "closed", "apigateway.amazonaws.com", "sqs:ReceiveMessage")
    front.route("POST /closed", **{**send, "CredentialsArn": closed}, RequestParameters=given)
    assert front.post("/closed", {}).status == 403
    elsewhere = create_role(front.account, "elsewhere", "lambda.amazonaws.com")
    front.route("POST /elsewhere", **{**send, "CredentialsArn": elsewhere}, RequestParameters=given)
    answer = front.post("/elsewhere", {})
    assert (answer.status, answer.json()) == (500, {"message": "Internal Server Error"})
    assert take_bodies(sqs, url) == []


def test_a_stream_behind_a_route(front: Front) -> None:
    kinesis = front.account.client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    front.route(
        "POST /clicks",
        IntegrationSubtype="Kinesis-PutRecord",
        CredentialsArn=create_role(front.account, "writer", "apigateway.amazonaws.com"),
        RequestParameters={
            "StreamName": "clicks",
            "Data": "$request.body.data",
            "PartitionKey": "$request.body.key",
        },
    )
    answer = front.post("/clicks", {"data": {"n": 1}, "key": "a"})
    assert answer.status == 200
    assert set(answer.json()) >= {"SequenceNumber", "ShardId"}
    shard = answer.json()["ShardId"]
    start = kinesis.get_shard_iterator(StreamName="clicks", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    [record] = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
    assert (record["Data"], record["PartitionKey"]) == (b'{"n":1}', "a")


@pytest.mark.parametrize(
    ("integration", "message"),
    [
        ({"IntegrationSubtype": "SQS-Send", "RequestParameters": {}}, "Invalid integration subtype SQS-Send"),
        (
            {"IntegrationSubtype": "SQS-SendMessage", "RequestParameters": {"QueueUrl": "x"}},
            "Missing required parameters: MessageBody",
        ),
        (
            {"RequestParameters": {"replace:header.x": "y"}},
            "Invalid mapping expression specified: replace:header.x",
        ),
        (
            {"RequestParameters": {"overwrite:header.Authorization": "y"}},
            "Operations on header Authorization are restricted",
        ),
        (
            {"ResponseParameters": {"200": {"append:statuscode": "201"}}},
            "Invalid mapping expression specified: append:statuscode",
        ),
    ],
)
def test_what_can_not_be_mapped_is_refused(front: Front, integration: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=re.escape(message)):
        front.route("POST /x", **integration)
    assert front.http.get_integrations(ApiId=front.id)["Items"] == []

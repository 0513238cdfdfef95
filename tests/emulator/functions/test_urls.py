"""Function URLs: their configuration, who may call them, and what goes in and out."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from sandbox.emulator.gateway.server import serve
from tests.emulator.functions.test_streaming import STREAMING

ECHO = """
def handler(event, context):
    return event
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Addresses:
    """Functions with addresses that answer over HTTP."""

    def __init__(self, functions: Any, port: int) -> None:
        self.functions = functions
        self.api = functions.api
        self.port = port

    def make(self, code: str = ECHO, auth: str = "NONE", *, public: bool = True, **settings: Any) -> str:
        """The id of a new function's address."""
        self.functions.create(code)
        if public:
            self.allow()
        return self.add(auth, **settings)

    def add(self, auth: str = "NONE", **settings: Any) -> str:
        made = self.api.create_function_url_config(FunctionName="fn", AuthType=auth, **settings)
        return str(made["FunctionUrl"].removeprefix("https://").split(".")[0])

    def allow(self, principal: str = "*", auth: str = "NONE", **where: str) -> None:
        """As SAM and the console do it: both permissions."""
        self.api.add_permission(
            FunctionName="fn",
            StatementId="url",
            Action="lambda:InvokeFunctionUrl",
            Principal=principal,
            FunctionUrlAuthType=auth,
            **where,
        )
        self.api.add_permission(
            FunctionName="fn",
            StatementId="invoke",
            Action="lambda:InvokeFunction",
            Principal=principal,
            InvokedViaFunctionUrl=True,
            **where,
        )

    def call(
        self,
        url_id: str,
        path: str = "/",
        method: str = "GET",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        by_host: bool = False,
        keys: Any = None,
    ) -> Answer:
        """One request over HTTP, signed when there are keys."""
        sent = dict(headers or {})
        target = path if by_host else f"/_aws/lambda-url/{url_id}{path}"
        host = f"{url_id}.lambda-url.{self.functions.core.region}.on.aws"
        sent["Host"] = host if by_host else f"127.0.0.1:{self.port}"
        if keys is not None:
            request = AWSRequest(method, f"http://{sent['Host']}{target}", data=body, headers=sent)
            held = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
            SigV4Auth(held, "lambda", self.functions.core.region).add_auth(request)
            sent = dict(request.headers.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@pytest.fixture
def addresses(functions: Any) -> Iterator[Addresses]:
    """An account on a port of its own."""
    gateway = functions.account.gateway
    gateway.guard.enforcing = True
    gateway.data_planes.append(functions.service.addresses(gateway.keys))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    server = serve(gateway.application(), listener)
    yield Addresses(functions, listener.getsockname()[1])
    server.close()


def refused(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_request_becomes_an_event_of_payload_format_2(addresses: Addresses) -> None:
    url_id = addresses.make()

    answer = addresses.call(
        url_id,
        "/a%20b/c?x=1&x=2&y=%C3%BC",
        "POST",
        b'{"order": 7}',
        {
            "Content-Type": "application/json",
            "Cookie": "a=1; b=2",
            "X-Custom": "Value",
            "User-Agent": "tests",
        },
    )

    event = answer.json
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert event["version"] == "2.0"
    assert event["routeKey"] == "$default"
    assert event["rawPath"] == "/a b/c"
    assert event["rawQueryString"] == "x=1&x=2&y=%C3%BC"
    assert event["queryStringParameters"] == {"x": "1,2", "y": "ü"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-custom"] == "Value"
    assert event["body"] == '{"order": 7}'
    assert event["isBase64Encoded"] is False
    context = event["requestContext"]
    host = f"{url_id}.lambda-url.{addresses.functions.core.region}.on.aws"
    assert (context["accountId"], context["apiId"], context["stage"]) == ("anonymous", url_id, "$default")
    assert (context["domainName"], context["domainPrefix"]) == (host, url_id)
    assert context["http"]["method"] == "POST"
    assert context["http"]["path"] == "/a b/c"
    assert "authorizer" not in context
    assert context["requestId"] == answer.headers["x-amzn-requestid"]


def test_an_address_answers_by_host_as_well(addresses: Addresses) -> None:
    url_id = addresses.make()

    assert addresses.call(url_id, "/x", by_host=True).json["rawPath"] == "/x"


def test_binary_bodies_go_both_ways(addresses: Addresses) -> None:
    url_id = addresses.make(
        """
        def handler(event, context):
            assert event["isBase64Encoded"]
            return {
                "statusCode": 201,
                "headers": {"Content-Type": "image/png"},
                "cookies": ["a=1", "b=2"],
                "body": event["body"],
                "isBase64Encoded": True,
            }
        """
    )
    content = bytes(range(256))

    answer = addresses.call(url_id, method="PUT", body=content, headers={"Content-Type": "image/png"})

    assert (answer.status, answer.body) == (201, content)
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise ValueError('x')", 502),
        ("return {'statusCode': 'no'}", 502),
        ("return {'statusCode': 418, 'body': 'tea'}", 418),
    ],
)
def test_what_a_function_makes_of_it(addresses: Addresses, code: str, status: int) -> None:
    url_id = addresses.make(f"def handler(event, context):\n    {code}\n")

    answer = addresses.call(url_id)

    assert answer.status == status
    if status == 502:
        assert answer.body == b"Internal Server Error"


def test_a_throttled_function_answers_429(addresses: Addresses) -> None:
    url_id = addresses.make()
    addresses.api.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=0)

    answer = addresses.call(url_id)

    assert answer.status == 429
    assert answer.json["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_without_public_permission_nobody_gets_in(addresses: Addresses) -> None:
    url_id = addresses.make(public=False)

    answer = addresses.call(url_id)

    assert answer.status == 403
    assert answer.json["Message"].startswith("Forbidden. For troubleshooting Function URL authorization")
    assert addresses.functions.events("invocation") == []
    addresses.api.add_permission(
        FunctionName="fn",
        StatementId="half",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    assert addresses.call(url_id).status == 403  # Since October 2025 lambda:InvokeFunction is needed too.


def test_an_address_with_iam_wants_a_signature_and_tells_who_calls(addresses: Addresses) -> None:
    url_id = addresses.make(auth="AWS_IAM", public=False)
    keys = addresses.functions.account.keys

    signed = addresses.call(url_id, "/a?b=1", "POST", b"body", keys=keys)

    assert signed.status == 200, signed.body
    iam = signed.json["requestContext"]["authorizer"]["iam"]
    assert iam["userArn"] == f"arn:aws:iam::{addresses.functions.core.account_id}:root"
    assert iam["accessKey"] == keys.access_key_id
    assert signed.json["requestContext"]["accountId"] == addresses.functions.core.account_id
    assert addresses.call(url_id).status == 403
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIANOBODY/20260101/eu-north-1/lambda/aws4_request, "
        "SignedHeaders=host, Signature=0"
    }
    assert addresses.call(url_id, headers=headers).status == 403


def test_a_user_needs_both_permissions(addresses: Addresses) -> None:
    url_id = addresses.make(auth="AWS_IAM", public=False)
    iam = addresses.functions.account.client("iam")
    iam.create_user(UserName="caller")
    made = iam.create_access_key(UserName="caller")["AccessKey"]
    keys = type(addresses.functions.account.keys)(made["AccessKeyId"], made["SecretAccessKey"])

    def grant(*actions: str) -> None:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="caller", PolicyName="p", PolicyDocument=document)

    assert addresses.call(url_id, keys=keys).status == 403
    grant("lambda:InvokeFunctionUrl")
    assert addresses.call(url_id, keys=keys).status == 403
    grant("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
    assert addresses.call(url_id, keys=keys).status == 200


def test_cors_is_answered_by_the_address(addresses: Addresses) -> None:
    url_id = addresses.make(
        """
        def handler(event, context):
            headers = {"Access-Control-Allow-Origin": "https://mine"}
            return {"statusCode": 200, "headers": headers, "body": "x"}
        """,
        Cors={
            "AllowOrigins": ["https://a.example", "https://*.b.example"],
            "AllowMethods": ["GET", "POST"],
            "AllowHeaders": ["content-type"],
            "MaxAge": 60,
            "AllowCredentials": True,
        },
    )
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}

    preflight = addresses.call(url_id, method="OPTIONS", headers=asked)
    answer = addresses.call(url_id, headers={"Origin": "https://x.b.example"})
    foreign = addresses.call(url_id, headers={"Origin": "https://evil.example"})

    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert preflight.headers["access-control-allow-methods"] == "GET,POST"
    assert preflight.headers["access-control-max-age"] == "60"
    assert answer.headers["access-control-allow-origin"] == "https://x.b.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in foreign.headers
    assert len(addresses.functions.events("invocation")) == 2


def test_an_alias_has_an_address_of_its_own(addresses: Addresses) -> None:
    addresses.functions.create("def handler(event, context):\n    return context.invoked_function_arn\n")
    addresses.api.publish_version(FunctionName="fn")
    addresses.api.create_alias(FunctionName="fn", Name="live", FunctionVersion="1")
    addresses.allow(Qualifier="live")
    latest = addresses.add()
    live = addresses.add(Qualifier="live")

    assert addresses.call(live).body.decode().endswith(":fn:live")
    assert addresses.call(latest).status == 403  # The permission is the alias's.
    listed = addresses.api.list_function_url_configs(FunctionName="fn")["FunctionUrlConfigs"]
    assert [each["FunctionArn"].rsplit(":", 1)[1] for each in listed] == ["fn", "live"]
    addresses.api.delete_alias(FunctionName="fn", Name="live")
    assert addresses.call(live).status == 403
    code, _ = refused(addresses.api.get_function_url_config, FunctionName="fn", Qualifier="live")
    assert code == "ResourceNotFoundException"


def test_the_configuration_is_kept_changed_and_deleted(addresses: Addresses) -> None:
    url_id = addresses.make(Cors={"AllowOrigins": ["*"]})
    api = addresses.api

    made = api.get_function_url_config(FunctionName="fn")
    assert made["FunctionUrl"] == f"https://{url_id}.lambda-url.{addresses.functions.core.region}.on.aws/"
    assert (made["AuthType"], made["InvokeMode"]) == ("NONE", "BUFFERED")
    assert made["Cors"] == {"AllowOrigins": ["*"]}
    changed = api.update_function_url_config(
        FunctionName="fn", AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM", Cors={}
    )
    assert (changed["AuthType"], changed["InvokeMode"]) == ("AWS_IAM", "RESPONSE_STREAM")
    assert "Cors" not in changed
    assert changed["FunctionUrl"] == made["FunctionUrl"]
    twice, words = refused(api.create_function_url_config, FunctionName="fn", AuthType="NONE")
    assert twice == "ResourceConflictException"
    assert "FunctionUrlConfig exists for this Lambda function" in words
    api.delete_function_url_config(FunctionName="fn")
    assert addresses.call(url_id).status == 403
    gone, _ = refused(api.get_function_url_config, FunctionName="fn")
    assert gone == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"AuthType": "OPEN"}, "'authType' failed to satisfy constraint"),
        ({"AuthType": "NONE", "Qualifier": "1"}, "'qualifier' failed to satisfy constraint"),
        ({"AuthType": "NONE", "Cors": {"AllowMethods": ["OPTIONS"]}}, "length less than or equal to 6"),
        ({"AuthType": "NONE", "Cors": {"MaxAge": 86401}}, "less than or equal to 86400"),
    ],
)
def test_what_aws_refuses(addresses: Addresses, settings: dict[str, Any], words: str) -> None:
    addresses.functions.create(ECHO)

    code, message = refused(addresses.api.create_function_url_config, FunctionName="fn", **settings)

    assert code == "ValidationException"
    assert words in message


PRELUDE = (
    STREAMING
    + """
def handler(event, context):
    headers = {"Content-Type": "text/event-stream", "X-One": "1"}
    prelude = json.dumps({"statusCode": 206, "headers": headers, "cookies": ["a=1"]}).encode()
    kind = "application/vnd.awslambda.http-integration-response"
    error = {"errorType": "Oops", "errorMessage": "x"} if event["rawPath"] == "/fail" else None
    stream(context, [prelude[:10], prelude[10:] + bytes(8) + b"data: 1\\n", b"data: 2\\n"], 0.05, kind, error)
"""
)


def test_a_stream_has_status_and_headers_and_comes_as_it_is_written(addresses: Addresses) -> None:
    url_id = addresses.make(PRELUDE, InvokeMode="RESPONSE_STREAM")

    answer = addresses.call(url_id)

    assert (answer.status, answer.body) == (206, b"data: 1\ndata: 2\n")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-one"] == "1"
    assert answer.headers["set-cookie"] == "a=1"
    assert answer.headers["transfer-encoding"] == "chunked"


def test_a_stream_that_fails_breaks_off(addresses: Addresses) -> None:
    url_id = addresses.make(PRELUDE, InvokeMode="RESPONSE_STREAM")

    with pytest.raises(http.client.IncompleteRead):
        addresses.call(url_id, "/fail")


def test_a_stream_without_metadata_is_plain(addresses: Addresses) -> None:
    url_id = addresses.make(
        STREAMING + "\ndef handler(event, context):\n    stream(context, [b'a', b'b'])\n",
        InvokeMode="RESPONSE_STREAM",
    )

    answer = addresses.call(url_id)

    assert (answer.status, answer.body) == (200, b"ab")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_an_error_before_the_first_piece_is_a_502(addresses: Addresses) -> None:
    url_id = addresses.make(
        "def handler(event, context):\n    raise ValueError\n", InvokeMode="RESPONSE_STREAM"
    )

    assert addresses.call(url_id).status == 502

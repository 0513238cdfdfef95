"""HTTP APIs: made as SAM makes them, called as clients call them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.functions.contract import InvokeOutcome
from tests.emulator.fabric.apigateway.conftest import Web, proxy_uri
from tests.emulator.fabric.fakes import RecordingFunctions, create_function


def sam_document(uri: str, **extra: Any) -> str:
    """What the SAM transform writes for ``HttpApi`` events."""
    integration = {"httpMethod": "POST", "type": "aws_proxy", "uri": uri, "payloadFormatVersion": "2.0"}
    route = {"x-amazon-apigateway-integration": integration, "responses": {}}
    return json.dumps(
        {
            "openapi": "3.0.1",
            "info": {"version": "1.0", "title": "orders"},
            "paths": {
                "/orders/{id}": {"post": route},
                "/any": {"x-amazon-apigateway-any-method": route},
                "$default": {"x-amazon-apigateway-any-method": {**route, "isDefaultRoute": True}},
            },
            **extra,
        }
    )


@pytest.fixture
def api(account: Any, web: Web, function_arn: str) -> Any:
    client = account.client("apigatewayv2")
    made = client.import_api(Body=sam_document(proxy_uri(account.core.region, function_arn)))
    client.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    return made


def test_the_endpoint_names_the_api_and_its_region(account: Any, api: Any) -> None:
    assert api["ApiEndpoint"] == f"https://{api['ApiId']}.execute-api.{account.core.region}.amazonaws.com"
    assert api["Name"] == "orders"


def test_payload_format_2_has_what_aws_documents(
    account: Any, web: Web, api: Any, functions: RecordingFunctions
) -> None:
    web(
        f"{api['ApiEndpoint']}/orders/a%20b?x=1&x=2&empty=",
        "POST",
        {"Content-Type": "application/json", "Cookie": "a=1; b=2", "X-Two": "one", "User-Agent": "curl/8"},
        b'{"n": 1}',
    )
    event = functions.events[0]
    host = api["ApiEndpoint"].removeprefix("https://")
    context = event.pop("requestContext")
    headers = event.pop("headers")
    assert event == {
        "version": "2.0",
        "routeKey": "POST /orders/{id}",
        "rawPath": "/orders/a b",
        "rawQueryString": "x=1&x=2&empty=",
        "cookies": ["a=1", "b=2"],
        "queryStringParameters": {"x": "1,2", "empty": ""},
        "pathParameters": {"id": "a b"},
        "body": '{"n": 1}',
        "isBase64Encoded": False,
    }
    assert headers["host"] == host
    assert headers["x-two"] == "one"
    assert headers["x-forwarded-for"] == "192.0.2.7"
    assert headers["x-amzn-trace-id"].startswith("Root=1-")
    assert "cookie" not in headers
    assert context["http"] == {
        "method": "POST",
        "path": "/orders/a b",
        "protocol": "HTTP/1.1",
        "sourceIp": "192.0.2.7",
        "userAgent": "curl/8",
    }
    assert context["accountId"] == account.core.account_id
    assert context["apiId"] == api["ApiId"]
    assert context["domainName"] == host
    assert context["stage"] == "$default"
    assert set(context) == {
        *("accountId", "apiId", "domainName", "domainPrefix", "http", "requestId"),
        *("routeKey", "stage", "time", "timeEpoch"),
    }


def test_a_binary_body_comes_as_base64(web: Web, api: Any, functions: RecordingFunctions) -> None:
    web(f"{api['ApiEndpoint']}/any", "PUT", {"Content-Type": "image/png"}, b"\x89PNG")
    assert functions.events[0]["isBase64Encoded"] is True
    assert functions.events[0]["body"] == "iVBORw=="


def test_what_no_route_takes_goes_to_the_default_route(
    web: Web, api: Any, functions: RecordingFunctions
) -> None:
    web(f"{api['ApiEndpoint']}/orders/1")
    assert functions.events[0]["routeKey"] == "$default"


def test_a_path_of_the_gateway_reaches_the_api_too(web: Web, api: Any, functions: RecordingFunctions) -> None:
    for stage in ("", "/$default"):
        answer = web(f"http://127.0.0.1:4566/_aws/execute-api/{api['ApiId']}{stage}/orders/7", "POST")
        assert answer.status == 200
        assert functions.events[-1]["rawPath"] == "/orders/7"
    assert functions.events[-1]["headers"]["host"].startswith(api["ApiId"])


@pytest.mark.parametrize(
    ("returned", "status", "body"),
    [
        ({"statusCode": 201, "body": "made"}, 201, b"made"),
        ({"hello": "world"}, 200, b'{"hello": "world"}'),
        ("text", 200, b"text"),
        ({"statusCode": 200, "body": "aGk=", "isBase64Encoded": True}, 200, b"hi"),
        ({"statusCode": "nope"}, 500, b'{"message":"Internal Server Error"}'),
    ],
)
def test_answers_are_read_by_the_rules_of_format_2(
    web: Web, api: Any, functions: RecordingFunctions, returned: Any, status: int, body: bytes
) -> None:
    functions.answer = lambda event: returned
    answer = web(f"{api['ApiEndpoint']}/any")
    assert (answer.status, answer.body) == (status, body)


def test_cookies_and_headers_come_back(web: Web, api: Any, functions: RecordingFunctions) -> None:
    functions.answer = lambda event: {
        "statusCode": 200,
        "headers": {"X-Kind": "test", "Content-Type": "text/html"},
        "cookies": ["a=1", "b=2"],
        "body": "<p>",
    }
    answer = web(f"{api['ApiEndpoint']}/any")
    assert answer.header("x-kind") == "test"
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert answer.header("apigw-requestid")


@pytest.mark.parametrize(
    ("outcome", "status", "body"),
    [
        (InvokeOutcome(200, b'{"errorMessage": "x"}', "Unhandled"), 500, "Internal Server Error"),
        (InvokeOutcome(429, b"{}", error_code="TooManyRequestsException"), 503, "Service Unavailable"),
        (InvokeOutcome(404, b"{}", error_code="ResourceNotFoundException"), 500, "Internal Server Error"),
    ],
)
def test_a_function_that_fails_is_an_internal_error(
    account: Any,
    web: Web,
    api: Any,
    functions: RecordingFunctions,
    outcome: InvokeOutcome,
    status: int,
    body: str,
) -> None:
    functions.answer = lambda event: outcome
    answer = web(f"{api['ApiEndpoint']}/any")
    assert (answer.status, answer.json()) == (status, {"message": body})
    assert account.events("delivery")[-1].detail["status"] == status


def test_a_missing_route_is_not_found(account: Any, web: Web, function_arn: str) -> None:
    client = account.client("apigatewayv2")
    made = client.create_api(Name="bare", ProtocolType="HTTP")
    integration = client.create_integration(
        ApiId=made["ApiId"],
        IntegrationType="AWS_PROXY",
        IntegrationUri=function_arn,
        PayloadFormatVersion="2.0",
    )
    client.create_route(
        ApiId=made["ApiId"], RouteKey="GET /here", Target=f"integrations/{integration['IntegrationId']}"
    )
    assert web(f"{made['ApiEndpoint']}/here").json() == {"message": "Not Found"}
    client.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    assert web(f"{made['ApiEndpoint']}/here").status == 200
    missing = web(f"{made['ApiEndpoint']}/there")
    assert (missing.status, missing.json()) == (404, {"message": "Not Found"})
    assert web(f"{made['ApiEndpoint']}/here", "POST").status == 404


def test_a_stage_serves_what_was_deployed_to_it(
    account: Any, web: Web, api: Any, functions: RecordingFunctions
) -> None:
    client = account.client("apigatewayv2")
    client.create_stage(ApiId=api["ApiId"], StageName="prod", StageVariables={"colour": "red"})
    assert web(f"{api['ApiEndpoint']}/prod/any").status == 200, "the default stage takes it"
    deployed = client.create_deployment(ApiId=api["ApiId"], StageName="prod")
    web(f"{api['ApiEndpoint']}/prod/any")
    event = functions.events[-1]
    assert event["requestContext"]["stage"] == "prod"
    assert event["rawPath"] == "/prod/any"
    assert event["stageVariables"] == {"colour": "red"}
    assert client.get_stage(ApiId=api["ApiId"], StageName="prod")["DeploymentId"] == deployed["DeploymentId"]

    route = next(r for r in client.get_routes(ApiId=api["ApiId"])["Items"] if r["RouteKey"] == "ANY /any")
    client.delete_route(ApiId=api["ApiId"], RouteId=route["RouteId"])
    web(f"{api['ApiEndpoint']}/prod/any")
    assert functions.events[-1]["routeKey"] == "ANY /any", "prod has not been deployed again"
    web(f"{api['ApiEndpoint']}/any")
    assert functions.events[-1]["routeKey"] == "$default", "the default stage deploys by itself"


def test_reimporting_keeps_the_stages(account: Any, web: Web, api: Any, function_arn: str) -> None:
    client = account.client("apigatewayv2")
    document = json.loads(sam_document(proxy_uri(account.core.region, function_arn)))
    document["paths"] = {"/new": document["paths"]["/any"]}
    client.reimport_api(ApiId=api["ApiId"], Body=json.dumps(document))
    assert web(f"{api['ApiEndpoint']}/new").status == 200
    assert web(f"{api['ApiEndpoint']}/any").status == 404


def test_cors_is_answered_by_the_api(
    account: Any, web: Web, function_arn: str, functions: RecordingFunctions
) -> None:
    client = account.client("apigatewayv2")
    cors = {
        "allowOrigins": ["https://shop.example"],
        "allowMethods": ["GET"],
        "allowHeaders": ["X-Key"],
        "allowCredentials": True,
        "maxAge": 60,
    }
    uri = proxy_uri(account.core.region, function_arn)
    made = client.import_api(Body=sam_document(uri, **{"x-amazon-apigateway-cors": cors}))
    client.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    answer = web(f"{made['ApiEndpoint']}/any", "OPTIONS", asks)
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == "https://shop.example"
    assert answer.header("access-control-allow-methods") == "GET"
    assert answer.header("access-control-allow-headers") == "x-key"
    assert answer.header("access-control-max-age") == "60"
    assert not functions.events

    foreign = web(f"{made['ApiEndpoint']}/any", "OPTIONS", {**asks, "Origin": "https://evil.example"})
    assert foreign.header("access-control-allow-origin") is None

    functions.answer = lambda event: {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}
    answer = web(f"{made['ApiEndpoint']}/any", "GET", {"Origin": "https://shop.example"})
    assert answer.header("access-control-allow-origin") == "https://shop.example"


def test_a_function_that_does_not_let_the_api_in_is_not_called(
    account: Any, web: Web, functions: RecordingFunctions
) -> None:
    arn = create_function(account, "closed")
    client = account.client("apigatewayv2")
    made = client.create_api(Name="quick", ProtocolType="HTTP", Target=arn)
    answer = web(f"{made['ApiEndpoint']}/")
    assert (answer.status, answer.json()) == (500, {"message": "Internal Server Error"})
    assert not functions.events
    assert "policy" in account.events("delivery")[-1].outcome

    account.client("lambda").add_permission(
        FunctionName="closed",
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{account.core.region}:{account.core.account_id}:{made['ApiId']}/*/$default",
    )
    assert web(f"{made['ApiEndpoint']}/").status == 200
    assert [call.function for call in functions.invocations] == [arn]


def test_tokens_of_an_issuer_out_of_reach_are_our_gap(
    account: Any, web: Web, function_arn: str, functions: RecordingFunctions
) -> None:
    client = account.client("apigatewayv2")
    scheme = {
        "type": "oauth2",
        "x-amazon-apigateway-authorizer": {
            "type": "jwt",
            "identitySource": "$request.header.Authorization",
            "jwtConfiguration": {"issuer": "https://id.example", "audience": ["a"]},
        },
    }
    document = json.loads(sam_document(proxy_uri(account.core.region, function_arn)))
    document["components"] = {"securitySchemes": {"Pool": scheme}}
    document["paths"]["/any"]["x-amazon-apigateway-any-method"]["security"] = [{"Pool": ["read"]}]
    made = client.import_api(Body=json.dumps(document))
    client.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    answer = web(f"{made['ApiEndpoint']}/any")
    assert (answer.status, answer.json()) == (401, {"message": "Unauthorized"})
    answer = web(f"{made['ApiEndpoint']}/any", headers={"Authorization": "Bearer a.b.c"})
    assert answer.status == 401
    assert not functions.events
    assert account.events("gap")[-1].subject == f"apigateway:{made['ApiId']}"


def test_access_logs_are_written_in_the_stages_format(account: Any, web: Web, api: Any) -> None:
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/aws/api/orders")
    group = f"arn:aws:logs:{account.core.region}:{account.core.account_id}:log-group:/aws/api/orders"
    form = json.dumps(
        {
            "id": "$context.requestId",
            "key": "$context.routeKey",
            "s": "$context.status",
            "m": "$context.httpMethod",
            "e": "$context.error.message",
        }
    )
    account.client("apigatewayv2").update_stage(
        ApiId=api["ApiId"],
        StageName="$default",
        AccessLogSettings={"DestinationArn": group, "Format": form},
    )
    answer = web(f"{api['ApiEndpoint']}/orders/1", "POST")
    stream = logs.describe_log_streams(logGroupName="/aws/api/orders")["logStreams"][0]["logStreamName"]
    found = logs.get_log_events(logGroupName="/aws/api/orders", logStreamName=stream)["events"]
    assert json.loads(found[0]["message"]) == {
        "id": answer.header("apigw-requestid"),
        "key": "POST /orders/{id}",
        "s": "200",
        "m": "POST",
        "e": "-",
    }


def test_an_unknown_api_is_forbidden(account: Any, web: Web) -> None:
    answer = web(f"https://nothing123.execute-api.{account.core.region}.amazonaws.com/")
    assert answer.status == 403


def test_two_routes_with_one_key_are_a_conflict(account: Any, api: Any) -> None:
    client = account.client("apigatewayv2")
    with pytest.raises(client.exceptions.ConflictException, match="already exists"):
        client.create_route(ApiId=api["ApiId"], RouteKey="ANY /any")

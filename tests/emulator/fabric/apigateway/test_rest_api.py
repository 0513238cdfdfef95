"""REST APIs: made as SAM makes them, called as clients call them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.functions.contract import InvokeOutcome
from tests.emulator.fabric.apigateway.conftest import Web, proxy_uri
from tests.emulator.fabric.fakes import RecordingFunctions, create_function


def sam_document(uri: str) -> dict[str, Any]:
    """What the SAM transform writes for ``Api`` events with CORS."""
    proxy = {"httpMethod": "POST", "type": "aws_proxy", "uri": uri}
    headers = {
        "method.response.header.Access-Control-Allow-Origin": "'*'",
        "method.response.header.Access-Control-Allow-Methods": "'GET,OPTIONS'",
    }
    mock = {
        "type": "mock",
        "requestTemplates": {"application/json": '{\n  "statusCode" : 200\n}\n'},
        "responses": {
            "default": {
                "statusCode": "200",
                "responseTemplates": {"application/json": "{}\n"},
                "responseParameters": headers,
            }
        },
    }
    return {
        "swagger": "2.0",
        "info": {"version": "1.0", "title": "orders"},
        "paths": {
            "/orders/{id}": {
                "get": {"x-amazon-apigateway-integration": proxy, "responses": {}},
                "options": {"x-amazon-apigateway-integration": mock, "responses": {"200": {}}},
            },
            "/files/{proxy+}": {
                "x-amazon-apigateway-any-method": {"x-amazon-apigateway-integration": proxy, "responses": {}}
            },
        },
    }


@pytest.fixture
def api(account: Any, web: Web, function_arn: str) -> str:
    """The address of a deployed stage."""
    client = account.client("apigateway")
    document = sam_document(proxy_uri(account.core.region, function_arn))
    made = client.create_rest_api(name="orders", binaryMediaTypes=["image/*"])
    client.put_rest_api(restApiId=made["id"], mode="overwrite", body=json.dumps(document).encode())
    deployment = client.create_deployment(restApiId=made["id"])
    client.create_stage(
        restApiId=made["id"], stageName="Prod", deploymentId=deployment["id"], variables={"colour": "red"}
    )
    return f"https://{made['id']}.execute-api.{account.core.region}.amazonaws.com/Prod"


def test_payload_format_1_has_what_aws_documents(
    account: Any, web: Web, api: str, functions: RecordingFunctions
) -> None:
    answer = web(f"{api}/orders/a%20b?x=1&x=2", headers={"Accept": "*/*", "User-Agent": "curl/8"})
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.header("x-amzn-requestid")
    event = functions.events[0]
    context, headers = event.pop("requestContext"), event.pop("headers")
    assert event.pop("multiValueHeaders")["Accept"] == ["*/*"]
    assert headers["X-Forwarded-Proto"] == "https"
    assert event == {
        "resource": "/orders/{id}",
        "path": "/orders/a%20b",
        "httpMethod": "GET",
        "queryStringParameters": {"x": "2"},
        "multiValueQueryStringParameters": {"x": ["1", "2"]},
        "pathParameters": {"id": "a%20b"},
        "stageVariables": {"colour": "red"},
        "body": None,
        "isBase64Encoded": False,
    }
    assert context["path"] == "/Prod/orders/a%20b"
    assert context["stage"] == "Prod"
    assert context["resourcePath"] == "/orders/{id}"
    assert context["identity"]["sourceIp"] == "192.0.2.7"
    assert context["requestId"] == answer.header("x-amzn-requestid")


def test_cors_of_sam_is_a_mock_integration(web: Web, api: str, functions: RecordingFunctions) -> None:
    answer = web(f"{api}/orders/1", "OPTIONS", {"Origin": "https://a.example"})
    assert (answer.status, answer.body) == (200, b"{}\n")
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("access-control-allow-methods") == "GET,OPTIONS"
    assert not functions.events


def test_what_is_not_there_asks_for_a_token(web: Web, api: str) -> None:
    for address, method in ((f"{api}/none", "GET"), (f"{api}/orders/1", "DELETE")):
        answer = web(address, method)
        assert (answer.status, answer.json()) == (403, {"message": "Missing Authentication Token"})
    assert web(api.replace("/Prod", "/Test/orders/1")).json() == {"message": "Forbidden"}


def test_what_is_measured_goes_by_the_name_of_the_api(account: Any, web: Web, api: str) -> None:
    web(f"{api}/none")

    (request,) = [event for event in account.core.timeline.since() if event.kind == "delivery"]
    assert (request.detail["api_name"], request.detail["status"]) == ("orders", 403)


def test_a_greedy_path_takes_the_rest(web: Web, api: str, functions: RecordingFunctions) -> None:
    web(f"{api}/files/a/b", "PUT", {"Content-Type": "image/png"}, b"\x89PNG")
    event = functions.events[0]
    assert event["pathParameters"] == {"proxy": "a/b"}
    assert event["isBase64Encoded"] is True


@pytest.mark.parametrize(
    ("returned", "status"),
    [
        (InvokeOutcome(200, b"{}", "Unhandled"), 502),
        (InvokeOutcome(429, b"{}", error_code="TooManyRequestsException"), 500),
        ({"statusCode": 200, "surprise": 1}, 502),
        ("text", 502),
        ({"statusCode": 200, "body": {"a": 1}}, 502),
    ],
)
def test_what_the_api_can_not_use_is_an_error(
    web: Web, api: str, functions: RecordingFunctions, returned: Any, status: int
) -> None:
    functions.answer = lambda event: returned
    answer = web(f"{api}/orders/1")
    assert (answer.status, answer.json()) == (status, {"message": "Internal server error"})


def test_a_function_that_does_not_let_the_api_in_answers_500(
    account: Any, web: Web, functions: RecordingFunctions
) -> None:
    client = account.client("apigateway")
    arn = create_function(account, "closed")
    document = sam_document(proxy_uri(account.core.region, arn))
    made = client.import_rest_api(body=json.dumps(document).encode())
    client.create_deployment(restApiId=made["id"], stageName="dev")
    url = f"https://{made['id']}.execute-api.{account.core.region}.amazonaws.com/dev/orders/1"
    answer = web(url)
    assert (answer.status, answer.json()) == (500, {"message": "Internal server error"})
    account.client("lambda").add_permission(
        FunctionName="closed",
        StatementId="a",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{account.core.region}:{account.core.account_id}:{made['id']}/*/GET/orders/*",
    )
    assert web(url).status == 200


def test_a_stage_serves_its_deployment_until_it_is_moved(
    account: Any, web: Web, api: str, function_arn: str
) -> None:
    client = account.client("apigateway")
    api_id = api.removeprefix("https://").split(".")[0]
    document = sam_document(proxy_uri(account.core.region, function_arn))
    document["paths"]["/new"] = document["paths"].pop("/orders/{id}")
    root = client.get_rest_api(restApiId=api_id)["rootResourceId"]
    client.put_rest_api(restApiId=api_id, mode="overwrite", body=json.dumps(document).encode())
    assert client.get_rest_api(restApiId=api_id)["rootResourceId"] == root
    assert web(f"{api}/orders/1").status == 200
    assert web(f"{api}/new").status == 403
    deployment = client.create_deployment(restApiId=api_id)
    patch = [
        {"op": "replace", "path": "/deploymentId", "value": deployment["id"]},
        {"op": "replace", "path": "/variables/colour", "value": "blue"},
        {"op": "replace", "path": "/*/*/metrics/enabled", "value": "true"},
    ]
    stage = client.update_stage(restApiId=api_id, stageName="Prod", patchOperations=patch)
    assert stage["deploymentId"] == deployment["id"]
    assert stage["variables"] == {"colour": "blue"}
    assert stage["methodSettings"]["*/*"]["metricsEnabled"] is True
    assert web(f"{api}/orders/1").status == 403
    assert web(f"{api}/new").status == 200
    with pytest.raises(client.exceptions.BadRequestException, match="Active stages"):
        client.delete_deployment(restApiId=api_id, deploymentId=deployment["id"])


def test_a_method_that_wants_a_signature_or_a_key_lets_nobody_else_in(
    account: Any, web: Web, function_arn: str, functions: RecordingFunctions
) -> None:
    client = account.client("apigateway")
    document = sam_document(proxy_uri(account.core.region, function_arn))
    document["securityDefinitions"] = {
        "AWS_IAM": {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "x-amazon-apigateway-authtype": "awsSigv4",
        },
        "api_key": {"type": "apiKey", "name": "x-api-key", "in": "header"},
    }
    document["paths"]["/orders/{id}"]["get"]["security"] = [{"AWS_IAM": []}]
    document["paths"]["/files/{proxy+}"]["x-amazon-apigateway-any-method"]["security"] = [{"api_key": []}]
    made = client.import_rest_api(body=json.dumps(document).encode())
    client.create_deployment(restApiId=made["id"], stageName="dev")
    base = f"https://{made['id']}.execute-api.{account.core.region}.amazonaws.com/dev"
    unsigned, keyless = web(f"{base}/orders/1"), web(f"{base}/files/x")
    assert (unsigned.status, unsigned.json()) == (403, {"message": "Missing Authentication Token"})
    assert (keyless.status, keyless.json()) == (403, {"message": "Forbidden"})
    assert not functions.events


def test_an_integration_that_is_incomplete_fails_the_import(account: Any, gateway: Any) -> None:
    client = account.client("apigateway")
    document = sam_document("arn:aws:lambda:eu-north-1:1:function:x")
    with pytest.raises(client.exceptions.BadRequestException, match="'GET' for resource at path '/orders/"):
        client.import_rest_api(body=json.dumps(document).encode())
    assert client.get_rest_apis()["items"] == []


def test_resources_can_be_made_one_by_one(
    account: Any, web: Web, function_arn: str, functions: RecordingFunctions
) -> None:
    client = account.client("apigateway")
    made = client.create_rest_api(name="plain")
    where = {"restApiId": made["id"]}
    resource = client.create_resource(**where, parentId=made["rootResourceId"], pathPart="hello")
    with pytest.raises(client.exceptions.ConflictException, match="same parent"):
        client.create_resource(**where, parentId=made["rootResourceId"], pathPart="hello")
    with pytest.raises(client.exceptions.BadRequestException, match="any methods"):
        client.create_deployment(**where)
    method = {**where, "resourceId": resource["id"], "httpMethod": "GET"}
    client.put_method(**method, authorizationType="NONE")
    with pytest.raises(client.exceptions.BadRequestException, match="No integration"):
        client.create_deployment(**where)
    client.put_integration(
        **method,
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=proxy_uri(account.core.region, function_arn),
    )
    client.create_deployment(**where, stageName="v1")
    assert web(f"http://127.0.0.1:4566/_aws/execute-api/{made['id']}/v1/hello").status == 200
    assert account.events("delivery")[-1].detail["function"] == function_arn
    client.delete_rest_api(**where)
    assert web(f"http://127.0.0.1:4566/_aws/execute-api/{made['id']}/v1/hello").status == 403

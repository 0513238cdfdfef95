"""APIs in front of HTTP end points, which are addresses of the account itself."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.emulator.fabric.apigateway.conftest import HttpAnswer, Web
from tests.emulator.fabric.fakes import RecordingFunctions


class Partner:
    """An HTTP API that stands for an end point of somebody else's; its function answers as a test says."""

    def __init__(self, account: Any, functions: RecordingFunctions, function_arn: str, web: Web) -> None:
        self.account, self.functions, self.web = account, functions, web
        self.answer: Any = {"statusCode": 201, "headers": {"x-made": "yes"}, "body": '{"id": 7}'}
        functions.answer = lambda event: self.answer(event) if callable(self.answer) else self.answer
        self.http = account.client("apigatewayv2")
        made = self.http.create_api(Name="partner", ProtocolType="HTTP", Target=function_arn)
        self.url = str(made["ApiEndpoint"])
        self.rest = account.client("apigateway")

    def asked(self) -> Any:
        """The one request that came in."""
        [event] = self.functions.events
        return event

    def http_api(self, uri: str, key: str = "ANY /{proxy+}", **integration: Any) -> str:
        """An HTTP API that passes requests on; its address."""
        integration = {"IntegrationMethod": "ANY", "PayloadFormatVersion": "1.0", **integration}
        made = self.http.create_api(Name="front", ProtocolType="HTTP")
        target = self.http.create_integration(
            ApiId=made["ApiId"], IntegrationType="HTTP_PROXY", IntegrationUri=uri, **integration
        )["IntegrationId"]
        self.http.create_route(ApiId=made["ApiId"], RouteKey=key, Target=f"integrations/{target}")
        self.http.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
        return str(made["ApiEndpoint"])

    def rest_api(self, responses: Any = (), parameters: Any = None, **integration: Any) -> str:
        """A REST API whose ``ANY /{proxy+}`` asks an end point; its address."""
        api_id = self.rest.create_rest_api(name="front")["id"]
        [root] = self.rest.get_resources(restApiId=api_id)["items"]
        rest = self.rest.create_resource(restApiId=api_id, parentId=root["id"], pathPart="{proxy+}")
        where = {"restApiId": api_id, "resourceId": rest["id"], "httpMethod": "ANY"}
        parameters = parameters or {"method.request.path.proxy": True}
        self.rest.put_method(**where, authorizationType="NONE", requestParameters=parameters)
        self.rest.put_integration(**where, integrationHttpMethod="ANY", **integration)
        for status, response in dict(responses).items():
            self.rest.put_method_response(
                **where,
                statusCode=status,
                responseParameters=dict.fromkeys(response["responseParameters"], True),
            )
            self.rest.put_integration_response(**where, statusCode=status, **response)
        self.rest.create_deployment(restApiId=api_id, stageName="dev")
        return f"https://{api_id}.execute-api.{self.account.core.region}.amazonaws.com/dev"

    def post(self, url: str) -> HttpAnswer:
        headers = {"Content-Type": "application/json", "X-Key": "k"}
        return self.web(url, "POST", headers, b'{"name": "Ann"}')


@pytest.fixture
def partner(account: Any, functions: RecordingFunctions, function_arn: str, web: Web) -> Partner:
    return Partner(account, functions, function_arn, web)


def test_an_http_api_passes_everything_on(partner: Partner) -> None:
    url = partner.http_api(f"{partner.url}/orders/{{proxy}}")
    answer = partner.post(f"{url}/north/7?page=2")
    assert (answer.status, answer.json(), answer.header("x-made")) == (201, {"id": 7}, "yes")
    event = partner.asked()
    assert (event["rawPath"], event["rawQueryString"]) == ("/orders/north/7", "page=2")
    assert (event["requestContext"]["http"]["method"], event["body"]) == ("POST", '{"name": "Ann"}')
    assert event["headers"]["x-key"] == "k"
    assert event["headers"]["forwarded"].startswith("by=127.0.0.1;for=192.0.2.7;host=")
    assert event["requestContext"]["domainName"] == partner.url.removeprefix("https://")


def test_a_rest_api_passes_everything_on(partner: Partner) -> None:
    partner.answer = {"statusCode": 404, "headers": {"www-authenticate": "Basic"}, "body": "no such order"}
    url = partner.rest_api(
        type="HTTP_PROXY",
        uri=f"{partner.url}/orders/{{proxy}}",
        requestParameters={
            "integration.request.path.proxy": "method.request.path.proxy",
            "integration.request.header.x-from": "'front'",
        },
    )
    answer = partner.post(f"{url}/north/7?page=2")
    assert (answer.status, answer.body) == (404, b"no such order")
    assert answer.header("x-amzn-remapped-www-authenticate") == "Basic"
    event = partner.asked()
    assert (event["rawPath"], event["rawQueryString"]) == ("/orders/north/7", "page=2")
    assert (event["headers"]["x-key"], event["headers"]["x-from"]) == ("k", "front")
    assert event["headers"]["user-agent"].startswith("AmazonAPIGateway_")


def test_a_rest_api_maps_request_and_answer(partner: Partner) -> None:
    partner.answer = lambda event: {
        "statusCode": 409 if "gone" in event["rawPath"] else 200,
        "body": '{"n": 1}',
    }
    shown = {
        "200": {
            "responseParameters": {"method.response.header.x-n": "integration.response.body.n"},
            "responseTemplates": {"application/json": '{"number": $input.path("$.n")}'},
        },
        "410": {"responseParameters": {}, "selectionPattern": "4\\d\\d"},
    }
    url = partner.rest_api(
        responses=shown,
        type="HTTP",
        uri=f"{partner.url}/{{where}}",
        requestParameters={"integration.request.path.where": "method.request.path.proxy"},
        requestTemplates={"application/json": '{"who": $input.json("$.name")}'},
    )
    answer = partner.post(f"{url}/here?page=2")
    assert (answer.status, answer.json(), answer.header("x-n")) == (200, {"number": 1}, "1")
    event = partner.asked()
    assert json.loads(event["body"]) == {"who": "Ann"}
    assert (event["rawQueryString"], "x-key" in event["headers"]) == ("", False)
    assert partner.post(f"{url}/gone").status == 410


@pytest.mark.parametrize("uri", ["https://example.com/x", "http://127.0.0.1:8000/", "http://10.0.0.1/"])
def test_nothing_beyond_the_account_is_reached(account: Any, partner: Partner, uri: str) -> None:
    for url in (partner.http_api(uri), partner.rest_api(type="HTTP_PROXY", uri=uri)):
        answer = partner.post(f"{url}/x")
        assert answer.status == 501
        gap = account.events("gap")[-1]
        assert (gap.outcome, uri in gap.detail["message"]) == ("NotEmulated", True)
    assert partner.functions.events == []


def test_an_end_point_that_takes_too_long(partner: Partner) -> None:
    over = threading.Event()
    partner.answer = lambda event: over.wait(10) and None
    http = partner.http_api(f"{partner.url}/x", TimeoutInMillis=50)
    rest = partner.rest_api(type="HTTP_PROXY", uri=f"{partner.url}/x", timeoutInMillis=50)
    try:
        assert (partner.post(f"{http}/x").status, partner.post(f"{rest}/x").status) == (503, 504)
    finally:
        over.set()

"""REST and HTTP APIs that stacks make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.cloudformation.resources.base import Physical

FUNCTION = "arn:aws:lambda:eu-north-1:111122223333:function:orders"
INVOKE = f"arn:aws:apigateway:eu-north-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"


def swagger(*paths: str, title: str = "shop") -> dict[str, Any]:
    """What SAM makes of a function's Api events."""
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": INVOKE}
    operation = {"x-amazon-apigateway-integration": integration, "responses": {}}
    return {
        "swagger": "2.0",
        "info": {"version": "1.0", "title": title},
        "paths": {path: {"get": operation} for path in paths},
    }


def openapi(*paths: str) -> dict[str, Any]:
    """What SAM makes of a function's HttpApi events."""
    integration = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": INVOKE,
        "payloadFormatVersion": "2.0",
    }
    return {
        "openapi": "3.0.1",
        "info": {"version": "1.0", "title": "shop"},
        "tags": [{"name": "httpapi:createdBy", "x-amazon-apigateway-tag-value": "SAM"}],
        "paths": {
            path: {"post": {"x-amazon-apigateway-integration": integration, "responses": {}}}
            for path in paths
        },
    }


def paths(stack: Any, api: Physical) -> list[str]:
    items = stack.client("apigateway").get_resources(restApiId=api.physical_id)["items"]
    return sorted(item["path"] for item in items)


def test_a_rest_api_of_a_swagger_document_as_sam_makes_it(stack: Any) -> None:
    old = {
        "Body": swagger("/orders", "/orders/{id}"),
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
        "Parameters": {"endpointConfigurationTypes": "REGIONAL"},
        "BinaryMediaTypes": ["image/png"],
    }

    api = stack.create("ApiGateway::RestApi", old, "ServerlessRestApi")

    apis = stack.client("apigateway")
    found = apis.get_rest_api(restApiId=api.physical_id)
    items = apis.get_resources(restApiId=api.physical_id)["items"]
    root = next(item["id"] for item in items if item["path"] == "/")
    assert api.attributes == {"RestApiId": api.physical_id, "RootResourceId": root}
    assert (found["name"], found["endpointConfiguration"]["types"]) == ("shop", ["REGIONAL"])
    assert found["binaryMediaTypes"] == ["image/png"]
    assert found["tags"]["aws:cloudformation:logical-id"] == "ServerlessRestApi"
    assert paths(stack, api) == ["/", "/orders", "/orders/{id}"]

    new = {**old, "Name": "store", "Body": swagger("/baskets"), "BinaryMediaTypes": ["image/gif"]}
    after = stack.update("ApiGateway::RestApi", api, old, new)

    found = apis.get_rest_api(restApiId=api.physical_id)
    assert after == api
    assert paths(stack, api) == ["/", "/baskets"]
    assert (found["name"], found["binaryMediaTypes"]) == ("store", ["image/gif"])
    stack.delete("ApiGateway::RestApi", api, new)
    assert apis.get_rest_apis()["items"] == []


def test_a_document_that_is_refused_leaves_no_api(stack: Any) -> None:
    client = stack.client("apigateway")
    with pytest.raises(client.exceptions.BadRequestException):
        stack.create("ApiGateway::RestApi", {"Name": "shop", "Body": {"info": {"title": "shop"}}})

    assert client.get_rest_apis()["items"] == []


def test_a_rest_api_piece_by_piece(stack: Any) -> None:
    api = stack.create("ApiGateway::RestApi", {"Name": "shop", "Description": "sells"})
    basis = {"RestApiId": api.physical_id}
    resource = stack.create(
        "ApiGateway::Resource", {**basis, "ParentId": api.attributes["RootResourceId"], "PathPart": "orders"}
    )
    integration = {
        "Type": "AWS_PROXY",
        "IntegrationHttpMethod": "POST",
        "Uri": INVOKE,
        "TimeoutInMillis": "5000",
    }
    mock = {
        "Type": "MOCK",
        "RequestTemplates": {"application/json": '{"statusCode": 200}'},
        "IntegrationResponses": [{"StatusCode": 200, "ResponseTemplates": {"application/json": "{}"}}],
    }
    old = {
        **basis,
        "ResourceId": resource.physical_id,
        "HttpMethod": "GET",
        "AuthorizationType": "NONE",
        "ApiKeyRequired": "false",
        "RequestParameters": {"method.request.querystring.page": "true"},
        "MethodResponses": [{"StatusCode": "200"}],
        "Integration": integration,
    }
    method = stack.create("ApiGateway::Method", old)

    apis = stack.client("apigateway")
    where = {"restApiId": api.physical_id, "resourceId": resource.physical_id, "httpMethod": "GET"}
    found = apis.get_method(**where)
    assert found["requestParameters"] == {"method.request.querystring.page": True}
    assert (found["methodIntegration"]["uri"], found["methodIntegration"]["timeoutInMillis"]) == (
        INVOKE,
        5000,
    )
    assert found["methodResponses"]["200"]["statusCode"] == "200"

    new = {**old, "AuthorizationType": "AWS_IAM", "Integration": mock}
    assert stack.update("ApiGateway::Method", method, old, new) == method

    found = apis.get_method(**where)
    assert (found["authorizationType"], found["methodIntegration"]["type"]) == ("AWS_IAM", "MOCK")
    assert found["methodIntegration"]["integrationResponses"]["200"]["responseTemplates"]
    stack.delete("ApiGateway::Method", method, new)
    stack.delete("ApiGateway::Resource", resource, basis)
    assert paths(stack, api) == ["/"]


def test_a_stage_with_logs_variables_and_throttles(stack: Any) -> None:
    api = stack.create("ApiGateway::RestApi", {"Body": swagger("/orders")})
    basis = {"RestApiId": api.physical_id}
    deployment = stack.create("ApiGateway::Deployment", basis)
    second = stack.create("ApiGateway::Deployment", basis)
    group = stack.create("Logs::LogGroup", {"LogGroupName": "access"})
    old = {
        **basis,
        "StageName": "prod",
        "DeploymentId": deployment.physical_id,
        "TracingEnabled": "true",
        "Variables": {"color": "blue"},
        "AccessLogSetting": {"DestinationArn": group.attributes["Arn"], "Format": "$context.requestId"},
        "MethodSettings": [
            {
                "ResourcePath": "/*",
                "HttpMethod": "*",
                "MetricsEnabled": "true",
                "LoggingLevel": "INFO",
                "ThrottlingRateLimit": 10,
                "ThrottlingBurstLimit": "5",
            },
            {"ResourcePath": "/orders", "HttpMethod": "GET", "DataTraceEnabled": True},
        ],
    }
    stage = stack.create("ApiGateway::Stage", old)

    apis = stack.client("apigateway")
    found = apis.get_stage(restApiId=api.physical_id, stageName="prod")
    assert deployment.attributes == {"DeploymentId": deployment.physical_id}
    assert stage.physical_id == "prod"
    assert (found["tracingEnabled"], found["variables"]) == (True, {"color": "blue"})
    assert found["accessLogSettings"]["format"] == "$context.requestId"
    everywhere = found["methodSettings"]["*/*"]
    assert (everywhere["metricsEnabled"], everywhere["loggingLevel"]) == (True, "INFO")
    assert (everywhere["throttlingRateLimit"], everywhere["throttlingBurstLimit"]) == (10.0, 5)
    assert found["methodSettings"]["orders/GET"]["dataTraceEnabled"] is True

    new = {**basis, "StageName": "prod", "DeploymentId": second.physical_id, "Variables": {"size": "XL"}}
    stack.update("ApiGateway::Stage", stage, old, new)

    found = apis.get_stage(restApiId=api.physical_id, stageName="prod")
    assert found["deploymentId"] == second.physical_id
    assert (found["tracingEnabled"], found["variables"]) == (False, {"size": "XL"})
    assert not found.get("accessLogSettings")
    assert not found.get("methodSettings")
    stack.delete("ApiGateway::Deployment", deployment, basis)
    stack.delete("ApiGateway::Stage", stage, new)
    stack.delete("ApiGateway::Deployment", second, basis)


def test_a_deployment_brings_a_stage_of_its_own(stack: Any) -> None:
    api = stack.create("ApiGateway::RestApi", {"Body": swagger("/orders")})
    old = {
        "RestApiId": api.physical_id,
        "StageName": "prod",
        "StageDescription": {"Variables": {"color": "blue"}, "TracingEnabled": True},
    }
    deployment = stack.create("ApiGateway::Deployment", old)

    apis = stack.client("apigateway")
    found = apis.get_stage(restApiId=api.physical_id, stageName="prod")
    assert found["deploymentId"] == deployment.physical_id
    assert (found["variables"], found["tracingEnabled"]) == ({"color": "blue"}, True)

    new = {**old, "StageDescription": {"Variables": {"color": "red"}}}
    stack.update("ApiGateway::Deployment", deployment, old, new)

    assert apis.get_stage(restApiId=api.physical_id, stageName="prod")["variables"] == {"color": "red"}
    stack.delete("ApiGateway::Deployment", deployment, new)
    assert apis.get_stages(restApiId=api.physical_id)["item"] == []


def test_a_stage_with_a_canary(stack: Any) -> None:
    api = stack.create("ApiGateway::RestApi", {"Body": swagger("/orders")})
    basis = {"RestApiId": api.physical_id}
    first = stack.create("ApiGateway::Deployment", basis)
    second = stack.create("ApiGateway::Deployment", basis)
    canary = {"PercentTraffic": "12.5", "StageVariableOverrides": {"color": "red", "size": "S"}}
    old = {
        **basis,
        "StageName": "prod",
        "DeploymentId": first.physical_id,
        "CanarySetting": {**canary, "DeploymentId": second.physical_id, "UseStageCache": "true"},
    }
    stage = stack.create("ApiGateway::Stage", old)

    apis = stack.client("apigateway")
    found = apis.get_stage(restApiId=api.physical_id, stageName="prod")
    assert found["canarySettings"] == {
        "deploymentId": second.physical_id,
        "percentTraffic": 12.5,
        "useStageCache": True,
        "stageVariableOverrides": {"color": "red", "size": "S"},
    }

    new = {**old, "CanarySetting": {"PercentTraffic": 50, "StageVariableOverrides": {"color": "blue"}}}
    stack.update("ApiGateway::Stage", stage, old, new)

    found = apis.get_stage(restApiId=api.physical_id, stageName="prod")
    assert found["canarySettings"] == {
        "deploymentId": first.physical_id,
        "percentTraffic": 50.0,
        "useStageCache": False,
        "stageVariableOverrides": {"color": "blue"},
    }
    stack.delete("ApiGateway::Deployment", second, basis)
    last = {**basis, "StageName": "prod", "DeploymentId": first.physical_id}
    stack.update("ApiGateway::Stage", stage, new, last)
    assert "canarySettings" not in apis.get_stage(restApiId=api.physical_id, stageName="prod")


def test_a_deployment_that_is_a_canary(stack: Any) -> None:
    api = stack.create("ApiGateway::RestApi", {"Body": swagger("/orders")})
    basis = {"RestApiId": api.physical_id, "StageName": "prod"}
    deployment = stack.create("ApiGateway::Deployment", basis)
    given = {**basis, "DeploymentCanarySettings": {"PercentTraffic": 5, "UseStageCache": False}}
    canary = stack.create("ApiGateway::Deployment", given)

    apis = stack.client("apigateway")
    found = apis.get_stage(restApiId=api.physical_id, stageName="prod")
    assert found["deploymentId"] == deployment.physical_id
    assert found["canarySettings"]["deploymentId"] == canary.physical_id

    stack.delete("ApiGateway::Deployment", canary, given)
    assert "canarySettings" not in apis.get_stage(restApiId=api.physical_id, stageName="prod")
    stack.delete("ApiGateway::Deployment", deployment, basis)
    assert apis.get_stages(restApiId=api.physical_id)["item"] == []


def test_tags_change_in_place(stack: Any) -> None:
    def labelled(colour: str, *more: str) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": colour} for key in ("colour", *more)]}

    def own(given: dict[str, str]) -> dict[str, str]:
        return {key: value for key, value in given.items() if not key.startswith("aws:")}

    apis, https = stack.client("apigateway"), stack.client("apigatewayv2")
    body = {"Body": swagger("/orders")}
    api = stack.create("ApiGateway::RestApi", {**body, **labelled("red", "gone")})
    deployment = stack.create("ApiGateway::Deployment", {"RestApiId": api.physical_id})
    basis = {"RestApiId": api.physical_id, "StageName": "prod", "DeploymentId": deployment.physical_id}
    stage = stack.create("ApiGateway::Stage", {**basis, **labelled("red", "gone")})
    key = stack.create("ApiGateway::ApiKey", {"Enabled": True, **labelled("red")})
    plan = stack.create("ApiGateway::UsagePlan", labelled("red"))
    http = stack.create("ApiGatewayV2::Api", {"Name": "h", "ProtocolType": "HTTP"})
    where = {"ApiId": http.physical_id, "StageName": "prod"}
    http_stage = stack.create("ApiGatewayV2::Stage", {**where, "Tags": {"colour": "red", "gone": "x"}})

    for kind, made, given in (
        ("ApiGateway::RestApi", api, body),
        ("ApiGateway::Stage", stage, basis),
        ("ApiGateway::ApiKey", key, {"Enabled": True}),
        ("ApiGateway::UsagePlan", plan, {}),
    ):
        stack.update(kind, made, {**given, **labelled("red", "gone")}, {**given, **labelled("blue")})
    old, new = ({**where, "Tags": tags} for tags in ({"colour": "red", "gone": "x"}, {"colour": "blue"}))
    stack.update("ApiGatewayV2::Stage", http_stage, old, new)

    blue = {"colour": "blue"}
    assert own(apis.get_rest_api(restApiId=api.physical_id)["tags"]) == blue
    assert own(apis.get_stage(restApiId=api.physical_id, stageName="prod")["tags"]) == blue
    assert own(apis.get_api_key(apiKey=key.physical_id)["tags"]) == blue
    assert own(apis.get_usage_plan(usagePlanId=plan.physical_id)["tags"]) == blue
    assert own(https.get_stage(**where)["Tags"]) == blue


def test_the_account_s_role_for_logs(stack: Any) -> None:
    role = stack.role(service="apigateway.amazonaws.com")

    stack.create("ApiGateway::Account", {"CloudWatchRoleArn": role})

    assert stack.client("apigateway").get_account()["cloudwatchRoleArn"] == role


def test_a_lambda_authorizer_of_a_rest_api(stack: Any) -> None:
    api = stack.create("ApiGateway::RestApi", {"Name": "shop"})
    old = {
        "RestApiId": api.physical_id,
        "Name": "tokens",
        "Type": "TOKEN",
        "AuthorizerUri": INVOKE,
        "IdentitySource": "method.request.header.Authorization",
        "AuthorizerResultTtlInSeconds": "0",
    }
    authorizer = stack.create("ApiGateway::Authorizer", old)
    stack.update("ApiGateway::Authorizer", authorizer, old, {**old, "AuthorizerResultTtlInSeconds": 60})

    found = stack.client("apigateway").get_authorizer(
        restApiId=api.physical_id, authorizerId=authorizer.physical_id
    )
    assert (found["name"], found["authorizerResultTtlInSeconds"]) == ("tokens", 60)
    stack.delete("ApiGateway::Authorizer", authorizer, old)


def routes(stack: Any, api: Physical) -> list[str]:
    found = stack.client("apigatewayv2").get_routes(ApiId=api.physical_id)["Items"]
    return sorted(route["RouteKey"] for route in found)


def test_an_http_api_of_a_document_as_sam_makes_it(stack: Any) -> None:
    old = {"Body": openapi("/orders"), "FailOnWarnings": True}
    api = stack.create("ApiGatewayV2::Api", old, "ServerlessHttpApi")
    stage = stack.create(
        "ApiGatewayV2::Stage",
        {
            "ApiId": api.physical_id,
            "StageName": "$default",
            "AutoDeploy": "true",
            "DefaultRouteSettings": {"ThrottlingBurstLimit": "5"},
            "Tags": {"httpapi:createdBy": "SAM"},
        },
        "ServerlessHttpApiApiGatewayDefaultStage",
    )

    apis = stack.client("apigatewayv2")
    found = apis.get_api(ApiId=api.physical_id)
    assert api.attributes["ApiEndpoint"] == found["ApiEndpoint"]
    assert api.attributes["ApiId"] == api.physical_id
    assert (found["Name"], found["ProtocolType"]) == ("shop", "HTTP")
    assert found["Tags"]["httpapi:createdBy"] == "SAM"
    assert found["Tags"]["aws:cloudformation:logical-id"] == "ServerlessHttpApi"
    assert routes(stack, api) == ["POST /orders"]
    published = apis.get_stage(ApiId=api.physical_id, StageName="$default")
    assert (stage.physical_id, published["AutoDeploy"]) == ("$default", True)
    assert published["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 5

    cors = {"AllowOrigins": ["*"], "AllowMethods": ["GET"]}
    new = {**old, "Body": openapi("/orders", "/baskets"), "CorsConfiguration": cors}
    stack.update("ApiGatewayV2::Api", api, old, new)

    assert routes(stack, api) == ["POST /baskets", "POST /orders"]
    assert apis.get_api(ApiId=api.physical_id)["CorsConfiguration"]["AllowOrigins"] == ["*"]
    stack.delete("ApiGatewayV2::Api", api, new)
    assert apis.get_apis()["Items"] == []


def test_an_http_api_piece_by_piece(stack: Any) -> None:
    old = {"Name": "shop", "ProtocolType": "HTTP", "CorsConfiguration": {"AllowOrigins": ["*"]}}
    api = stack.create("ApiGatewayV2::Api", old)
    basis = {"ApiId": api.physical_id}
    authorizer = stack.create(
        "ApiGatewayV2::Authorizer",
        {
            **basis,
            "Name": "users",
            "AuthorizerType": "JWT",
            "IdentitySource": ["$request.header.Authorization"],
            "JwtConfiguration": {"Audience": ["shop"], "Issuer": "https://issuer.example"},
        },
    )
    integration = stack.create(
        "ApiGatewayV2::Integration",
        {
            **basis,
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": FUNCTION,
            "PayloadFormatVersion": "2.0",
            "ResponseParameters": {
                "200": {"ResponseParameters": [{"Destination": "overwrite:header.x", "Source": "y"}]}
            },
        },
    )
    first = {**basis, "RouteKey": "GET /a", "Target": f"integrations/{integration.physical_id}"}
    route = stack.create("ApiGatewayV2::Route", first)
    second = {
        **first,
        "RouteKey": "GET /b",
        "AuthorizationType": "JWT",
        "AuthorizerId": authorizer.physical_id,
    }
    stack.update("ApiGatewayV2::Route", route, first, second)

    apis = stack.client("apigatewayv2")
    found = apis.get_route(ApiId=api.physical_id, RouteId=route.physical_id)
    assert routes(stack, api) == ["GET /b"]
    assert (found["AuthorizationType"], found["AuthorizerId"]) == ("JWT", authorizer.physical_id)
    made = apis.get_integration(ApiId=api.physical_id, IntegrationId=integration.physical_id)
    assert made["ResponseParameters"] == {"200": {"overwrite:header.x": "y"}}

    new = {"Name": "store", "ProtocolType": "HTTP", "DisableExecuteApiEndpoint": "true"}
    stack.update("ApiGatewayV2::Api", api, old, new)

    changed = apis.get_api(ApiId=api.physical_id)
    assert (changed["Name"], changed["DisableExecuteApiEndpoint"]) == ("store", True)
    assert not changed.get("CorsConfiguration")
    for kind, part in (("Route", route), ("Integration", integration), ("Authorizer", authorizer)):
        stack.delete(f"ApiGatewayV2::{kind}", part, basis)


def test_an_http_api_s_stage_changes_in_place(stack: Any) -> None:
    api = stack.create("ApiGatewayV2::Api", {"Body": openapi("/orders")})
    deployment = stack.create("ApiGatewayV2::Deployment", {"ApiId": api.physical_id})
    group = stack.create("Logs::LogGroup", {"LogGroupName": "access"})
    old = {
        "ApiId": api.physical_id,
        "StageName": "prod",
        "DeploymentId": deployment.physical_id,
        "StageVariables": {"color": "blue", "size": "L"},
        "AccessLogSettings": {"DestinationArn": group.attributes["Arn"], "Format": "$context.requestId"},
    }
    stage = stack.create("ApiGatewayV2::Stage", old)
    new = {
        "ApiId": api.physical_id,
        "StageName": "prod",
        "AutoDeploy": True,
        "StageVariables": {"size": "XL"},
    }
    stack.update("ApiGatewayV2::Stage", stage, old, new)

    found = stack.client("apigatewayv2").get_stage(ApiId=api.physical_id, StageName="prod")
    assert (found["AutoDeploy"], found["StageVariables"]) == (True, {"size": "XL"})
    assert "AccessLogSettings" not in found
    stack.delete("ApiGatewayV2::Stage", stage, new)


def test_a_document_in_a_bucket(stack: Any) -> None:
    stack.create("S3::Bucket", {"BucketName": "documents"})
    stack.client("s3").put_object(Bucket="documents", Key="api.json", Body=json.dumps(swagger("/orders")))

    api = stack.create("ApiGateway::RestApi", {"BodyS3Location": {"Bucket": "documents", "Key": "api.json"}})

    assert paths(stack, api) == ["/", "/orders"]


def test_a_websocket_api_piece_by_piece(stack: Any) -> None:
    old = {
        "Name": "chat",
        "ProtocolType": "WEBSOCKET",
        "RouteSelectionExpression": "$request.body.action",
        "IpAddressType": "ipv4",
    }
    api = stack.create("ApiGatewayV2::Api", old)
    assert api.attributes["ApiEndpoint"].startswith("wss://")
    basis = {"ApiId": api.physical_id}
    mock = {**basis, "IntegrationType": "MOCK", "RequestTemplates": {"200": '{"statusCode": 200}'}}
    integration = stack.create("ApiGatewayV2::Integration", mock)
    answers = {**basis, "IntegrationId": integration.physical_id, "IntegrationResponseKey": "$default"}
    answer = stack.create("ApiGatewayV2::IntegrationResponse", answers)
    target = f"integrations/{integration.physical_id}"
    route = stack.create("ApiGatewayV2::Route", {**basis, "RouteKey": "ping", "Target": target})
    back = {**basis, "RouteId": route.physical_id, "RouteResponseKey": "$default"}
    response = stack.create("ApiGatewayV2::RouteResponse", back)
    schema = {"type": "object"}
    shape = {**basis, "Name": "Ping", "ContentType": "application/json", "Schema": schema}
    model = stack.create("ApiGatewayV2::Model", shape)

    apis = stack.client("apigatewayv2")
    where = {"ApiId": api.physical_id, "IntegrationId": integration.physical_id}
    changed = {**answers, "ResponseTemplates": {"$default": "pong"}}
    stack.update("ApiGatewayV2::IntegrationResponse", answer, answers, changed)
    [found] = apis.get_integration_responses(**where)["Items"]
    assert found["ResponseTemplates"] == {"$default": "pong"}
    assert apis.get_model(**basis, ModelId=model.physical_id)["Name"] == "Ping"
    found = apis.get_route_response(**basis, RouteId=route.physical_id, RouteResponseId=response.physical_id)
    assert found["RouteResponseKey"] == "$default"

    stack.delete("ApiGatewayV2::Model", model, shape)
    stack.delete("ApiGatewayV2::RouteResponse", response, back)
    stack.delete("ApiGatewayV2::IntegrationResponse", answer, changed)
    assert apis.get_integration_responses(**where)["Items"] == []

"""What is reached by HTTP: APIs and function URLs."""

from __future__ import annotations

import json

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World


def _uri(world: World, function: str) -> str:
    region = world.account.region
    return f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function}/invocations"


def _called(world: World, base: str) -> Observed:
    """Call the paths of an API that lead to the function that works and to the one that fails."""
    status, body = world.post(f"{base}/works?n=1", '{"n": 1}', **{"content-type": "application/json"})
    assert (status, json.loads(body)) == (200, {"answered": True})
    delivered = world.ledger()
    status, body = world.get(f"{base}/fails")
    assert status in (500, 502)
    world.ledger()
    return Observed(delivered, world.tries(), {Ending.CALLER: [json.loads(body)]})


@row("REST API", "Lambda", "rest-proxy", tries_s=(0,), endings=(Ending.CALLER,), kept="gateway-error")
def _rest(world: World) -> Observed:
    api = world.client("apigateway")
    made = api.create_rest_api(name=world.name("api"))["id"]
    world.undo(lambda: api.delete_rest_api(restApiId=made))
    [root] = api.get_resources(restApiId=made)["items"]
    for name, arn in (("works", world.works), ("fails", world.fails)):
        resource = api.create_resource(restApiId=made, parentId=root["id"], pathPart=name)["id"]
        where = {"restApiId": made, "resourceId": resource, "httpMethod": "ANY"}
        api.put_method(**where, authorizationType="NONE")
        api.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=_uri(world, arn))
    api.create_deployment(restApiId=made, stageName="prod")
    return _called(world, f"https://{made}.execute-api.{world.account.region}.amazonaws.com/prod")


@row(
    "REST API",
    "SQS, by service integration",
    "any",
    endings=(Ending.CALLER,),
    kept="any",
    note="with a mapping template",
)
def _service(world: World) -> Observed:
    api, queue = world.client("apigateway"), world.queue()
    made = api.create_rest_api(name=world.name("api"))["id"]
    world.undo(lambda: api.delete_rest_api(restApiId=made))
    [root] = api.get_resources(restApiId=made)["items"]
    account, name = queue.arn.split(":")[4:]
    for part, where in (("works", name), ("fails", f"{name}-missing")):
        resource = api.create_resource(restApiId=made, parentId=root["id"], pathPart=part)["id"]
        method = {"restApiId": made, "resourceId": resource, "httpMethod": "POST"}
        api.put_method(**method, authorizationType="NONE")
        api.put_integration(
            **method,
            type="AWS",
            integrationHttpMethod="POST",
            uri=f"arn:aws:apigateway:{world.account.region}:sqs:path/{account}/{where}",
            credentials=world.role,
            requestParameters={
                "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"
            },
            requestTemplates={
                "application/json": "Action=SendMessage&MessageBody=$util.urlEncode($input.json('$'))"
            },
        )
        api.put_method_response(**method, statusCode="200")
        api.put_method_response(**method, statusCode="502")
        api.put_integration_response(**method, statusCode="200", selectionPattern="")
        api.put_integration_response(
            **method,
            statusCode="502",
            selectionPattern="4\\d{2}",
            responseTemplates={"application/json": '{"message": "not sent"}'},
        )
    api.create_deployment(restApiId=made, stageName="prod")
    base = f"https://{made}.execute-api.{world.account.region}.amazonaws.com/prod"
    json_type = {"content-type": "application/json"}
    assert world.post(f"{base}/works", '{"n": 1}', **json_type)[0] == 200
    status, body = world.post(f"{base}/fails", '{"n": 2}', **json_type)
    assert status == 502
    return Observed(queue.bodies(), (), {Ending.CALLER: [json.loads(body)]})


@row("HTTP API", "Lambda", "http-api", tries_s=(0,), endings=(Ending.CALLER,), kept="gateway-error")
def _http(world: World) -> Observed:
    api = world.client("apigatewayv2")
    made = api.create_api(Name=world.name("api"), ProtocolType="HTTP")["ApiId"]
    world.undo(lambda: api.delete_api(ApiId=made))
    for name, arn in (("works", world.works), ("fails", world.fails)):
        integration = api.create_integration(
            ApiId=made,
            IntegrationType="AWS_PROXY",
            IntegrationUri=arn,
            PayloadFormatVersion="2.0",
        )["IntegrationId"]
        api.create_route(ApiId=made, RouteKey=f"ANY /{name}", Target=f"integrations/{integration}")
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    return _called(world, f"https://{made}.execute-api.{world.account.region}.amazonaws.com")


def _passed_on(world: World, base: str) -> Observed:
    """Call the paths of an API that lead to the addresses of the two functions."""
    status, body = world.post(f"{base}/works?n=1", '{"n": 1}', **{"content-type": "application/json"})
    assert (status, json.loads(body)) == (200, {"answered": True})
    delivered = world.ledger()
    assert [each["rawQueryString"] for each in delivered] == ["n=1"]
    status, body = world.get(f"{base}/fails")
    world.ledger()
    return Observed(delivered, world.tries(), {Ending.CALLER: [{"status": status, "body": body}]})


@row(
    "REST API",
    "an HTTP end point",
    "http-api",
    tries_s=(0,),
    endings=(Ending.CALLER,),
    kept="url-error",
    note="`HTTP_PROXY`; here a function URL, whose error is passed on as it is",
)
def _rest_to_http(world: World) -> Observed:
    api = world.client("apigateway")
    made = api.create_rest_api(name=world.name("api"))["id"]
    world.undo(lambda: api.delete_rest_api(restApiId=made))
    [root] = api.get_resources(restApiId=made)["items"]
    for name in ("works", "fails"):
        resource = api.create_resource(restApiId=made, parentId=root["id"], pathPart=name)["id"]
        where = {"restApiId": made, "resourceId": resource, "httpMethod": "ANY"}
        api.put_method(**where, authorizationType="NONE")
        address = world.function_url(name)
        api.put_integration(**where, type="HTTP_PROXY", integrationHttpMethod="ANY", uri=address)
    api.create_deployment(restApiId=made, stageName="prod")
    return _passed_on(world, f"https://{made}.execute-api.{world.account.region}.amazonaws.com/prod")


@row(
    "REST API",
    "Lambda, as authorizer",
    "authorizer-request",
    tries_s=(0,),
    endings=(Ending.CALLER,),
    kept="gateway-error",
    note="of the type `REQUEST`; whom it does not let in gets 401 or 403",
)
def _authorizer(world: World) -> Observed:
    api = world.client("apigateway")
    made = api.create_rest_api(name=world.name("api"))["id"]
    world.undo(lambda: api.delete_rest_api(restApiId=made))
    [root] = api.get_resources(restApiId=made)["items"]
    for name, arn in (("works", world.works), ("fails", world.fails)):
        authorizer = api.create_authorizer(
            restApiId=made,
            name=name,
            type="REQUEST",
            authorizerUri=_uri(world, arn),
            identitySource="method.request.header.Authorization",
            authorizerResultTtlInSeconds=0,
        )["id"]
        resource = api.create_resource(restApiId=made, parentId=root["id"], pathPart=name)["id"]
        where = {"restApiId": made, "resourceId": resource, "httpMethod": "GET"}
        api.put_method(**where, authorizationType="CUSTOM", authorizerId=authorizer)
        template = {"application/json": '{"statusCode": 200}'}
        api.put_integration(**where, type="MOCK", requestTemplates=template)
        api.put_method_response(**where, statusCode="200")
        api.put_integration_response(**where, statusCode="200", selectionPattern="")
    api.create_deployment(restApiId=made, stageName="prod")
    base = f"https://{made}.execute-api.{world.account.region}.amazonaws.com/prod"
    assert world.get(f"{base}/works")[0] == 401
    assert world.get(f"{base}/works", Authorization="ann")[0] == 200
    delivered = world.ledger()
    status, body = world.get(f"{base}/fails", Authorization="ann")
    assert status == 500
    world.ledger()
    found = {"message": json.loads(body)["message"] or "Internal server error"}
    return Observed(delivered, world.tries(), {Ending.CALLER: [found]})


@row(
    "HTTP API",
    "SQS, EventBridge, Step Functions, by first-class integration",
    "any",
    endings=(Ending.CALLER,),
    kept="any",
    note="in the words of the service that refused",
)
def _first_class(world: World) -> Observed:
    api, queue = world.client("apigatewayv2"), world.queue()
    machine = world.machine({"Done": {"Type": "Pass", "End": True}})
    world.rule({"Arn": queue.arn})
    made = api.create_api(Name=world.name("api"), ProtocolType="HTTP")["ApiId"]
    world.undo(lambda: api.delete_api(ApiId=made))
    sent = {"QueueUrl": queue.url, "MessageBody": "$request.body"}
    event = {"Source": "shop", "DetailType": "order", "Detail": "$request.body"}
    calls = {
        "queue": ("SQS-SendMessage", sent),
        "bus": ("EventBridge-PutEvents", event),
        "machine": ("StepFunctions-StartExecution", {"StateMachineArn": machine, "Input": "$request.body"}),
        "missing": ("SQS-SendMessage", {**sent, "QueueUrl": f"{queue.url}-missing"}),
    }
    for path, (subtype, parameters) in calls.items():
        integration = api.create_integration(
            ApiId=made,
            IntegrationType="AWS_PROXY",
            IntegrationSubtype=subtype,
            CredentialsArn=world.role,
            PayloadFormatVersion="1.0",
            RequestParameters=parameters,
        )["IntegrationId"]
        api.create_route(ApiId=made, RouteKey=f"POST /{path}", Target=f"integrations/{integration}")
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    base = f"https://{made}.execute-api.{world.account.region}.amazonaws.com"
    json_type = {"content-type": "application/json"}
    statuses = {path: world.post(f"{base}/{path}", '{"n": 1}', **json_type) for path in calls}
    assert [status for status, _ in statuses.values()] == [200, 200, 200, 400]
    world.settle()
    bodies = queue.bodies()
    assert sorted(each.get("detail", each).get("n") for each in bodies) == [1, 1]
    [execution] = world.executions(machine)
    delivered = [*bodies, json.loads(execution["input"])]
    return Observed(delivered, (), {Ending.CALLER: [{"refused": statuses["missing"][1]}]})


@row(
    "HTTP API",
    "an HTTP end point",
    "http-api",
    tries_s=(0,),
    endings=(Ending.CALLER,),
    kept="url-error",
    note="here a function URL, whose error is passed on as it is",
)
def _http_to_http(world: World) -> Observed:
    api = world.client("apigatewayv2")
    made = api.create_api(Name=world.name("api"), ProtocolType="HTTP")["ApiId"]
    world.undo(lambda: api.delete_api(ApiId=made))
    for name in ("works", "fails"):
        integration = api.create_integration(
            ApiId=made,
            IntegrationType="HTTP_PROXY",
            IntegrationMethod="ANY",
            IntegrationUri=world.function_url(name),
            PayloadFormatVersion="1.0",
        )["IntegrationId"]
        api.create_route(ApiId=made, RouteKey=f"ANY /{name}", Target=f"integrations/{integration}")
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    return _passed_on(world, f"https://{made}.execute-api.{world.account.region}.amazonaws.com")


@row("function URL", "Lambda", "http-api", tries_s=(0,), endings=(Ending.CALLER,), kept="url-error")
def _url(world: World) -> Observed:
    urls = {name: world.function_url(name) for name in ("works", "fails")}
    status, body = world.post(f"{urls['works']}path?n=1", '{"n": 1}')
    assert (status, json.loads(body)) == (200, {"answered": True})
    delivered = world.ledger()
    status, body = world.get(urls["fails"])
    assert status in (500, 502)
    world.ledger()
    error = {"status": status, "body": body}
    return Observed(delivered, world.tries(), {Ending.CALLER: [error]})

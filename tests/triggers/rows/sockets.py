"""WebSocket APIs: what clients send on a connection that stays open."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.triggers.rows.apis import _uri
from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World

_WAIT_S = 30


@contextmanager
def _client(world: World, routes: Mapping[str, Mapping[str, Any]]) -> Iterator[ClientConnection]:
    """A client of an API with these routes, by their integrations."""
    api = world.client("apigatewayv2")
    made = api.create_api(
        Name=world.name("api"), ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action"
    )
    where = {"ApiId": made["ApiId"]}
    world.undo(lambda: api.delete_api(**where))
    for key, settings in routes.items():
        integration = api.create_integration(**where, **settings)["IntegrationId"]
        api.create_route(**where, RouteKey=key, Target=f"integrations/{integration}")
    api.create_stage(**where, StageName="prod", DeploymentId=api.create_deployment(**where)["DeploymentId"])
    with connect(world.account.url(f"{made['ApiEndpoint']}/prod"), open_timeout=_WAIT_S) as client:
        yield client


def _function(world: World, arn: str) -> dict[str, str]:
    return {"IntegrationType": "AWS_PROXY", "IntegrationUri": _uri(world, arn)}


@row("WebSocket API", "Lambda", "websocket", tries_s=(0,), endings=(Ending.CALLER,), kept="websocket-error")
def _lambda(world: World) -> Observed:
    works, fails = _function(world, world.works), _function(world, world.fails)
    routes = {"$connect": works, "$disconnect": works, "$default": works, "fails": fails}
    delivered: list[Any] = []
    with _client(world, routes) as client:
        client.send('{"n": 1}')
        assert world.wait_for(lambda: len(delivered.extend(world.ledger()) or delivered) >= 2)
        client.send('{"action": "fails"}')
        told = json.loads(client.recv(timeout=_WAIT_S))
    assert world.wait_for(lambda: len(delivered.extend(world.ledger()) or delivered) >= 4)
    return Observed(delivered, world.tries(), {Ending.CALLER: [told]})


@row(
    "WebSocket API",
    "SQS, by service integration",
    "any",
    endings=(Ending.TOLD,),
    note="with a mapping template; without a route response the client hears of nothing",
)
def _service(world: World) -> Observed:
    queue = world.queue()

    body = "$util.escapeJavaScript($input.body)"

    def send(url: str) -> dict[str, Any]:
        return {
            "IntegrationType": "AWS",
            "IntegrationMethod": "POST",
            "IntegrationUri": f"arn:aws:apigateway:{world.account.region}:sqs:action/SendMessage",
            "CredentialsArn": world.role,
            "TemplateSelectionExpression": "\\$default",
            "RequestTemplates": {"$default": json.dumps({"QueueUrl": url, "MessageBody": body})},
        }

    got: list[Any] = []
    with _client(world, {"works": send(queue.url), "fails": send(f"{queue.url}-missing")}) as client:
        client.send("1")
        assert json.loads(client.recv(timeout=_WAIT_S))["message"] == "Forbidden"
        client.send('{"action": "fails"}')
        client.send('{"action": "works"}')
        assert world.wait_for(lambda: bool(got.extend(queue.bodies()) or got))
        assert world.wait_for(lambda: bool(world.told("400")))
    return Observed(got, (), {Ending.TOLD: world.told("400")})

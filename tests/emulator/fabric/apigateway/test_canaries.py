"""Canary releases of REST APIs: some requests are answered by another deployment."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.emulator.fabric.apigateway.conftest import Web

REQUESTS = 200


def document(answer: str) -> bytes:
    """An API of one mock method that tells which deployment it is, and its stage's variables."""
    template = (
        f'{{"is": "{answer}", "colour": "$stageVariables.colour", "canary": "$context.isCanaryRequest"}}'
    )
    integration = {
        "type": "mock",
        "requestTemplates": {"application/json": '{"statusCode": 200}'},
        "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": template}}},
    }
    method = {"x-amazon-apigateway-integration": integration, "responses": {"200": {}}}
    return json.dumps(
        {"swagger": "2.0", "info": {"title": "shop", "version": "1"}, "paths": {"/": {"get": method}}}
    ).encode()


class Release:
    """An API whose stage ``prod`` serves its old version while a new one is at hand."""

    def __init__(self, account: Any, web: Web) -> None:
        self.apis, self.web = account.client("apigateway"), web
        self.id = self.apis.import_rest_api(body=document("old"))["id"]
        self.old = self.apis.create_deployment(
            restApiId=self.id, stageName="prod", variables={"colour": "red", "size": "m"}
        )["id"]
        self.apis.put_rest_api(restApiId=self.id, mode="overwrite", body=document("new"))
        self.url = f"https://{self.id}.execute-api.{account.core.region}.amazonaws.com/prod/"

    def deploy(self, **canary: Any) -> str:
        settings = {"canarySettings": canary} if canary else {}
        return str(self.apis.create_deployment(restApiId=self.id, stageName="prod", **settings)["id"])

    def patch(self, *operations: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self.apis.update_stage(
            restApiId=self.id, stageName="prod", patchOperations=list(operations)
        )
        return answer

    def stage(self) -> dict[str, Any]:
        found: dict[str, Any] = self.apis.get_stage(restApiId=self.id, stageName="prod")
        return found

    def answers(self, requests: int = REQUESTS) -> Counter[str]:
        return Counter(self.web(self.url).json()["is"] for _ in range(requests))


@pytest.fixture
def release(account: Any, web: Web) -> Release:
    return Release(account, web)


def test_a_share_of_the_requests_is_the_canarys(account: Any, release: Release) -> None:
    account.client("logs").create_log_group(logGroupName="/api/shop")
    group = f"arn:aws:logs:{account.core.region}:{account.core.account_id}:log-group:/api/shop"
    release.patch(
        {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": group},
        {
            "op": "replace",
            "path": "/accessLogSettings/format",
            "value": "$context.deploymentId $context.isCanaryRequest",
        },
    )
    new = release.deploy(percentTraffic=25.0, stageVariableOverrides={"colour": "blue"})
    stage = release.stage()
    assert stage["deploymentId"] == release.old
    assert stage["canarySettings"] == {
        "deploymentId": new,
        "percentTraffic": 25.0,
        "useStageCache": False,
        "stageVariableOverrides": {"colour": "blue"},
    }
    seen = Counter(release.web(release.url).body.decode() for _ in range(REQUESTS))
    old_body = '{"is": "old", "colour": "red", "canary": "false"}'
    new_body = '{"is": "new", "colour": "blue", "canary": "true"}'
    assert set(seen) == {old_body, new_body}
    assert 0.1 < seen[new_body] / REQUESTS < 0.4
    streams = account.client("logs").describe_log_streams(logGroupName="/api/shop")["logStreams"]
    events = account.client("logs").get_log_events(
        logGroupName="/api/shop", logStreamName=streams[0]["logStreamName"], limit=1000
    )["events"]
    logged = Counter(event["message"] for event in events)
    assert logged == {f"{release.old} false": seen[old_body], f"{new} true": seen[new_body]}
    with pytest.raises(release.apis.exceptions.BadRequestException, match="Active stages"):
        release.apis.delete_deployment(restApiId=release.id, deploymentId=new)


def test_all_or_nothing(release: Release) -> None:
    release.deploy(percentTraffic=100.0)
    assert release.answers(20) == {"new": 20}
    release.patch({"op": "replace", "path": "/canarySettings/percentTraffic", "value": "0.0"})
    assert release.answers(20) == {"old": 20}


def test_promoting_copies_and_removing_ends(release: Release) -> None:
    new = release.deploy(percentTraffic=10.0, stageVariableOverrides={"colour": "blue"})
    with pytest.raises(release.apis.exceptions.BadRequestException, match="canary"):
        release.deploy()
    release.patch(
        {"op": "replace", "path": "/canarySettings/percentTraffic", "value": "0.0"},
        {"op": "copy", "from": "/canarySettings/stageVariableOverrides", "path": "/variables"},
        {"op": "copy", "from": "/canarySettings/deploymentId", "path": "/deploymentId"},
    )
    stage = release.stage()
    assert stage["deploymentId"] == new
    assert stage["variables"] == {"colour": "blue", "size": "m"}
    assert stage["canarySettings"]["percentTraffic"] == 0.0
    assert release.answers(20) == {"new": 20}
    assert "canarySettings" not in release.patch({"op": "remove", "path": "/canarySettings"})
    release.deploy()


def test_a_canary_of_the_same_deployment_by_patches(release: Release) -> None:
    stage = release.patch(
        {"op": "replace", "path": "/canarySettings/percentTraffic", "value": "100"},
        {"op": "replace", "path": "/canarySettings/stageVariableOverrides/colour", "value": "green"},
        {"op": "replace", "path": "/canarySettings/stageVariableOverrides/size", "value": "l"},
        {"op": "remove", "path": "/canarySettings/stageVariableOverrides/size"},
    )
    assert stage["canarySettings"] == {
        "deploymentId": release.old,
        "percentTraffic": 100.0,
        "useStageCache": False,
        "stageVariableOverrides": {"colour": "green"},
    }
    assert release.web(release.url).json()["colour"] == "green"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"canarySettings": {"percentTraffic": 5.0}}, "stageName must be provided"),
        ({"stageName": "beta", "canarySettings": {"percentTraffic": 5.0}}, "must already be created"),
        ({"stageName": "prod", "canarySettings": {"percentTraffic": 101.0}}, "between 0.0 and 100.0"),
    ],
)
def test_what_can_not_be_a_canary_leaves_nothing(
    release: Release, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(release.apis.exceptions.BadRequestException, match=message):
        release.apis.create_deployment(restApiId=release.id, **settings)
    assert len(release.apis.get_deployments(restApiId=release.id)["items"]) == 1
    assert "canarySettings" not in release.stage()


def test_a_canary_can_not_serve_what_is_not_deployed(release: Release) -> None:
    with pytest.raises(release.apis.exceptions.BadRequestException, match="does not exist"):
        release.patch({"op": "replace", "path": "/canarySettings/deploymentId", "value": "abc123"})
    with pytest.raises(release.apis.exceptions.BadRequestException, match="Invalid patch path"):
        release.patch({"op": "replace", "path": "/canarySettings/share", "value": "1"})
    assert "canarySettings" not in release.stage()

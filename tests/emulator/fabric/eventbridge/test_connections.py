"""Connections: secrets are kept, and OAuth tokens fetched, used while they last, and renewed."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.fabric.eventbridge import EventBridge
from sandbox.emulator.fabric.sqs import SqsService
from sandbox.emulator.fabric.web import Reply
from tests.emulator.fabric.fakes import RecordingFunctions, create_role


class Partner:
    """Somebody else's end points: one gives tokens that last ``lasting_s``, one takes those that count."""

    def __init__(self) -> None:
        self.lasting_s: Any = 300
        self.given: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.taken: list[dict[str, str]] = []
        self.valid: set[str] = set()

    def send(self, method: str, url: str, headers: Any, body: bytes) -> Reply:
        held = dict(headers)
        if "/token" not in url:
            token = held.get("Authorization", "").removeprefix("Bearer ")
            if token not in self.valid:
                return Reply(401, (), b"")
            self.taken.append(held)
            return Reply(200, (), b"{}")
        self.asked.append({"method": method, "url": url, "headers": held, "body": parse_qs(body.decode())})
        if self.lasting_s is None:
            return Reply(503, (), b"")
        self.given.append(f"token-{len(self.given) + 1}")
        self.valid.add(self.given[-1])
        answer = {"access_token": self.given[-1], "token_type": "bearer", "expires_in": self.lasting_s}
        return Reply(200, (), json.dumps(answer).encode())


OAUTH = {
    "OAuthParameters": {
        "ClientParameters": {"ClientID": "shop", "ClientSecret": "hush"},
        "AuthorizationEndpoint": "https://partner.example.com/token",
        "HttpMethod": "POST",
        "OAuthHttpParameters": {
            "BodyParameters": [{"Key": "scope", "Value": "orders", "IsValueSecret": False}],
            "HeaderParameters": [{"Key": "x-tenant", "Value": "t1", "IsValueSecret": True}],
        },
    }
}


class Shop:
    """A rule whose events go to the partner."""

    def __init__(self, account: Any) -> None:
        self.account, self.partner = account, Partner()
        sqs = SqsService(account.core)
        account.add(sqs.handlers())
        service = EventBridge(account.core, RecordingFunctions(), sqs.mailroom, self.partner)  # type: ignore[arg-type]
        account.add(service.handlers())
        self.events = account.client("events")

    def connect(self) -> str:
        made = self.events.create_connection(
            Name="partner", AuthorizationType="OAUTH_CLIENT_CREDENTIALS", AuthParameters=OAUTH
        )
        assert made["ConnectionState"] == "AUTHORIZING"
        self.account.settle()
        return str(made["ConnectionArn"])

    def rule(self) -> None:
        destination = self.events.create_api_destination(
            Name="orders",
            ConnectionArn=self.connect(),
            InvocationEndpoint="https://partner.example.com/orders",
            HttpMethod="POST",
        )
        role = create_role(self.account, "caller", "events.amazonaws.com", "events:InvokeApiDestination")
        target = {"Id": "t", "Arn": destination["ApiDestinationArn"], "RoleArn": role}
        self.events.put_rule(Name="orders", EventPattern='{"source": ["shop"]}')
        self.events.put_targets(Rule="orders", Targets=[target])

    def put(self) -> None:
        self.events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": "{}"}])
        self.account.settle()

    def state(self) -> str:
        return str(self.events.describe_connection(Name="partner")["ConnectionState"])


@pytest.fixture
def shop(account: Any) -> Shop:
    return Shop(account)


def test_a_token_is_fetched_once_and_used_while_it_lasts(shop: Shop) -> None:
    shop.rule()
    assert shop.state() == "AUTHORIZED"
    [asked] = shop.partner.asked
    assert (asked["method"], asked["url"]) == ("POST", "https://partner.example.com/token")
    assert asked["headers"]["x-tenant"] == "t1"
    assert base64.b64decode(asked["headers"]["Authorization"].removeprefix("Basic ")) == b"shop:hush"
    assert asked["body"]["scope"] == ["orders"]
    assert asked["body"]["grant_type"] == ["client_credentials"]
    shop.put()
    shop.account.advance(200)
    shop.put()
    assert [each["Authorization"] for each in shop.partner.taken] == ["Bearer token-1"] * 2
    # It would last another minute: the next one is there before.
    shop.account.advance(60)
    shop.put()
    assert shop.partner.given == ["token-1", "token-2"]
    assert shop.partner.taken[-1]["Authorization"] == "Bearer token-2"


def test_a_token_that_is_not_taken_is_renewed(shop: Shop) -> None:
    shop.rule()
    shop.partner.valid.clear()
    shop.put()
    shop.account.advance(5)
    assert [each["Authorization"] for each in shop.partner.taken] == ["Bearer token-2"]
    outcomes = [event.outcome for event in shop.account.events("delivery") if "bus" not in event.subject]
    assert "retry" in outcomes


def test_without_a_token_nothing_is_delivered_until_there_is_one(shop: Shop) -> None:
    shop.partner.lasting_s = None
    shop.rule()
    assert shop.state() == "DEAUTHORIZED"
    assert "answered 503" in shop.events.describe_connection(Name="partner")["StateReason"]
    shop.put()
    assert shop.partner.taken == []
    shop.partner.lasting_s = 300
    shop.account.advance(120)
    assert len(shop.partner.taken) == 1
    assert shop.state() == "AUTHORIZED"


def test_secrets_are_kept_by_secrets_manager_and_not_shown(shop: Shop) -> None:
    shop.connect()
    told = shop.events.describe_connection(Name="partner")
    shown = told["AuthParameters"]["OAuthParameters"]
    assert shown["ClientParameters"] == {"ClientID": "shop"}
    assert shown["OAuthHttpParameters"]["HeaderParameters"] == [{"Key": "x-tenant", "IsValueSecret": True}]

    def secret() -> Any:
        found = shop.account.client("secretsmanager").get_secret_value(SecretId=told["SecretArn"])
        return json.loads(found["SecretString"])

    assert (secret()["client_id"], secret()["client_secret"]) == ("shop", "hush")
    client = {"ClientParameters": {"ClientID": "shop", "ClientSecret": "new"}}
    shop.events.update_connection(Name="partner", AuthParameters={"OAuthParameters": client})
    shop.account.settle()
    assert secret()["client_secret"] == "new"
    assert secret()["authorization_endpoint"] == "https://partner.example.com/token"
    assert shop.partner.given == ["token-1", "token-2"]
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "k"}}
    shop.events.update_connection(Name="partner", AuthorizationType="API_KEY", AuthParameters=key)
    assert secret() == {"api_key_name": "x-key", "api_key_value": "k"}
    shop.events.deauthorize_connection(Name="partner")
    assert (shop.state(), secret()) == ("DEAUTHORIZED", {})
    shop.events.delete_connection(Name="partner")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        secret()


def test_a_connection_needs_what_its_kind_needs(shop: Shop) -> None:
    shop.connect()
    with pytest.raises(ClientError, match="BasicAuthParameters is required for BASIC"):
        shop.events.create_connection(Name="x", AuthorizationType="BASIC", AuthParameters=OAUTH)
    with pytest.raises(ClientError, match="ResourceAlreadyExists"):
        shop.events.create_connection(
            Name="partner", AuthorizationType="OAUTH_CLIENT_CREDENTIALS", AuthParameters=OAUTH
        )

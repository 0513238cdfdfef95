"""Caches of REST API stages: answers come again, until they are too old or somebody wants new ones."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.emulator.fabric.apigateway.conftest import HttpAnswer, Web, proxy_uri
from tests.emulator.fabric.fakes import RecordingFunctions


class Shop:
    """A stage that keeps answers for a minute; its function never answers twice alike."""

    def __init__(self, account: Any, web: Web, functions: RecordingFunctions, function_arn: str) -> None:
        self.account, self.web, self.functions = account, web, functions
        self.status = 200
        numbers = itertools.count(1)
        functions.answer = lambda _event: {"statusCode": self.status, "body": str(next(numbers))}
        self.apis = account.client("apigateway")
        proxy = {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "uri": proxy_uri(account.core.region, function_arn),
        }
        keyed = {**proxy, "cacheKeyParameters": ["method.request.querystring.q", "method.request.path.id"]}
        wanted = [
            {"name": "q", "in": "query", "type": "string"},
            {"name": "id", "in": "path", "type": "string"},
        ]

        def method(integration: Any, **more: Any) -> Any:
            return {"x-amazon-apigateway-integration": integration, "responses": {}, **more}

        document = {
            "swagger": "2.0",
            "info": {"title": "shop", "version": "1"},
            "paths": {
                "/plain/{id}": {"get": method(proxy), "post": method(proxy)},
                "/keyed/{id}": {"get": method(keyed, parameters=wanted)},
            },
        }
        self.id = self.apis.import_rest_api(body=json.dumps(document).encode())["id"]
        self.apis.create_deployment(restApiId=self.id, stageName="prod")
        self.patch(("/cacheClusterEnabled", "true"), ("/cacheClusterSize", "0.5"))
        self.patch(("/*/*/caching/enabled", "true"), ("/*/*/caching/ttlInSeconds", "60"))

    def patch(self, *changes: tuple[str, str]) -> None:
        operations = [{"op": "replace", "path": path, "value": value} for path, value in changes]
        self.apis.update_stage(restApiId=self.id, stageName="prod", patchOperations=operations)

    def ask(self, path: str, method: str = "GET", **headers: str) -> HttpAnswer:
        base = f"https://{self.id}.execute-api.{self.account.core.region}.amazonaws.com/prod"
        return self.web(f"{base}{path}", method, headers)

    def said(self, path: str, method: str = "GET", **headers: str) -> int:
        return int(self.ask(path, method, **headers).body)


@pytest.fixture
def shop(account: Any, web: Web, functions: RecordingFunctions, function_arn: str) -> Shop:
    return Shop(account, web, functions, function_arn)


def test_answers_are_kept_for_a_while(shop: Shop) -> None:
    assert [shop.said("/plain/1"), shop.said("/plain/1")] == [1, 1]
    # What was not chosen as part of the key tells nobody apart.
    assert shop.said("/plain/2") == 1
    assert len(shop.functions.events) == 1
    shop.account.advance(61)
    assert shop.said("/plain/1") == 2
    told = [event.detail.get("cache") for event in shop.account.events("delivery")]
    assert [each for each in told if each] == ["miss", "hit", "hit", "miss"]


def test_what_was_chosen_tells_requests_apart(shop: Shop) -> None:
    paths = ["/keyed/1?q=a", "/keyed/1?q=b", "/keyed/2?q=a", "/keyed/1?q=a&other=1"]
    assert [shop.said(path) for path in paths] == [1, 2, 3, 1]


def test_only_get_and_only_success_is_kept(shop: Shop) -> None:
    assert [shop.said("/plain/1", "POST") for _ in range(2)] == [1, 2]
    shop.status = 404
    assert [shop.said("/plain/1") for _ in range(2)] == [3, 4]
    shop.status = 200
    assert [shop.said("/plain/1") for _ in range(2)] == [5, 5]


def test_a_method_has_settings_of_its_own(shop: Shop) -> None:
    shop.patch(("/~1plain~1{id}/GET/caching/enabled", "false"))
    assert [shop.said("/plain/1") for _ in range(2)] == [1, 2]
    assert [shop.said("/keyed/1") for _ in range(2)] == [3, 3]
    shop.patch(("/~1plain~1{id}/POST/caching/enabled", "true"))
    assert [shop.said("/plain/1", "POST") for _ in range(2)] == [4, 4]


def test_a_cache_can_be_emptied_and_switched_off(shop: Shop) -> None:
    assert shop.said("/plain/1") == 1
    shop.apis.flush_stage_cache(restApiId=shop.id, stageName="prod")
    assert shop.said("/plain/1") == 2
    shop.patch(("/cacheClusterEnabled", "false"))
    assert shop.said("/plain/1") == 3


def test_who_may_have_a_new_answer(shop: Shop) -> None:
    assert shop.said("/plain/1") == 1
    ignored = shop.ask("/plain/1", **{"Cache-Control": "max-age=0"})
    assert (ignored.body, ignored.header("warning")) == (
        b"1",
        "199 Cache-control headers were ignored because the caller was unauthorized.",
    )
    strategy = "/*/*/caching/unauthorizedCacheControlHeaderStrategy"
    shop.patch((strategy, "FAIL_WITH_403"))
    assert shop.ask("/plain/1", **{"Cache-Control": "max-age=0"}).status == 403
    shop.patch(("/*/*/caching/requireAuthorizationForCacheControl", "false"))
    assert shop.said("/plain/1", **{"Cache-Control": "max-age=0"}) == 2
    assert shop.said("/plain/1") == 2

"""request-authorizer-api: who may pass two kinds of API, and an SDK that knows AWS's own names alone."""

from __future__ import annotations

import json

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def test_tenants_get_their_own_notes_and_nobody_else(shell: Shell) -> None:
    with by_sam(shell, "request-authorizer-api") as application:
        guards_the_rest_api(application)
        guards_the_http_api(application)
        keeps_access_logs(application)


def guards_the_rest_api(application: Application) -> None:
    outputs = application.outputs
    address = outputs["Rest"] + "/first"
    answer = application.client("apigateway").get_api_key(apiKey=outputs["Key"], includeValue=True)
    key = {"X_Api_Key": answer["value"]}
    one = {"X_Tenant": "one", **key}

    assert application.ask("PUT", f"{address}?token=one-token", b"hello", **one).status == 200
    assert application.ask("GET", f"{address}?token=one-token", **one).body == b"hello"
    assert application.ask("GET", f"{address}?token=two-token", X_Tenant="two", **key).status == 404

    without_key = application.ask("GET", f"{address}?token=one-token", X_Tenant="one")
    assert (without_key.status, without_key.json()["message"]) == (403, "Forbidden")
    wrong = application.ask("GET", f"{address}?token=stolen", **one)
    assert (wrong.status, wrong.headers["WWW-Authenticate"]) == (401, "Token")
    assert wrong.json() == {"refused": "Unauthorized", "path": "/prod/notes/first"}
    assert application.ask("GET", address, **one).status == 401, "without a token nobody is asked"
    closed = application.ask("GET", f"{address}?token=closed-token", X_Tenant="closed", **key)
    assert (closed.status, closed.json()) == (403, {"refused": "this tenant is closed"})

    decided = [line for line in application.logs(outputs["Authorizer"]) if "deciding for one" in line]
    assert len(decided) == 2, "the answer for one token is kept, and the wrong one asked for"


def guards_the_http_api(application: Application) -> None:
    address = application.outputs["Http"] + "/first"

    assert application.ask("GET", address, Authorization="Tenant one").body == b"hello"
    assert application.ask("GET", address, Authorization="Tenant two").status == 404
    assert application.ask("GET", address, Authorization="Tenant closed").status == 403
    assert application.ask("GET", address).status == 401


def keeps_access_logs(application: Application) -> None:
    group = application.outputs["AccessLogs"]
    events = application.client("logs").filter_log_events(logGroupName=group)["events"]
    told = [json.loads(event["message"]) for event in events]
    assert {"tenant": "one", "path": "/notes/{name}", "status": "200"} in told
    assert "401" in {line["status"] for line in told}

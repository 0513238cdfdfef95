"""The HTTP API: the pages' services, by token."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest

from portal.api.views import SCOPES
from records.credentials import SCOPES as credentials_scopes


@pytest.fixture
def key(credentials: Any, ada: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials.make_token(ada.id, 'test', datetime.now(UTC))}"}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer cst_wrong"}, {"Authorization": "Basic x"}])
def test_without_a_valid_token_nothing_is_answered(visitor: Any, header: dict[str, str]) -> None:
    answer = visitor.get("/api/v1/labs", headers=header)

    assert answer.status_code == 401
    assert "Bearer" in answer.json["error"]


def test_a_session_is_no_token(learner: Any) -> None:
    assert learner.get("/api/v1/labs").status_code == 401


def test_labs_are_listed_and_shown(visitor: Any, key: dict[str, str]) -> None:
    listed = visitor.get("/api/v1/labs", headers=key).json["labs"]
    shown = visitor.get("/api/v1/labs/x01", headers=key).json

    assert [lab["slug"] for lab in listed] == ["say-hello", "say-goodbye"]
    assert "greeter" in shown["brief"]


def test_a_submission_is_taken_graded_and_reported(
    visitor: Any, key: dict[str, str], zipped: Any, reference: Any, work: Any
) -> None:
    sent = visitor.client.post("/api/v1/labs/say-hello/submissions", data=zipped(reference), headers=key)
    assert sent.status_code == 201
    address = f"/api/v1/attempts/{sent.json['id']}"
    assert visitor.get(f"{address}/report", headers=key).status_code == 404

    work()

    assert visitor.get(address, headers=key).json["outcome"] == "passed"
    assert visitor.get(f"{address}/report", headers=key).json["points"] == 100
    assert len(visitor.get("/api/v1/attempts?lab=say-hello", headers=key).json["attempts"]) == 1


def test_a_refusal_says_where_and_what_to_do(visitor: Any, key: dict[str, str]) -> None:
    answer = visitor.client.post("/api/v1/labs/say-hello/submissions", data=b"no zip", headers=key)

    assert answer.status_code == 422
    assert answer.json["where"] == "submission.zip"
    assert answer.json["what_to_do"]


def test_one_attempt_at_a_time(visitor: Any, key: dict[str, str], zipped: Any, reference: Any) -> None:
    address = "/api/v1/labs/say-hello/submissions"
    visitor.client.post(address, data=zipped(reference), headers=key)

    assert visitor.client.post(address, data=zipped(reference), headers=key).status_code == 409


def test_attempts_of_others_are_not_found(
    visitor: Any, key: dict[str, str], people: Any, credentials: Any, zipped: Any, reference: Any
) -> None:
    sent = visitor.client.post("/api/v1/labs/say-hello/submissions", data=zipped(reference), headers=key)
    grace = people.add("grace", "Grace", None, datetime.now(UTC))
    other = {"Authorization": f"Bearer {credentials.make_token(grace.id, 'test', datetime.now(UTC))}"}

    assert visitor.get(f"/api/v1/attempts/{sent.json['id']}", headers=other).status_code == 404


def test_every_route_needs_a_scope_that_a_token_can_have(app: Any) -> None:
    routes = {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")}

    assert routes - {"api.openapi"} == SCOPES.keys()
    assert set(SCOPES.values()) <= set(credentials_scopes)


@pytest.mark.parametrize("endpoint", sorted(SCOPES))
def test_a_token_with_every_scope_but_the_one_is_refused(
    app: Any, visitor: Any, credentials: Any, ada: Any, endpoint: str
) -> None:
    rule = next(rule for rule in app.url_map.iter_rules() if rule.endpoint == endpoint)
    others = [scope for scope in credentials_scopes if scope != SCOPES[endpoint]]
    token = credentials.make_token(ada.id, "others", datetime.now(UTC), others)
    path = rule.rule.replace("<slug>", "say-hello").replace("<int:attempt_id>", "1")
    method = "POST" if "POST" in rule.methods else "GET"

    answer = visitor.client.open(path, method=method, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 403
    assert SCOPES[endpoint] in answer.json["error"]


def test_a_token_ends_when_it_expires_when_it_is_revoked_and_with_the_account(
    visitor: Any, credentials: Any, people: Any, ada: Any
) -> None:
    made = [
        credentials.make_token(ada.id, "old", datetime.now(UTC) - timedelta(days=8), valid=timedelta(days=7)),
        credentials.make_token(ada.id, "revoked", datetime.now(UTC)),
        credentials.make_token(ada.id, "good", datetime.now(UTC)),
    ]
    credentials.revoke(
        ada.id, next(item.id for item in credentials.tokens_of(ada.id) if item.name == "revoked")
    )

    def statuses() -> list[int]:
        return [
            visitor.get("/api/v1/labs", headers={"Authorization": f"Bearer {token}"}).status_code
            for token in made
        ]

    assert statuses() == [401, 401, 200]
    people.change(ada.id, disabled_at=datetime.now(UTC))
    assert statuses() == [401, 401, 401]


def test_the_api_describes_itself_and_answers_as_it_says(
    visitor: Any, app: Any, key: dict[str, str], zipped: Any, reference: Any, work: Any
) -> None:
    told = visitor.get("/api/v1/openapi.json").json
    described = {(path, method) for path, item in told["paths"].items() for method in item}
    rules = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint in SCOPES
    }
    assert described == rules

    def fits(path: str, method: str, answer: Any) -> None:
        operation = told["paths"][path][method]
        content = operation["responses"][str(answer.status_code)]["content"]
        schema = {**content["application/json"]["schema"], "components": told["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json)

    fits("/api/v1/labs", "get", visitor.get("/api/v1/labs", headers=key))
    fits("/api/v1/labs/{slug}", "get", visitor.get("/api/v1/labs/say-hello", headers=key))
    path = "/api/v1/labs/say-hello/submissions"
    submit = "/api/v1/labs/{slug}/submissions"
    fits(submit, "post", visitor.client.post(path, data=b"no zip", headers=key))
    fits(submit, "post", visitor.client.post(path, data=zipped(reference), headers=key))
    fits("/api/v1/attempts", "get", visitor.get("/api/v1/attempts", headers=key))
    fits("/api/v1/attempts/{attempt_id}/report", "get", visitor.get("/api/v1/attempts/1/report", headers=key))
    work()
    fits("/api/v1/attempts/{attempt_id}", "get", visitor.get("/api/v1/attempts/1", headers=key))
    fits("/api/v1/attempts/{attempt_id}/report", "get", visitor.get("/api/v1/attempts/1/report", headers=key))
    fits("/api/v1/attempts/{attempt_id}", "get", visitor.get("/api/v1/attempts/2", headers=key))
    fits("/api/v1/labs", "get", visitor.get("/api/v1/labs"))

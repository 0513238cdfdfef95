"""The HTTP API's own description, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXT, _NUMBER, _WHOLE, _FLAG = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))
_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_MOMENT = {"type": ["string", "null"], "format": "date-time"}


def _object(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": sorted(properties), **more}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: dict[str, Any] = {
    "Lab": _object(
        {
            **dict.fromkeys(("slug", "code", "title", "version", "level", "summary"), _TEXT),
            "minutes": _WHOLE,
            "runtimes": _list(_TEXT),
            "services": _list(_TEXT),
            "notebooks": _list(_TEXT),
        }
    ),
    "Attempt": _object(
        {
            "id": _WHOLE,
            "lab": _TEXT,
            "number": {**_WHOLE, "description": "Counts the learner's attempts at this lab, from 1."},
            "state": {**_TEXT, "enum": ["queued", "running", "closed"]},
            "outcome": {"enum": ["passed", "not_passed", "inconclusive", None]},
            "points": {"type": ["number", "null"]},
            "points_possible": {"type": ["number", "null"]},
            "counted": {**_FLAG, "description": "False when the fault was ours."},
            "note": {"type": ["string", "null"]},
            "page": {**_TEXT, "description": "The path of its page."},
            "events": {**_TEXT, "description": "The path of its server-sent events."},
            **dict.fromkeys(("queued_at", "started_at", "closed_at"), _MOMENT),
        }
    ),
    "Report": {
        "type": "object",
        "properties": {
            "schema": {"const": "coldstart.report/1"},
            "outcome": {"enum": ["passed", "not_passed", "inconclusive"]},
            "points": _NUMBER,
            "points_possible": _NUMBER,
            "checks": _list({"type": "object"}),
        },
        "required": ["schema", "lab", "outcome", "points", "points_possible", "checks"],
    },
    "Error": {
        "type": "object",
        "properties": {"error": _TEXT, "where": _TEXT, "what_to_do": _TEXT},
        "required": ["error"],
    },
}

_OPERATIONS: dict[str, tuple[str, str, str, Any, tuple[int, ...]]] = {
    "api.labs": ("get", "All labs.", "200", _object({"labs": _list(_ref("Lab"))}), ()),
    "api.lab": (
        "get",
        "One lab with its brief and contract, as Markdown.",
        "200",
        {"allOf": [_ref("Lab"), _object({"brief": _TEXT, "contract": _TEXT})]},
        (404,),
    ),
    "api.submit": ("post", "Hand in a zip for grading.", "201", _ref("Attempt"), (404, 409, 413, 422)),
    "api.attempts": (
        "get",
        "The caller's attempts, newest first.",
        "200",
        _object({"attempts": _list(_ref("Attempt"))}),
        (),
    ),
    "api.attempt": ("get", "One attempt.", "200", _ref("Attempt"), (404,)),
    "api.report": ("get", "An attempt's report, once there is one.", "200", _ref("Report"), (404,)),
}
_WORDS = {
    401: "There is no valid token.",
    403: "The token is not for that.",
    404: "There is none, or it is somebody else's.",
    409: "Another attempt at this lab waits or runs; what was sent is kept.",
    413: "It is larger than this portal reads.",
    422: "It can't be graded: says where and what to do. It is kept, and costs no attempt.",
}


def describe(paths: Mapping[str, str], scopes: Mapping[str, str], url: str) -> dict[str, Any]:
    """The description. ``paths`` and ``scopes`` are by end point; ``url`` is where the portal is reached."""
    found: dict[str, Any] = {}
    for endpoint, (method, summary, status, schema, errors) in _OPERATIONS.items():
        path = paths[endpoint]
        operation: dict[str, Any] = {
            "operationId": endpoint.removeprefix("api."),
            "summary": summary,
            "security": [{"token": [scopes[endpoint]]}],
            "parameters": [
                {
                    "name": name,
                    "in": "path",
                    "required": True,
                    "schema": _WHOLE if name.endswith("_id") else _TEXT,
                }
                for name in ("slug", "attempt_id")
                if f"{{{name}}}" in path
            ],
            "responses": {
                status: {"description": summary, "content": {"application/json": {"schema": schema}}},
                **{
                    str(code): {
                        "description": _WORDS[code],
                        "content": {"application/json": {"schema": _ref("Error")}},
                    }
                    for code in (401, 403, *errors)
                },
            },
        }
        if endpoint == "api.attempts":
            operation["parameters"].append({"name": "lab", "in": "query", "schema": _TEXT})
        if endpoint == "api.submit":
            binary = {"type": "string", "contentMediaType": "application/zip"}
            operation["requestBody"] = {"required": True, "content": {"application/zip": {"schema": binary}}}
        found.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Coldstart",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "paths": found,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token from the account's page; operations name the scope they need.",
                }
            },
        },
    }

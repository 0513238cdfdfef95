"""The stack's APIs and function URLs: called from a page, and shown as text whatever they answer."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from portal.languages import N_
from portal.sandboxes.errands import errands
from portal.sandboxes.here import Here, here, problem_of, shown, typed_text
from portal.users.session import current_user
from sandbox.console import apis
from sandbox.console.refusals import Refused

_APIS = ("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api", "AWS::Lambda::Url")


def register(bp: Blueprint) -> None:
    """The routes."""
    bp.get("/api")(show_api)
    bp.post("/api/call")(call_api)


def show_api(slug: str) -> ResponseReturnValue:
    """An API's routes, with a form to call it."""
    return _api(here(slug))


def call_api(slug: str) -> ResponseReturnValue:
    """Call an API of the stack. Its answer is shown as text, whatever it is."""
    place, form = here(slug), request.form
    try:
        api = next((each for each in _apis(place) if each.id == form.get("api", "")), None)
        if api is None:
            raise Refused(N_("The stack has no such API."))
        body = typed_text("body").encode()
        headers = _headers(form.get("headers", ""))
        answer = errands.run(
            current_user().id,
            lambda: apis.call(
                place.account, api, form.get("method", "GET"), form.get("path", "/"), headers, body
            ),
        )
    except Refused as error:
        return _api(place, problem=problem_of(error)), 422
    return _api(place, answer=answer)


def _apis(place: Here) -> list[apis.Api]:
    resource = place.need_stack().get(request.values.get("name", ""), *_APIS)
    match resource.type:
        case "AWS::ApiGateway::RestApi":
            return apis.rest_api(place.account, resource.physical_id)
        case "AWS::ApiGatewayV2::Api":
            return apis.http_api(place.account, resource.physical_id)
    return apis.function_url(place.account, resource.physical_id)


def _api(place: Here, answer: Any = None, problem: Any = None) -> str:
    return shown(
        "sandbox_api.html",
        place,
        "resources",
        apis=_apis(place),
        methods=apis.METHODS,
        answer=answer,
        problem=problem,
        form=request.form,
        name=request.values.get("name", ""),
    )


def _headers(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not colon and line.strip():
            raise Refused(N_("Write one header a line: `Name: value`."))
        if line.strip():
            found[name.strip()] = value.strip()
    return found

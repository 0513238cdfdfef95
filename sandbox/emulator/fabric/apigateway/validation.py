"""What a REST API checks of a request before anything else sees it.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-method-request-validation.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from jsonschema import Draft4Validator
from jsonschema.exceptions import SchemaError, ValidationError

from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.model import Route
from sandbox.emulator.fabric.apigateway.requests import Request


def problem(request: Request, route: Route, values: Mapping[str, str]) -> Answer | None:
    """What to answer to a request that its method's validator refuses."""
    missing = [name for name in route.validation.parameters if not _value(request, values, name)]
    if missing:
        names = ", ".join(name.rsplit(".", 1)[-1] for name in missing)
        return answers.message(
            400,
            f"Missing required request parameters: [{names}]",
            kind="BadRequestException",
            reason="BAD_REQUEST_PARAMETERS",
        )
    models = route.validation.models
    if not models:
        return None
    content_type = request.header("content-type").split(";")[0].strip().lower() or "application/json"
    schema = models.get(content_type)
    if schema is None:
        return None
    try:
        document = json.loads(request.body or b"null")
        if document is None and not request.body:
            return _bad_body("the body is missing")
        Draft4Validator(dict(schema)).validate(document)
    except ValueError as error:
        return _bad_body(str(error))
    except ValidationError as error:
        return _bad_body(error.message)
    except SchemaError as error:
        return answers.message(
            500, "Internal server error", error=f"the model is no JSON Schema: {error.message}"
        )
    return None


def _value(request: Request, values: Mapping[str, str], name: str) -> str:
    where, _, key = name.removeprefix("method.request.").partition(".")
    if where == "header":
        return request.header(key.lower())
    if where == "path":
        return values.get(key, "")
    return next((value or " " for parameter, value in request.parameters if parameter == key), "")


def _bad_body(error: str) -> Answer:
    return answers.message(
        400, "Invalid request body", error=error, kind="BadRequestException", reason="BAD_REQUEST_BODY"
    )

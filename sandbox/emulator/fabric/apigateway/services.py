"""Integrations that call an AWS service: the call that an integration's URI and request make.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-integration-types.html
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.emulator import sdk
from sandbox.emulator.calls import Principal
from sandbox.emulator.core import Clients

_URI = re.compile(r"arn:aws[\w-]*:apigateway:([\w-]+):([\w.-]+):(action|path)/(.*)")
_FORMS = {"sqs": "sqs", "sns": "sns"}


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """What a service answered: its HTTP status and body."""

    status: int
    body: str
    headers: Mapping[str, str]


class NotAService(ValueError):
    """The URI names no call that we can make."""


def perform(
    clients: Clients,
    principal: Principal,
    uri: str,
    body: str,
    path: Mapping[str, str],
    query: Mapping[str, str],
) -> ServiceAnswer:
    """Make the call; ``path`` and ``query`` are the integration request's parameters.

    Raises:
        NotAService: it can't be made here.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise NotAService(uri)
    region, service, how, rest = match.groups()
    rest = re.sub(r"\{(\w+)\}", lambda found: path.get(found[1], found[0]), rest)
    name = sdk.service_name({"states": "sfn"}.get(service, service))
    client = clients.client(name, region=region, principal=principal)
    if name == "s3":
        return _object(client, rest, body, query)
    if how == "path" and name in _FORMS:
        return _form(client, name, rest, body, query)
    action = rest.rsplit("/", 1)[-1] if how == "action" else ""
    if not action:
        raise NotAService(uri)
    try:
        given = json.loads(body) if body.strip() else {}
    except ValueError as error:
        return ServiceAnswer(400, json.dumps({"__type": "SerializationException", "message": str(error)}), {})
    if name in _FORMS and not given:
        return _form(client, name, "", body or f"Action={action}", query)
    return call(client, action, given)


def call(client: Any, action: str, given: Mapping[str, Any]) -> ServiceAnswer:
    """Call an action of a service with parameters as its API has them; a refusal is an answer, too."""
    try:
        answer = sdk.perform(client, sdk.operation_name(client, action), given)
    except sdk.Misshapen as error:
        return ServiceAnswer(400, json.dumps({"__type": "ValidationException", "message": str(error)}), {})
    except ClientError as error:
        return _refusal(error)
    except BotoCoreError as error:
        return ServiceAnswer(400, json.dumps({"__type": "ValidationException", "message": str(error)}), {})
    told = answer.pop("ResponseMetadata", {})
    return ServiceAnswer(int(told.get("HTTPStatusCode", 200)), json.dumps(answer, default=_plain), {})


def _form(client: Any, service: str, path: str, body: str, query: Mapping[str, str]) -> ServiceAnswer:
    """SQS and SNS as they were before they spoke JSON: a form, answered as their JSON of old."""
    given = {**query, **dict(parse_qsl(body, keep_blank_values=True))}
    action = given.pop("Action", "")
    for name in ("Version",):
        given.pop(name, None)
    if service == "sqs" and path and "QueueUrl" not in given:
        given["QueueUrl"] = f"https://sqs.{client.meta.region_name}.amazonaws.com/{unquote(path)}"
    attributes = _attributes(given)
    if attributes:
        given["MessageAttributes"] = attributes  # type: ignore[assignment]
    made = call(client, action, given)
    if made.status >= 300:
        return made
    result = json.loads(made.body)
    request_id = {"RequestId": "00000000-0000-4000-8000-000000000000"}
    wrapped = {f"{action}Response": {f"{action}Result": result, "ResponseMetadata": request_id}}
    return ServiceAnswer(made.status, json.dumps(wrapped), made.headers)


def _attributes(given: dict[str, Any]) -> dict[str, Any]:
    """``MessageAttribute.1.Name`` and its like as the API's structure."""
    found: dict[str, dict[str, str]] = {}
    for key in list(given):
        match = re.fullmatch(r"MessageAttributes?\.(?:entry\.)?(\d+)\.(.+)", key)
        if match:
            found.setdefault(match[1], {})[match[2]] = given.pop(key)
    return {
        each["Name"]: {
            "DataType": each.get("Value.DataType", "String"),
            "StringValue": each.get("Value.StringValue", ""),
        }
        for each in found.values()
        if "Name" in each
    }


def _object(client: Any, rest: str, body: str, query: Mapping[str, str]) -> ServiceAnswer:
    bucket, _, key = unquote(rest).partition("/")
    try:
        if not key:
            raise NotAService("buckets as a whole")
        if query.get("x-method") == "PUT":
            client.put_object(Bucket=bucket, Key=key, Body=body.encode())
            return ServiceAnswer(200, "", {})
        found = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        return _refusal(error)
    text = found["Body"].read().decode("utf-8", "replace")
    return ServiceAnswer(200, text, {"content-type": found.get("ContentType", "binary/octet-stream")})


def _refusal(error: ClientError) -> ServiceAnswer:
    told = error.response["Error"]
    status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return ServiceAnswer(status, json.dumps({"__type": told.get("Code"), "message": told.get("Message")}), {})


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)

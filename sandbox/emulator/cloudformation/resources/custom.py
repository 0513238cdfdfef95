"""AWS::CloudFormation::CustomResource and ``Custom::``: resources that somebody's own code makes.

Sources: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html,
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.intrinsics import as_text
from sandbox.emulator.cloudformation.resources.base import CUSTOM, Physical, ResourceContext, ResourceFailed

_ANSWER_LIMIT_BYTES = 4096
_ID_LIMIT = 1024
_DEFAULT_TIMEOUT_S = 3600
# The address outlives the wait: whoever answers too late is told so by CloudFormation, not by S3.
_ADDRESS_VALID_S = 7200
_SHAPE: Mapping[str, tuple[type, str]] = {
    **dict.fromkeys(("Status", "StackId", "RequestId", "LogicalResourceId"), (str, "a string")),
    "Reason": (str, "a string"),
    "Data": (dict, "an object"),
}
_OPTIONAL = ("Reason", "Data")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the code behind a resource said. ``reason`` is empty when it succeeded."""

    physical_id: str
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    secret: bool = False


class CustomResource:
    """A function or a topic is asked, and answers at an address that it is given. ``Ref`` is what it says."""

    type = CUSTOM
    properties = frozenset({"ServiceTimeout", "ServiceToken"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        # Code that fails may have made something, which a deletion has to be able to name.
        provisional = context.unique_name(128)
        try:
            answer = _ask(context, "Create", properties)
        except _Unanswered as error:
            raise ResourceFailed(error.reason, error.code, left=provisional) from None
        if answer.reason:
            raise ResourceFailed(answer.reason, left=answer.physical_id or provisional)
        return Physical(answer.physical_id, _attributes(answer), answer.secret)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        if old.get("ServiceToken") != new.get("ServiceToken"):
            raise ResourceFailed("Modifying service token is not allowed.", "NotUpdatable")
        request = {"PhysicalResourceId": physical_id, "OldResourceProperties": _texts(old)}
        answer = _ask(context, "Update", new, request)
        if answer.reason:
            raise ResourceFailed(answer.reason)
        another = answer.physical_id != physical_id
        return Physical(answer.physical_id, _attributes(answer), answer.secret, supersedes=another)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        answer = _ask(context, "Delete", properties, {"PhysicalResourceId": physical_id})
        if answer.reason:
            raise ResourceFailed(answer.reason)


class _Unanswered(ResourceFailed):
    """The request went out, and no proper answer came back."""


def _ask(
    context: ResourceContext, kind: str, properties: Mapping[str, Any], more: Mapping[str, Any] | None = None
) -> _Answer:
    request_id = str(uuid.uuid4())
    behind = context.behind()
    bucket = f"cloudformation-custom-resource-response-{context.region.replace('-', '')}"
    key = f"{context.stack_id}|{context.logical_id}|{request_id}"
    address, mailbox = behind.callbacks.open(bucket, key, context.region, _ADDRESS_VALID_S)
    request = {
        "RequestType": kind,
        "ServiceToken": properties["ServiceToken"],
        "ResponseURL": address,
        "StackId": context.stack_id,
        "RequestId": request_id,
        "LogicalResourceId": context.logical_id,
        "ResourceType": context.kind,
        "ResourceProperties": _texts(properties),
        **(more or {}),
    }
    try:
        _send(context, properties["ServiceToken"], json.dumps(request))
        timeout_s = int(properties.get("ServiceTimeout") or _DEFAULT_TIMEOUT_S)
        if not behind.errand.wait(mailbox, timeout_s):
            raise _Unanswered(
                "CloudFormation did not receive a response from your Custom Resource. Please check your "
                f"logs for requestId [{request_id}]. If you are using the Python cfn-response module, you "
                "may need to update your Lambda function code so that CloudFormation can attach the updated "
                "version.",
                "NotStabilized",
            )
        return _read(mailbox.letters[0], request)
    finally:
        behind.callbacks.close(address)


def _send(context: ResourceContext, token: str, request: str) -> None:
    service, region = [*token.split(":"), "", "", "", ""][2:4]
    if not token.startswith("arn:") or service not in ("lambda", "sns"):
        raise ResourceFailed("Invalid service token.", "InvalidRequest")
    if region != context.region:
        raise ResourceFailed(
            f"Custom resources can only be provided from the stack's own region {context.region}, "
            f"not from {region}.",
            "InvalidRequest",
        )
    client = context.client(service)
    try:
        if service == "lambda":
            client.invoke(FunctionName=token, InvocationType="Event", Payload=request.encode())
        else:
            subject = "AWS CloudFormation custom resource request"
            client.publish(TopicArn=token, Subject=subject, Message=request)
    except ClientError as error:
        raise _refused(error, "AWSLambdaInternal" if service == "lambda" else "AmazonSNS") from None


def _refused(error: ClientError, service: str) -> Exception:
    """Whoever deploys may not reach the code, or it is not there."""
    told, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    if told.get("Code") in ("NotEmulated", "InternalFailure"):
        return error
    return ResourceFailed(
        f"{told.get('Message', '')} (Service: {service}; Status Code: {metadata.get('HTTPStatusCode', 400)}; "
        f"Error Code: {told.get('Code', '')}; Request ID: {metadata.get('RequestId', '')}; Proxy: null)",
        str(told.get("Code", "")),
    )


def _read(letter: bytes, request: Mapping[str, Any]) -> _Answer:
    """An answer in order, told to fail or not.

    Raises:
        _Unanswered: it is not in order.
    """
    if len(letter) > _ANSWER_LIMIT_BYTES:
        raise _invalid("Response object is too long.")
    try:
        told = json.loads(letter)
    except ValueError:
        raise _invalid("Invalid response object: not valid JSON") from None
    if not isinstance(told, dict):
        raise _invalid("Invalid response object: must be a JSON object")
    for name, (kind, noun) in _SHAPE.items():
        if not isinstance(told.get(name), kind) and not (name in _OPTIONAL and told.get(name) is None):
            raise _invalid(f"Invalid response object: Value of property {name} must be {noun}")
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if told[name] != request[name]:
            raise _invalid(f"Invalid response object: {name} does not match the request's")
    if told["Status"] not in ("SUCCESS", "FAILED"):
        raise _invalid("Invalid response object: Value of property Status must be SUCCESS or FAILED")
    physical_id = told.get("PhysicalResourceId")
    named = isinstance(physical_id, str) and 0 < len(physical_id.encode()) <= _ID_LIMIT
    if told["Status"] == "FAILED":
        reason = (
            f"Received response status [FAILED] from custom resource. Message returned: "
            f"{told.get('Reason') or ''} (RequestId: {request['RequestId']})"
        )
        return _Answer(str(physical_id) if named else "", reason)
    if not named:
        raise _invalid("Invalid PhysicalResourceId")
    return _Answer(
        str(physical_id), "", told.get("Data") or {}, as_text(told.get("NoEcho")) in ("true", "True")
    )


def _invalid(reason: str) -> _Unanswered:
    return _Unanswered(reason, "InvalidRequest")


def _attributes(answer: _Answer) -> dict[str, Any]:
    """``Data`` as ``Fn::GetAtt`` reads it; what is inside an object has a dotted name."""
    found: dict[str, Any] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                add(f"{name}.{key}" if name else key, item)
        if name:
            found[name] = value if isinstance(value, dict | list) else as_text(value)

    add("", dict(answer.data))
    return found


def _texts(value: Any) -> Any:
    """Properties as requests carry them: every scalar is text."""
    if isinstance(value, Mapping):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return as_text(value)


PROVIDERS = (CustomResource(),)

"""Why a resource failed, as CloudFormation tells it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from botocore.exceptions import ClientError

from sandbox.emulator.calls import AwsError
from sandbox.emulator.cloudformation.errands import OutOfTime
from sandbox.emulator.cloudformation.resources.base import ResourceFailed

log = structlog.get_logger()

# Services whose own spelling in messages is not that of the resource type.
_SPELLED = {"SQS": "Sqs", "SNS": "Sns", "IAM": "Iam", "SSM": "Ssm", "KMS": "Kms", "DynamoDB": "DynamoDb"}
_HANDLER_CODES = (
    ("AccessDenied", ("AccessDenied", "Unauthorized", "Forbidden")),
    ("AlreadyExists", ("AlreadyExists", "AlreadyOwnedByYou", "ResourceInUse", "ResourceConflict")),
    ("NotFound", ("NotFound", "NoSuch", "NonExistentQueue")),
    ("Throttling", ("Throttl", "TooManyRequests", "RequestLimit")),
    ("ServiceLimitExceeded", ("LimitExceeded",)),
    ("InvalidRequest", ("Validation", "Invalid", "Malformed", "BadRequest")),
)
# What our own machinery answers with: never told as if it were AWS's.
_OURS = ("NotEmulated", "NotImplemented")


class Failed(Exception):
    """A resource failed, and ``reason`` is what its event says.

    ``attempted`` are the properties it was being given when it failed, as far as it came to that.
    ``untouched``: it is exactly what it was before.
    """

    def __init__(self, reason: str, *, untouched: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.untouched = untouched
        self.attempted: Mapping[str, Any] | None = None

    @property
    def gap(self) -> bool:
        """Whether the reason is something that we do not emulate."""
        return self.reason.startswith("NotEmulated")


def explain(error: Exception, kind: str) -> Failed:
    """Put whatever a provider raised into words. What is our own fault says so, and is logged."""
    if isinstance(error, Failed):
        return error
    if isinstance(error, OutOfTime):
        return Failed("Resource creation cancelled")
    if isinstance(error, ResourceFailed):
        return Failed(error.reason, untouched=error.code == "NotUpdatable")
    if isinstance(error, AwsError):
        return _ours(error.code, error.message) or Failed(error.message)
    if isinstance(error, ClientError):
        return _refused(error, kind)
    log.error("resource_provider_failed", type=kind, exc_info=error)
    return Failed(f"EnvironmentFault: {type(error).__name__}: {error}")


def _refused(error: ClientError, kind: str) -> Failed:
    told = error.response.get("Error", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    metadata = error.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 400))
    ours = _ours(code, message)
    if ours is not None:
        return ours
    if status >= 500:
        return Failed(f"EnvironmentFault: {code}: {message}")
    service = kind.split("::")[1] if kind.count("::") == 2 else kind
    request = metadata.get("RequestId") or uuid.uuid4()
    return Failed(
        f'Resource handler returned message: "{message} (Service: {_SPELLED.get(service, service)}, '
        f'Status Code: {status}, Request ID: {request})" '
        f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: {_handler_code(code)})"
    )


def _ours(code: str, message: str) -> Failed | None:
    if code not in _OURS:
        return None
    return Failed(message if message.startswith("NotEmulated") else f"NotEmulated: {message or code}")


def _handler_code(code: str) -> str:
    for handler_code, parts in _HANDLER_CODES:
        if any(part in code for part in parts):
            return handler_code
    return "GeneralServiceException"

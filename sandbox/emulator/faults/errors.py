"""The errors that services have for too many calls and for troubles of their own.

Sources: each service's API reference ("Errors" of its operations, and "Common Errors").
"""

from __future__ import annotations

from typing import Any

from moto.core.utils import get_service_model

from sandbox.emulator.calls import AwsError

_THROTTLED: dict[str, tuple[str, int]] = {
    "apigateway": ("TooManyRequestsException", 429),
    "apigatewayv2": ("TooManyRequestsException", 429),
    "cloudformation": ("Throttling", 400),
    "cloudwatch": ("Throttling", 400),
    "cognito-idp": ("TooManyRequestsException", 400),
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "dynamodbstreams": ("LimitExceededException", 400),
    "iam": ("Throttling", 400),
    "kinesis": ("ProvisionedThroughputExceededException", 400),
    "lambda": ("TooManyRequestsException", 429),
    "organizations": ("TooManyRequestsException", 400),
    "pipes": ("ThrottlingException", 429),
    "route53": ("Throttling", 400),
    "s3": ("SlowDown", 503),
    "scheduler": ("ThrottlingException", 429),
    "sns": ("Throttled", 429),
    "sqs": ("RequestThrottled", 400),
    "sts": ("Throttling", 400),
    "xray": ("ThrottledException", 429),
}
_INTERNAL: dict[str, tuple[str, int]] = {
    "cloudwatch": ("InternalServiceError", 500),
    "cognito-idp": ("InternalErrorException", 500),
    "dynamodb": ("InternalServerError", 500),
    "dynamodbstreams": ("InternalServerError", 500),
    "events": ("InternalException", 500),
    "kinesis": ("InternalFailureException", 500),
    "kms": ("KMSInternalException", 500),
    "lambda": ("ServiceException", 500),
    "logs": ("ServiceUnavailableException", 503),
    "pipes": ("InternalException", 500),
    "s3": ("InternalError", 500),
    "scheduler": ("InternalServerException", 500),
    "secretsmanager": ("InternalServiceError", 500),
    "sns": ("InternalError", 500),
    "ssm": ("InternalServerError", 500),
}
_WORDS = {
    "ProvisionedThroughputExceededException": (
        "The level of configured provisioned throughput for the table was exceeded. "
        "Consider increasing your provisioning level with the UpdateTable API."
    ),
    "SlowDown": "Please reduce your request rate.",
    "InternalError": "We encountered an internal error. Please try again.",
    "InternalServerError": "Internal server error",
    "ServiceException": "The service encountered an internal error.",
}


def throttled(service: str) -> AwsError:
    """What a service answers to one call too many."""
    code, status = _THROTTLED.get(service, ("ThrottlingException", 400))
    words = "Rate exceeded for shard" if service == "kinesis" else _WORDS.get(code, "Rate exceeded")
    extra = {"Reason": "CallerRateLimitExceeded"} if service == "lambda" else {}
    return AwsError(code, words, status, **extra)


def internal(service: str) -> AwsError:
    """What a service answers when it fails itself."""
    code, status = _INTERNAL.get(service, ("InternalFailure", 500))
    return AwsError(code, _WORDS.get(code, "The request failed because of an internal error."), status)


def unavailable(region: str) -> AwsError:
    """What a region answers that can't."""
    return AwsError("ServiceUnavailable", f"{region} is unavailable. Please try again later.", 503)


def named(service: str, code: str, status: int | None, message: str) -> AwsError:
    """An error by its code, with the status that the service gives it unless another is wanted."""
    plain = internal(service) if not code else AwsError(code, _WORDS.get(code, code), _status(service, code))
    return AwsError(plain.code, message or plain.message, status or plain.status)


def _status(service: str, code: str) -> int:
    for known in (_THROTTLED, _INTERNAL):
        if known.get(service, ("", 0))[0] == code:
            return known[service][1]
    told = _modelled(service, code).get("httpStatusCode")
    if told:
        return int(told)
    if "Unavailable" in code or code == "SlowDown":
        return 503
    return 500 if "Internal" in code else 400


def _modelled(service: str, code: str) -> dict[str, Any]:
    model = get_service_model(service)
    for name in (code, f"{code}Exception", f"{code}Fault"):
        if name in model.shape_names:
            return dict(model.shape_for(name).metadata.get("error") or {})
    return {}

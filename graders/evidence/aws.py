"""AWS errors as a check may meet them, without importing an AWS library."""

from __future__ import annotations

_MISSING = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchKey",
        "NotFound",
        "NotFoundException",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "StackNotFoundException",
    }
)
# Names a learner's output can carry that no service accepts.
_UNUSABLE = frozenset({"InvalidBucketName", "InvalidAddress", "ParamValidationError"})


def error_code(error: BaseException) -> str:
    """The AWS error code an exception carries, or the empty text."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    return ""


def is_missing(error: BaseException) -> bool:
    """Whether AWS said that the thing does not exist, or cannot by its name."""
    return error_code(error) in _MISSING | _UNUSABLE

"""What SQS refuses, in its words; codes are the names of the service model's shapes."""

from __future__ import annotations

from sandbox.emulator.calls import AwsError

# What clients of the older query protocol, and botocore's error codes, still call these errors.
# Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
QUERY_CODES = {
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
} | {
    shape: f"AWS.SimpleQueueService.{shape}"
    for shape in (
        "BatchEntryIdsNotDistinct",
        "BatchRequestTooLong",
        "EmptyBatchRequest",
        "InvalidBatchEntryId",
        "MessageNotInflight",
        "PurgeQueueInProgress",
        "QueueDeletedRecently",
        "TooManyEntriesInBatchRequest",
        "UnsupportedOperation",
    )
}
_SHAPES = {query_code: shape for shape, query_code in QUERY_CODES.items()}


def with_shape_code(error: AwsError) -> AwsError:
    """An error that moto named by its query code, named by its shape."""
    shape = _SHAPES.get(error.code)
    return error if shape is None else AwsError(shape, error.message, error.status, **error.extra)


def queue_does_not_exist() -> AwsError:
    return AwsError("QueueDoesNotExist", "The specified queue does not exist.")


def missing_parameter(name: str) -> AwsError:
    return AwsError("MissingParameter", f"The request must contain the parameter {name}.")


def invalid_value(value: object, parameter: str, reason: str) -> AwsError:
    return AwsError(
        "InvalidParameterValue", f"Value {value} for parameter {parameter} is invalid. Reason: {reason}"
    )


def invalid_receipt(receipt: str) -> AwsError:
    return AwsError(
        "ReceiptHandleIsInvalid", f'The input receipt handle "{receipt}" is not a valid receipt handle.'
    )

"""What Lambda accepts as the settings of a mapping, and how it refuses the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric import filters
from sandbox.emulator.fabric.mappings.model import QueueSettings, StartingPosition, StreamSettings

# Source: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
_STREAMS_ONLY = (
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
)
_FIFO_BATCH_LIMIT = 10
_FILTERS_LIMIT = 5
_AGE_LEAST_S = 60
_PATTERN_LIMIT = 4096


def read_queue_settings(params: Mapping[str, Any], *, fifo: bool) -> QueueSettings:
    """The settings that ``params`` describe for a queue.

    Raises:
        AwsError: Lambda would not take them.
    """
    for name in _STREAMS_ONLY:
        if params.get(name) not in (None, {}, False):
            raise refused(f"Unsupported parameter for given event source type: {name}.")
    if params.get("StartingPosition"):
        raise refused("StartingPosition is not valid for SQS event sources.")
    window_s = _bounded(params, "MaximumBatchingWindowInSeconds", 0, 300) or 0
    batch_size = _bounded(params, "BatchSize", 1, 10_000) or 10
    if fifo and params.get("MaximumBatchingWindowInSeconds"):
        raise refused("Batching window is not supported for FIFO queues.")
    if fifo and batch_size > _FIFO_BATCH_LIMIT:
        raise refused("Batch size greater than 10 is not supported for FIFO queues.")
    if batch_size > _FIFO_BATCH_LIMIT and window_s < 1:
        raise refused(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    return QueueSettings(
        batch_size=batch_size,
        window_s=window_s,
        filters=_read_filters(params),
        reports_failures=_reports_failures(params),
        maximum_concurrency=_maximum_concurrency(params),
        enabled=_enabled(params),
    )


def read_stream_settings(params: Mapping[str, Any], service: str) -> StreamSettings:
    """The settings that ``params`` describe for a stream of ``service``: ``kinesis`` or ``dynamodb``.

    Raises:
        AwsError: Lambda would not take them.
    """
    if params.get("ScalingConfig"):
        raise refused("Unsupported parameter for given event source type: ScalingConfig.")
    position, moment = params.get("StartingPosition"), params.get("StartingPositionTimestamp")
    if not position:
        raise refused(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null."
        )
    if position not in list(StartingPosition):
        raise _constraint(
            position,
            "startingPosition",
            "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
        )
    if position == StartingPosition.AT_TIMESTAMP and service == "dynamodb":
        raise refused(f"Unsupported starting position for arn type: {params.get('EventSourceArn')}")
    if (position == StartingPosition.AT_TIMESTAMP) != (moment is not None):
        raise refused(
            "StartingPositionTimestamp is required, and only allowed, when StartingPosition is AT_TIMESTAMP."
        )
    age_s = _bounded(params, "MaximumRecordAgeInSeconds", -1, 604_800)
    if age_s is not None and -1 < age_s < _AGE_LEAST_S:
        raise refused(f"MaximumRecordAgeInSeconds must be -1 or at least {_AGE_LEAST_S}.")
    retries = _bounded(params, "MaximumRetryAttempts", -1, 10_000)
    return StreamSettings(
        batch_size=_bounded(params, "BatchSize", 1, 10_000) or 100,
        window_s=_bounded(params, "MaximumBatchingWindowInSeconds", 0, 300) or 0,
        filters=_read_filters(params),
        reports_failures=_reports_failures(params),
        enabled=_enabled(params),
        start=StartingPosition(position),
        start_at=moment,
        lanes=_bounded(params, "ParallelizationFactor", 1, 10) or 1,
        retries=None if retries in (None, -1) else retries,
        age_s=None if age_s in (None, -1) else age_s,
        bisects=bool(params.get("BisectBatchOnFunctionError")),
        on_failure=_on_failure(params),
        tumbling_s=_bounded(params, "TumblingWindowInSeconds", 0, 900) or 0,
    )


def _on_failure(params: Mapping[str, Any]) -> str:
    wanted = params.get("DestinationConfig") or {}
    if (wanted.get("OnSuccess") or {}).get("Destination"):
        raise refused("Unsupported destination configuration: OnSuccess is not for event source mappings.")
    arn = str((wanted.get("OnFailure") or {}).get("Destination") or "")
    if arn and (arn.count(":") < 5 or arn.split(":")[2] not in ("sqs", "sns", "s3")):
        raise refused(f"The provided destination config DestinationConfig(onFailure={arn}) is invalid.")
    return arn


def _enabled(params: Mapping[str, Any]) -> bool:
    enabled = params.get("Enabled")
    return True if enabled is None else bool(enabled)


def refused(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, 400, Type="User")


def _read_filters(params: Mapping[str, Any]) -> tuple[str, ...]:
    given = (params.get("FilterCriteria") or {}).get("Filters") or ()
    patterns = tuple(str(each.get("Pattern", "")) for each in given)
    if len(patterns) > _FILTERS_LIMIT:
        raise refused(f"The maximum number of filters is {_FILTERS_LIMIT}. You have sent {len(patterns)}.")
    for text in patterns:
        try:
            pattern = json.loads(text)
        except ValueError:
            raise refused("Invalid filter pattern definition.") from None
        if len(text) > _PATTERN_LIMIT or filters.problem_with(pattern):
            raise refused("Invalid filter pattern definition.")
    return patterns


def _reports_failures(params: Mapping[str, Any]) -> bool:
    types = params.get("FunctionResponseTypes") or []
    for each in types:
        if each != "ReportBatchItemFailures":
            raise _constraint(
                f"[{each}]",
                "functionResponseTypes",
                "Member must satisfy constraint: "
                "[Member must satisfy enum value set: [ReportBatchItemFailures]]",
            )
    return bool(types)


def _maximum_concurrency(params: Mapping[str, Any]) -> int | None:
    scaling = params.get("ScalingConfig") or {}
    return _bounded(scaling, "MaximumConcurrency", 2, 1000, within="scalingConfig.")


def _bounded(params: Mapping[str, Any], name: str, least: int, most: int, *, within: str = "") -> int | None:
    value = params.get(name)
    if value is None:
        return None
    where = within + name[0].lower() + name[1:]
    if int(value) < least:
        raise _constraint(value, where, f"Member must have value greater than or equal to {least}")
    if int(value) > most:
        raise _constraint(value, where, f"Member must have value less than or equal to {most}")
    return int(value)


def _constraint(value: object, where: str, constraint: str) -> AwsError:
    return AwsError(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{where}' failed to satisfy constraint: "
        f"{constraint}",
    )

"""What PutMetricAlarm refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.telemetry.alarms import COMPARISONS, Missing
from sandbox.emulator.telemetry.series import NoSuchStatistic, read_statistic


def check_metric_alarm(params: Mapping[str, Any]) -> None:
    """Refuse an alarm that CloudWatch would not take.

    Raises:
        AwsError: in CloudWatch's words.
    """
    operator = params.get("ComparisonOperator")
    if operator not in COMPARISONS:
        if params.get("ThresholdMetricId"):
            raise AwsError(
                "NotEmulated", "Coldstart does not emulate anomaly detection; this is a gap of ours.", 501
            )
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{operator}' at 'comparisonOperator' failed to satisfy "
            "constraint: Member must satisfy enum value set: [GreaterThanOrEqualToThreshold, "
            "GreaterThanThreshold, LessThanThreshold, LessThanOrEqualToThreshold]",
        )
    if params.get("Threshold") is None:
        raise AwsError("ValidationError", "The parameter Threshold is required.")
    simple = params.get("MetricName") is not None
    if simple == bool(params.get("Metrics")):
        raise AwsError(
            "ValidationError", "Exactly one of the parameters MetricName and Metrics must be specified."
        )
    if simple:
        _check_statistic(params)
    else:
        returned = [each for each in params["Metrics"] if each.get("ReturnData") is not False]
        if len(returned) != 1:
            raise AwsError("ValidationError", "Exactly one element of the metrics list should return data.")
    periods = int(params["EvaluationPeriods"])
    needed = params.get("DatapointsToAlarm")
    if needed is not None and int(needed) > periods:
        raise AwsError(
            "ValidationError", "DatapointsToAlarm must be less than or equal to the EvaluationPeriods."
        )
    missing = params.get("TreatMissingData")
    if missing is not None and missing not in list(Missing):
        raise AwsError(
            "ValidationError", f"The value {missing} for parameter TreatMissingData is not supported."
        )


def _check_statistic(params: Mapping[str, Any]) -> None:
    given = [params.get("Statistic"), params.get("ExtendedStatistic")]
    if sum(each is not None for each in given) != 1:
        raise AwsError(
            "ValidationError",
            "Exactly one of the parameters Statistic and ExtendedStatistic must be specified.",
        )
    try:
        read_statistic(str(given[0] or given[1]))
    except NoSuchStatistic:
        raise AwsError(
            "ValidationError", f"The value {given[0] or given[1]} for parameter Statistic is not supported."
        ) from None
    low = params.get("EvaluateLowSampleCountPercentile")
    if low not in (None, "evaluate", "ignore"):
        raise AwsError(
            "ValidationError",
            f"Option {low} is not supported. Supported options for parameter "
            "EvaluateLowSampleCountPercentile are evaluate and ignore.",
        )
    period_s = int(params.get("Period") or 0)
    if period_s not in (10, 20, 30) and (period_s <= 0 or period_s % 60):
        raise AwsError("ValidationError", "Period must be 10, 20, 30 or a multiple of 60.")

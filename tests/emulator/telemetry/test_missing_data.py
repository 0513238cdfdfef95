"""What alarms make of missing data, row by row from AWS's tables and examples."""

from __future__ import annotations

import datetime as dt

import pytest

from sandbox.emulator.telemetry.alarms import Alarm, AlarmState, judge

TABLES = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html"
PREMATURE = f"{TABLES}#CloudWatch-alarms-avoiding-premature-transition"
EVALUATION = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html"
# The table before 2020, whose rows the newer one does not take up again.
OLDER = (
    "https://github.com/awsdocs/amazon-cloudwatch-user-guide/blob/05fd32f/doc_source/AlarmThatSendsEmail.md"
)

OK, ALARM, DATA, KEPT = "OK", "ALARM", "INSUFFICIENT_DATA", ""
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")

# (source, M, N, the five newest points with the newest last, the state by each treatment)
ROWS: list[tuple[str, int, int, str, tuple[str, str, str, str]]] = [
    (TABLES, 3, 3, "0 - X - X", (OK, OK, OK, OK)),
    (TABLES, 3, 3, "0 - - - -", (OK, OK, OK, OK)),
    (TABLES, 3, 3, "- - - - -", (DATA, KEPT, ALARM, OK)),
    (TABLES, 3, 3, "0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
    (TABLES, 3, 3, "- - X - -", (ALARM, KEPT, ALARM, OK)),
    (TABLES, 2, 3, "0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
    (TABLES, 2, 3, "0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
    (TABLES, 2, 3, "0 - X - -", (OK, OK, ALARM, OK)),
    (TABLES, 2, 3, "- - - - 0", (OK, OK, ALARM, OK)),
    (TABLES, 2, 3, "- - - X -", (ALARM, KEPT, ALARM, OK)),
    (OLDER, 3, 3, "- - - - X", (DATA, KEPT, ALARM, OK)),
    (OLDER, 3, 3, "X - - - -", (ALARM, KEPT, ALARM, OK)),
    (OLDER, 2, 3, "- - - - X", (DATA, KEPT, ALARM, OK)),
    (PREMATURE, 3, 3, "- - - X -", (DATA, KEPT, ALARM, OK)),
    (PREMATURE, 3, 3, "- - - X 0", (OK, OK, OK, OK)),
    (PREMATURE, 3, 3, "- - X - 0", (OK, OK, OK, OK)),
    (EVALUATION, 3, 3, "0 0 X X X", (ALARM, ALARM, ALARM, ALARM)),
    (EVALUATION, 3, 3, "X X X X 0", (OK, OK, OK, OK)),
    (EVALUATION, 3, 3, "0 0 0 0 X", (OK, OK, OK, OK)),
    (EVALUATION, 1, 3, "0 0 X 0 0", (ALARM, ALARM, ALARM, ALARM)),
    (EVALUATION, 1, 3, "0 X 0 0 0", (OK, OK, OK, OK)),
    (EVALUATION, 2, 3, "0 0 X X -", (ALARM, ALARM, ALARM, ALARM)),
]
CASES = [
    (*row[:4], treatment, state) for row in ROWS for treatment, state in zip(TREATMENTS, row[4], strict=True)
]


def alarm(needed: int, wanted: int, **options: str) -> Alarm:
    params = {
        "Namespace": "Shop",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": wanted,
        "DatapointsToAlarm": needed,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **options,
    }
    return Alarm("Errors", "arn", "111122223333", "eu-north-1", params, dt.datetime.now(dt.UTC))


def state(watched: Alarm, points: str) -> str:
    """The state that points lead to; empty where the one there is stays."""
    values = {"0": 1.0, "X": 9.0}
    moments = {60.0 * at: values[point] for at, point in enumerate(points.split()) if point in values}
    verdict = judge(watched, moments, 60.0 * (len(points.split()) - 1))
    return verdict.state.value if verdict.state is not None else KEPT


@pytest.mark.parametrize(("source", "needed", "wanted", "points", "treatment", "expected"), CASES)
def test_the_documented_tables(
    source: str, needed: int, wanted: int, points: str, treatment: str, expected: str
) -> None:
    assert state(alarm(needed, wanted, TreatMissingData=treatment), points) == expected, source


def test_missing_is_the_default_but_for_dynamodb_which_ignores() -> None:
    """Source: TABLES, the note on the namespace AWS/DynamoDB."""
    assert state(alarm(3, 3), "- - - - -") == AlarmState.INSUFFICIENT_DATA
    assert state(alarm(3, 3, Namespace="AWS/DynamoDB"), "- - - - -") == KEPT
    told = alarm(3, 3, Namespace="AWS/DynamoDB", TreatMissingData="notBreaching")
    assert state(told, "- - - - -") == OK

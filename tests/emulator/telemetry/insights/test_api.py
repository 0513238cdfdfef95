"""Logs Insights through the API: boto3 and IAM on an account, queries over real log groups."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.calls import Principal, PrincipalKind

GROUP = "/aws/lambda/shop"


def ask(watch: Any, query: str, **options: Any) -> Any:
    """Start a query over the last hour, let it run, and take its results."""
    logs, now = watch.logs, int(watch.account.core.clock.time())
    names = options if any("logGroup" in name for name in options) else {"logGroupName": GROUP, **options}
    started = logs.start_query(
        **{"startTime": now - 3600, "endTime": now + 60, "queryString": query, **names}
    )
    watch.account.settle()
    return logs.get_query_results(queryId=started["queryId"])


def rows(found: Any) -> list[dict[str, str]]:
    return [{each["field"]: each["value"] for each in row} for row in found["results"]]


def write(watch: Any, *messages: str, group: str = GROUP, ago_s: float = 0) -> None:
    at = int((watch.account.core.clock.time() - ago_s) * 1000)
    events = [{"timestamp": at, "message": message} for message in messages]
    watch.logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


@pytest.fixture
def logged(watch: Any) -> Any:
    for group in (GROUP, "/app"):
        watch.logs.create_log_group(logGroupName=group)
        watch.logs.create_log_stream(logGroupName=group, logStreamName="s")
    return watch


def test_a_query_is_answered_with_rows_pointers_and_statistics(logged: Any) -> None:
    write(logged, '{"level": "ERROR", "ms": 12}', '{"level": "INFO", "ms": 3}')

    found = ask(logged, 'fields level, ms | filter level = "ERROR"')

    [row] = rows(found)
    assert (row["level"], row["ms"]) == ("ERROR", "12")
    assert (found["status"], found["queryLanguage"]) == ("Complete", "CWLI")
    assert found["statistics"] == {
        "recordsMatched": 1.0,
        "recordsScanned": 2.0,
        "estimatedRecordsSkipped": 0.0,
        "bytesScanned": 54.0,
        "estimatedBytesSkipped": 0.0,
        "logGroupsScanned": 1.0,
    }
    record = logged.logs.get_log_record(logRecordPointer=row["@ptr"])["logRecord"]
    assert record["@message"] == '{"level": "ERROR", "ms": 12}'
    assert (record["ms"], record["@log"]) == ("12", f"111122223333:{GROUP}")
    with pytest.raises(ClientError, match="pointer is not valid"):
        logged.logs.get_log_record(logRecordPointer="bm9uZQ==")


def test_a_query_sees_its_time_range_on_the_accounts_clock(logged: Any) -> None:
    write(logged, "early")
    logged.account.advance(3 * 3600)
    write(logged, "late")
    now = int(logged.account.core.clock.time())

    assert [row["@message"] for row in rows(ask(logged, "fields @message"))] == ["late"]
    before = ask(logged, "fields @message", startTime=now - 4 * 3600, endTime=now - 3600)
    assert [row["@message"] for row in rows(before)] == ["early"]
    with pytest.raises(ClientError, match="End time should not be before start time"):
        ask(logged, "fields @message", startTime=now, endTime=now - 1)
    with pytest.raises(ClientError, match="before the log groups creation time") as caught:
        ask(logged, "fields @message", startTime=now - 9 * 3600, endTime=now - 8 * 3600)
    assert caught.value.response["Error"]["Code"] == "MalformedQueryException"


def test_a_query_of_several_groups_by_name_and_by_arn(logged: Any) -> None:
    write(logged, "from the function")
    write(logged, "from the app", group="/app")
    arn = "arn:aws:logs:eu-north-1:111122223333:log-group:/app"

    by_name = ask(logged, "stats count(*) as n by @log | sort @log", logGroupNames=[GROUP, "/app"])
    by_arn = ask(logged, "fields @message", logGroupIdentifiers=[arn])

    assert rows(by_name) == [
        {"@log": "111122223333:/app", "n": "1"},
        {"@log": f"111122223333:{GROUP}", "n": "1"},
    ]
    assert [row["@message"] for row in rows(by_arn)] == ["from the app"]
    for options, code in (
        ({"logGroupNames": ["/none"]}, "ResourceNotFoundException"),
        ({"logGroupIdentifiers": [arn.replace("eu-north-1", "eu-west-1")]}, "ResourceNotFoundException"),
        ({"logGroupNames": ["/app"], "logGroupName": "/app"}, "InvalidParameterException"),
        ({"logGroupNames": ["/app"], "limit": 10_001}, "InvalidParameterException"),
        ({"logGroupNames": ["/app"], "queryLanguage": "SQL"}, "NotEmulated"),
    ):
        with pytest.raises(ClientError) as caught:
            ask(logged, "fields @message", **options)
        assert caught.value.response["Error"]["Code"] == code


def test_a_query_that_can_t_be_read_names_the_position(logged: Any) -> None:
    with pytest.raises(logged.logs.exceptions.MalformedQueryException) as caught:
        ask(logged, "fields a | sortt b")
    error = caught.value.response
    assert error["Error"]["Message"] == "unexpected symbol found sortt at line 1 and position 11"
    assert error["queryCompileError"]["location"] == {"startCharOffset": 11, "endCharOffset": 16}
    with pytest.raises(
        ClientError, match="does not emulate `pattern` in Logs Insights queries; this is a gap"
    ):
        ask(logged, "pattern @message")


@pytest.fixture
def usual_depth() -> Iterator[None]:
    """Python's own limit of recursion, which libraries of other tests raise for the whole process."""
    raised = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(raised)


@pytest.mark.usefixtures("usual_depth")
def test_a_query_beyond_measure_fails_alone(logged: Any) -> None:
    write(logged, '{"a": 1}')
    assert ask(logged, f"fields {'+'.join('a' * 4000)} as total")["status"] == "Failed"
    with pytest.raises(ClientError, match="less than or equal to 10000"):
        ask(logged, f"fields {'a' * 10_000}")
    assert ask(logged, "fields a")["status"] == "Complete"


def test_queries_are_listed_stopped_and_forgotten(logged: Any) -> None:
    logs = logged.logs
    now = int(logged.account.core.clock.time())
    with logged.account.core.dispatch_lock:
        # Nothing reads the groups meanwhile, so the query can't end.
        started = logs.start_query(
            logGroupName=GROUP, startTime=now - 60, endTime=now, queryString="fields @message"
        )["queryId"]
        assert logs.stop_query(queryId=started)["success"]
    logged.account.settle()
    assert logs.get_query_results(queryId=started)["status"] == "Cancelled"
    with pytest.raises(ClientError, match="not in a running state"):
        logs.stop_query(queryId=started)
    ask(logged, "stats count(*)")
    told = logs.describe_queries(logGroupName=GROUP, status="Complete")["queries"]
    assert [(each["queryString"], each["logGroupName"]) for each in told] == [("stats count(*)", GROUP)]
    assert len(logs.describe_queries()["queries"]) == 2
    assert logs.describe_queries(logGroupName="/app")["queries"] == []
    logged.account.advance(8 * 86_400)
    with pytest.raises(ClientError, match="does not exist"):
        logs.get_query_results(queryId=started)


def test_query_definitions_are_kept(logged: Any) -> None:
    logs = logged.logs
    made = logs.put_query_definition(name="shop/errors", queryString="fields @message", logGroupNames=[GROUP])
    again = logs.put_query_definition(
        name="shop/errors", queryString="stats count(*)", queryDefinitionId=made["queryDefinitionId"]
    )
    assert again == {**made, "ResponseMetadata": again["ResponseMetadata"]}
    logs.put_query_definition(name="other", queryString="fields @message")
    [kept] = logs.describe_query_definitions(queryDefinitionNamePrefix="shop/")["queryDefinitions"]
    assert (kept["name"], kept["queryString"]) == ("shop/errors", "stats count(*)")
    assert logs.delete_query_definition(queryDefinitionId=made["queryDefinitionId"])["success"]
    with pytest.raises(ClientError, match="does not exist"):
        logs.delete_query_definition(queryDefinitionId=made["queryDefinitionId"])


def test_the_fields_of_a_group_with_their_shares(logged: Any) -> None:
    write(logged, '{"a": 1}', '{"a": 2}', '{"b": 1}', "plain")
    told = logged.logs.get_log_group_fields(logGroupName=GROUP)["logGroupFields"]
    shares = {each["name"]: each["percent"] for each in told}
    assert (shares["@message"], shares["a"], shares["b"]) == (100, 50, 25)
    long_ago = int(logged.account.core.clock.time()) - 86_400
    assert logged.logs.get_log_group_fields(logGroupName=GROUP, time=long_ago)["logGroupFields"] == []


def test_a_role_queries_only_the_groups_that_it_may(logged: Any) -> None:
    account = logged.account
    iam = account.client("iam")
    iam.create_user(UserName="ann")
    statement = [
        {
            "Effect": "Allow",
            "Action": "logs:StartQuery",
            "Resource": f"arn:aws:logs:*:*:log-group:{GROUP}:*",
        },
        {"Effect": "Allow", "Action": "logs:GetQueryResults", "Resource": "*"},
    ]
    iam.put_user_policy(
        UserName="ann",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}),
    )
    person = Principal(PrincipalKind.USER, "111122223333", "arn:aws:iam::111122223333:user/ann")
    ann = account.core.clients.client("logs", region="eu-north-1", principal=person)
    now = int(account.core.clock.time())
    asked = {"startTime": now - 60, "endTime": now, "queryString": "stats count(*)"}

    started = ann.start_query(logGroupName=GROUP, **asked)["queryId"]
    account.settle()
    assert ann.get_query_results(queryId=started)["status"] == "Complete"
    for refused in (
        lambda: ann.start_query(logGroupNames=[GROUP, "/app"], **asked),
        lambda: ann.stop_query(queryId=started),
        lambda: ann.describe_queries(),
        lambda: ann.get_log_group_fields(logGroupName=GROUP),
        lambda: ann.put_query_definition(name="n", queryString="fields a"),
        lambda: ann.start_live_tail(
            logGroupIdentifiers=[f"arn:aws:logs:eu-north-1:111122223333:log-group:{GROUP}"]
        ),
    ):
        with pytest.raises(ClientError) as caught:
            refused()
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_group_with_a_retention_hides_what_is_older(logged: Any) -> None:
    write(logged, "old")
    logged.account.advance(2 * 86_400)
    write(logged, "new")
    since = int(logged.account.core.clock.time()) - 3 * 86_400
    assert len(rows(ask(logged, "fields @message", startTime=since))) == 2
    logged.logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert [row["@message"] for row in rows(ask(logged, "fields @message", startTime=since))] == ["new"]

"""Live Tail over HTTP as boto3 reads it, following a log as `aws logs tail` does, and retention."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.emulator.gateway import server

ARN = "arn:aws:logs:eu-north-1:111122223333:log-group:/app"
# The address that the prefix makes, stream-127.0.0.1, leads nowhere.
PLAIN = Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, read_timeout=20)


@pytest.fixture
def logs(watch: Any) -> Iterator[Any]:
    """A client of CloudWatch Logs on a socket, and a group with two streams."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = server.serve(watch.account.gateway.application(), listener, threads=12)
    watch.logs.create_log_group(logGroupName="/app")
    for name in ("one", "two"):
        watch.logs.create_log_stream(logGroupName="/app", logStreamName=name)
    yield boto3.client(
        "logs",
        endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        region_name="eu-north-1",
        aws_access_key_id=watch.account.keys.access_key_id,
        aws_secret_access_key=watch.account.keys.secret_access_key,
        config=PLAIN,
    )
    running.close()


@pytest.fixture
def write(watch: Any) -> Callable[..., None]:
    def written(*messages: str, stream: str = "one") -> None:
        at = int(watch.account.core.clock.time() * 1000)
        events = [{"timestamp": at, "message": message} for message in messages]
        watch.logs.put_log_events(logGroupName="/app", logStreamName=stream, logEvents=events)

    return written


def results(session: Any, count: int) -> list[dict[str, Any]]:
    """The first ``count`` events of a session that has begun."""
    found: list[dict[str, Any]] = []
    for event in session:
        found += event["sessionUpdate"]["sessionResults"]
        if len(found) >= count:
            break
    return found


def test_live_tail_hands_on_what_comes_in(logs: Any, write: Callable[..., None]) -> None:
    write("before")
    answer = logs.start_live_tail(logGroupIdentifiers=[ARN], logEventFilterPattern="ERROR")
    session = iter(answer["responseStream"])
    start = next(session)["sessionStart"]
    assert (start["logGroupIdentifiers"], start["logEventFilterPattern"]) == ([ARN], "ERROR")
    assert start["sessionId"]

    write("ERROR one", "fine")
    write("ERROR two", stream="two")

    found = results(session, 2)
    assert [(each["message"], each["logStreamName"]) for each in found] == [
        ("ERROR one", "one"),
        ("ERROR two", "two"),
    ]
    assert found[0]["logGroupIdentifier"] == ARN
    assert abs(found[0]["ingestionTime"] - found[0]["timestamp"]) < 10_000
    answer["responseStream"].close()


@pytest.mark.parametrize("chosen", [{"logStreamNames": ["two"]}, {"logStreamNamePrefixes": ["tw"]}])
def test_live_tail_of_chosen_streams(logs: Any, write: Callable[..., None], chosen: dict[str, Any]) -> None:
    answer = logs.start_live_tail(logGroupIdentifiers=[ARN], **chosen)
    session = iter(answer["responseStream"])
    assert "sessionStart" in next(session)
    write("not this")
    write("this", stream="two")
    assert [each["message"] for each in results(session, 1)] == ["this"]
    answer["responseStream"].close()


def test_an_idle_session_is_told_so_and_ends_with_its_reader(watch: Any, logs: Any) -> None:
    answers = [logs.start_live_tail(logGroupIdentifiers=[ARN]) for _ in range(8)]
    sessions = [iter(answer["responseStream"]) for answer in answers]
    for session in sessions:
        assert "sessionStart" in next(session)
    assert next(sessions[0])["sessionUpdate"]["sessionResults"] == []
    assert watch.account.core.work.settle(1).settled, "a session is no work in flight"
    with pytest.raises(logs.exceptions.LimitExceededException):
        logs.start_live_tail(logGroupIdentifiers=[ARN])
    for answer in answers:
        answer["responseStream"].close()
    # The server notices when it writes the next update.
    while True:
        try:
            answer = logs.start_live_tail(logGroupIdentifiers=[ARN])
        except logs.exceptions.LimitExceededException:
            continue
        break
    answer["responseStream"].close()


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"logGroupIdentifiers": ["/app"]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [f"{ARN}:*"]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [f"{ARN}x"]}, "ResourceNotFoundException"),
        ({"logGroupIdentifiers": [ARN], "logEventFilterPattern": "{ $.a"}, "InvalidParameterException"),
        (
            {"logGroupIdentifiers": [ARN], "logStreamNames": ["a"], "logStreamNamePrefixes": ["b"]},
            "InvalidParameterException",
        ),
    ],
)
def test_what_is_no_session(logs: Any, parameters: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        logs.start_live_tail(**parameters)
    assert caught.value.response["Error"]["Code"] == code


def test_following_by_filter_log_events_sees_each_event_once(
    watch: Any, logs: Any, write: Callable[..., None]
) -> None:
    """As `aws logs tail --follow` asks: page by page, then again from the newest moment on."""

    def page(start: int, seen: set[str]) -> list[str]:
        told, token = [], {}
        while True:
            found = logs.filter_log_events(logGroupName="/app", interleaved=True, startTime=start, **token)
            told += [each["message"] for each in found["events"] if each["eventId"] not in seen]
            seen |= {each["eventId"] for each in found["events"]}
            if "nextToken" not in found:
                return told
            token = {"nextToken": found["nextToken"]}

    start, seen = int(watch.account.core.clock.time() * 1000) - 60_000, set[str]()
    write("a", "b")
    assert page(start, seen) == ["a", "b"]
    write("c", stream="two")
    assert page(start, seen) == ["c"]
    assert page(start, seen) == []


def test_what_a_group_does_not_keep_any_longer_is_gone(
    watch: Any, logs: Any, write: Callable[..., None]
) -> None:
    def kept() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName="/app")["events"]]

    logs.put_retention_policy(logGroupName="/app", retentionInDays=1)
    write("old")
    watch.account.advance(20 * 3600)
    write("new", stream="two")
    assert kept() == ["old", "new"]
    watch.account.advance(6 * 3600)
    assert kept() == ["new"]
    streams = logs.describe_log_streams(logGroupName="/app")["logStreams"]
    assert {each["logStreamName"]: each["storedBytes"] for each in streams} == {"one": 0, "two": 3}
    logs.delete_retention_policy(logGroupName="/app")
    watch.account.advance(3 * 86_400)
    assert kept() == ["new"]

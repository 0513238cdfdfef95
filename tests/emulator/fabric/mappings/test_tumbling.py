"""Tumbling windows: what functions are given besides records, and what of their answers is kept."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Put = Callable[..., None]


@pytest.fixture
def clicks(bench: Any) -> tuple[str, Put]:
    """A Kinesis stream at the beginning of a window of 60 s; its ARN, and what puts numbers into it."""
    kinesis = bench.account.client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName="clicks")["StreamDescriptionSummary"]["StreamARN"]
    bench.account.advance(61 - bench.account.core.clock.time() % 60)

    def put(*numbers: int) -> None:
        for number in numbers:
            kinesis.put_record(StreamName="clicks", PartitionKey="k", Data=json.dumps(number).encode())
        bench.account.settle()

    return arn, put


def numbers(event: Any) -> list[int]:
    return [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in event["Records"]]


def total(event: Any) -> Any:
    return {"state": {"sum": event["state"].get("sum", 0) + sum(numbers(event))}}


def seen(bench: Any) -> list[tuple[list[int], Any, bool]]:
    """Records, state and whether it was the window's last, of each invocation."""
    return [
        (numbers(event), event["state"], event["isFinalInvokeForWindow"]) for event in bench.functions.events
    ]


def test_a_state_is_carried_until_the_window_ends(bench: Any, clicks: tuple[str, Put]) -> None:
    arn, put = clicks
    bench.functions.answer = total
    uuid = bench.map(arn, StartingPosition="LATEST", TumblingWindowInSeconds=60)
    assert bench.lambda_.get_event_source_mapping(UUID=uuid)["TumblingWindowInSeconds"] == 60
    put(1)
    put(2)
    bench.account.advance(60)
    assert seen(bench) == [([1], {}, False), ([2], {"sum": 1}, False), ([], {"sum": 3}, True)]
    first = bench.functions.events[0]
    assert first["shardId"] == "shardId-000000000000"
    assert (first["eventSourceARN"], first["isWindowTerminatedEarly"]) == (arn, False)
    start, end = (dt.datetime.fromisoformat(first["window"][name]) for name in ("start", "end"))
    assert (end - start, start.second) == (dt.timedelta(seconds=60), 0)

    put(5)
    bench.account.advance(60)
    # A window without records is none, and what the last one kept is gone.
    assert seen(bench)[3:] == [([5], {}, False), ([], {"sum": 5}, True)]
    bench.account.advance(600)
    assert len(seen(bench)) == 5


def test_records_of_two_windows_do_not_go_together(bench: Any, clicks: tuple[str, Put]) -> None:
    arn, put = clicks
    bench.functions.answer = total
    put(1)
    bench.account.advance(60)
    put(2)
    bench.map(arn, StartingPosition="TRIM_HORIZON", TumblingWindowInSeconds=60)
    assert seen(bench) == [([1], {}, False), ([], {"sum": 1}, True), ([2], {}, False)]


def test_what_failed_comes_again_with_the_state_of_before(bench: Any, clicks: tuple[str, Put]) -> None:
    arn, put = clicks
    failing = [2]

    def answer(event: Any) -> Any:
        if failing and (
            failing[0] in numbers(event) or (event["isFinalInvokeForWindow"] and failing[0] == 0)
        ):
            failing.pop()
            raise RuntimeError("cannot")
        return total(event)

    bench.functions.answer = answer
    bench.map(arn, StartingPosition="LATEST", TumblingWindowInSeconds=60, MaximumRetryAttempts=3)
    put(1)
    put(2)
    bench.account.advance(10)
    assert seen(bench)[1:] == [([2], {"sum": 1}, False), ([2], {"sum": 1}, False)]
    failing.append(0)
    bench.account.advance(60)
    assert seen(bench)[3:] == [([], {"sum": 3}, True), ([], {"sum": 3}, True)]


def test_a_state_that_is_too_large_ends_the_window(bench: Any, clicks: tuple[str, Put]) -> None:
    arn, put = clicks
    bench.functions.answer = lambda event: {"state": {"text": "x" * (2**20 + 1)}}
    bench.map(arn, StartingPosition="LATEST", TumblingWindowInSeconds=60)
    put(1)
    ended = bench.functions.events[1]
    assert (ended["isFinalInvokeForWindow"], ended["isWindowTerminatedEarly"]) == (True, True)
    put(2)
    assert bench.functions.events[2]["state"] == {}


def test_a_window_has_a_length_that_aws_takes(bench: Any, clicks: tuple[str, Put]) -> None:
    with pytest.raises(ClientError, match="less than or equal to 900"):
        bench.map(clicks[0], StartingPosition="LATEST", TumblingWindowInSeconds=901)

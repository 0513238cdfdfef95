"""What mappings Lambda takes, and how it refuses the others."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.fabric.fakes import create_function


def test_a_mapping_is_answered_as_lambda_does(bench: Any) -> None:
    _, arn = bench.queue()

    made = bench.lambda_.create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName="worker",
        BatchSize=5,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        ScalingConfig={"MaximumConcurrency": 2},
        FilterCriteria={"Filters": [{"Pattern": '{"body": {"a": [1]}}'}]},
    )
    bench.account.settle()
    found = bench.lambda_.get_event_source_mapping(UUID=made["UUID"])

    assert made["State"] == "Creating"
    assert found["State"] == "Enabled"
    assert found["FunctionArn"].endswith(":function:worker")
    assert found["EventSourceArn"] == arn
    assert found["BatchSize"] == 5
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert found["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert found["FilterCriteria"] == {"Filters": [{"Pattern": '{"body": {"a": [1]}}'}]}
    [listed] = bench.lambda_.list_event_source_mappings(FunctionName="worker")["EventSourceMappings"]
    assert listed["UUID"] == made["UUID"]


def test_a_queue_hides_messages_at_least_as_long_as_the_function_may_run(bench: Any) -> None:
    _, arn = bench.queue(VisibilityTimeout=5)
    create_function(bench.account, "slow", timeout_s=60)

    with pytest.raises(
        ClientError,
        match="Queue visibility timeout: 5 seconds is less than Function timeout: 60 seconds",
    ):
        bench.map(arn, "slow")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"BatchSize": 11}, "batch window in seconds must be greater than 0"),
        ({"BatchSize": 0}, "greater than or equal to 1"),
        ({"BatchSize": 10_001}, "less than or equal to 10000"),
        ({"MaximumBatchingWindowInSeconds": 301}, "less than or equal to 300"),
        ({"ScalingConfig": {"MaximumConcurrency": 1}}, "greater than or equal to 2"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, "Invalid filter pattern definition"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"body": "x"}'}]}}, "Invalid filter pattern"),
        ({"MaximumRetryAttempts": 2}, "Unsupported parameter"),
        ({"StartingPosition": "LATEST"}, "StartingPosition is not valid for SQS event sources"),
        ({"FunctionName": "nobody"}, "Function not found: arn:aws:lambda:.*:function:nobody"),
    ],
)
def test_settings_lambda_refuses(bench: Any, options: dict[str, Any], reason: str) -> None:
    _, arn = bench.queue()

    with pytest.raises(ClientError, match=reason):
        bench.lambda_.create_event_source_mapping(
            **{"EventSourceArn": arn, "FunctionName": "worker", **options}
        )


@pytest.mark.parametrize("options", [{"BatchSize": 11}, {"MaximumBatchingWindowInSeconds": 5}])
def test_fifo_queues_have_small_batches_and_no_window(bench: Any, options: dict[str, Any]) -> None:
    _, arn = bench.queue("orders.fifo", FifoQueue="true")

    with pytest.raises(ClientError, match="not supported for FIFO queues"):
        bench.map(arn, **options)


def test_a_missing_queue_is_refused(bench: Any) -> None:
    _, arn = bench.queue()

    with pytest.raises(ClientError, match="The specified queue does not exist"):
        bench.map(arn + "-not")


def test_a_second_mapping_of_the_same_pair_is_refused(bench: Any) -> None:
    _, arn = bench.queue()
    first = bench.map(arn)

    with pytest.raises(ClientError, match=first):
        bench.map(arn)


def test_an_unknown_mapping_is_not_found(bench: Any) -> None:
    with pytest.raises(ClientError, match="The resource you requested does not exist"):
        bench.lambda_.get_event_source_mapping(UUID="3fa1b2c4-0000-4000-8000-000000000000")


def test_an_update_keeps_what_it_does_not_name(bench: Any) -> None:
    _, arn = bench.queue()
    mapping = bench.map(arn, BatchSize=5, ScalingConfig={"MaximumConcurrency": 2})

    bench.lambda_.update_event_source_mapping(UUID=mapping, ScalingConfig={})
    bench.account.settle()

    found = bench.lambda_.get_event_source_mapping(UUID=mapping)
    assert found["BatchSize"] == 5
    assert "ScalingConfig" not in found
    assert found["State"] == "Enabled"


def test_other_sources_are_a_gap_that_says_it_is_ours(bench: Any) -> None:
    with pytest.raises(ClientError, match="gap of ours"):
        bench.map("arn:aws:kafka:eu-north-1:111122223333:cluster/orders/1", StartingPosition="LATEST")
    assert bench.account.events("gap")

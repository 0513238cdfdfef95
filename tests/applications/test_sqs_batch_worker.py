"""sqs-batch-worker: a queue in batches with partial failures, and a tuner that reads REPORT lines."""

from __future__ import annotations

import json

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def test_it_works_off_a_queue_and_tells_what_memory_costs(shell: Shell) -> None:
    # `sam delete` takes the Globals' CodeUri of a function with InlineCode for an address in S3, and breaks.
    with by_sam(shell, "sqs-batch-worker", deletable=False) as application:
        works_off(application)
        tunes(application)


def works_off(application: Application) -> None:
    outputs = application.outputs
    assert application.invoke(outputs["Sender"], [4, 9, -1, 16]) == 4
    application.shell.run("coldstart", "sandbox", "advance", "3m")

    kept = application.client("dynamodb").scan(TableName=outputs["Table"])["Items"]
    assert sorted(item["root"]["S"] for item in kept) == ["2.0", "3.0", "4.0"]
    sqs = application.client("sqs")
    (dead,) = sqs.receive_message(QueueUrl=outputs["FailedQueue"])["Messages"]
    assert json.loads(dead["Body"]) == {"number": -1}
    counts = sqs.get_queue_attributes(QueueUrl=outputs["Queue"], AttributeNames=["All"])["Attributes"]
    assert (counts["ApproximateNumberOfMessages"], counts["ApproximateNumberOfMessagesNotVisible"]) == (
        "0",
        "0",
    )
    failed = [line for line in application.logs(outputs["Worker"]) if line.startswith("failed")]
    assert len(failed) == 2, "tried as often as the queue says"


def tunes(application: Application) -> None:
    worker, machines = application.outputs["Worker"], application.client("stepfunctions")
    asked = {"lambdaARN": worker, "powerValues": [128, 256, 512], "num": 3, "payload": {}}

    started = machines.start_execution(stateMachineArn=application.outputs["Tuning"], input=json.dumps(asked))
    application.shell.settle()

    done = machines.describe_execution(executionArn=started["executionArn"])
    assert done["status"] == "SUCCEEDED", done
    found = json.loads(done["output"])
    assert [stat["value"] for stat in found["stats"]] == [128, 256, 512]
    assert all(stat["averageDuration"] >= 1 for stat in found["stats"])
    assert found["cost"] == min(stat["averagePrice"] for stat in found["stats"])
    functions = application.client("lambda")
    assert functions.list_aliases(FunctionName=worker)["Aliases"] == []
    assert functions.get_function_configuration(FunctionName=worker)["MemorySize"] == 128

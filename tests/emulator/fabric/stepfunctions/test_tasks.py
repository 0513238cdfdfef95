"""Tasks: functions, other services, tokens, other executions; what fails, retries and time limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def task(resource: str, **more: Any) -> dict[str, Any]:
    made = {"Type": "Task", "Resource": resource, **more}
    return made if "Next" in made else made | {"End": True}


def test_a_function_by_its_arn(machines: Any) -> None:
    machines.functions.answer = lambda event: {"hello": event["name"]}
    arn = machines.make({"Greet": task(machines.function)})
    execution = machines.start(arn, {"name": "x"})
    assert machines.history(execution) == [
        "ExecutionStarted",
        "TaskStateEntered",
        "LambdaFunctionScheduled",
        "LambdaFunctionStarted",
        "LambdaFunctionSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    events = machines.client.get_execution_history(executionArn=execution)["events"]
    assert [event["previousEventId"] for event in events] == [0, 1, 2, 3, 4, 5, 6]
    assert events[1]["stateEnteredEventDetails"]["name"] == "Greet"
    assert json.loads(events[-1]["executionSucceededEventDetails"]["output"]) == {"hello": "x"}


def test_an_optimised_invocation_has_the_payload_in_its_answer(machines: Any) -> None:
    states = {
        "Call": task(
            "arn:aws:states:::lambda:invoke",
            Parameters={"FunctionName": "worker", "Payload.$": "$"},
            ResultSelector={"code.$": "$.StatusCode", "body.$": "$.Payload.n"},
        )
    }
    assert machines.run(states, {"n": 5}) == {"code": 200, "body": 5}


def test_retries_wait_longer_each_time_and_then_the_error_is_caught(machines: Any) -> None:
    def fail(event: Any) -> None:
        raise KeyError("sku")

    machines.functions.answer = fail
    states = {
        "Try": task(
            machines.function,
            Retry=[
                {"ErrorEquals": ["Other"], "MaxAttempts": 9},
                {"ErrorEquals": ["KeyError"], "IntervalSeconds": 10, "BackoffRate": 3, "MaxAttempts": 2},
            ],
            Catch=[{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.problem", "Next": "Told"}],
        ),
        "Told": {"Type": "Pass", "End": True},
    }
    execution = machines.start(machines.make(states), {"id": 1})
    assert len(machines.functions.events) == 1
    machines.account.advance(9)
    assert len(machines.functions.events) == 1
    machines.account.advance(2)
    assert len(machines.functions.events) == 2
    machines.account.advance(31)
    assert len(machines.functions.events) == 3
    output = json.loads(machines.client.describe_execution(executionArn=execution)["output"])
    assert output["problem"]["Error"] == "KeyError"
    assert json.loads(output["problem"]["Cause"])["errorMessage"] == "'sku'"


def test_other_services_in_the_machines_role(machines: Any) -> None:
    queue = machines.account.client("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    machines.account.client("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    states = {
        "Put": task(
            "arn:aws:states:::dynamodb:putItem",
            Parameters={"TableName": "orders", "Item": {"id": {"S.$": "$.id"}, "n": {"N": "1"}}},
            ResultPath=None,
            Next="Get",
        ),
        "Get": task(
            "arn:aws:states:::aws-sdk:dynamodb:getItem",
            Parameters={"TableName": "orders", "Key": {"id": {"S.$": "$.id"}}},
            ResultPath="$.found",
            Next="Send",
        ),
        "Send": task(
            "arn:aws:states:::sqs:sendMessage",
            Parameters={"QueueUrl": queue, "MessageBody": {"order.$": "$.found.Item.id.S"}},
            ResultSelector={"id.$": "$.MessageId", "status.$": "$.SdkHttpMetadata.HttpStatusCode"},
        ),
    }
    assert machines.run(states, {"id": "7"})["status"] == 200
    [message] = machines.account.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"]) == {"order": "7"}


def test_a_services_refusal_has_its_name(machines: Any) -> None:
    states = {
        "Put": task(
            "arn:aws:states:::dynamodb:putItem",
            Parameters={"TableName": "nowhere", "Item": {"id": {"S": "1"}}},
            Catch=[{"ErrorEquals": ["DynamoDB.ResourceNotFoundException"], "Next": "Told"}],
        ),
        "Told": {"Type": "Pass", "End": True},
    }
    assert "Status Code: 400" in machines.run(states)["Cause"]


def test_a_task_token_waits_for_somebody_to_return_it(machines: Any) -> None:
    tokens: list[str] = []
    machines.functions.answer = lambda event: tokens.append(event["token"])
    states = {
        "Approve": task(
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
            Parameters={"FunctionName": "worker", "Payload": {"token.$": "$$.Task.Token"}},
            HeartbeatSeconds=60,
            TimeoutSeconds=600,
        )
    }
    execution = machines.start(machines.make(states))
    assert machines.history(execution)[-1] == "TaskSubmitted"
    machines.account.advance(50)
    machines.client.send_task_heartbeat(taskToken=tokens[0])
    machines.account.advance(50)
    machines.client.send_task_success(taskToken=tokens[0], output='{"approved": true}')
    machines.account.settle()
    found = machines.client.describe_execution(executionArn=execution)
    assert json.loads(found["output"]) == {"approved": True}
    with pytest.raises(ClientError, match="TaskTimedOut"):
        machines.client.send_task_success(taskToken=tokens[0], output="{}")


@pytest.mark.parametrize(
    ("limit", "error"),
    [({"HeartbeatSeconds": 60}, "States.HeartbeatTimeout"), ({"TimeoutSeconds": 60}, "States.Timeout")],
)
def test_nobody_returns_the_token(machines: Any, limit: Any, error: str) -> None:
    states = {
        "Approve": task(
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            Parameters={
                "QueueUrl": machines.account.client("sqs").create_queue(QueueName="q")["QueueUrl"],
                "MessageBody": {"token.$": "$$.Task.Token"},
            },
            Catch=[{"ErrorEquals": [error], "ResultPath": "$.problem", "Next": "Told"}],
            **limit,
        ),
        "Told": {"Type": "Pass", "OutputPath": "$.problem.Error", "End": True},
    }
    execution = machines.start(machines.make(states))
    machines.account.advance(59)
    assert machines.client.describe_execution(executionArn=execution)["status"] == "RUNNING"
    machines.account.advance(2)
    assert json.loads(machines.client.describe_execution(executionArn=execution)["output"]) == error


def test_a_task_that_fails_by_its_token(machines: Any) -> None:
    tokens: list[str] = []
    machines.functions.answer = lambda event: tokens.append(event["token"])
    states = {
        "Approve": task(
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
            Parameters={"FunctionName": "worker", "Payload": {"token.$": "$$.Task.Token"}},
        )
    }
    execution = machines.start(machines.make(states))
    machines.client.send_task_failure(taskToken=tokens[0], error="Refused", cause="too dear")
    machines.account.settle()
    found = machines.client.describe_execution(executionArn=execution)
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "Refused", "too dear")


@pytest.mark.parametrize("pattern", [".sync", ".sync:2"])
def test_another_execution_is_waited_for(machines: Any, pattern: str) -> None:
    child = machines.make(
        {
            "W": {"Type": "Wait", "Seconds": 30, "Next": "P"},
            "P": {"Type": "Pass", "Result": {"n": 1}, "End": True},
        },
        "child",
    )
    states = {
        "Run": task(
            f"arn:aws:states:::states:startExecution{pattern}",
            Parameters={"StateMachineArn": child, "Input": {"from.$": "$$.Execution.Id"}},
        )
    }
    output = machines.run(states, seconds=31)
    assert output["Status"] == "SUCCEEDED"
    assert output["Output"] == ({"n": 1} if pattern == ".sync:2" else '{"n":1}')


def test_a_child_that_fails_fails_its_parent(machines: Any) -> None:
    child = machines.make({"F": {"Type": "Fail", "Error": "Child.Broken"}}, "child")
    states = {
        "Run": task("arn:aws:states:::states:startExecution.sync", Parameters={"StateMachineArn": child})
    }
    error, cause = machines.fail(states)
    assert error == "States.TaskFailed"
    assert json.loads(cause)["Error"] == "Child.Broken"


def test_a_distributed_map_reads_and_writes_a_bucket(machines: Any) -> None:
    s3 = machines.account.client("s3")
    s3.create_bucket(
        Bucket="lists", CreateBucketConfiguration={"LocationConstraint": machines.account.core.region}
    )
    s3.put_object(Bucket="lists", Key="in.csv", Body=b"id,qty\na,1\nb,2\nc,bad\nd,4\n")

    def answer(event: Any) -> Any:
        assert event["BatchInput"] == {"run": "in.csv"}
        if any(item["quantity"] == "bad" for item in event["Items"]):
            raise ValueError("bad")
        return sum(int(item["quantity"]) for item in event["Items"])

    machines.functions.answer = answer
    states = {
        "Each": {
            "Type": "Map",
            "Label": "Rows",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
                "Parameters": {"Bucket": "lists", "Key.$": "$.key"},
            },
            # Items are selected one by one, and put together afterwards.
            "ItemSelector": {"quantity.$": "$$.Map.Item.Value.qty", "of.$": "$.key"},
            "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"run.$": "$.key"}},
            "ToleratedFailurePercentage": 50,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
                "StartAt": "Sum",
                "States": {"Sum": {"Type": "Task", "Resource": machines.function, "End": True}},
            },
            "ResultWriter": {
                "Resource": "arn:aws:states:::s3:putObject",
                "Parameters": {"Bucket": "lists", "Prefix": "out"},
            },
            "End": True,
        }
    }
    execution = machines.start(machines.make(states), {"key": "in.csv"})
    found = machines.client.describe_execution(executionArn=execution)
    assert found["status"] == "SUCCEEDED", found
    where = json.loads(found["output"])["ResultWriterDetails"]
    manifest = json.loads(s3.get_object(**where)["Body"].read())
    [written] = manifest["ResultFiles"]["SUCCEEDED"]
    results = json.loads(s3.get_object(Bucket="lists", Key=written["Key"])["Body"].read())
    assert [json.loads(each["Output"]) for each in results] == [3]
    items = [{"quantity": "1", "of": "in.csv"}, {"quantity": "2", "of": "in.csv"}]
    assert json.loads(results[0]["Input"]) == {"Items": items, "BatchInput": {"run": "in.csv"}}
    [run] = machines.client.list_map_runs(executionArn=execution)["mapRuns"]
    described = machines.client.describe_map_run(mapRunArn=run["mapRunArn"])
    assert (described["itemCounts"]["succeeded"], described["itemCounts"]["failed"]) == (2, 2)
    assert described["executionCounts"]["total"] == 2

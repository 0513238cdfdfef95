"""Distributed Maps: their children are executions of their own, and what failed can be redriven."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.emulator.fabric.fakes import create_role


@pytest.fixture
def bucket(machines: Any) -> Any:
    """The client of a bucket ``lists``."""
    s3 = machines.account.client("s3")
    place = {"LocationConstraint": machines.account.core.region}
    s3.create_bucket(Bucket="lists", CreateBucketConfiguration=place)
    return s3


def _map(states: dict[str, Any], kind: str = "STANDARD", **fields: Any) -> dict[str, Any]:
    """A machine's only state: a distributed Map."""
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind},
        "StartAt": next(iter(states)),
        "States": states,
    }
    return {"Each": {"Type": "Map", "Label": "Rows", "ItemProcessor": processor, "End": True, **fields}}


def _task(machines: Any) -> dict[str, Any]:
    return {"Work": {"Type": "Task", "Resource": machines.function, "End": True}}


def _run(machines: Any, execution: str) -> dict[str, Any]:
    [run] = machines.client.list_map_runs(executionArn=execution)["mapRuns"]
    return dict(machines.client.describe_map_run(mapRunArn=run["mapRunArn"]))


def _children(machines: Any, run: dict[str, Any]) -> list[dict[str, Any]]:
    return list(machines.client.list_executions(mapRunArn=run["mapRunArn"])["executions"])


def test_each_iteration_is_an_execution_with_its_own_history(machines: Any) -> None:
    execution = machines.start(machines.make(_map(_task(machines))), [1, 2, 3])
    found = machines.client.describe_execution(executionArn=execution)
    assert json.loads(found["output"]) == [1, 2, 3]
    assert machines.history(execution) == [
        *("ExecutionStarted", "MapStateEntered", "MapStateStarted", "MapRunStarted", "MapRunSucceeded"),
        *("MapStateSucceeded", "MapStateExited", "ExecutionSucceeded"),
    ]
    run = _run(machines, execution)
    name = execution.split(":")[6]
    assert f":mapRun:{name}/Rows:" in run["mapRunArn"]
    assert run["executionCounts"] == {
        **dict.fromkeys(("pending", "running", "failed", "timedOut", "aborted", "resultsWritten"), 0),
        "failuresNotRedrivable": 0,
        "pendingRedrive": 0,
        "succeeded": 3,
        "total": 3,
    }
    children = _children(machines, run)
    assert {each["itemCount"] for each in children} == {1}
    child = machines.client.describe_execution(executionArn=children[0]["executionArn"])
    assert child["mapRunArn"] == run["mapRunArn"]
    assert child["stateMachineArn"] == f"{found['stateMachineArn']}/Rows"
    assert child["executionArn"] == f"{execution.rpartition(':')[0]}/Rows:{child['name']}"
    assert machines.history(child["executionArn"])[:2] == ["ExecutionStarted", "TaskStateEntered"]
    listed = machines.client.list_executions(stateMachineArn=found["stateMachineArn"])["executions"]
    assert [each["executionArn"] for each in listed] == [execution]


def test_children_know_themselves_and_not_their_parent_s_variables(machines: Any) -> None:
    states = {"Who": {"Type": "Pass", "Parameters": {"id.$": "$$.Execution.Id"}, "End": True}}
    execution = machines.start(machines.make(_map(states, "EXPRESS")), [1])
    found = machines.client.describe_execution(executionArn=execution)
    [told] = json.loads(found["output"])
    assert ":express:orders/Rows:" in told["id"]
    assert machines.client.describe_execution(executionArn=told["id"])["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("body", "config", "items"),
    [
        (b'{"rows": {"all": [1, 2]}}', {"InputType": "JSON", "ItemsPointer": "/rows/all"}, [1, 2]),
        (b'{"a": 1}\n{"a": 2}\n', {"InputType": "JSONL"}, [{"a": 1}, {"a": 2}]),
        (
            b"1;2\n3;4\n",
            {
                "InputType": "CSV",
                "CSVHeaderLocation": "GIVEN",
                "CSVHeaders": ["a", "b"],
                "CSVDelimiter": "SEMICOLON",
                "MaxItemsPath": "$.most",
            },
            [{"a": "1", "b": "2"}],
        ),
    ],
)
def test_items_come_from_files_in_a_bucket(
    machines: Any, bucket: Any, body: bytes, config: dict[str, Any], items: list[Any]
) -> None:
    bucket.put_object(Bucket="lists", Key="in", Body=body)
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": config,
        "Parameters": {"Bucket": "lists", "Key": "in"},
    }
    execution = machines.start(machines.make(_map(_task(machines), ItemReader=reader)), {"most": 1})
    found = machines.client.describe_execution(executionArn=execution)
    assert json.loads(found["output"]) == items


def test_items_come_from_an_inventory_and_from_a_listing(machines: Any, bucket: Any) -> None:
    inventory = gzip.compress(b'"shop","orders/1.json","12"\n"shop","orders/2.json","7"\n')
    bucket.put_object(Bucket="lists", Key="inventory/data/1.csv.gz", Body=inventory)
    manifest = {
        "destinationBucket": "arn:aws:s3:::lists",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size",
        "files": [{"key": "inventory/data/1.csv.gz"}],
    }
    bucket.put_object(Bucket="lists", Key="manifest.json", Body=json.dumps(manifest).encode())
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "MANIFEST"},
        "Parameters": {"Bucket": "lists", "Key": "manifest.json"},
    }
    rows = machines.run(_map(_task(machines), ItemReader=reader))
    assert rows[0] == {"Bucket": "shop", "Key": "orders/1.json", "Size": "12"}
    listing = {
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Parameters": {"Bucket": "lists", "Prefix": "inventory/"},
    }
    objects = machines.run(_map(_task(machines), ItemReader=listing), name="listing")
    assert [each["Key"] for each in objects] == ["inventory/data/1.csv.gz"]


def test_a_reader_that_can_t_read_fails_the_run_and_can_be_caught(machines: Any, bucket: Any) -> None:
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket": "lists", "Key": "nowhere"},
    }
    error, cause = machines.fail(_map(_task(machines), ItemReader=reader))
    assert error == "States.ItemReaderFailed"
    assert "NoSuchKey" in cause


def test_too_many_failures_end_the_run_and_the_files_say_what_did_not_happen(
    machines: Any, bucket: Any
) -> None:
    def answer(event: Any) -> Any:
        if event == "bad":
            raise ValueError("bad row")
        return event

    machines.functions.answer = answer
    writer = {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "lists", "Prefix": "out"},
    }
    states = _map(_task(machines), MaxConcurrency=1, ToleratedFailureCount=1, ResultWriter=writer)
    execution = machines.start(machines.make(states), ["good", "bad", "bad", "never"])
    found = machines.client.describe_execution(executionArn=execution)
    assert (found["status"], found["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    run = _run(machines, execution)
    counts = run["itemCounts"]
    assert (run["status"], counts["succeeded"], counts["failed"], counts["pending"]) == ("FAILED", 1, 2, 1)
    keys = [each["Key"] for each in bucket.list_objects_v2(Bucket="lists", Prefix="out/")["Contents"]]
    written = {key.rpartition("/")[2]: key for key in keys}
    assert set(written) == {"SUCCEEDED_0.json", "FAILED_0.json", "PENDING_0.json", "manifest.json"}
    [failed, _] = json.loads(bucket.get_object(Bucket="lists", Key=written["FAILED_0.json"])["Body"].read())
    assert (failed["Status"], failed["Error"], json.loads(failed["Input"])) == ("FAILED", "ValueError", "bad")
    assert failed["ExecutionArn"].startswith(execution.rpartition(":")[0])


def test_a_redriven_run_repeats_only_what_did_not_succeed(machines: Any) -> None:
    broken, seen = [True], []

    def answer(event: Any) -> Any:
        seen.append(event)
        if event == 2 and broken[0]:
            raise ValueError("not yet")
        return event * 10

    machines.functions.answer = answer
    states = _map(_task(machines), MaxConcurrency=1)
    execution = machines.start(machines.make(states), [1, 2, 3])
    assert machines.client.describe_execution(executionArn=execution)["redriveStatus"] == "REDRIVABLE"
    [failed] = [each for each in _children(machines, _run(machines, execution)) if each["status"] == "FAILED"]
    child = machines.client.describe_execution(executionArn=failed["executionArn"])
    assert child["redriveStatus"] == "REDRIVABLE_BY_MAP_RUN"
    broken[0] = False
    machines.client.redrive_execution(executionArn=execution)
    machines.account.settle()
    found = machines.client.describe_execution(executionArn=execution)
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", [10, 20, 30])
    assert (found["redriveCount"], found["redriveStatus"]) == (1, "NOT_REDRIVABLE")
    assert seen == [1, 2, 2, 3]
    assert "MapRunRedriven" in machines.history(execution)
    again = machines.client.describe_execution(executionArn=failed["executionArn"])
    assert (again["status"], again["redriveCount"]) == ("SUCCEEDED", 1)
    assert _run(machines, execution)["redriveCount"] == 1
    with pytest.raises(machines.client.exceptions.ExecutionNotRedrivable, match="SUCCEEDED"):
        machines.client.redrive_execution(executionArn=execution)


def test_a_redriven_execution_goes_on_at_the_failed_state_of_the_failed_branch(machines: Any) -> None:
    broken, seen = [True], []

    def answer(event: Any) -> Any:
        seen.append(event["name"])
        if event["name"] == "right" and broken[0]:
            raise ValueError("not yet")
        return event

    machines.functions.answer = answer

    def branch(name: str, after_s: int) -> dict[str, Any]:
        wait = {"Type": "Wait", "Seconds": after_s, "Next": name}
        work = {"Type": "Task", "Resource": machines.function, "Parameters": {"name": name}, "End": True}
        return {"StartAt": "Wait", "States": {"Wait": wait, name: work}}

    states = {
        "First": {"Type": "Pass", "Assign": {"kept": "yes"}, "Next": "Both"},
        "Both": {
            "Type": "Parallel",
            "Branches": [branch("left", 1), branch("right", 9)],
            "ResultSelector": {"kept.$": "$kept", "names.$": "$[*].name"},
            "End": True,
        },
    }
    execution = machines.start(machines.make(states))
    machines.account.advance(10)
    assert machines.client.describe_execution(executionArn=execution)["status"] == "FAILED"
    broken[0] = False
    machines.client.redrive_execution(executionArn=execution)
    machines.account.settle()
    found = machines.client.describe_execution(executionArn=execution)
    assert json.loads(found["output"]) == {"kept": "yes", "names": ["left", "right"]}
    assert seen == ["left", "right", "right"]


def test_limits_can_be_changed_while_children_run(machines: Any) -> None:
    states = {"Sleep": {"Type": "Wait", "Seconds": 60, "End": True}}
    execution = machines.start(machines.make(_map(states, MaxConcurrency=1)), [1, 2, 3])
    run = _run(machines, execution)
    assert (run["executionCounts"]["running"], run["executionCounts"]["pending"]) == (1, 2)
    machines.client.update_map_run(mapRunArn=run["mapRunArn"], maxConcurrency=3)
    machines.account.settle()
    assert _run(machines, execution)["executionCounts"]["running"] == 3
    machines.account.advance(60)
    assert _run(machines, execution)["status"] == "SUCCEEDED"


def test_stopping_the_parent_stops_the_children(machines: Any) -> None:
    states = {"Sleep": {"Type": "Wait", "Seconds": 60, "End": True}}
    execution = machines.start(machines.make(_map(states)), [1, 2])
    machines.client.stop_execution(executionArn=execution)
    run = _run(machines, execution)
    assert (run["status"], run["executionCounts"]["aborted"]) == ("ABORTED", 2)
    assert {each["status"] for each in _children(machines, run)} == {"ABORTED"}


def test_express_children_have_five_minutes(machines: Any) -> None:
    states = {"Sleep": {"Type": "Wait", "Seconds": 900, "End": True}}
    fields = {"ToleratedFailurePercentage": 100}
    execution = machines.start(machines.make(_map(states, "EXPRESS", **fields)), [1])
    machines.account.advance(301)
    assert _run(machines, execution)["executionCounts"]["timedOut"] == 1
    assert machines.client.describe_execution(executionArn=execution)["status"] == "SUCCEEDED"


def test_the_role_must_be_allowed_to_start_executions_of_its_own_machine(machines: Any) -> None:
    machines.role = create_role(
        machines.account, "narrow", "states.amazonaws.com", "lambda:InvokeFunction", "s3:*"
    )
    execution = machines.start(machines.make(_map(_task(machines))), [1])
    found = machines.client.describe_execution(executionArn=execution)
    assert found["error"] == "States.Permissions"
    assert "states:StartExecution" in found["cause"]


def test_results_can_be_flattened(machines: Any) -> None:
    machines.functions.answer = lambda event: [event, event]
    config = {"WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSON"}}
    states = _map(_task(machines), ResultWriter=config)
    execution = machines.start(machines.make(states), [1, 2])
    found = machines.client.describe_execution(executionArn=execution)
    assert json.loads(found["output"]) == [1, 1, 2, 2]

"""Machines and executions as the API has them."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

WAIT = {"W": {"Type": "Wait", "Seconds": 60, "End": True}}


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("{", "INVALID_JSON_DESCRIPTION"),
        ({"States": {"A": {"Type": "Succeed"}}}, "StartAt"),
        ({"StartAt": "B", "States": {"A": {"Type": "Succeed"}}}, "MISSING_TRANSITION_TARGET"),
        ({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}, "Missing 'Next' target: B"),
        ({"StartAt": "A", "States": {"A": {"Type": "Nap", "End": True}}}, "no type of state"),
        ({"StartAt": "A", "States": {"A": {"Type": "Pass"}}}, "One of 'Next' and 'End'"),
        ({"StartAt": "A", "States": {"A": {"Type": "Task", "End": True}}}, "not a valid resource ARN"),
        (
            {"StartAt": "A", "States": {"A": {"Type": "Succeed"}, "B": {"Type": "Succeed"}}},
            '"B" is not reachable',
        ),
        (
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "Arguments": {}, "End": True}}},
            "'Arguments' is not for JSONPath",
        ),
    ],
)
def test_definitions_that_are_refused(machines: Any, definition: Any, says: str) -> None:
    text = definition if isinstance(definition, str) else json.dumps(definition)
    with pytest.raises(ClientError, match="InvalidDefinition") as refusal:
        machines.client.create_state_machine(name="x", definition=text, roleArn=machines.role)
    assert says in str(refusal.value)
    found = machines.client.validate_state_machine_definition(definition=text)
    assert found["result"] == "FAIL"


def test_the_role_has_to_trust_step_functions(machines: Any) -> None:
    with pytest.raises(ClientError, match="authorized to assume the provided role"):
        machines.client.create_state_machine(
            name="x",
            definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
            roleArn=machines.role.replace("machines", "runs-functions"),
        )


def test_a_name_is_used_once(machines: Any) -> None:
    arn = machines.make(WAIT)
    first = machines.start(arn, {"n": 1}, name="daily")
    assert machines.start(arn, {"n": 1}, name="daily") == first
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        machines.start(arn, {"n": 2}, name="daily")


def test_a_machine_can_change_while_executions_run(machines: Any) -> None:
    arn = machines.make(WAIT)
    running = machines.start(arn, {"n": 1})
    changed = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": "new", "End": True}}}
    machines.client.update_state_machine(stateMachineArn=arn, definition=json.dumps(changed))
    after = machines.start(arn, {"n": 2})
    machines.account.advance(61)
    describe = machines.client.describe_execution
    assert json.loads(describe(executionArn=running)["output"]) == {"n": 1}
    assert json.loads(describe(executionArn=after)["output"]) == "new"
    listed = machines.client.list_executions(stateMachineArn=arn)["executions"]
    assert {each["executionArn"] for each in listed} == {running, after}


def test_an_execution_can_be_stopped_and_times_out(machines: Any) -> None:
    arn = machines.make(WAIT, TimeoutSeconds=30)
    stopped = machines.start(arn)
    machines.client.stop_execution(executionArn=stopped, error="Enough", cause="no more")
    late = machines.start(arn)
    machines.account.advance(120)
    found = machines.client.describe_execution(executionArn=stopped)
    assert (found["status"], found["error"]) == ("ABORTED", "Enough")
    assert machines.client.describe_execution(executionArn=late)["status"] == "TIMED_OUT"
    assert machines.history(late)[-1] == "ExecutionTimedOut"


def test_an_express_machine_answers_at_once(machines: Any) -> None:
    arn = machines.make({"P": {"Type": "Pass", "End": True}}, kind="EXPRESS")
    found = machines.client.start_sync_execution(stateMachineArn=arn, input='{"n": 1}')
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"n": 1})
    failing = machines.make({"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}, "failing", "EXPRESS")
    found = machines.client.start_sync_execution(stateMachineArn=failing)
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "E", "c")
    standard = machines.make({"P": {"Type": "Pass", "End": True}}, "standard")
    with pytest.raises(ClientError, match="not supported by this type"):
        machines.client.start_sync_execution(stateMachineArn=standard)


def test_a_synchronous_execution_waits_in_account_time(machines: Any) -> None:
    arn = machines.make({"W": {"Type": "Wait", "Seconds": 120, "End": True}}, kind="EXPRESS")
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(machines.client.start_sync_execution(stateMachineArn=arn))
    )
    thread.start()
    started = threading.Event()
    while not machines.service._executions:
        started.wait(0.001)
    machines.account.settle()
    machines.account.advance(121)
    thread.join(10)
    assert answers[0]["status"] == "SUCCEEDED"
    assert answers[0]["billingDetails"]["billedDurationInMilliseconds"] >= 120_000


def test_logs_tell_what_the_level_asks_for(machines: Any) -> None:
    logs = machines.account.client("logs")
    logs.create_log_group(logGroupName="/machines/orders")
    region, account_id = machines.account.core.region, machines.account.core.account_id
    arn = f"arn:aws:logs:{region}:{account_id}:log-group:/machines/orders:*"
    states = {"P": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Fail", "Error": "E"}}
    for level in ("ALL", "ERROR"):
        made = machines.client.create_state_machine(
            name=level,
            definition=json.dumps({"StartAt": "P", "States": states}),
            roleArn=machines.role,
            loggingConfiguration={
                "level": level,
                "includeExecutionData": level == "ALL",
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
            },
        )
        machines.start(made["stateMachineArn"], {"secret": 1})
    lines = [
        json.loads(event["message"])
        for event in logs.filter_log_events(logGroupName="/machines/orders")["events"]
    ]
    of = {
        level: [each for each in lines if f":{level}:" in each["execution_arn"]] for level in ("ALL", "ERROR")
    }
    assert [each["type"] for each in of["ERROR"]] == ["ExecutionFailed"]
    assert of["ALL"][0]["type"] == "ExecutionStarted"
    assert json.loads(of["ALL"][0]["details"]["input"]) == {"secret": 1}


def test_input_that_is_no_json_is_refused(machines: Any) -> None:
    arn = machines.make({"P": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError, match="InvalidExecutionInput"):
        machines.client.start_execution(stateMachineArn=arn, input="{")
    with pytest.raises(ClientError, match="State Machine Does Not Exist"):
        machines.client.start_execution(stateMachineArn=arn + "x", input="{}")


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"},
        {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2"},
        {"Type": "Task", "Resource": "arn:aws:states:eu-north-1:111122223333:activity:pick"},
        {
            "Type": "Map",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "In",
                "States": {"In": {"Type": "Succeed"}},
            },
        },
    ],
)
def test_express_machines_can_not_wait_for_others(machines: Any, state: dict[str, Any]) -> None:
    states = {"Only": {**state, "End": True}}
    with pytest.raises(machines.client.exceptions.InvalidDefinition, match="Express"):
        machines.make(states, "quick", kind="EXPRESS")
    assert machines.make(states, "slow")
    inner = {"Out": {"Type": "Parallel", "Branches": [{"StartAt": "Only", "States": states}], "End": True}}
    quick = machines.make({"Only": {"Type": "Succeed"}}, "quick", kind="EXPRESS")
    with pytest.raises(machines.client.exceptions.InvalidDefinition, match=r"Branches\[0\]/States/Only"):
        machines.client.update_state_machine(
            stateMachineArn=quick, definition=json.dumps({"StartAt": "Out", "States": inner})
        )

"""State machines tell X-Ray of their executions, and hand the trace on to what they call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.emulator.telemetry.traces.headers import new_trace_id
from tests.emulator.fabric.fakes import create_role

FUNCTION = """
    def handler(event, context):
        if event.get("fail"):
            raise ValueError("no stock")
        return event
"""
TRACED = {"enabled": True}


class TracedMachines:
    """State machines in an account with a function, and what X-Ray has of their executions."""

    def __init__(self, traced: Any) -> None:
        self.traced = traced
        self.client = traced.account.client("stepfunctions")
        self.function = traced.create(FUNCTION, "stock", TracingConfig={"Mode": "Active"})["FunctionArn"]

    def make(
        self,
        states: Mapping[str, Any],
        *actions: str,
        name: str = "orders",
        tracing: Mapping[str, bool] = TRACED,
        kind: str = "STANDARD",
    ) -> str:
        role = create_role(self.traced.account, f"{name}-role", "states.amazonaws.com", *actions)
        document = {"StartAt": next(iter(states)), "States": states}
        made = self.client.create_state_machine(
            name=name,
            roleArn=role,
            definition=json.dumps(document),
            tracingConfiguration=tracing,
            type=kind,
        )
        return str(made["stateMachineArn"])

    def run(self, arn: str, given: Any = None, **more: str) -> dict[str, Any]:
        started = self.client.start_execution(stateMachineArn=arn, input=json.dumps(given or {}), **more)
        found = self.traced.core.work.advance(60)
        assert found.settled, found
        return dict(self.client.describe_execution(executionArn=started["executionArn"]))

    def segments(self, execution: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """An execution's trace: segments by what they are of."""
        trace_id = execution["traceHeader"].partition(";")[0].removeprefix("Root=")
        return {f"{each['name']} {each['origin']}": each for each in self.traced.segments(trace_id)}


@pytest.fixture
def machines(traced: Any) -> TracedMachines:
    return TracedMachines(traced)


MACHINE = "orders AWS::StepFunctions::StateMachine"


def _names(parts: Any) -> list[str]:
    return [each["name"] for each in parts]


def test_an_execution_is_a_segment_with_a_subsegment_for_each_state(machines: TracedMachines) -> None:
    states = {
        "Look up": {"Type": "Pass", "Next": "Check stock"},
        "Check stock": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": machines.function, "Payload": {}},
            "Next": "Each",
        },
        "Each": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "Left", "States": {"Left": {"Type": "Wait", "Seconds": 5, "End": True}}},
                {"StartAt": "Right", "States": {"Right": {"Type": "Succeed"}}},
            ],
            "End": True,
        },
    }
    execution = machines.run(machines.make(states))
    segments = machines.segments(execution)
    segment = segments[MACHINE]
    assert "parent_id" not in segment
    assert "fault" not in segment
    assert "in_progress" not in segment
    assert segment["resource_arn"] == execution["stateMachineArn"]
    assert segment["aws"]["execution_arn"] == execution["executionArn"]
    assert _names(segment["subsegments"]) == ["Look up", "Check stock", "Each"]
    [call] = segment["subsegments"][1]["subsegments"]
    assert call["name"] == "Lambda"
    assert call["aws"]["operation"] == "Invoke"
    assert segments["stock AWS::Lambda"]["parent_id"] == call["id"]
    parallel = segment["subsegments"][2]
    assert _names(parallel["subsegments"]) == ["Left", "Right"]
    left = parallel["subsegments"][0]
    assert left["end_time"] - left["start_time"] == pytest.approx(5, abs=1)


def test_each_attempt_is_a_call_of_its_own_and_what_was_caught_faults_the_call_alone(
    machines: TracedMachines,
) -> None:
    states = {
        "Try": {
            "Type": "Task",
            "Resource": machines.function,
            "Retry": [{"ErrorEquals": ["ValueError"], "MaxAttempts": 2}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Give up"}],
            "End": True,
        },
        "Give up": {"Type": "Succeed"},
    }
    segment = machines.segments(machines.run(machines.make(states), {"fail": True}))[MACHINE]
    tried, _gave_up = segment["subsegments"]
    assert [each["fault"] for each in tried["subsegments"]] == [True, True, True]
    assert tried["subsegments"][0]["cause"]["exceptions"][0]["type"] == "ValueError"
    assert "fault" not in tried
    assert "fault" not in segment


def test_an_execution_that_fails_is_at_fault_with_its_cause(machines: TracedMachines) -> None:
    states = {"No": {"Type": "Fail", "Error": "OutOfStock", "Cause": "none left"}}
    segment = machines.segments(machines.run(machines.make(states)))[MACHINE]
    [exception] = segment["cause"]["exceptions"]
    assert segment["fault"]
    assert (exception["type"], exception["message"]) == ("OutOfStock", "none left")
    assert segment["subsegments"][0]["fault"]


def test_an_execution_in_progress_is_told_as_such_and_an_aborted_one_ends_its_states(
    machines: TracedMachines,
) -> None:
    arn = machines.make({"Sleep": {"Type": "Wait", "Seconds": 9000, "End": True}})
    execution = machines.run(arn)
    assert machines.segments(execution)[MACHINE]["in_progress"] is True
    machines.client.stop_execution(executionArn=execution["executionArn"])
    segment = machines.segments(execution)[MACHINE]
    assert segment["fault"]
    assert "in_progress" not in segment
    assert segment["subsegments"][0]["fault"]
    assert segment["subsegments"][0]["name"] == "Sleep"


def test_calls_of_services_name_what_they_called_and_refusals_are_errors(machines: TracedMachines) -> None:
    queue = machines.traced.account.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    states = {
        "Send": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Parameters": {"QueueUrl": queue, "MessageBody": "hello"},
            "Next": "Put",
        },
        "Put": {
            "Type": "Task",
            "Resource": "arn:aws:states:::dynamodb:putItem",
            "Parameters": {"TableName": "missing", "Item": {"pk": {"S": "1"}}},
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}],
            "End": True,
        },
        "Done": {"Type": "Succeed"},
    }
    execution = machines.run(machines.make(states))
    sent, put, _done = machines.segments(execution)[MACHINE]["subsegments"]
    assert sent["subsegments"][0]["aws"]["queue_url"] == queue
    refused = put["subsegments"][0]
    assert refused["error"]
    assert refused["http"]["response"]["status"] == 400
    assert "fault" not in refused
    message = machines.traced.account.client("sqs").receive_message(
        QueueUrl=queue, MessageSystemAttributeNames=["AWSTraceHeader"]
    )["Messages"][0]
    assert f"Parent={sent['subsegments'][0]['id']}" in message["Attributes"]["AWSTraceHeader"]
    now = machines.traced.core.clock.now()
    graph = machines.traced.account.client("xray").get_service_graph(
        StartTime=now.timestamp() - 600, EndTime=now.timestamp() + 60
    )["Services"]
    assert {("orders", "AWS::StepFunctions::StateMachine"), ("missing", "AWS::DynamoDB::Table")} <= {
        (each["Name"], each["Type"]) for each in graph
    }
    summaries = machines.traced.account.client("xray").get_trace_summaries(
        StartTime=now.timestamp() - 600,
        EndTime=now.timestamp() + 60,
        FilterExpression='service("orders")',
    )["TraceSummaries"]
    assert [each["EntryPoint"]["Name"] for each in summaries] == ["orders"]


def test_a_nested_execution_belongs_below_the_call_that_started_it(machines: TracedMachines) -> None:
    inner = machines.make({"In": {"Type": "Succeed"}}, name="inner")
    states = {
        "Nest": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": inner, "Input": {}},
            "End": True,
        }
    }
    segments = machines.segments(machines.run(machines.make(states)))
    [call] = segments[MACHINE]["subsegments"][0]["subsegments"]
    assert segments["inner AWS::StepFunctions::StateMachine"]["parent_id"] == call["id"]


def test_the_caller_s_decision_counts(machines: TracedMachines) -> None:
    arn = machines.make({"Only": {"Type": "Succeed"}})
    trace_id = new_trace_id(machines.traced.core.clock.time())
    unsampled = machines.run(arn, traceHeader=f"Root={trace_id};Sampled=0")
    assert unsampled["traceHeader"] == f"Root={trace_id};Sampled=0"
    assert not machines.segments(unsampled)
    parent = "00000000000000aa"
    sampled = machines.run(arn, traceHeader=f"Root={trace_id};Parent={parent};Sampled=1")
    assert machines.segments(sampled)[MACHINE]["parent_id"] == parent


def test_without_tracing_an_execution_is_told_of_where_its_caller_is_traced(
    machines: TracedMachines,
) -> None:
    arn = machines.make({"Only": {"Type": "Succeed"}}, tracing={"enabled": False})
    assert "traceHeader" not in machines.run(arn)
    trace_id = new_trace_id(machines.traced.core.clock.time())
    assert MACHINE in machines.segments(machines.run(arn, traceHeader=f"Root={trace_id};Sampled=1"))


def test_a_role_that_may_not_write_traces_leaves_none_and_the_timeline_says_so(
    machines: TracedMachines,
) -> None:
    arn = machines.make({"Only": {"Type": "Succeed"}}, "sqs:SendMessage")
    assert not machines.segments(machines.run(arn))
    [refused] = [each for each in machines.traced.account.events("delivery") if each.subject == "xray:orders"]
    assert refused.outcome == "AccessDenied"
    assert "xray:PutTraceSegments" in refused.detail["message"]


def test_express_executions_are_traced_too(machines: TracedMachines) -> None:
    arn = machines.make({"Only": {"Type": "Succeed"}}, kind="EXPRESS")
    answer = machines.client.start_sync_execution(stateMachineArn=arn)
    assert _names(machines.segments(answer)[MACHINE]["subsegments"]) == ["Only"]

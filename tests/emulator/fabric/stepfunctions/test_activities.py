"""Activities: what workers fetch, how long they may take, and what they answer."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def activity(machines: Any) -> str:
    made = machines.client.create_activity(name="pack")["activityArn"]
    # Making it once more is the same.
    assert machines.client.create_activity(name="pack")["activityArn"] == made
    return str(made)


def pack(activity: str, **more: Any) -> dict[str, Any]:
    return {"Pack": {"Type": "Task", "Resource": activity, "End": True, **more}}


def fetch(machines: Any, activity: str) -> Any:
    return machines.client.get_activity_task(activityArn=activity, workerName="bench 1")


def status(machines: Any, execution: str) -> Any:
    machines.account.settle()
    return machines.client.describe_execution(executionArn=execution)


def test_a_worker_fetches_a_task_and_answers(machines: Any, activity: str) -> None:
    execution = machines.start(machines.make(pack(activity)), {"order": 7})
    # Nobody has begun, so nothing runs out.
    machines.account.advance(24 * 3600)
    task = fetch(machines, activity)
    assert json.loads(task["input"]) == {"order": 7}
    machines.client.send_task_success(taskToken=task["taskToken"], output='{"parcel": 1}')
    found = status(machines, execution)
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"parcel": 1})
    assert machines.history(execution)[2:5] == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    events = machines.client.get_execution_history(executionArn=execution)["events"]
    assert events[3]["activityStartedEventDetails"] == {"workerName": "bench 1"}


def test_a_worker_waits_for_a_task(machines: Any, activity: str) -> None:
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(fetch(machines, activity)))
    waiting.start()
    machines.start(machines.make(pack(activity)), {"order": 8})
    waiting.join(20)
    assert json.loads(got[0]["input"]) == {"order": 8}


def test_who_asks_in_vain_gets_an_empty_answer_after_a_minute(machines: Any, activity: str) -> None:
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(fetch(machines, activity)))
    waiting.start()
    while waiting.is_alive():
        machines.account.advance(30)
        waiting.join(0.2)
    assert "taskToken" not in got[0]


def test_limits_count_from_when_a_worker_has_begun(machines: Any, activity: str) -> None:
    states = pack(activity, TimeoutSeconds=600, HeartbeatSeconds=60)
    execution = machines.start(machines.make(states))
    machines.account.advance(1000)
    token = fetch(machines, activity)["taskToken"]
    for _ in range(3):
        machines.account.advance(50)
        machines.client.send_task_heartbeat(taskToken=token)
    assert status(machines, execution)["status"] == "RUNNING"
    machines.account.advance(61)
    found = status(machines, execution)
    assert (found["status"], found["error"]) == ("FAILED", "States.HeartbeatTimeout")
    assert "ActivityTimedOut" in machines.history(execution)
    with pytest.raises(ClientError) as caught:
        machines.client.send_task_success(taskToken=token, output="{}")
    assert caught.value.response["Error"]["Code"] == "TaskTimedOut"


def test_a_worker_that_fails_is_retried_by_another(machines: Any, activity: str) -> None:
    retry = [{"ErrorEquals": ["Torn"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = machines.start(machines.make(pack(activity, Retry=retry)))
    first = fetch(machines, activity)["taskToken"]
    machines.client.send_task_failure(taskToken=first, error="Torn", cause="the box")
    machines.account.settle()
    machines.account.advance(1)
    second = fetch(machines, activity)["taskToken"]
    assert second != first
    machines.client.send_task_failure(taskToken=second, error="Torn", cause="again")
    found = status(machines, execution)
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "Torn", "again")


def test_tasks_of_executions_that_are_over_are_not_handed_out(machines: Any, activity: str) -> None:
    arn = machines.make(pack(activity))
    stopped = machines.start(arn, {"order": 1})
    machines.client.stop_execution(executionArn=stopped)
    machines.start(arn, {"order": 2})
    assert json.loads(fetch(machines, activity)["input"]) == {"order": 2}


def test_an_activity_that_does_not_exist(machines: Any, activity: str) -> None:
    missing = activity.replace("pack", "none")
    with pytest.raises(ClientError) as caught:
        fetch(machines, missing)
    assert caught.value.response["Error"]["Code"] == "ActivityDoesNotExist"
    error, cause = machines.fail(pack(missing))
    assert (error, missing in cause) == ("States.Runtime", True)

"""step-functions-callback: a distributed Map whose items wait for a worker, started by a schedule."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

ORDERS = b"id,item,count\n1,pen,4\n2,ink,2\n3,ink,1\n"


def executions(application: Application) -> list[dict[str, str]]:
    states, machine = application.client("stepfunctions"), application.outputs["Machine"]
    found = states.list_executions(stateMachineArn=machine)["executions"]
    return [states.describe_execution(executionArn=each["executionArn"]) for each in found]


def test_it_begins_when_it_is_time_and_waits_for_every_worker(shell: Shell) -> None:
    soon = dt.datetime.now(ZoneInfo("Europe/Zurich")) + dt.timedelta(hours=2)
    given = ("--parameter-overrides", f"StartAt={soon:%Y-%m-%dT%H:%M:%S}")
    with by_sam(shell, "step-functions-callback", *given, build=False) as application:
        outputs = application.outputs
        application.client("s3").put_object(Bucket=outputs["Files"], Key="orders/today.csv", Body=ORDERS)
        shell.run("coldstart", "sandbox", "advance", "119m")
        assert executions(application) == []

        shell.run("coldstart", "sandbox", "advance", "5m")

        (execution,) = executions(application)
        assert execution["status"] == "SUCCEEDED", execution
        assert json.loads(execution["output"]) == {"outcome": "partial", "picked": 5}
        sqs = application.client("sqs")
        (message,) = sqs.receive_message(QueueUrl=outputs["Partial"])["Messages"]
        assert json.loads(message["Body"]) == {"picked": 5, "short": 1}
        application.client("sns").publish(
            TopicArn=outputs["Topic"],
            Message="{}",
            MessageAttributes={"outcome": {"DataType": "String", "StringValue": "complete"}},
        )
        shell.settle()
        assert "Messages" not in sqs.receive_message(QueueUrl=outputs["Partial"]), "the filter keeps it out"
        application.client("s3").delete_object(Bucket=outputs["Files"], Key="orders/today.csv")

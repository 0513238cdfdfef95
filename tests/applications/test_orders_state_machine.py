"""orders-state-machine: an API that starts executions by itself, and machines defined in files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def test_orders_go_their_way(shell: Shell) -> None:
    with by_sam(shell, "orders-state-machine") as application:
        takes_orders_by_the_api(application)
        takes_standing_orders_by_the_clock(application)
        follows_up_after_a_while(application)


def takes_orders_by_the_api(application: Application) -> None:
    outputs, machines = application.outputs, application.client("stepfunctions")
    ends = {}
    for order in ("a", "tea", 2), ("a", "tea", 2), ("b", "pot", 1), ("c", "cup", 1), ("d", 'it\'s "new"', 1):
        taken = application.ask(
            "POST", outputs["Url"], dict(zip(("id", "item", "count"), order, strict=True))
        )
        assert taken.status == 201, taken.body
        application.shell.run("coldstart", "sandbox", "advance", "10s")
        arn = f"{outputs['Orders'].replace(':stateMachine:', ':execution:')}:{taken.json()['execution']}"
        found = machines.describe_execution(executionArn=arn)
        ends.setdefault(order[0], []).append((found["status"], found.get("error")))

    refused = ("FAILED", "Refused")
    assert ends == {
        "a": [("SUCCEEDED", None), ("SUCCEEDED", None)],
        "b": [("SUCCEEDED", None)],
        "c": [refused],
        "d": [refused],
    }
    assert application.ask("POST", outputs["Url"], b"a=1", Content_Type="text/plain").status == 415
    kept = application.client("dynamodb").scan(TableName=outputs["Table"])["Items"]
    assert {item["id"]["S"]: item["price"]["N"] for item in kept} == {"a": "3.5", "b": "24"}
    assert messages(application, "Mail") == ["order a is placed", "order b is placed"]
    shipped = [{"order": "a", "item": "tea"}, {"order": "b", "item": "pot"}]
    assert messages(application, "Shipping") == shipped


def takes_standing_orders_by_the_clock(application: Application) -> None:
    application.shell.run("coldstart", "sandbox", "advance", "1h")

    key = {"id": {"S": "standing"}}
    found = application.client("dynamodb").get_item(TableName=application.outputs["Table"], Key=key)
    assert found["Item"]["item"] == {"S": "tea"}


def follows_up_after_a_while(application: Application) -> None:
    machines = application.client("stepfunctions")
    arn = machines.start_execution(
        stateMachineArn=application.outputs["FollowUp"], input='{"id": "e", "item": "pot"}'
    )["executionArn"]
    application.shell.settle()
    assert machines.describe_execution(executionArn=arn)["status"] == "RUNNING"

    application.shell.run("coldstart", "sandbox", "advance", "61s")

    done = machines.describe_execution(executionArn=arn)
    assert (done["status"], json.loads(done["output"])["price"]) == ("SUCCEEDED", 24)


def messages(application: Application, queue: str) -> list[Any]:
    """What waits in a queue, by its text; what topics wrap is unwrapped."""
    sqs, url = application.client("sqs"), application.outputs[queue]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    bodies = [json.loads(message["Body"]) for message in found]
    return sorted((body.get("Message", body) for body in bodies), key=str)

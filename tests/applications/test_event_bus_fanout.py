"""event-bus-fanout: rules, retries, destinations, dead letters, a pipe and an archive around one bus."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

ORDERS = [
    {"id": "a", "country": "US", "total": 10},
    {"id": "b", "country": "FR", "total": 2000},
    {"id": "c", "country": "DE", "total": 5, "gift": True},
]


def test_everybody_hears_what_concerns_them(shell: Shell) -> None:
    with by_sam(shell, "event-bus-fanout") as application:
        outputs = application.outputs
        answer = application.ask("POST", outputs["Publisher"], ORDERS)
        assert answer.json() == {"failed": 0, "placed": 3}
        sale = {"kind": "sale", "id": "till-1", "total": 4}
        for message in sale, {"kind": "no sale", "id": "till-2", "total": 0}:
            application.client("sqs").send_message(QueueUrl=outputs["Tills"], MessageBody=json.dumps(message))
        shell.run("coldstart", "sandbox", "advance", "10m")

        audit = {item["id"]["S"]: item for item in scanned(application)}
        assert set(audit) == {"a", "b", "c", "till-1", "review-b"}
        assert audit["till-1"]["source"] == {"S": "shop.tills"}
        assert bodies(application, "Warehouse") == [{"text": "order b goes to FR"}]
        unbilled = bodies(application, "Unbilled")
        assert sorted(record["requestPayload"]["id"] for record in unbilled) == ["b", "c"]
        assert {record["requestContext"]["approximateInvokeCount"] for record in unbilled} == {2}
        assert {record["requestContext"]["condition"] for record in unbilled} == {"RetriesExhausted"}
        assert {record["responsePayload"]["errorType"] for record in unbilled} == {"RangeError"}
        undelivered = bodies(application, "Undelivered")
        assert sorted(event["detail"]["id"] for event in undelivered) == ["a", "b", "c"]

        replays(application)


def replays(application: Application) -> None:
    events, outputs = application.client("events"), application.outputs
    events.start_replay(
        ReplayName="again",
        EventSourceArn=outputs["Archive"],
        EventStartTime=0,
        EventEndTime=4102444800,
        Destination={"Arn": outputs["Bus"]},
    )
    application.shell.run("coldstart", "sandbox", "advance", "10m")

    assert events.describe_replay(ReplayName="again")["State"] == "COMPLETED"
    seen = {item["id"]["S"]: item["seen"]["N"] for item in scanned(application) if "seen" in item}
    assert seen == {"a": "2", "b": "2", "c": "2", "till-1": "1"}


def scanned(application: Application) -> list[dict[str, Any]]:
    return application.client("dynamodb").scan(TableName=application.outputs["Table"])["Items"]


def bodies(application: Application, queue: str) -> list[dict[str, Any]]:
    sqs, url = application.client("sqs"), application.outputs[queue]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in found.get("Messages", ())]

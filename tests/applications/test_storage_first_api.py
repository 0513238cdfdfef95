"""storage-first-api: an HTTP API without functions in front of a FIFO queue, a bus and an express machine."""

from __future__ import annotations

import json
import re

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(300)]
SHOP = "https://shop.example.com"


def rows(application: Application, customer: str) -> list[str]:
    """What the table holds of a customer, in order."""
    found = application.client("dynamodb").query(
        TableName=application.outputs["Table"],
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )
    return [item["what"]["S"] for item in found["Items"]]


def test_orders_are_stored_before_anything_looks_at_them(shell: Shell) -> None:
    with by_sam(shell, "storage-first-api") as application:
        url = application.outputs["Url"]
        wanted = [f"order {number}" for number in range(12)]
        for what in wanted:
            answer = application.ask("POST", f"{url}/orders", {"what": what}, x_customer="ann", origin=SHOP)
            assert (answer.status, answer.headers["x-channel"]) == (202, "web")
            assert re.search(rb"<MessageId>[\w-]+</MessageId>", answer.body)
        assert answer.headers["access-control-allow-origin"] == SHOP
        application.ask("POST", f"{url}/orders", {"nothing": "useful"}, x_customer="bob")
        cancelled = application.ask("POST", f"{url}/orders/7/cancellation", None, x_customer="cy")
        assert cancelled.json()["FailedEntryCount"] == 0
        quote = application.ask("POST", f"{url}/quotes", {"net": 10}).json()
        assert (quote["status"], json.loads(quote["output"])) == ("SUCCEEDED", {"total": 12})
        wish = {"origin": SHOP, "access_control_request_method": "POST"}
        preflight = application.ask("OPTIONS", f"{url}/orders", None, **wish)
        assert (preflight.status, preflight.headers["access-control-max-age"]) == (204, "600")

        shell.run("coldstart", "sandbox", "advance", "5m")
        assert rows(application, "ann") == wanted
        assert rows(application, "cy") == ["cancelled 7"]
        dead = application.client("sqs").receive_message(QueueUrl=application.outputs["Dead"])["Messages"]
        assert [json.loads(message["Body"]) for message in dead] == [{"nothing": "useful"}]

        logs, group = application.client("logs"), application.outputs["Log"]
        events = logs.filter_log_events(logGroupName=group)["events"]
        first = json.loads(events[0]["message"])
        assert first == {"route": "POST /orders", "status": "202", "integration": "200"}

"""webhook-gateway: events leave for an end point that wants OAuth tokens; a schedule writes to a table."""

from __future__ import annotations

import json

import pytest

from tests.applications.harness import Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600), pytest.mark.slow]


def test_events_reach_a_partner_who_wants_a_token(shell: Shell) -> None:
    with by_sam(shell, "webhook-gateway") as application:
        outputs = application.outputs
        events, tables = application.client("events"), application.client("dynamodb")

        def place(order: str) -> None:
            detail = json.dumps({"id": order, "total": 5})
            events.put_events(Entries=[{"Source": "shop", "DetailType": "order placed", "Detail": detail}])
            shell.settle()

        told = events.describe_connection(Name=outputs["Connection"])
        assert told["ConnectionState"] == "AUTHORIZED"
        assert "ClientSecret" not in json.dumps(told["AuthParameters"])
        place("1")
        place("broken")
        # The token has run out by then, and the function has forgotten it.
        shell.run("coldstart", "sandbox", "advance", "61m")
        place("2")
        shell.run("coldstart", "sandbox", "advance", "1m")

        found = {
            item["id"]["S"]: item["what"]["S"] for item in tables.scan(TableName=outputs["Table"])["Items"]
        }
        assert {order: found[order] for order in ("1", "2")} == dict.fromkeys(
            ("1", "2"), 'PUT {"total": 5} from north'
        )
        assert list(found.values()).count("reminder") == 2
        sqs = application.client("sqs")
        [dead] = sqs.receive_message(QueueUrl=outputs["Dead"], MessageAttributeNames=["All"])["Messages"]
        assert "answered 400" in dead["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
        lines = [json.loads(line) for line in application.logs(outputs["Partner"]) if line.startswith("{")]
        ours = [line for line in lines if line.get("message") == "order"]
        assert {(line["service"], line["shop"]) for line in ours} == {("partner", "north")}

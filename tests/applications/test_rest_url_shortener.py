"""rest-url-shortener: an API that keeps its items in DynamoDB itself, and a stream of all of them."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def location(application: Application, address: str) -> tuple[int, str | None]:
    """Where an address leads, without going there."""
    there = urlsplit(address)
    here = urlsplit(application.shell.environment["AWS_ENDPOINT_URL"])
    connection = http.client.HTTPConnection(here.netloc, timeout=30)
    connection.request("GET", there.path, headers={"Host": there.netloc})
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.headers["Location"]


def test_it_shortens_addresses_without_a_function(shell: Shell) -> None:
    with by_sam(shell, "rest-url-shortener") as application:
        outputs = application.outputs
        links = f"{outputs['Address']}/links"
        key = application.client("apigateway").get_api_key(apiKey=outputs["Key"], includeValue=True)["value"]
        docs = {"id": "docs", "url": "https://docs.example/?a=1&b='2'", "owner": "ada lovelace"}
        home = {"id": "home", "url": "https://home.example/", "owner": "ada lovelace"}

        assert application.ask("POST", links, docs).json() == {"message": "Forbidden"}
        kept = application.ask("POST", links, docs, x_api_key=key)
        assert (kept.status, kept.json()) == (201, {"path": "/v1/links", "kept": True})
        taken = application.ask("POST", links, docs, x_api_key=key)
        assert (taken.status, taken.json()) == (409, {"error": "taken"})
        wrong = application.ask("POST", links, {"id": "x", "url": "ftp://x"}, x_api_key=key)
        assert (wrong.status, wrong.json()["error"]) == (422, "Invalid request body")
        assert application.ask("POST", links, home, x_api_key=key).status == 201
        spent = application.ask("POST", links, home, x_api_key=key)
        assert (spent.status, spent.json()) == (429, {"message": "Limit Exceeded"})

        (item,) = application.client("dynamodb").query(
            TableName=outputs["Links"],
            KeyConditionExpression="id = :id",
            ExpressionAttributeValues={":id": {"S": "docs"}},
        )["Items"]
        assert item["from"] == {"S": outputs["Key"]}
        assert application.ask("GET", f"{links}?owner=ada%20lovelace").json() == [
            {"id": "docs", "url": docs["url"]},
            {"id": "home", "url": home["url"]},
        ]
        assert application.ask("GET", links).status == 400
        assert location(application, f"{links}/docs") == (301, docs["url"])
        missing = application.ask("GET", f"{links}/nowhere")
        assert (missing.status, missing.json()) == (404, {"error": "no such link"})
        assert application.ask("DELETE", f"{links}/docs").status == 429, "its method's rate is none at all"
        status = application.ask("GET", outputs["Status"]).json()
        assert status == {"banner": "all-is-well", "stage": "v1"}

        streamed = application.ask("GET", outputs["Export"])
        assert (streamed.status, streamed.headers["X-Alias"]) == (200, "live")
        assert streamed.headers["Content-Type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in streamed.body.splitlines()]
        assert sorted(line["id"] for line in lines) == ["docs", "home"]

        shell.run("coldstart", "sandbox", "advance", "2m")
        watch = application.client("cloudwatch")
        (alarm,) = watch.describe_alarms(AlarmNames=[outputs["Alarm"]])["MetricAlarms"]
        changes = watch.describe_alarm_history(AlarmName=outputs["Alarm"], HistoryItemType="StateUpdate")
        assert alarm["StateValue"] == "ALARM" or "ALARM" in str(changes["AlarmHistoryItems"])
        logs = application.client("logs")
        written = logs.filter_log_events(logGroupName=outputs["AccessLogs"])["events"]
        assert {"201", "403", "404", "409"} <= {json.loads(line["message"])["status"] for line in written}

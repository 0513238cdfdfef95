"""python-hello-events: what `sam init` gives, with everything in samconfig.toml."""

from __future__ import annotations

import json

import pytest

from tests.applications.harness import Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]


def test_it_greets_as_its_parameters_say(shell: Shell) -> None:
    with by_sam(shell, "python-hello-events") as application:
        address = application.outputs["HelloWorldApi"]

        answer = application.ask("GET", address + "ada")

        assert (answer.status, answer.json()["message"]) == (200, "good day ada")
        assert answer.headers["X-Requests"], "the requirements were built in"
        assert answer.headers["Access-Control-Allow-Origin"] == "https://greetings.example"
        asked = {"Origin": "https://greetings.example", "Access_Control_Request_Method": "GET"}
        preflight = application.ask("OPTIONS", address.rstrip("/"), **asked)
        assert preflight.status == 200
        assert preflight.headers["Access-Control-Allow-Methods"] == "GET,OPTIONS"
        assert application.ask("POST", address, {}).status == 403, "only what the API has"

        event = json.loads((application.folder / "events" / "event.json").read_text())
        local = application.invoke(application.outputs["HelloWorldFunction"], event)
        assert json.loads(local["body"])["stage"] == "Prod"
        lines = [json.loads(line) for line in application.logs(application.outputs["HelloWorldFunction"])]
        assert "greeting ada" in [line.get("message") for line in lines]
        assert "platform.report" in [line.get("type") for line in lines]

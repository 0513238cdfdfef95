"""release-train: a nested application, an alias that shifts behind a hook, and an API stage's canary."""

from __future__ import annotations

import collections
import json
import threading

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]
PNG = b"\x89PNG\r\n\x1a\n"


def release(application: Application, version: str, share: int, *, succeeds: bool = True) -> None:
    """Deploy once more while the account's time passes."""
    shell, done = application.shell, threading.Event()

    def pass_time() -> None:
        while not done.wait(0.5):
            shell.run("coldstart", "sandbox", "advance", "6m")

    clock = threading.Thread(target=pass_time)
    clock.start()
    try:
        words = (
            "--stack-name",
            application.stack,
            "--resolve-s3",
            "--no-confirm-changeset",
            "--no-progressbar",
        )
        given = f"Version={version} CanaryShare={share}"
        shell.run(
            "sam", "deploy", *words, "--parameter-overrides", given, cwd=application.folder, succeeds=succeeds
        )
    finally:
        done.set()
        clock.join()


def said(application: Application) -> str:
    """What the machine's alias says."""
    states = application.client("stepfunctions")
    made = states.start_execution(stateMachineArn=application.outputs["Rota"])["executionArn"]
    application.shell.settle()
    return str(json.loads(states.describe_execution(executionArn=made)["output"]))


def greetings(application: Application, requests: int = 60) -> dict[tuple[str, str], int]:
    """How many of so many requests were answered by which version and colour."""
    url = f"{application.outputs['Url']}/greetings"
    told = [application.ask("POST", url, {"name": "Ann"}, x_caller="me").json() for _ in range(requests)]
    return collections.Counter((each["version"], each["colour"]) for each in told)


def test_versions_are_let_out_slowly(shell: Shell) -> None:
    with by_sam(shell, "release-train", deletable=False) as application:
        outputs, url = application.outputs, application.outputs["Url"]
        short = application.ask("POST", f"{url}/greetings", {"name": "A"}, x_caller="me")
        assert (short.status, short.headers["x-why"]) == (422, "body")
        assert "too short" in short.json()["problem"]
        assert application.ask("POST", f"{url}/greetings", {"name": "Ann"}).status == 400
        picture = application.ask("GET", f"{url}/pictures", None, accept="image/png")
        assert (picture.body[:8], picture.headers["content-type"]) == (PNG, "image/png")
        sent = application.ask("POST", f"{url}/pictures", PNG, content_type="image/png")
        assert sent.body == b"8"

        functions = application.client("lambda")
        functions.invoke(FunctionName=outputs["Alias"], InvocationType="Event", Payload=b"{}")
        shell.settle()
        [record] = application.client("sqs").receive_message(QueueUrl=outputs["Queue"])["Messages"]
        assert json.loads(record["Body"])["responsePayload"] == {"version": "one"}

        assert greetings(application, 5) == {("one", "red"): 5}
        assert said(application) == "one"
        release(application, "two", 40)
        assert said(application) == "two"
        seen = greetings(application)
        assert set(seen) == {("two", "red"), ("two", "blue")}
        assert 8 <= seen["two", "blue"] <= 42
        release(application, "bad", 40, succeeds=False)
        assert {version for version, _ in greetings(application, 10)} == {"two"}
        assert said(application) == "two"
        release(application, "three", 0)
        assert greetings(application, 10) == {("three", "red"): 10}

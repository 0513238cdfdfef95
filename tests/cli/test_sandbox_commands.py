"""`coldstart sandbox …` as a shell sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.kept import Duration
from cli.sandbox import command
from tests.cli.conftest import ROOT, Shell, client

VARIABLES = {
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
}


def test_up_prints_one_document_with_exactly_the_promised_keys(up: dict[str, Any]) -> None:
    assert set(up) == VARIABLES | {"account_id", "name", "pid"}
    assert (up["name"], up["AWS_DEFAULT_REGION"], len(up["account_id"])) == ("mine", "eu-west-1", 12)
    assert Path(f"/proc/{up['pid']}").exists()
    assert client(up, "sts").get_caller_identity()["Account"] == up["account_id"]


@pytest.mark.parametrize("quoted", ['eval "$({})"', "eval $({})"])
def test_up_prints_exports_that_a_shell_evaluates(shell: Shell, up: dict[str, Any], quoted: str) -> None:
    script = quoted.format(f"{sys.executable} -m cli sandbox up")
    done = subprocess.run(
        ["sh", "-ec", f"{script}; env -0"],
        env=shell.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    exported = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)

    assert set(exported) >= VARIABLES
    assert exported["AWS_ACCOUNT_ID"] in done.stderr, "the summary goes to standard error"
    name = exported["COLDSTART_SANDBOX"]
    assert name.startswith("default")
    assert "settled" in shell.run("settle", COLDSTART_SANDBOX=name)
    shell.run("down", COLDSTART_SANDBOX=name)
    assert [row["name"] for row in json.loads(shell.run("list", "--json"))] == ["mine"]


def test_the_only_one_running_is_meant(shell: Shell, up: dict[str, Any]) -> None:
    assert shell.run("settle").endswith("settled\n")
    assert json.loads(shell.run("settle", "--json"))["settled"] is True


def test_advance_moves_the_account_and_nobody_waits(shell: Shell, up: dict[str, Any]) -> None:
    before = json.loads(shell.run("settle", "--json"))["now"]

    after = json.loads(shell.run("advance", "6h", "--name", "mine", "--json"))["now"]

    assert after > before
    assert after[:10] >= before[:10]
    assert json.loads(shell.run("events", "--json").splitlines()[-1])["detail"]["seconds"] == 21600


def test_events_are_one_object_a_line_and_can_be_read_by_people(shell: Shell, up: dict[str, Any]) -> None:
    client(up, "s3").create_bucket(
        Bucket="seen-in-events", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    events = [json.loads(line) for line in shell.run("events", "--json").splitlines()]

    (created,) = [event for event in events if event["subject"] == "s3:CreateBucket"]
    assert {"sequence", "at", "kind", "subject", "outcome", "detail"} <= set(created)
    since = str(created["sequence"] - 1)
    assert "s3:CreateBucket" in shell.run("events", "--since", since).splitlines()[0]


def test_logs_are_those_of_cloudwatch(shell: Shell, up: dict[str, Any]) -> None:
    logs = client(up, "logs")
    for name, words in (("one", "from one"), ("one-more", "from one more")):
        group = f"/aws/lambda/{name}"
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        now = datetime.fromisoformat(json.loads(shell.run("settle", "--json"))["now"])
        at = int(now.timestamp() * 1000)
        logs.put_log_events(
            logGroupName=group, logStreamName="s", logEvents=[{"timestamp": at, "message": words + "\n"}]
        )

    assert shell.run("logs", "one").endswith("  from one\n")
    assert {json.loads(line)["message"].strip() for line in shell.run("logs", "--json").splitlines()} == {
        "from one",
        "from one more",
    }
    assert "no logs of a function named two" in shell.refused("logs", "two")


def test_iam_tells_granted_used_and_denied(shell: Shell, up: dict[str, Any]) -> None:
    iam = client(up, "iam")
    iam.create_user(UserName="ada")
    statement = {"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="ada", PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    client({**up, **keys}, "sqs").list_queues()

    (ada,) = json.loads(shell.run("iam", "--json"))["principals"]

    assert ada["granted"] == [{"policy": "ada/own", "index": 0, **statement}]
    assert ada["used"] == [{"action": "sqs:ListQueues", "resource": "*", "times": 1}]
    assert ada["denied"] == []
    told = shell.run("iam").splitlines()
    assert told[0] == "user ada"
    assert "  allow   sqs:ListQueues on *" in told


def test_url_gives_an_address_of_this_machine(shell: Shell, up: dict[str, Any]) -> None:
    turned = shell.run("url", "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/Prod/hello/").strip()

    assert turned == f"{up['AWS_ENDPOINT_URL']}/_aws/execute-api/a1b2c3/Prod/hello/"


def test_an_event_of_an_aws_service_is_placed_and_others_are_refused(
    shell: Shell, up: dict[str, Any]
) -> None:
    event = {"source": "aws.health", "detail-type": "AWS Health Event", "detail": {"service": "LAMBDA"}}

    shell.run("inject", "-", text=json.dumps(event))

    assert "begins with 'aws.'" in shell.refused("inject", "-", text=json.dumps({**event, "source": "mine"}))


def test_what_can_not_be_meant_is_bad_input(shell: Shell, up: dict[str, Any]) -> None:
    assert "mine is running already" in shell.refused("up", "--name", "mine")
    assert "can't be a sandbox's name" in shell.refused("up", "--name", "Not Good")
    assert "is not a region's name" in shell.refused("up", "--region", "mars")
    assert "No sandbox named other is running. Running: mine." in shell.refused("settle", "--name", "other")
    assert "is not a duration" in shell.refused("advance", "soon")
    assert "is not JSON" in shell.refused("inject", "-", text="{")
    assert "is not an address of AWS" in shell.refused("url", "https://example.com/")
    assert "an event is a JSON object" in shell.refused("inject", "-", text="[1]")


def test_without_any_sandbox_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    elsewhere = Shell(tmp_path)

    assert "Start one: coldstart sandbox up" in elsewhere.refused("settle")
    assert json.loads(elsewhere.run("list", "--json")) == []


def test_an_environment_that_fails_is_ours(tmp_path: Path) -> None:
    done = Shell(tmp_path).try_run("sandbox", "up", COLDSTART_ISOLATION="sealed")

    assert done.returncode == 3
    assert done.stderr.strip() == (
        "Our environment failed: COLDSTART_ISOLATION is `sealed`."
        " It can be 4, 3, 2, `unsafe` or `docker:IMAGE`."
    )


def test_every_command_has_help_without_starting_anything() -> None:
    for name in command.commands:
        shown = CliRunner().invoke(command, [name, "--help"])
        assert (shown.exit_code, "Usage:" in shown.output) == (0, True), name


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("5m", 300), ("6h", 21600), ("1h30m", 5400), ("2d", 172800), ("1.5s", 1.5)],
)
def test_durations_are_written_as_people_write_them(written: str, seconds: float) -> None:
    assert Duration().convert(written, None, None) == seconds


def test_traces_are_told_as_a_waterfall_and_found_by_an_expression(shell: Shell, up: dict[str, Any]) -> None:
    now = datetime.fromisoformat(json.loads(shell.run("settle", "--json"))["now"]).timestamp()
    trace_id = f"1-{int(now):08x}-{'a' * 24}"
    call = {"id": "b" * 16, "name": "Lambda", "start_time": now, "end_time": now + 0.25, "namespace": "aws"}
    stage = {
        "id": "a" * 16,
        "name": "shop/prod",
        "trace_id": trace_id,
        "start_time": now,
        "end_time": now + 0.5,
        "subsegments": [call],
    }
    function = {
        "id": "c" * 16,
        "name": "checkout",
        "trace_id": trace_id,
        "parent_id": "b" * 16,
        "start_time": now + 0.1,
        "end_time": now + 0.2,
        "origin": "AWS::Lambda",
        "http": {"response": {"status": 200}},
        "fault": True,
    }
    client(up, "xray").put_trace_segments(TraceSegmentDocuments=[json.dumps(stage), json.dumps(function)])

    head, *waterfall = shell.run("traces").splitlines()

    assert head.startswith(trace_id)
    assert head.endswith("500 ms [fault]")
    assert [line.split("ms", 1)[1] for line in waterfall] == [
        "    shop/prod",
        "      Lambda  aws",
        "        checkout  AWS::Lambda  200 [fault]",
    ]
    assert [line.split()[:2] for line in waterfall] == [
        ["0.0", "500.0"],
        ["0.0", "250.0"],
        ["100.0", "100.0"],
    ]
    [found] = [json.loads(line) for line in shell.run("traces", "--json", 'service("checkout")').splitlines()]
    assert (found["id"], found["duration_s"], len(found["segments"])) == (trace_id, 0.5, 2)
    assert shell.run("traces", 'service("nobody")') == ""
    assert "`speed` is no keyword at position 0" in shell.refused("traces", "speed > 3")

"""The real `aws` and `sam` commands against a sandbox, with nothing but the printed environment set."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.applications.harness import Shell, sandbox

HELLO = Path(__file__).resolve().parents[1] / "fixtures" / "hello-sam"

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A sandbox, and a shell that `eval "$(coldstart sandbox up)"` was typed into."""
    with sandbox(tmp_path / "home", "journey") as opened:
        yield opened


def outputs(shell: Shell, stack: str) -> dict[str, str]:
    described = shell.aws("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in described["Outputs"]}


def greeting(shell: Shell, stack: str) -> Any:
    """What the deployed API answers, asked as `curl` would ask."""
    url = shell.run("coldstart", "sandbox", "url", outputs(shell, stack)["HelloWorldApi"]).strip()
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.headers["X-Requests"], "the requirements were built in"
        return json.load(answer)


def leaves_nothing(shell: Shell) -> None:
    assert shell.aws("lambda", "list-functions")["Functions"] == []
    assert shell.aws("apigateway", "get-rest-apis")["items"] == []
    assert shell.aws("iam", "list-roles")["Roles"] == []


def test_sam_builds_deploys_and_deletes_a_new_application(shell: Shell, tmp_path: Path) -> None:
    application = tmp_path / "hello-sam"
    shutil.copytree(HELLO, application)

    shell.run("sam", "build", cwd=application)
    deploy = (
        "sam",
        "deploy",
        "--stack-name",
        "hello-sam",
        "--resolve-s3",
        "--capabilities",
        "CAPABILITY_IAM",
    )
    shell.run(*deploy, "--no-confirm-changeset", cwd=application)

    assert greeting(shell, "hello-sam") == {"message": "hello world"}
    lines = shell.run(
        "coldstart", "sandbox", "logs", outputs(shell, "hello-sam")["HelloWorldFunction"].split(":")[-1]
    )
    assert "REPORT RequestId:" in lines
    again = shell.run(*deploy, "--no-confirm-changeset", "--no-fail-on-empty-changeset", cwd=application)
    assert "No changes to deploy" in again
    shell.run("sam", "delete", "--stack-name", "hello-sam", "--no-prompts", cwd=application)
    leaves_nothing(shell)


def test_aws_packages_and_deploys_the_same_application(shell: Shell, tmp_path: Path) -> None:
    application = tmp_path / "hello-sam"
    shutil.copytree(HELLO, application)
    shell.run("sam", "build", cwd=application)
    built = application / ".aws-sam" / "build"
    shell.run("aws", "s3", "mb", "s3://packages-of-mine")

    package = ("--template-file", "template.yaml", "--s3-bucket", "packages-of-mine")
    shell.run(
        "aws", "cloudformation", "package", *package, "--output-template-file", "packaged.yaml", cwd=built
    )
    deploy = ("--template-file", "packaged.yaml", "--stack-name", "hello-aws")
    shell.run("aws", "cloudformation", "deploy", *deploy, "--capabilities", "CAPABILITY_IAM", cwd=built)

    assert greeting(shell, "hello-aws") == {"message": "hello world"}
    shell.run("aws", "cloudformation", "delete-stack", "--stack-name", "hello-aws")
    shell.run("aws", "cloudformation", "wait", "stack-delete-complete", "--stack-name", "hello-aws")
    leaves_nothing(shell)


def test_everyday_commands_work_as_they_are(shell: Shell, tmp_path: Path) -> None:
    assert shell.aws("sts", "get-caller-identity")["Account"] == shell.environment["AWS_ACCOUNT_ID"]
    shell.run("aws", "s3", "mb", "s3://things")
    large = tmp_path / "large"
    large.write_bytes(os.urandom(20_000_000))
    shell.run("aws", "s3", "cp", str(large), "s3://things/large")
    shell.run("aws", "s3", "cp", "s3://things/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == large.read_bytes(), "in parts, as it is more than 8 MB"
    signed = shell.run("aws", "s3", "presign", "s3://things/large").strip()
    with urllib.request.urlopen(signed, timeout=30) as answer:
        assert len(answer.read()) == 20_000_000
    table = ("--table-name", "t", "--billing-mode", "PAY_PER_REQUEST")
    keys = ("--attribute-definitions", "AttributeName=k,AttributeType=S")
    keys += ("--key-schema", "AttributeName=k,KeyType=HASH")
    shell.run("aws", "dynamodb", "create-table", *table, *keys)
    shell.run("aws", "dynamodb", "put-item", "--table-name", "t", "--item", '{"k": {"S": "x"}}')
    assert shell.aws("dynamodb", "scan", "--table-name", "t")["Count"] == 1
    # Version 1 of this command overrides the endpoint variable for SQS alone.
    endpoint = ("--endpoint-url", shell.environment["AWS_ENDPOINT_URL"])
    url = shell.aws("sqs", "create-queue", "--queue-name", "q", *endpoint)["QueueUrl"]
    shell.run("aws", "sqs", "send-message", "--queue-url", url, "--message-body", "hi", *endpoint)
    (message,) = shell.aws("sqs", "receive-message", "--queue-url", url, *endpoint)["Messages"]
    assert message["Body"] == "hi"


def test_a_wrong_key_and_an_unknown_service_are_told_in_words(shell: Shell) -> None:
    told = shell.run("aws", "ec2", "describe-vpcs", succeeds=False)
    assert "does not emulate" in told
    shell.environment["AWS_SECRET_ACCESS_KEY"] = "not-the-secret"
    assert "SignatureDoesNotMatch" in shell.run("aws", "sts", "get-caller-identity", succeeds=False)


def test_aws_asks_logs_insights_and_tails_logs_live(shell: Shell) -> None:
    group, stream = "--log-group-name=/shop", "--log-stream-name=s"
    shell.run("aws", "logs", "create-log-group", group)
    shell.run("aws", "logs", "create-log-stream", group, stream)
    [found] = shell.aws("logs", "describe-log-groups")["logGroups"]
    arn = found["arn"].removesuffix(":*")
    tail = [shell.programs["aws"], "logs", "start-live-tail", "--log-group-identifiers", arn]
    with subprocess.Popen(tail, env=shell.environment, stdout=subprocess.PIPE, text=True) as tailing:
        assert tailing.stdout is not None
        now = time.time()
        while not (readable := select.select([tailing.stdout], [], [], 0)[0]):
            # What comes in before the session begins is not part of it.
            event = json.dumps([{"timestamp": int(time.time() * 1000), "message": '{"level": "ERROR"}'}])
            shell.run("aws", "logs", "put-log-events", group, stream, "--log-events", event)
        assert readable
        assert tailing.stdout.readline() == '{"level": "ERROR"}\n'
        tailing.terminate()
    asked = ("--start-time", str(int(now) - 60), "--end-time", str(int(now) + 600), "--query-string")
    query = shell.aws("logs", "start-query", group, *asked, "stats count(*) > 0 as some by level")["queryId"]
    shell.run("coldstart", "sandbox", "settle")
    answer = shell.aws("logs", "get-query-results", "--query-id", query)
    assert answer["status"] == "Complete"
    assert answer["results"] == [[{"field": "level", "value": "ERROR"}, {"field": "some", "value": "1"}]]

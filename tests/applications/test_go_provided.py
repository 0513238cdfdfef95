"""go-provided: Go with one region in its code, built by sam itself and by a Makefile."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900), pytest.mark.slow]


@pytest.fixture
def gopher(shell: Shell) -> Shell:
    """A shell of somebody who has built with Go before."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    names = ("GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB")
    told = subprocess.run([go, "env", *names], capture_output=True, text=True, check=True).stdout.splitlines()
    shell.environment |= dict(zip(names, told, strict=True))
    shell.environment["PATH"] = f"{go.rsplit('/', 1)[0]}:{shell.environment['PATH']}"
    return shell


def announced(application: Application) -> list[dict[str, Any]]:
    sqs, queue = application.client("sqs"), application.outputs["Queue"]
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]


def test_orders_are_kept_and_announced(gopher: Shell) -> None:
    with by_sam(gopher, "go-provided") as application:
        outputs = application.outputs
        address = f"{outputs['Api']}/orders/7"

        placed = application.ask("PUT", address, {"customer": "ada", "total": 12.5})
        assert (placed.status, placed.json()) == (201, {"document": "orders/ada/7.json"})
        gopher.settle()
        assert announced(application) == [{"order": "7", "total": 12.5, "before": 0}]
        assert application.ask("PUT", address, {"total": 1}).status == 400
        assert application.ask("PUT", address, {"customer": "ada", "total": 13}).status == 201
        gopher.settle()
        assert announced(application) == [{"order": "7", "total": 13, "before": 12.5}]

        s3 = application.client("s3")
        kept = s3.get_object(Bucket=outputs["Bucket"], Key="orders/ada/7.json")
        assert (kept["ContentType"], json.load(kept["Body"])["total"]) == ("application/json", 13)
        application.client("dynamodb").delete_item(TableName=outputs["Table"], Key={"id": {"S": "7"}})
        gopher.settle()
        assert announced(application) == [], "the filter keeps it out"
        s3.delete_object(Bucket=outputs["Bucket"], Key="orders/ada/7.json")

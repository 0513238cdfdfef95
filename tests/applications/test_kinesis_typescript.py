"""kinesis-typescript: a stream into a table, in TypeScript that esbuild bundles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]


def kept(application: Application) -> dict[str, float]:
    items = application.client("dynamodb").scan(TableName=application.outputs["Table"])["Items"]
    return {item["id"]["S"]: float(item["value"]["N"]) for item in items}


def test_each_reading_is_kept_once_and_what_fails_is_put_aside(shell: Shell) -> None:
    def reading(name: str, **more: Any) -> dict[str, Any]:
        return {"id": name, "meter": "m1", "kind": "reading", "value": 1.5} | more

    with by_sam(shell, "kinesis-typescript") as application:
        outputs = application.outputs
        data = [
            reading("a"),
            reading("b", value=-1),
            reading("c", kind="noise"),
            reading("a", value=99),
            reading("broken", meter=""),
            reading("d", value=4),
        ]
        records = [{"Data": json.dumps(each).encode(), "PartitionKey": "m1"} for each in data]
        put = application.client("kinesis").put_records(StreamName=outputs["Stream"], Records=records)
        shell.run("coldstart", "sandbox", "advance", "10m")

        assert kept(application) == {"a": 1.5, "d": 4.0}
        sqs = application.client("sqs")
        (message,) = sqs.receive_message(QueueUrl=outputs["Failures"])["Messages"]
        told = json.loads(message["Body"])
        assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
        batch = told["KinesisBatchInfo"]
        broken = put["Records"][4]["SequenceNumber"]
        assert (batch["startSequenceNumber"], batch["endSequenceNumber"], batch["batchSize"]) == (
            broken,
            broken,
            1,
        )
        lines = application.logs(outputs["Consumer"])
        assert any("known already a" in line for line in lines)
        assert sum(f"failed {broken}" in line for line in lines) >= 3, "the first try and two more"
        function = application.client("lambda").get_function(FunctionName=outputs["Consumer"])
        assert function["Configuration"]["CodeSize"] < 20_000, "bundled without the SDK"

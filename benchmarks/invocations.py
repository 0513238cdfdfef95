"""Cold starts of a Python function with boto3, and warm invocations, as a caller sees them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator

from benchmarks.figures import Bench, Figure, timed

HANDLER = """
import boto3
s3 = boto3.client("s3")
dynamodb = boto3.client("dynamodb")

def handler(event, context):
    return event
"""
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def measure(bench: Bench) -> Iterator[Figure]:
    """Cold starts of fresh functions with two boto3 clients, and warm invocations, through the API."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("app.py", HANDLER)
    account = bench.provider.open()
    role = account.client("iam").create_role(RoleName="bench", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    client = account.client("lambda")
    cold, warm = [], []
    for number in range(10):
        name = f"bench-{number}"
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="app.handler",
            Role=role,
            Code={"ZipFile": archive.getvalue()},
            MemorySize=512,
            Timeout=10,
        )
        cold.append(timed(lambda name=name: client.invoke(FunctionName=name, Payload=b"{}")))  # type: ignore[misc]
    inits = [
        float(event["detail"]["init_ms"])
        for event in account.timeline()
        if event["kind"] == "invocation" and event["detail"].get("init_ms")
    ]
    for _ in range(bench.times(300)):
        warm.append(timed(lambda: client.invoke(FunctionName="bench-0", Payload=b'{"n": 1}')))
    account.close()
    yield Figure("cold start, Python with boto3 (init, isolated)", "ms", tuple(inits[2:]), 60)
    yield Figure("cold invoke through the API", "ms", tuple(cold[2:]), 100)
    yield Figure("warm invoke through the API", "ms", tuple(warm[bench.times(20) :]), 3)

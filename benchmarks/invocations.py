"""Cold starts of a Python function with boto3, warm invocations, many at once, and what many leave behind."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.figures import Bench, Figure, timed

AT_ONCE = 10
CONCURRENT_INVOCATIONS = 1000
LEAK_INVOCATIONS = 1000
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
    for _ in range(300):
        warm.append(timed(lambda: client.invoke(FunctionName="bench-0", Payload=b'{"n": 1}')))
    throughput = _throughput(client, "bench-0")
    before = _held(account.pid)
    for _ in range(LEAK_INVOCATIONS):
        _invoke(client, "bench-0")
    after = _held(account.pid)
    account.close()
    yield Figure("cold start, Python with boto3 (init, isolated)", "ms", tuple(inits[2:]), 60)
    yield Figure("cold invoke through the API", "ms", tuple(cold[2:]), 100)
    yield Figure("warm invoke through the API", "ms", tuple(warm[20:]), 3)
    yield Figure(f"invocations per second, {AT_ONCE} environments", "/s", (throughput,), 300, at_most=False)
    left, kept_kb = after[0] - before[0], (after[1] - before[1]) / LEAK_INVOCATIONS
    yield Figure(f"processes and descriptors left by {LEAK_INVOCATIONS} invocations", "", (left,), 2)
    yield Figure("memory that an invocation's records keep", "KB", (kept_kb,), 8)


def _throughput(client: Any, name: str) -> float:
    """Warm invocations per second from ten callers at once, each with an environment."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: _invoke(client, name), range(AT_ONCE * 3)))
        started = time.perf_counter()
        list(
            pool.map(lambda _: client.invoke(FunctionName=name, Payload=b"{}"), range(CONCURRENT_INVOCATIONS))
        )
        return CONCURRENT_INVOCATIONS / (time.perf_counter() - started)


def _invoke(client: Any, name: str) -> None:
    """Invoke, and read the answer: else the connection is not used again."""
    client.invoke(FunctionName=name, Payload=b"{}")["Payload"].read()


def _held(pid: int) -> tuple[int, float]:
    """Descriptors and children of an account's process, and its resident memory in KB."""
    place = Path("/proc", str(pid))
    children = sum(len((task / "children").read_text().split()) for task in (place / "task").iterdir())
    resident = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024
    return len(list((place / "fd").iterdir())) + children, resident

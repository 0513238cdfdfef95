"""Cold starts and warm invocations of Node.js, Java and Go, with and without the AWS SDK."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Bench, Figure, timed
from benchmarks.invocations import TRUST

NODE = "exports.handler = async (event) => event\n"
NODE_SDK = (
    """
const { S3Client } = require('@aws-sdk/client-s3')
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb')
const s3 = new S3Client({}), dynamodb = new DynamoDBClient({})
"""
    + NODE
)
GO_FIXTURE = Path(__file__).parents[1] / "tests" / "conformance" / "functions" / "go"
JAVA_FIXTURE = GO_FIXTURE.with_name("java")
JAVA_HANDLER = "conformance.Handler::handleRequest"
STARTS = 10
_GO = "provided.al2023"


def measure(bench: Bench) -> Iterator[Figure]:
    """Init of fresh environments (isolated), and warm invocations through the API."""
    account = bench.provider.open()
    if "nodejs22.x" in account.runtimes:
        yield from _language(account, "Node.js", "nodejs22.x", _zip("index.js", NODE.encode()), 80)
        yield from _language(
            account, "Node.js with SDK", "nodejs22.x", _zip("index.js", NODE_SDK.encode()), 250
        )
    if "java17" in account.runtimes and (jar := _java_package()):
        yield from _language(account, "Java", "java17", jar, 150, JAVA_HANDLER)
    if binary := _go_binary():
        yield from _language(account, "Go", _GO, _zip("bootstrap", binary), 25)
    account.close()


def _language(
    account: Any, title: str, runtime: str, package: bytes, goal_ms: float, handler: str = "index.handler"
) -> Iterator[Figure]:
    short = title.replace(" ", "-").replace(".", "")
    iam, client = account.client("iam"), account.client("lambda")
    role = iam.create_role(RoleName=f"bench-{short}", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    seen = len(account.timeline())
    for number in range(STARTS):
        client.create_function(
            FunctionName=f"{short}-{number}",
            Runtime=runtime,
            Handler=handler,
            Role=role,
            Code={"ZipFile": package},
            MemorySize=512,
            Timeout=10,
        )
        client.invoke(FunctionName=f"{short}-{number}", Payload=b'{"do": "count"}')
    inits = [
        float(event["detail"]["init_ms"])
        for event in account.timeline()[seen:]
        if event["kind"] == "invocation" and event["detail"].get("init_ms")
    ]
    call = lambda: client.invoke(FunctionName=f"{short}-0", Payload=b'{"do": "count"}')  # noqa: E731
    warm = [timed(call) for _ in range(200)]
    yield Figure(f"cold start, {title} (init, isolated)", "ms", tuple(inits[2:]), goal_ms)
    yield Figure(f"warm invoke, {title}, through the API", "ms", tuple(warm[20:]), 3)


def _zip(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        entry = zipfile.ZipInfo(name)
        entry.create_system = 3
        entry.external_attr = 0o100755 << 16
        package.writestr(entry, content)
    return archive.getvalue()


def _go_binary() -> bytes | None:
    """The conformance table's Go function; None without Go."""
    go = shutil.which("go")
    if go is None:
        return None
    with tempfile.TemporaryDirectory(prefix="bench-go-") as made:
        out = Path(made, "bootstrap")
        subprocess.run(
            [go, "build", "-tags", "lambda.norpc", "-o", str(out), "."],
            cwd=GO_FIXTURE,
            env=os.environ | {"CGO_ENABLED": "0"},
            check=True,
        )
        return out.read_bytes()


def _java_package() -> bytes | None:
    """The Java fixture's jar; None where Maven is not installed."""
    maven = shutil.which("mvn")
    if maven is None:
        return None
    with tempfile.TemporaryDirectory(prefix="bench-java-") as made:
        source = Path(shutil.copytree(JAVA_FIXTURE, Path(made, "source")))
        subprocess.run(
            [maven, "--batch-mode", "--quiet", "-DskipTests", "package"],
            cwd=source,
            check=True,
            capture_output=True,
        )
        return Path(source, "target", "conformance.jar").read_bytes()

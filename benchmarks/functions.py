"""The functions that are measured: an echo in each language, with and without the SDK."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures"
_PYTHON = "def handler(event, context):\n    return event\n"
_PYTHON_SDK = f'import boto3\ns3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")\n{_PYTHON}'
_NODE = "exports.handler = async (event) => event\n"
_NODE_SDK = f"""
const {{ S3Client }} = require('@aws-sdk/client-s3')
const {{ DynamoDBClient }} = require('@aws-sdk/client-dynamodb')
const s3 = new S3Client({{}}), dynamodb = new DynamoDBClient({{}})
{_NODE}"""
_JAVA = """package bench;

public class Echo {
    %s
    public java.util.Map<String, Object> handle(java.util.Map<String, Object> event) { return event; }
}
"""
_JAVA_CLIENTS = """
    private final Object s3 = software.amazon.awssdk.services.s3.S3Client.create();
    private final Object dynamodb = software.amazon.awssdk.services.dynamodb.DynamoDbClient.create();
"""
_GO = """package main

import (
    "context"
    "encoding/json"

    "github.com/aws/aws-lambda-go/lambda"
%s
)
%s
func main() {
    lambda.Start(func(_ context.Context, event json.RawMessage) (json.RawMessage, error) {
        return event, nil
    })
}
"""
_GO_IMPORTS = '    "github.com/aws/aws-sdk-go-v2/config"\n    "github.com/aws/aws-sdk-go-v2/service/s3"'
_GO_CLIENT = """
var client *s3.Client

func init() {
    found, err := config.LoadDefaultConfig(context.Background())
    if err != nil {
        panic(err)
    }
    client = s3.NewFromConfig(found)
}
"""
_MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


@dataclass(frozen=True, slots=True)
class Measured:
    """A function, and how long the init of a fresh environment is meant to take at most."""

    title: str
    runtime: str
    handler: str
    package: bytes
    goal_ms: float
    sdk: bool = False


def functions(runtimes: Collection[str]) -> Iterator[Measured]:
    """Those that can be built and run here; a language without its tools is left out."""
    yield Measured("Python", "python3.12", "app.handler", _zip({"app.py": _PYTHON}), 40)
    yield Measured(
        "Python with SDK", "python3.12", "app.handler", _zip({"app.py": _PYTHON_SDK}), 60, sdk=True
    )
    if "nodejs22.x" in runtimes:
        yield Measured("Node.js", "nodejs22.x", "index.handler", _zip({"index.js": _NODE}), 80)
        sdk = _zip({"index.js": _NODE_SDK})
        yield Measured("Node.js with SDK", "nodejs22.x", "index.handler", sdk, 250, sdk=True)
    if "java17" in runtimes and shutil.which("mvn") and shutil.which("javac"):
        handler = "bench.Echo::handle"
        yield Measured("Java", "java17", handler, _java(sdk=False), 150)
        yield Measured("Java with SDK", "java17", handler, _java(sdk=True), 900, sdk=True)
    if shutil.which("go"):
        yield Measured("Go", "provided.al2023", "bootstrap", _go(sdk=False), 25)
        yield Measured("Go with SDK", "provided.al2023", "bootstrap", _go(sdk=True), 60, sdk=True)


def _zip(files: Mapping[str, str | bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = 0o100755 << 16
            package.writestr(entry, content)
    return archive.getvalue()


def _java(*, sdk: bool) -> bytes:
    """Compiled with the SDK that the tests' fixture names, beside it in ``lib`` when it is used."""
    with tempfile.TemporaryDirectory(prefix="bench-java-") as made:
        project = Path(made)
        shutil.copy(_FIXTURES / "java" / "sdk" / "pom.xml", project)
        source = project / "src" / "main" / "java" / "bench" / "Echo.java"
        source.parent.mkdir(parents=True)
        source.write_text(_JAVA % (_JAVA_CLIENTS if sdk else ""))
        copy = [_MAVEN_COPY, "-DoutputDirectory=target/classes/lib"] if sdk else []
        command = ["mvn", "--batch-mode", "--quiet", "-DskipTests", "compile", *copy]
        subprocess.run(command, cwd=project, check=True, stdin=subprocess.DEVNULL)
        classes = project / "target" / "classes"
        files = [path for path in classes.rglob("*") if path.is_file()]
        return _zip({str(path.relative_to(classes)): path.read_bytes() for path in files})


def _go(*, sdk: bool) -> bytes:
    """Built against the modules that the tests' fixture pins."""
    with tempfile.TemporaryDirectory(prefix="bench-go-") as made:
        project = Path(made)
        for name in ("go.mod", "go.sum"):
            shutil.copy(_FIXTURES / "go" / "names" / name, project)
        (project / "main.go").write_text(_GO % ((_GO_IMPORTS, _GO_CLIENT) if sdk else ("", "")))
        subprocess.run(
            ["go", "build", "-tags", "lambda.norpc", "-o", "bootstrap", "."],
            cwd=project,
            env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath -ldflags=-s"},
            check=True,
        )
        return _zip({"bootstrap": (project / "bootstrap").read_bytes()})

"""Java, Node.js and custom runtimes without namespaces: the same code, at the machine's own paths."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.emulator.functions.runtimes import Runtimes
from sandbox.emulator.functions.service import FunctionService
from sandbox.errors import IsolationUnavailable
from sandbox.isolation.client import SpawnerClient, start_spawner
from sandbox.isolation.spec import IsolationLevel
from sandbox.runtimes.prepared import prepare_python_runtime
from settings import Settings
from tests.emulator.functions.conftest import authority, make_zip
from tests.emulator.functions.runtimes.conftest import LanguageAccount
from tests.emulator.functions.runtimes.java_builds import built, missing
from tests.emulator.functions.runtimes.test_custom import SCRIPT, package

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's"),
]


@pytest.fixture(scope="module")
def landlock_socket() -> Iterator[Path]:
    """A spawner of level 2."""
    with tempfile.TemporaryDirectory(prefix="functions-test-") as directory:
        socket_path = Path(directory, "spawner")
        runtime = prepare_python_runtime(Settings().home)
        try:
            process = start_spawner(socket_path, runtime, level=IsolationLevel.LANDLOCK, self_test=False)
        except IsolationUnavailable as error:
            pytest.skip(str(error))
        yield socket_path
        process.kill()
        process.wait()


@pytest.fixture
def confined(account: Any, landlock_socket: Path, runtimes: Runtimes) -> Iterator[LanguageAccount]:
    """An account whose functions run at level 2."""
    spawner = SpawnerClient(landlock_socket)
    service = FunctionService(
        account.core, spawner, account.gateway.application, runtimes=runtimes, authority=authority()
    )
    account.add(service.handlers())
    yield LanguageAccount(account, service)
    service.close()
    spawner.close()


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("index.js", "const { S3Client } = require('@aws-sdk/client-s3'), { price } = require('prices')\n"),
        ("index.mjs", "import { S3Client } from '@aws-sdk/client-s3'; import { price } from 'prices'\n"),
    ],
)
def test_the_sdk_and_layers_are_found(confined: LanguageAccount, file: str, code: str) -> None:
    layer = confined.publish_layer(
        "prices",
        {
            "nodejs/node_modules/prices/package.json": '{"name": "prices", "main": "main.js"}',
            "nodejs/node_modules/prices/main.js": "exports.price = 7",
        },
    )
    export = "exports.handler =" if file == "index.js" else "export const handler ="
    confined.node(
        f"{code}{export} async () => [typeof S3Client, price]", file=file, Layers=[layer], MemorySize=512
    )
    assert confined.invoke()["Payload"] == ["function", 7]


def test_errors_are_told_the_same(confined: LanguageAccount) -> None:
    confined.node("exports.handler = async () => { throw new TypeError('bad') }")
    assert confined.invoke()["Payload"]["errorType"] == "TypeError"


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_java_finds_what_its_options_name(confined: LanguageAccount) -> None:
    """The client's native half by ``-D…=/var/runtime/…``, an agent's words by a variable."""
    native = "com.amazonaws.services.lambda.runtime.api.client.runtimeapi.NativeClient.JNI"
    names = [native, "java.class.path", "shop.places"]
    confined.java(
        "shop.Seeing::properties",
        package=make_zip({**built("handlers"), "word.txt": b"x"}),
        Environment={"Variables": {"JAVA_TOOL_OPTIONS": "-Xrs -Dshop.places=/var/task/word.txt:/tmp"}},
    )

    found = confined.invoke(names)["Payload"]

    word, temporary = found["shop.places"].split(":")
    assert not [place for place in found.values() if place.startswith(("/var/runtime", "/var/task"))]
    assert Path(found[native]).is_file()
    assert Path(found["java.class.path"]).is_file()
    assert Path(word).read_text() == "x"
    assert temporary.startswith(f"{tempfile.gettempdir()}/coldstart-tmp-")


def test_only_whole_places_and_addresses_are_replaced(confined: LanguageAccount) -> None:
    left = {"ONE": "/var/tmp", "TWO": "/opt-x /tmp.bak s3://tmp/x", "THREE": "https://host/opt/x"}
    confined.node(
        "exports.handler = async () => process.env",
        Environment={"Variables": {**left, "FOUR": "--at=/var/task/x,/tmp"}},
    )

    seen = confined.invoke()["Payload"]

    assert {name: seen[name] for name in left} == left
    task, temporary = seen["FOUR"].removeprefix("--at=").split(",")
    assert Path(task).parent.is_dir()
    assert temporary.startswith(f"{tempfile.gettempdir()}/coldstart-tmp-")


def test_a_custom_runtime_runs(confined: LanguageAccount) -> None:
    confined.create(
        Runtime="provided.al2023",
        Handler="hello",
        Code={"ZipFile": package({"bootstrap": SCRIPT.encode()})},
    )
    assert confined.invoke({"a": 1})["Payload"] == ["hello", {"a": 1}]


def test_a_missing_bootstrap_is_named_as_on_aws(confined: LanguageAccount) -> None:
    confined.create(Runtime="provided.al2023", Handler="x", Code={"ZipFile": package({"main": b""})})
    told = confined.invoke()["Payload"]
    assert told["errorType"] == "Runtime.InvalidEntrypoint"
    assert told["errorMessage"].endswith(
        "Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    )


def test_there_is_no_authority_to_trust_where_ports_are_shared_with_the_machine(
    confined: LanguageAccount,
) -> None:
    confined.create("import os\ndef handler(event, context):\n    return dict(os.environ)\n")
    variables = confined.invoke()["Payload"]
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert not {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"} & set(variables)

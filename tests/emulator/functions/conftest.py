"""Functions that really run: a spawner for the session, and an account with the functions service."""

from __future__ import annotations

import io
import json
import stat
import tempfile
import textwrap
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.emulator.fabric.eventbridge.service import EventBridge
from sandbox.emulator.fabric.sns.service import Sns
from sandbox.emulator.fabric.sqs.service import SqsService
from sandbox.emulator.functions.runtimes import Runtimes
from sandbox.emulator.functions.runtimes.python import PythonRuntime
from sandbox.emulator.functions.service import FunctionService
from sandbox.emulator.gateway.authority import Authority, open_authority
from sandbox.isolation.client import SpawnerClient, start_spawner
from sandbox.isolation.spec import IsolationLevel
from sandbox.runtimes.prepared import prepare_python_runtime, python_runtime_place
from settings import Settings

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


def authority() -> Authority:
    """The one that environments trust."""
    return open_authority(Settings().home)


@pytest.fixture(scope="session")
def spawner_socket() -> Iterator[Path]:
    """One warm spawner for all tests."""
    runtime = prepare_python_runtime(Settings().home)
    with tempfile.TemporaryDirectory(prefix="functions-test-") as directory:
        socket_path = Path(directory, "spawner")
        process = start_spawner(
            socket_path,
            runtime,
            minimum=IsolationLevel.LANDLOCK,
            trust=authority().trust,
            self_test=False,
        )
        yield socket_path
        process.kill()
        process.wait()


def make_zip(files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A zip in memory; ``links`` are symbolic."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
        for name, target in (links or {}).items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            opened.writestr(entry, target)
    return buffer.getvalue()


# What functions and their destinations do in these tests.
REACHES = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": [
                "events:PutEvents",
                "lambda:InvokeFunction",
                "s3:GetObject",
                "s3:PutObject",
                "sns:Publish",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
                "xray:PutTraceSegments",
            ],
            "Resource": "*",
        },
    }
)


class FunctionsAccount:
    """An account with the functions service, and short ways to fill it.

    ``bus`` and ``mailroom`` are for further services, where there are any.
    """

    bus: Any = None
    mailroom: Any = None

    def __init__(self, account: Any, service: FunctionService) -> None:
        self.account = account
        self.core = account.core
        self.service = service
        self.api = account.client("lambda")
        iam = account.client("iam")
        self.role = iam.create_role(RoleName="fn-role", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        iam.attach_role_policy(
            RoleName="fn-role",
            PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        )
        iam.put_role_policy(RoleName="fn-role", PolicyName="reaches", PolicyDocument=REACHES)

    def create(self, code: str = "", name: str = "fn", **settings: Any) -> dict[str, Any]:
        """A function whose module ``app`` is ``code``."""
        files = settings.pop("files", {})
        package = make_zip({"app.py": textwrap.dedent(code), **files})
        parameters = {
            "Runtime": "python3.12",
            "Handler": "app.handler",
            "Role": self.role,
            "Code": {"ZipFile": package},
            "Timeout": 10,
            **settings,
        }
        created: dict[str, Any] = self.api.create_function(FunctionName=name, **parameters)
        return created

    def invoke(self, payload: Any = None, name: str = "fn", **parameters: Any) -> dict[str, Any]:
        """Invoke through the API; the payload is parsed."""
        body = json.dumps({} if payload is None else payload).encode()
        answer: dict[str, Any] = self.api.invoke(FunctionName=name, Payload=body, **parameters)
        content = answer["Payload"].read()
        answer["Payload"] = json.loads(content) if content else None
        return answer

    def update_code(self, code: str, name: str = "fn", **settings: Any) -> dict[str, Any]:
        """New code for the module ``app``."""
        package = make_zip({"app.py": textwrap.dedent(code)})
        updated: dict[str, Any] = self.api.update_function_code(
            FunctionName=name, ZipFile=package, **settings
        )
        return updated

    zip = staticmethod(make_zip)

    def publish_layer(self, name: str, files: Mapping[str, str | bytes]) -> str:
        """A layer version's ARN."""
        layer = self.api.publish_layer_version(LayerName=name, Content={"ZipFile": make_zip(files)})
        return str(layer["LayerVersionArn"])

    def wait_for(self, condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
        """Until it holds; asked whenever work of the account begins or ends."""
        assert self.core.work.wait_until(condition, timeout_s), "it never happened"

    def logs(self, name: str = "fn") -> list[str]:
        """All messages of a function's log group, in order."""
        client = self.account.client("logs")
        events = client.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        return [event["message"] for event in events]

    def events(self, kind: str) -> list[Any]:
        """What the timeline holds of one kind."""
        return [event for event in self.core.timeline.since() if event.kind == kind]


@pytest.fixture
def functions(account: Any, spawner_socket: Path) -> Iterator[FunctionsAccount]:
    """An account whose functions run."""
    spawner = SpawnerClient(spawner_socket)
    service = FunctionService(
        account.core,
        spawner,
        account.gateway.application,
        runtimes=Runtimes(PythonRuntime(python_runtime_place(Settings().home))),
        authority=authority(),
    )
    queues = SqsService(account.core)
    bus = EventBridge(account.core, service, queues.mailroom)
    for part in (service, queues, Sns(account.core, service, queues.mailroom), bus):
        account.add(part.handlers())
    made = FunctionsAccount(account, service)
    made.bus, made.mailroom = bus, queues.mailroom
    yield made
    service.close()
    spawner.close()

"""Functions that really run, and X-Ray beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.emulator.fabric.apigateway.service import ApiGateway
from sandbox.emulator.fabric.eventbridge.service import EventBridge
from sandbox.emulator.fabric.mappings import EventSourceMappings
from sandbox.emulator.fabric.s3 import Notifications
from sandbox.emulator.fabric.sns.service import Sns
from sandbox.emulator.fabric.sqs.service import SqsService
from sandbox.emulator.fabric.stepfunctions import StepFunctions
from sandbox.emulator.functions.runtimes import Runtimes, find_runtimes
from sandbox.emulator.functions.service import FunctionService
from sandbox.emulator.telemetry.traces.service import Traces
from sandbox.isolation.client import SpawnerClient
from settings import Settings
from tests.emulator.functions.conftest import FunctionsAccount, authority
from tests.emulator.functions.conftest import spawner_socket as spawner_socket

TRACING = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Action": "*",
        "Resource": "*",
    },
}


class TracedAccount(FunctionsAccount):
    """An account whose functions may write traces."""

    def __init__(self, account: Any, service: FunctionService, traces: Traces, apis: ApiGateway) -> None:
        super().__init__(account, service)
        self.traces = traces
        self.apis = apis
        account.client("iam").put_role_policy(
            RoleName="fn-role", PolicyName="tracing", PolicyDocument=json.dumps(TRACING)
        )

    def segments(self, trace_id: str) -> list[dict[str, Any]]:
        """The whole segments of one trace, as X-Ray's API gives them."""
        found = self.account.client("xray").batch_get_traces(TraceIds=[trace_id])
        return [json.loads(each["Document"]) for trace in found["Traces"] for each in trace["Segments"]]


@pytest.fixture(scope="session")
def runtimes() -> Runtimes:
    """Those of this machine."""
    return find_runtimes(Settings().home)


@pytest.fixture
def traced(account: Any, spawner_socket: Path, runtimes: Runtimes) -> Iterator[TracedAccount]:
    """An account with functions, queues and X-Ray."""
    spawner, traces = SpawnerClient(spawner_socket), Traces(account.core)
    service = FunctionService(
        account.core,
        spawner,
        account.gateway.application,
        runtimes=runtimes,
        authority=authority(),
        traces=traces,
    )
    queues = SqsService(account.core)
    bus = EventBridge(account.core, service, queues.mailroom)
    apis = ApiGateway(account.core, service, account.gateway.keys, traces=traces)
    for part in (
        service,
        traces,
        queues,
        EventSourceMappings(account.core, service, queues.mailroom),
        Sns(account.core, service, queues.mailroom),
        Notifications(account.core, service, queues.mailroom, bus),
        bus,
        StepFunctions(account.core, bus, traces),
        apis,
    ):
        account.add(part.handlers())
    yield TracedAccount(account, service, traces, apis)
    service.close()
    spawner.close()

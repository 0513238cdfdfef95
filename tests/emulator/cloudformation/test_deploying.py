"""What waits for a deployment moves the clock where nothing else can bring it further."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import deployment
from sandbox.account import Quiet
from sandbox.errors import DeploymentFailed
from tests.emulator.cloudformation.engine import Engine


class Deploying:
    """The account as deployments see it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.advanced: list[float] = []

    def client(self, service: str) -> Any:
        return self._engine.account.client(service)

    def settle(self, timeout_s: float = 30.0) -> Quiet:
        work, clock = self._engine.account.core.work, self._engine.account.core.clock
        found = work.settle(timeout_s)
        due = None if found.next_due is None else found.next_due - found.now
        return Quiet(found.settled, clock.now(), found.running, due)

    def advance(self, seconds: float, timeout_s: float = 60.0) -> Quiet:
        self.advanced.append(seconds)
        self._engine.account.core.work.advance(seconds, timeout_s)
        return self.settle()


def test_a_stack_that_is_never_answered_is_deleted_without_an_hour_s_wait(engine: Engine) -> None:
    engine.vendor.answers = lambda request: None if request["RequestType"] == "Delete" else {}
    topic = engine.account.client("sns").create_topic(Name="vendor")["TopicArn"]
    thing = {"Type": "Custom::Thing", "Properties": {"ServiceToken": topic}}
    engine.create({"Resources": {"Thing": thing}})
    account = Deploying(engine)

    with pytest.raises(DeploymentFailed, match="did not receive a response from your Custom Resource"):
        deployment.delete(account, "shop", timeout_s=30)  # type: ignore[arg-type]

    assert sum(account.advanced) > 3500

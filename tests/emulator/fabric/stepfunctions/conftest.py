"""An account with Step Functions, queues, and functions that answer as told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.emulator.fabric.sqs import SqsService
from sandbox.emulator.fabric.stepfunctions import StepFunctions
from tests.emulator.fabric.fakes import RecordingFunctions, create_function, create_role


class Machines:
    """State machines as a test uses them."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.functions = RecordingFunctions(lambda event: event)
        account.add(SqsService(account.core).handlers())
        self.service = StepFunctions(account.core)
        account.add(self.service.handlers())
        account.add({("lambda", "Invoke"): self.functions.answer_call})
        self.client = account.client("stepfunctions")
        self.function = create_function(account, "worker")
        self.role = create_role(account, "machines", "states.amazonaws.com")

    def make(
        self, states: Mapping[str, Any], name: str = "orders", kind: str = "STANDARD", **definition: Any
    ) -> str:
        """A machine that begins at the first of ``states``."""
        document = {"StartAt": next(iter(states)), "States": states, **definition}
        made = self.client.create_state_machine(
            name=name, definition=json.dumps(document), roleArn=self.role, type=kind
        )
        return str(made["stateMachineArn"])

    def start(self, arn: str, given: Any = None, **options: Any) -> str:
        """Start an execution and let it run as far as it can without time passing."""
        made = self.client.start_execution(stateMachineArn=arn, input=json.dumps(given or {}), **options)
        self.account.settle()
        return str(made["executionArn"])

    def run(self, states: Mapping[str, Any], given: Any = None, seconds: float = 0, **definition: Any) -> Any:
        """The output of a machine's execution; fails when it failed."""
        execution = self.start(self.make(states, **definition), given)
        if seconds:
            self.account.advance(seconds)
        found = self.client.describe_execution(executionArn=execution)
        assert found["status"] == "SUCCEEDED", found
        return json.loads(found["output"])

    def fail(self, states: Mapping[str, Any], given: Any = None, **definition: Any) -> tuple[str, str]:
        """The error and cause of a machine's execution, which must fail."""
        execution = self.start(self.make(states, **definition), given)
        found = self.client.describe_execution(executionArn=execution)
        assert found["status"] == "FAILED", found
        return found.get("error", ""), found.get("cause", "")

    def history(self, execution: str) -> list[str]:
        """The types of an execution's events."""
        found = self.client.get_execution_history(executionArn=execution, maxResults=1000)
        return [event["type"] for event in found["events"]]


@pytest.fixture
def machines(account: Any) -> Machines:
    return Machines(account)

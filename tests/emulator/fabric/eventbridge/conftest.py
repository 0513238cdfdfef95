"""An account with EventBridge and SQS in it, and functions that record what they are given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.fabric.eventbridge import EventBridge
from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.fabric.fakes import RecordingFunctions, create_function


class Bus:
    """An account's EventBridge as a test uses it."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.functions = RecordingFunctions()
        sqs = SqsService(account.core)
        account.add(sqs.handlers())
        self.service = EventBridge(account.core, self.functions, sqs.mailroom)
        account.add(self.service.handlers())
        self.client = account.client("events")

    def rule(self, name: str = "orders", pattern: Any = None, **extra: Any) -> str:
        """A rule for events of ``shop``, unless told otherwise."""
        if "ScheduleExpression" not in extra:
            extra["EventPattern"] = json.dumps(pattern or {"source": ["shop"]})
        return str(self.client.put_rule(Name=name, **extra)["RuleArn"])

    def target(self, arn: str, rule: str = "orders", **extra: Any) -> None:
        """Give a rule its one target."""
        self.client.put_targets(Rule=rule, Targets=[{"Id": "t", "Arn": arn, **extra}])

    def open_function(self, name: str = "handler") -> str:
        """A function that EventBridge may call."""
        arn = create_function(self.account, name)
        self.account.client("lambda").add_permission(
            FunctionName=name,
            StatementId="e",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )
        return arn

    def queue(self, name: str, *, is_open: bool = True, **attributes: str) -> tuple[str, str]:
        """A queue that EventBridge may send to; its URL and ARN."""
        arn = f"arn:aws:sqs:{self.account.core.region}:{self.account.core.account_id}:{name}"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        if is_open:
            attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made = self.account.client("sqs").create_queue(QueueName=name, Attributes=attributes)
        return str(made["QueueUrl"]), arn

    def messages(self, url: str) -> list[Any]:
        """What a queue holds now."""
        found = self.account.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return list(found.get("Messages", []))

    def put(self, detail: Any = None, source: str = "shop", **extra: Any) -> Any:
        """Put one event and wait for what follows from it."""
        entry = {"Source": source, "DetailType": "order", "Detail": json.dumps(detail or {}), **extra}
        result = self.client.put_events(Entries=[entry])
        self.account.settle()
        return result

    def outcomes(self) -> list[str]:
        """What came of each delivery."""
        return [event.outcome for event in self.account.events("delivery")]


@pytest.fixture
def bus(account: Any) -> Bus:
    return Bus(account)

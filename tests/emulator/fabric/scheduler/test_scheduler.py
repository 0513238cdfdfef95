"""Schedules call their targets in their role, by the account's clock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.fabric.scheduler import Scheduler
from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.fabric.fakes import create_role, take_bodies


class Plan:
    """An account with Scheduler, a queue and a role that Scheduler may assume."""

    def __init__(self, account: Any) -> None:
        self.account = account
        account.add(SqsService(account.core).handlers())
        account.add(Scheduler(account.core).handlers())
        self.client = account.client("scheduler")
        self.sqs = account.client("sqs")
        self.queue, self.queue_arn = self.make_queue("jobs")
        self.role = self.make_role("scheduler.amazonaws.com")

    def make_role(self, service: str, **conditions: Any) -> str:
        name = f"for-{service.split('.')[0]}-{len(conditions)}"
        return create_role(self.account, name, service, "sqs:SendMessage", **conditions)

    def make_queue(self, name: str) -> tuple[str, str]:
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(url), str(found["Attributes"]["QueueArn"])

    def make(self, expression: str, name: str = "nightly", target: Any = None, **options: Any) -> str:
        options.setdefault("FlexibleTimeWindow", {"Mode": "OFF"})
        target = {"Arn": self.queue_arn, "RoleArn": self.role, "Input": '{"job": 1}', **(target or {})}
        made = self.client.create_schedule(Name=name, ScheduleExpression=expression, Target=target, **options)
        return str(made["ScheduleArn"])

    def bodies(self, url: str = "") -> list[str]:
        """Everything in a queue, taken out."""
        return take_bodies(self.sqs, url or self.queue)

    def outcomes(self) -> list[str]:
        return [event.outcome for event in self.account.events("delivery")]


@pytest.fixture
def plan(account: Any) -> Plan:
    return Plan(account)


def test_a_rate_begins_at_once_and_goes_on(plan: Plan) -> None:
    plan.make("rate(10 minutes)")
    plan.account.settle()
    assert plan.bodies() == ['{"job": 1}']
    plan.account.advance(3600)
    assert len(plan.bodies()) == 6


def test_a_one_time_schedule_can_take_itself_away(plan: Plan) -> None:
    later = plan.account.core.clock.now().replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%S")
    plan.account.advance(5)
    plan.make(f"at({later})", "past")
    plan.make("at(2100-01-01T00:00:00)", "once", ActionAfterCompletion="DELETE")
    plan.account.settle()
    assert plan.bodies() == []

    moment = plan.account.core.clock.time()
    until_2100 = 4102444800 - moment
    plan.account.advance(until_2100 + 60)
    assert plan.bodies() == ['{"job": 1}']
    with pytest.raises(ClientError, match="does not exist"):
        plan.client.get_schedule(Name="once")
    assert plan.client.get_schedule(Name="past")


def test_the_input_can_name_its_context(plan: Plan) -> None:
    arn = plan.make(
        "rate(1 hour)",
        target={"Input": '{"at": "<aws.scheduler.scheduled-time>", "of": "<aws.scheduler.schedule-arn>"}'},
    )
    plan.account.settle()
    told = json.loads(plan.bodies()[0])
    assert told["of"] == arn
    assert told["at"].endswith("Z")


def test_a_disabled_or_changed_schedule_no_longer_fires(plan: Plan) -> None:
    plan.make("rate(1 hour)", State="DISABLED")
    plan.account.advance(7200)
    assert plan.bodies() == []
    target = {"Arn": plan.queue_arn, "RoleArn": plan.role, "Input": "changed"}
    plan.client.update_schedule(
        Name="nightly", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
    )
    plan.account.advance(1800)
    assert plan.bodies() == ["changed"]
    plan.client.delete_schedule(Name="nightly")
    plan.account.advance(7200)
    assert plan.bodies() == []


def test_a_flexible_window_spreads_the_calls(plan: Plan) -> None:
    start = plan.account.core.clock.time()
    plan.make("rate(1 day)", FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15})
    plan.account.advance(15 * 60 + 1)
    [delivery] = plan.account.events("delivery")
    assert 0 < delivery.at.timestamp() - start < 15 * 60 + 1


def test_a_universal_target_calls_any_api(plan: Plan) -> None:
    plan.make(
        "rate(1 hour)",
        target={
            "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            "Input": json.dumps({"QueueUrl": plan.queue, "MessageBody": "universal"}),
        },
    )
    plan.account.settle()
    assert plan.bodies() == ["universal"]


def test_a_call_that_is_refused_ends_in_the_dead_letter_queue(plan: Plan) -> None:
    dead, dead_arn = plan.make_queue("dead")
    missing = plan.queue_arn.replace("jobs", "nowhere")
    arn = plan.make("rate(1 day)", target={"Arn": missing, "DeadLetterConfig": {"Arn": dead_arn}})
    plan.account.settle()

    [message] = plan.sqs.receive_message(QueueUrl=dead, MessageAttributeNames=["All"])["Messages"]
    attributes = {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
    assert attributes["SCHEDULE_ARN"] == arn
    assert attributes["TARGET_ARN"] == missing
    assert attributes["RETRY_ATTEMPTS"] == "0"
    assert "NonExistentQueue" in attributes["ERROR_CODE"] or "QueueDoesNotExist" in attributes["ERROR_CODE"]
    assert json.loads(message["Body"])["MessageBody"] == '{"job": 1}'
    assert plan.outcomes() == ["dead-lettered"]


def test_the_role_has_to_trust_scheduler(plan: Plan) -> None:
    other = plan.make_role("events.amazonaws.com")
    elsewhere = plan.make_role("scheduler.amazonaws.com", StringEquals={"aws:SourceAccount": "999999999999"})
    for role in (other, elsewhere, plan.role.replace("for", "no")):
        with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
            plan.make("rate(1 hour)", target={"RoleArn": role})


@pytest.mark.parametrize(
    ("expression", "options", "says"),
    [
        ("rate(1 hours)", {}, "Invalid Schedule Expression"),
        ("cron(0 12 * * * *)", {}, "Invalid Schedule Expression"),
        ("rate(1 hour)", {"ScheduleExpressionTimezone": "Europe/Tallin"}, "Timezone Europe/Tallin"),
        ("rate(1 hour)", {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
    ],
)
def test_what_scheduler_refuses(plan: Plan, expression: str, options: Any, says: str) -> None:
    with pytest.raises(ClientError, match=says):
        plan.make(expression, **options)

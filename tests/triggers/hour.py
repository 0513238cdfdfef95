"""One hour of an account in which much happens by itself: schedules, retries, waits, alarms."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.triggers.world import World

SECONDS = 3600
_POISONED, _EVENTS = 5, 10


class Hour:
    """Makes the resources; what has to have happened an hour later is checked by :meth:`check`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scheduled, self._dead, self._told = world.queue(), world.queue(), world.queue()
        self._alarm = self._make_alarm()
        self._make_schedules()
        self._machine = self._make_machine()
        self._poison()
        for number in range(_EVENTS):
            payload = json.dumps({"n": number}).encode()
            world.client("lambda").invoke(FunctionName="fails", InvocationType="Event", Payload=payload)

    def _make_schedules(self) -> None:
        world, scheduler = self._world, self._world.client("scheduler")
        world.rule({"Arn": world.works}, ScheduleExpression="rate(1 minute)")
        name = world.name("schedule")
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression="rate(5 minutes)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"RoleArn": world.role, "Arn": self._scheduled.arn, "Input": "{}"},
        )
        world.undo(lambda: scheduler.delete_schedule(Name=name))

    def _make_machine(self) -> str:
        """Waits a quarter of an hour, then tries six times with waits that double."""
        world = self._world
        task = {
            "Type": "Task",
            "Resource": world.fails,
            "Retry": [
                {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30, "MaxAttempts": 5, "BackoffRate": 2}
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            "End": True,
        }
        wait = {"Type": "Wait", "Seconds": 900, "Next": "Task"}
        machine = world.machine({"Wait": wait, "Task": task, "Caught": {"Type": "Succeed"}})
        world.client("stepfunctions").start_execution(stateMachineArn=machine, input='{"from": "machine"}')
        return machine

    def _make_alarm(self) -> str:
        world, cloudwatch, name = self._world, self._world.client("cloudwatch"), self._world.name("alarm")
        topic = world.topic()
        world.subscribe(topic, "sqs", self._told.arn, RawMessageDelivery="true")
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Dimensions=[{"Name": "FunctionName", "Value": "fails"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[topic],
            OKActions=[topic],
        )
        world.undo(lambda: cloudwatch.delete_alarms(AlarmNames=[name]))
        return name

    def _poison(self) -> None:
        """Messages that fail until their queue gives them up."""
        world, api = self._world, self._world.client("lambda")
        queue = world.queue(dead=self._dead, VisibilityTimeout=300)
        made = api.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName="fails", BatchSize=1)
        world.settle()
        world.undo(lambda: api.delete_event_source_mapping(UUID=made["UUID"]))
        for number in range(_POISONED):
            queue.send(json.dumps({"poison": number}))

    def check(self) -> None:
        """Everything happened, as often as it had to."""
        sources = Counter(
            event["detail"]["source"].split(":")[0]
            for event in self._world.events("invocation")
            if event["subject"] in ("works", "fails")
        )
        [execution] = self._world.executions(self._machine)
        assert execution["status"] == "SUCCEEDED"
        assert sources["events"] in (59, 60)
        assert sources["sqs"] == 3 * _POISONED
        assert sources["api"] == 3 * _EVENTS + 6
        assert len(self._scheduled.messages()) in (12, 13)
        assert len(self._dead.messages()) == _POISONED
        states = [json.loads(message["Body"])["NewStateValue"] for message in self._told.messages()]
        assert {"ALARM", "OK"} <= set(states)
        assert self.at_rest() == "OK"

    def at_rest(self) -> Any:
        """The alarm's state."""
        found = self._world.client("cloudwatch").describe_alarms(AlarmNames=[self._alarm])
        return found["MetricAlarms"][0]["StateValue"]

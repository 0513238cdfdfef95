"""From PutEvents to targets, with retries and dead letters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.fabric.eventbridge.targets import DeliveryFailed
from sandbox.emulator.fabric.stepfunctions import StepFunctions
from tests.emulator.fabric.eventbridge.conftest import Bus
from tests.emulator.fabric.fakes import create_function, create_role


def test_a_function_gets_the_event_in_its_envelope(account: Any, bus: Bus) -> None:
    bus.rule()
    bus.target(bus.open_function())
    result = bus.put({"n": 1}, Resources=["arn:x"])
    (call,) = bus.functions.invocations
    assert call.kind == "async"
    assert call.source == "events:orders"
    event = dict(call.event)
    assert event.pop("time").endswith("Z")
    assert event == {
        "version": "0",
        "id": result["Entries"][0]["EventId"],
        "detail-type": "order",
        "source": "shop",
        "account": account.core.account_id,
        "region": account.core.region,
        "resources": ["arn:x"],
        "detail": {"n": 1},
    }
    assert bus.outcomes() == ["ok"]


def test_entries_are_judged_one_by_one(bus: Bus) -> None:
    good = {"Source": "shop", "DetailType": "order", "Detail": "{}"}
    entries = [good, {**good, "Source": "aws.s3"}, {**good, "Detail": "[1]"}, {**good, "Detail": "{"}]
    result = bus.client.put_events(Entries=[*entries, {"Source": "shop", "DetailType": "order"}])
    codes = [entry.get("ErrorCode", "") for entry in result["Entries"]]
    assert codes == [
        "",
        "NotAuthorizedForSourceException",
        "MalformedDetail",
        "MalformedDetail",
        "InvalidArgument",
    ]
    assert result["FailedEntryCount"] == 4


def test_too_many_entries_and_too_many_bytes_are_refused(bus: Bus) -> None:
    good = {"Source": "shop", "DetailType": "order", "Detail": "{}"}
    with pytest.raises(bus.client.exceptions.ClientError, match="less than or equal to 10"):
        bus.client.put_events(Entries=[good] * 11)
    big = {**good, "Detail": json.dumps({"x": "a" * 600_000})}
    with pytest.raises(bus.client.exceptions.ClientError, match="over the limit"):
        bus.client.put_events(Entries=[big, big])


def test_a_rule_that_does_not_match_or_is_disabled_delivers_nothing(bus: Bus) -> None:
    bus.rule(pattern={"source": ["shop"], "detail": {"n": [{"numeric": [">", 5]}]}})
    bus.target(bus.open_function())
    bus.put({"n": 5})
    assert not bus.functions.events
    bus.client.disable_rule(Name="orders")
    bus.put({"n": 6})
    assert not bus.functions.events
    bus.client.enable_rule(Name="orders")
    bus.put({"n": 6})
    assert len(bus.functions.events) == 1


def test_events_of_a_bus_stay_on_it(account: Any, bus: Bus) -> None:
    made = bus.client.create_event_bus(Name="own")
    bus.rule(EventBusName="own")
    bus.client.put_targets(
        Rule="orders", EventBusName="own", Targets=[{"Id": "t", "Arn": bus.open_function()}]
    )
    bus.put()
    assert not bus.functions.events
    bus.put(EventBusName=made["EventBusArn"])
    assert len(bus.functions.events) == 1
    assert "EventId" in bus.put(EventBusName="missing")["Entries"][0]
    assert bus.outcomes()[-1] == "no such event bus"


def test_a_function_that_does_not_let_eventbridge_in_is_not_called(account: Any, bus: Bus) -> None:
    url, arn = bus.queue("dead")
    bus.rule()
    bus.target(create_function(account, "closed"), DeadLetterConfig={"Arn": arn})
    bus.put({"n": 1})
    assert not bus.functions.events
    (message,) = bus.messages(url)
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert attributes["RULE_ARN"].endswith(":rule/orders")
    assert attributes["TARGET_ARN"].endswith(":function:closed")
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    assert bus.outcomes() == ["dead-lettered"]


def test_a_permission_may_name_the_rule(account: Any, bus: Bus) -> None:
    rule_arn = bus.rule()
    arn = create_function(account, "narrow")
    account.client("lambda").add_permission(
        FunctionName="narrow",
        StatementId="e",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule_arn,
    )
    bus.rule("other")
    bus.target(arn)
    bus.target(arn, "other")
    bus.put()
    assert [call.source for call in bus.functions.invocations] == ["events:orders"]


def test_queues_get_messages(bus: Bus) -> None:
    url, arn = bus.queue("q")
    fifo_url, fifo_arn = bus.queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    bus.rule()
    bus.client.put_targets(
        Rule="orders",
        Targets=[
            {"Id": "a", "Arn": arn, "InputPath": "$.detail"},
            {"Id": "b", "Arn": fifo_arn, "SqsParameters": {"MessageGroupId": "g"}, "Input": '"hi"'},
        ],
    )
    bus.put({"n": 1})
    assert [message["Body"] for message in bus.messages(url)] == ['{"n":1}']
    assert [message["Body"] for message in bus.messages(fifo_url)] == ['"hi"']


def test_a_queue_that_is_closed_or_gone_gets_nothing(bus: Bus) -> None:
    url, arn = bus.queue("closed", is_open=False)
    bus.rule()
    bus.target(arn)
    bus.put()
    assert not bus.messages(url)
    assert bus.account.events("delivery")[-1].detail["error"] == "NO_PERMISSIONS"
    bus.account.client("sqs").delete_queue(QueueUrl=url)
    bus.put()
    assert bus.account.events("delivery")[-1].detail["error"] == "NO_RESOURCE"


def test_log_groups_get_lines_if_their_policy_says_so(account: Any, bus: Bus) -> None:
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/aws/events/orders")
    group = f"arn:aws:logs:{account.core.region}:{account.core.account_id}:log-group:/aws/events/orders"
    bus.rule()
    bus.target(group)
    bus.put({"n": 1})
    assert bus.outcomes() == ["failed"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{group}:*",
    }
    logs.put_resource_policy(
        policyName="events",
        policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    bus.put({"n": 2})
    stream = logs.describe_log_streams(logGroupName="/aws/events/orders")["logStreams"][0]["logStreamName"]
    found = logs.get_log_events(logGroupName="/aws/events/orders", logStreamName=stream)["events"]
    assert json.loads(found[0]["message"])["detail"] == {"n": 2}


def test_another_bus_gets_the_same_event_and_a_circle_ends(account: Any, bus: Bus) -> None:
    other = bus.client.create_event_bus(Name="other")["EventBusArn"]
    default = f"arn:aws:events:{account.core.region}:{account.core.account_id}:event-bus/default"
    bus.rule()
    bus.target(other)
    bus.client.put_rule(Name="back", EventPattern='{"source": ["shop"]}', EventBusName="other")
    bus.client.put_targets(
        Rule="back",
        EventBusName="other",
        Targets=[{"Id": "b", "Arn": default}, {"Id": "f", "Arn": bus.open_function()}],
    )
    event_id = bus.put()["Entries"][0]["EventId"]
    assert {event["id"] for event in bus.functions.events} == {event_id}
    errors = [event.detail.get("error") for event in account.events("delivery")]
    assert errors.count("EVENT_LOOP_DETECTED") == 1


def test_what_fails_for_a_while_is_tried_again_within_its_retry_policy(
    account: Any, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, dead = bus.queue("dead")
    bus.rule()
    bus.target(
        bus.open_function(),
        RetryPolicy={"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600},
        DeadLetterConfig={"Arn": dead},
    )

    def fail(*_arguments: Any, **_options: Any) -> str:
        raise DeliveryFailed("THROTTLING", "Rate exceeded", retry=True)

    monkeypatch.setattr(bus.functions, "invoke_async", fail)
    bus.put()
    account.advance(60)
    assert bus.outcomes() == ["retry", "retry", "retry", "dead-lettered"]
    (message,) = bus.messages(url)
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert attributes["RETRY_ATTEMPTS"] == "3"


def test_a_target_we_do_not_emulate_is_our_gap(account: Any, bus: Bus) -> None:
    bus.rule()
    bus.target(f"arn:aws:ecs:{account.core.region}:{account.core.account_id}:cluster/m")
    bus.put()
    assert account.events("gap")[-1].subject == "events:orders"


def test_topics_get_messages(account: Any, bus: Bus) -> None:
    sns = account.client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    bus.rule()
    bus.target(topic)
    bus.put()
    assert bus.outcomes() == ["failed"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    bus.put()
    assert bus.outcomes()[-1] == "ok"
    (publish,) = [event for event in account.events("api") if event.subject == "sns:Publish"]
    assert publish.detail["principal"] == "events.amazonaws.com"


def _role(bus: Any, *actions: str, service: str = "events.amazonaws.com") -> str:
    """A role that ``service`` may assume and that may do ``actions``."""
    return create_role(bus.account, f"role-{service.split('.')[0]}", service, *actions)


def test_a_state_machine_is_started_in_the_targets_role(bus: Any) -> None:
    bus.account.add(StepFunctions(bus.account.core, bus.service).handlers())
    machines = bus.account.client("stepfunctions")
    definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "OutputPath": "$.detail", "End": True}}}
    machine = machines.create_state_machine(
        name="orders",
        definition=json.dumps(definition),
        roleArn=_role(bus, service="states.amazonaws.com"),
    )["stateMachineArn"]
    bus.rule()
    bus.target(machine, RoleArn=_role(bus, "states:StartExecution"))

    bus.put({"id": 7})

    [execution] = machines.list_executions(stateMachineArn=machine)["executions"]
    found = machines.describe_execution(executionArn=execution["executionArn"])
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"id": 7})
    # The machine's own events have no rule.
    assert sorted(bus.outcomes()) == ["no rule matched", "no rule matched", "ok"]


def test_a_stream_gets_the_event_under_its_key(bus: Any) -> None:
    kinesis = bus.account.client("kinesis")
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamARN"]
    bus.rule()
    bus.target(
        arn,
        RoleArn=_role(bus, "kinesis:PutRecord"),
        KinesisParameters={"PartitionKeyPath": "$.detail.customer"},
    )
    bus.put({"customer": "c-1"})
    iterator = kinesis.get_shard_iterator(
        StreamName="orders", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    [record] = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert record["PartitionKey"] == "c-1"
    assert json.loads(record["Data"])["detail"] == {"customer": "c-1"}


def test_a_target_whose_role_does_not_trust_events_is_refused(bus: Any) -> None:
    url, arn = bus.queue("dead")
    bus.rule()
    machine = "arn:aws:states:eu-north-1:111122223333:stateMachine:orders"
    bus.target(machine, RoleArn=_role(bus, service="ec2.amazonaws.com"), DeadLetterConfig={"Arn": arn})
    bus.put()
    [message] = bus.messages(url)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_bus_in_another_region_is_sent_to_in_the_target_s_role(
    account: Any, bus: Bus, allowed: bool
) -> None:
    there = "ap-southeast-2"
    other = f"arn:aws:events:{there}:{account.core.account_id}:event-bus/default"
    trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": other if allowed else f"{other}2"}
    iam = account.client("iam")
    role = iam.create_role(
        RoleName="forward", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_role_policy(RoleName="forward", PolicyName="forward", PolicyDocument=document)
    bus.rule()
    bus.target(other, RoleArn=role)
    events, sqs = account.client("events", there), account.client("sqs", there)
    url = sqs.create_queue(QueueName="there")["QueueUrl"]
    arn = f"arn:aws:sqs:{there}:{account.core.account_id}:there"
    statement = {**trust, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "q", "Arn": arn}])

    bus.client.put_events(Entries=[{"Source": "shop", "DetailType": "sold", "Detail": "{}"}])
    account.settle()

    found = sqs.receive_message(QueueUrl=url).get("Messages", [])
    assert [json.loads(each["Body"])["region"] for each in found] == [account.core.region] * allowed

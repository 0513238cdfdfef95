"""Queues, topics and buses that stacks make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.cloudformation.resources.base import ResourceFailed


def attributes(stack: Any, url: str) -> dict[str, str]:
    found: dict[str, str] = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    return found


def policy(action: str, resource: str) -> dict[str, Any]:
    principal = {"Service": "events.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_an_api_destination_with_its_connection(stack: Any) -> None:
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "k"}}
    old = {"AuthorizationType": "API_KEY", "AuthParameters": key, "Description": "partner"}
    connection = stack.create("Events::Connection", old, "Partner")
    basis = {"ConnectionArn": connection.attributes["Arn"], "HttpMethod": "POST"}
    first = {**basis, "InvocationEndpoint": "https://example.com/a", "InvocationRateLimitPerSecond": "5"}
    destination = stack.create("Events::ApiDestination", first, "Orders")

    events = stack.client("events")
    assert connection.physical_id.startswith("shop-Partner-")
    assert set(connection.attributes) == {"Arn", "ArnForPolicy", "SecretArn"}
    assert destination.attributes["Arn"].startswith(f"{destination.attributes['ArnForPolicy']}/")
    new = {**old, "AuthorizationType": "BASIC", "Description": "new"}
    new["AuthParameters"] = {"BasicAuthParameters": {"Username": "u", "Password": "p"}}
    stack.update("Events::Connection", connection, old, new)
    second = {**basis, "InvocationEndpoint": "https://example.com/b"}
    stack.update("Events::ApiDestination", destination, first, second)

    told = events.describe_connection(Name=connection.physical_id)
    assert (told["AuthorizationType"], told["Description"]) == ("BASIC", "new")
    assert told["AuthParameters"] == {"BasicAuthParameters": {"Username": "u"}}
    found = events.describe_api_destination(Name=destination.physical_id)
    assert found["InvocationEndpoint"] == "https://example.com/b"
    stack.delete("Events::ApiDestination", destination, second)
    stack.delete("Events::Connection", connection, new)
    assert events.list_connections()["Connections"] == []


def test_a_queue_has_its_template_settings(stack: Any) -> None:
    dead = stack.create("SQS::Queue", {}, "DeadLetters")
    old = {
        "DelaySeconds": "5",
        "VisibilityTimeout": 180,
        "MessageRetentionPeriod": 1209600,
        "ReceiveMessageWaitTimeSeconds": 20,
        "MaximumMessageSize": 2048,
        "RedrivePolicy": {"deadLetterTargetArn": dead.attributes["Arn"], "maxReceiveCount": 3},
        "Tags": [{"Key": "team", "Value": "shop"}],
    }

    queue = stack.create("SQS::Queue", old, "OrderQueue")

    found = attributes(stack, queue.physical_id)
    assert queue.attributes["QueueName"].startswith("shop-OrderQueue-")
    assert queue.attributes["QueueUrl"] == queue.physical_id
    assert queue.attributes["Arn"] == found["QueueArn"]
    assert (found["DelaySeconds"], found["VisibilityTimeout"]) == ("5", "180")
    assert (found["MessageRetentionPeriod"], found["MaximumMessageSize"]) == ("1209600", "2048")
    assert found["ReceiveMessageWaitTimeSeconds"] == "20"
    assert json.loads(found["RedrivePolicy"])["deadLetterTargetArn"] == dead.attributes["Arn"]
    sqs = stack.client("sqs")
    assert sqs.list_queue_tags(QueueUrl=queue.physical_id)["Tags"] == {"team": "shop"}

    stack.update("SQS::Queue", queue, old, {"VisibilityTimeout": 60})

    found = attributes(stack, queue.physical_id)
    assert (found["DelaySeconds"], found["VisibilityTimeout"]) == ("0", "60")
    assert not found.get("RedrivePolicy")
    assert not sqs.list_queue_tags(QueueUrl=queue.physical_id).get("Tags")
    stack.delete("SQS::Queue", queue, {})


def test_a_fifo_queue_is_named_as_one(stack: Any) -> None:
    queue = stack.create("SQS::Queue", {"FifoQueue": "true", "ContentBasedDeduplication": True}, "Orders")
    plain = stack.create("SQS::Queue", {"FifoQueue": False}, "Others")

    found = attributes(stack, queue.physical_id)
    assert queue.physical_id.endswith(".fifo")
    assert (found["FifoQueue"], found["ContentBasedDeduplication"]) == ("true", "true")
    assert "FifoQueue" not in attributes(stack, plain.physical_id)


def test_a_queue_of_that_name_already_exists(stack: Any) -> None:
    stack.create("SQS::Queue", {"QueueName": "orders"})

    with pytest.raises(ResourceFailed, match="'AWS::SQS::Queue' with identifier 'orders' already exists"):
        stack.create("SQS::Queue", {"QueueName": "orders"})


def test_a_queue_policy_follows_its_queues(stack: Any) -> None:
    first = stack.create("SQS::Queue", {"QueueName": "first"})
    second = stack.create("SQS::Queue", {"QueueName": "second"})
    document = policy("sqs:SendMessage", "*")
    old = {"Queues": [first.physical_id], "PolicyDocument": document}
    new = {"Queues": [second.physical_id], "PolicyDocument": document}

    made = stack.create("SQS::QueuePolicy", old)
    stack.update("SQS::QueuePolicy", made, old, new)

    assert not attributes(stack, first.physical_id).get("Policy")
    assert json.loads(attributes(stack, second.physical_id)["Policy"]) == document
    stack.delete("SQS::QueuePolicy", made, new)
    assert not attributes(stack, second.physical_id).get("Policy")


def test_a_topic_with_subscriptions_of_its_own(stack: Any) -> None:
    queue = stack.create("SQS::Queue", {"QueueName": "orders"})
    old = {
        "DisplayName": "Orders",
        "Subscription": [{"Protocol": "sqs", "Endpoint": queue.attributes["Arn"]}],
    }

    topic = stack.create("SNS::Topic", old, "OrderTopic")

    sns = stack.client("sns")
    found = sns.get_topic_attributes(TopicArn=topic.physical_id)["Attributes"]
    assert topic.attributes["TopicName"].startswith("shop-OrderTopic-")
    assert topic.attributes["TopicArn"] == topic.physical_id
    assert found["DisplayName"] == "Orders"
    listed = sns.list_subscriptions_by_topic(TopicArn=topic.physical_id)["Subscriptions"]
    assert [entry["Endpoint"] for entry in listed] == [queue.attributes["Arn"]]
    labels = sns.list_tags_for_resource(ResourceArn=topic.physical_id)["Tags"]
    assert {"Key": "aws:cloudformation:stack-name", "Value": "shop"} in labels

    stack.update("SNS::Topic", topic, old, {})

    assert sns.get_topic_attributes(TopicArn=topic.physical_id)["Attributes"].get("DisplayName", "") == ""
    assert sns.list_subscriptions_by_topic(TopicArn=topic.physical_id)["Subscriptions"] == []
    stack.delete("SNS::Topic", topic, {})
    assert sns.list_topics()["Topics"] == []


def test_a_fifo_topic(stack: Any) -> None:
    topic = stack.create("SNS::Topic", {"FifoTopic": True, "ContentBasedDeduplication": "true"})

    found = stack.client("sns").get_topic_attributes(TopicArn=topic.physical_id)["Attributes"]
    assert topic.physical_id.endswith(".fifo")
    assert (found["FifoTopic"], found["ContentBasedDeduplication"]) == ("true", "true")


def test_a_subscription_filters_and_changes_in_place(stack: Any) -> None:
    topic = stack.create("SNS::Topic", {"TopicName": "orders"})
    queue = stack.create("SQS::Queue", {"QueueName": "orders"})
    dead = stack.create("SQS::Queue", {"QueueName": "dead"})
    basis = {
        "TopicArn": topic.physical_id,
        "Protocol": "sqs",
        "Endpoint": queue.attributes["Arn"],
    }
    old = {
        **basis,
        "FilterPolicy": {"kind": ["order"]},
        "FilterPolicyScope": "MessageBody",
        "RawMessageDelivery": "true",
        "RedrivePolicy": {"deadLetterTargetArn": dead.attributes["Arn"]},
    }

    made = stack.create("SNS::Subscription", old)

    sns = stack.client("sns")
    found = sns.get_subscription_attributes(SubscriptionArn=made.physical_id)["Attributes"]
    assert made.physical_id.startswith(f"{topic.physical_id}:")
    assert json.loads(found["FilterPolicy"]) == {"kind": ["order"]}
    assert (found["FilterPolicyScope"], found["RawMessageDelivery"]) == ("MessageBody", "true")
    assert json.loads(found["RedrivePolicy"]) == {"deadLetterTargetArn": dead.attributes["Arn"]}

    stack.update("SNS::Subscription", made, old, {**basis, "FilterPolicy": {"kind": ["refund"]}})

    found = sns.get_subscription_attributes(SubscriptionArn=made.physical_id)["Attributes"]
    assert json.loads(found["FilterPolicy"]) == {"kind": ["refund"]}
    assert found["RawMessageDelivery"] == "false"
    stack.delete("SNS::Subscription", made, basis)
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_a_topic_policy_gives_way_to_the_first_one(stack: Any) -> None:
    topic = stack.create("SNS::Topic", {"TopicName": "orders"})
    document = policy("sns:Publish", topic.physical_id)
    properties = {"Topics": [topic.physical_id], "PolicyDocument": document}

    made = stack.create("SNS::TopicPolicy", properties)

    sns = stack.client("sns")
    found = sns.get_topic_attributes(TopicArn=topic.physical_id)["Attributes"]["Policy"]
    assert json.loads(found) == document
    stack.delete("SNS::TopicPolicy", made, properties)
    found = json.loads(sns.get_topic_attributes(TopicArn=topic.physical_id)["Attributes"]["Policy"])
    assert found["Id"] == "__default_policy_ID"


def test_a_rule_and_its_targets(stack: Any) -> None:
    queue = stack.create("SQS::Queue", {"QueueName": "orders"})
    bus = stack.create("Events::EventBus", {"Name": "shop"})
    first = {"Id": "first", "Arn": queue.attributes["Arn"], "Input": '{"a":1}'}
    second = {
        "Id": "second",
        "Arn": queue.attributes["Arn"],
        "InputTransformer": {"InputPathsMap": {"id": "$.detail.id"}, "InputTemplate": '{"id": <id>}'},
        "RetryPolicy": {"MaximumRetryAttempts": "2", "MaximumEventAgeInSeconds": 60},
        "DeadLetterConfig": {"Arn": queue.attributes["Arn"]},
    }
    old = {
        "EventBusName": bus.attributes["Arn"],
        "EventPattern": {"source": ["shop.orders"]},
        "Description": "orders",
        "Targets": [first],
    }
    rule = stack.create("Events::Rule", old, "OrderRule")

    events = stack.client("events")
    assert rule.physical_id.startswith("shop|shop-OrderRule-")
    name = rule.physical_id.split("|")[1]
    found = events.describe_rule(Name=name, EventBusName="shop")
    assert rule.attributes == {"Arn": found["Arn"], "RuleName": name}
    assert json.loads(found["EventPattern"]) == {"source": ["shop.orders"]}

    new = {**old, "State": "DISABLED", "Targets": [second]}
    stack.update("Events::Rule", rule, old, new)

    assert events.describe_rule(Name=name, EventBusName="shop")["State"] == "DISABLED"
    targets = events.list_targets_by_rule(Rule=name, EventBusName="shop")["Targets"]
    assert [target["Id"] for target in targets] == ["second"]
    assert targets[0]["InputTransformer"]["InputPathsMap"] == {"id": "$.detail.id"}
    assert targets[0]["RetryPolicy"]["MaximumRetryAttempts"] == 2
    assert targets[0]["DeadLetterConfig"] == {"Arn": queue.attributes["Arn"]}
    stack.delete("Events::Rule", rule, new)
    stack.delete("Events::EventBus", bus, {"Name": "shop"})


def test_a_scheduled_rule_is_referred_to_by_its_name(stack: Any) -> None:
    rule = stack.create("Events::Rule", {"Name": "hourly", "ScheduleExpression": "rate(1 hour)"})

    assert rule.physical_id == "hourly"
    found = stack.client("events").describe_rule(Name="hourly")
    assert found["ScheduleExpression"] == "rate(1 hour)"


def test_a_bus_policy_adds_a_statement(stack: Any) -> None:
    bus = stack.create("Events::EventBus", {"Name": "shop"})
    simple = {
        "EventBusName": "shop",
        "StatementId": "simple",
        "Action": "events:PutEvents",
        "Principal": "444455556666",
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": "events:PutEvents",
        "Resource": bus.attributes["Arn"],
    }
    full = {"EventBusName": "shop", "StatementId": "full", "Statement": statement}

    first = stack.create("Events::EventBusPolicy", simple)
    second = stack.create("Events::EventBusPolicy", full)

    events = stack.client("events")
    found = json.loads(events.describe_event_bus(Name="shop")["Policy"])["Statement"]
    assert {entry["Sid"] for entry in found} == {"simple", "full"}
    stack.delete("Events::EventBusPolicy", first, simple)
    found = json.loads(events.describe_event_bus(Name="shop")["Policy"])["Statement"]
    assert [entry["Sid"] for entry in found] == ["full"]
    stack.delete("Events::EventBusPolicy", second, full)


def test_an_archive_of_a_bus(stack: Any) -> None:
    bus = stack.create("Events::EventBus", {"Name": "shop"})
    old = {"SourceArn": bus.attributes["Arn"], "RetentionDays": "7", "EventPattern": {"source": ["shop"]}}

    archive = stack.create("Events::Archive", old)
    stack.update("Events::Archive", archive, old, {"SourceArn": bus.attributes["Arn"], "RetentionDays": 1})

    found = stack.client("events").describe_archive(ArchiveName=archive.physical_id)
    assert found["RetentionDays"] == 1
    stack.delete("Events::Archive", archive, old)


def test_a_schedule_calls_its_target_until_it_is_deleted(stack: Any) -> None:
    group = stack.create("Scheduler::ScheduleGroup", {}, "Nightly")
    queue = stack.create("SQS::Queue", {}, "Jobs")
    target = {
        "Arn": queue.attributes["Arn"],
        "RoleArn": stack.role("scheduler", "scheduler.amazonaws.com"),
        "Input": "run",
    }
    old = {
        "GroupName": group.physical_id,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ScheduleExpression": "cron(0 2 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Tallinn",
        "Target": target,
    }
    schedule = stack.create("Scheduler::Schedule", old, "Reconcile")
    assert schedule.physical_id.startswith("shop-Reconcile-")
    assert schedule.attributes["Arn"].endswith(f"schedule/{group.physical_id}/{schedule.physical_id}")

    stack.account.advance(25 * 3600)
    assert attributes(stack, queue.physical_id)["ApproximateNumberOfMessages"] == "1"
    stack.update("Scheduler::Schedule", schedule, old, {**old, "State": "DISABLED"})
    stack.account.advance(25 * 3600)
    assert attributes(stack, queue.physical_id)["ApproximateNumberOfMessages"] == "1"
    stack.delete("Scheduler::Schedule", schedule, old)
    stack.delete("Scheduler::ScheduleGroup", group, {})

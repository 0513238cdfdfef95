"""Asynchronous invocation on the account's clock: retries, age, dead letters, destinations."""

from __future__ import annotations

import json
from typing import Any

FAILING = """
def handler(event, context):
    print("attempt", context.aws_request_id)
    raise RuntimeError("it is down")
"""
ANSWERING = "def handler(event, context):\n    return {'done': event}\n"


def queue(functions: Any, name: str) -> tuple[str, str]:
    client = functions.account.client("sqs")
    url = client.create_queue(QueueName=name)["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    services = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
    statement = {"Effect": "Allow", "Principal": services, "Action": "sqs:SendMessage", "Resource": arn}
    client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [statement]})})
    return url, arn


def received(functions: Any, url: str) -> list[dict[str, Any]]:
    answer = functions.account.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def send(functions: Any, payload: Any, name: str = "fn", **parameters: Any) -> str:
    answer = functions.invoke(payload, name, InvocationType="Event", **parameters)
    assert (answer["StatusCode"], answer["Payload"]) == (202, None)
    return str(answer["ResponseMetadata"]["RequestId"])


def configure(functions: Any, **settings: Any) -> None:
    functions.api.put_function_event_invoke_config(FunctionName="fn", **settings)


def test_an_event_is_run_once_when_the_function_succeeds(functions: Any) -> None:
    functions.create(ANSWERING)

    request_id = send(functions, {"n": 1})
    functions.account.settle()

    [invocation] = functions.events("invocation")
    assert (invocation.detail["request_id"], invocation.outcome) == (request_id, "ok")


def test_a_failed_event_is_retried_after_one_and_two_minutes(functions: Any) -> None:
    functions.create(FAILING)
    request_id = send(functions, {})
    functions.account.settle()

    def attempts() -> int:
        return len(functions.events("invocation"))

    assert attempts() == 1
    functions.account.advance(59)
    assert attempts() == 1
    functions.account.advance(2)
    assert attempts() == 2
    functions.account.advance(118)
    assert attempts() == 2
    functions.account.advance(3)
    assert attempts() == 3
    functions.account.advance(6 * 3600)
    assert attempts() == 3
    assert {event.detail["request_id"] for event in functions.events("invocation")} == {request_id}
    [lost] = functions.events("delivery")
    assert (lost.outcome, lost.detail["reason"]) == ("dropped", "RetriesExhausted")


def test_a_dead_letter_is_the_event_with_the_error(functions: Any) -> None:
    url, arn = queue(functions, "dead")
    functions.create(FAILING, DeadLetterConfig={"TargetArn": arn})
    request_id = send(functions, {"order": 7})

    functions.account.advance(600)

    [message] = received(functions, url)
    assert json.loads(message["Body"]) == {"order": 7}
    values = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert values == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "it is down"}


def test_a_topic_can_be_the_dead_letter_target(functions: Any) -> None:
    url, queue_arn = queue(functions, "listening")
    sns = functions.account.client("sns")
    topic = sns.create_topic(Name="dead")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    functions.create(FAILING, DeadLetterConfig={"TargetArn": topic})
    configure(functions, MaximumRetryAttempts=0)
    send(functions, {"order": 7})

    functions.account.settle()

    [message] = received(functions, url)
    assert json.loads(json.loads(message["Body"])["Message"]) == {"order": 7}


def test_the_failure_destination_gets_the_whole_story(functions: Any) -> None:
    url, arn = queue(functions, "failures")
    functions.create(FAILING)
    configure(functions, DestinationConfig={"OnFailure": {"Destination": arn}})
    request_id = send(functions, {"order": 7})

    functions.account.advance(600)

    [message] = received(functions, url)
    record = json.loads(message["Body"])
    function_arn = functions.api.get_function(FunctionName="fn")["Configuration"]["FunctionArn"]
    assert record["version"] == "1.0"
    assert record["timestamp"].endswith("Z")
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": f"{function_arn}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert record["requestPayload"] == {"order": 7}
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorMessage"] == "it is down"
    [delivery] = functions.events("delivery")
    assert (delivery.outcome, delivery.detail["target"]) == ("ok", arn)


def test_the_success_destination_gets_the_response(functions: Any) -> None:
    url, arn = queue(functions, "successes")
    functions.create(ANSWERING)
    configure(functions, DestinationConfig={"OnSuccess": {"Destination": arn}})
    send(functions, {"order": 7})

    functions.account.settle()

    [message] = received(functions, url)
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert record["responsePayload"] == {"done": {"order": 7}}


def test_a_function_can_be_a_destination(functions: Any) -> None:
    functions.create(ANSWERING)
    functions.create("def handler(event, context):\n    print('GOT', event['requestPayload'])\n", name="next")
    arn = functions.api.get_function(FunctionName="next")["Configuration"]["FunctionArn"]
    configure(functions, DestinationConfig={"OnSuccess": {"Destination": arn}})
    send(functions, {"order": 7})

    functions.account.settle()

    assert "GOT {'order': 7}" in functions.logs("next")


def test_an_event_bus_can_be_a_destination(functions: Any) -> None:
    url, queue_arn = queue(functions, "bus-events")
    events = functions.account.client("events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["lambda"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "1", "Arn": queue_arn}])
    bus = f"arn:aws:events:{functions.core.region}:{functions.core.account_id}:event-bus/default"
    functions.create(FAILING)
    configure(functions, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": bus}})
    send(functions, {"order": 7})

    functions.account.settle()

    [message] = received(functions, url)
    event = json.loads(message["Body"])
    assert event["detail-type"] == "Lambda Function Invocation Result - Failure"
    assert event["detail"]["requestPayload"] == {"order": 7}
    assert event["resources"][0] == bus


def test_a_destination_that_is_gone_is_recorded(functions: Any) -> None:
    arn = f"arn:aws:sqs:{functions.core.region}:{functions.core.account_id}:nowhere"
    functions.create(ANSWERING)
    configure(functions, DestinationConfig={"OnSuccess": {"Destination": arn}})
    send(functions, {})

    functions.account.settle()

    [delivery] = functions.events("delivery")
    assert "NonExistentQueue" in delivery.outcome or "QueueDoesNotExist" in delivery.outcome


def test_the_number_of_retries_can_be_set(functions: Any) -> None:
    functions.create(FAILING)
    configure(functions, MaximumRetryAttempts=1)
    send(functions, {})

    functions.account.advance(3600)

    assert len(functions.events("invocation")) == 2


def test_an_event_that_would_be_too_old_is_not_retried(functions: Any) -> None:
    url, arn = queue(functions, "old")
    functions.create(FAILING)
    configure(functions, MaximumEventAgeInSeconds=100, DestinationConfig={"OnFailure": {"Destination": arn}})
    send(functions, {})

    functions.account.advance(3600)

    assert len(functions.events("invocation")) == 2
    [message] = received(functions, url)
    assert json.loads(message["Body"])["requestContext"]["condition"] == "EventAgeExceeded"


def test_a_throttled_event_waits_in_the_queue(functions: Any) -> None:
    functions.create("import time\ndef handler(event, context):\n    time.sleep(0.3)\n")
    functions.api.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=1)
    for number in range(3):
        send(functions, {"n": number})

    functions.account.advance(120)

    outcomes = [event.outcome for event in functions.events("invocation")]
    assert outcomes.count("ok") == 3
    assert outcomes.count("ReservedFunctionConcurrentInvocationLimitExceeded") >= 1


def test_a_function_without_concurrency_sends_its_events_to_the_dead_letters(functions: Any) -> None:
    url, arn = queue(functions, "zero")
    functions.create(ANSWERING)
    configure(functions, DestinationConfig={"OnFailure": {"Destination": arn}})
    functions.api.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=0)
    send(functions, {"n": 1})

    functions.account.settle()

    [message] = received(functions, url)
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responsePayload" not in record


def test_an_event_for_a_function_deleted_meanwhile_is_dropped(functions: Any) -> None:
    functions.create(FAILING)
    send(functions, {})
    functions.account.settle()
    functions.api.delete_function(FunctionName="fn")

    functions.account.advance(3600)

    assert len(functions.events("invocation")) == 1
    assert [event.outcome for event in functions.events("delivery")] == ["dropped"]


def test_the_configuration_of_an_alias_is_its_own(functions: Any) -> None:
    functions.create(FAILING)
    functions.api.publish_version(FunctionName="fn")
    functions.api.create_alias(FunctionName="fn", Name="live", FunctionVersion="1")
    functions.api.put_function_event_invoke_config(
        FunctionName="fn", Qualifier="live", MaximumRetryAttempts=0
    )
    send(functions, {}, Qualifier="live")

    functions.account.advance(3600)

    assert len(functions.events("invocation")) == 1


def test_invoking_asynchronously_the_old_way(functions: Any) -> None:
    functions.create(ANSWERING)

    answer = functions.api.invoke_async(FunctionName="fn", InvokeArgs=b'{"n": 1}')
    functions.account.settle()

    assert answer["Status"] == 202
    assert [event.outcome for event in functions.events("invocation")] == ["ok"]


def test_a_producer_with_an_impossible_target_is_not_disturbed(functions: Any) -> None:
    where = {"account_id": functions.core.account_id, "region": functions.core.region}

    functions.service.invoke_async("not a function", b"{}", source="test", **where)
    functions.service.invoke_async("nobody", b"{}", source="test", **where)
    functions.account.settle()

    assert [event.outcome for event in functions.events("invocation")] == ["ValidationException"]
    assert [event.outcome for event in functions.events("delivery")] == ["dropped"]


def test_the_queue_of_a_function_is_counted(functions: Any) -> None:
    """Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"""
    seen: list[tuple[str, str, float]] = []
    functions.service.watch_queues(lambda name, metric, value: seen.append((name.name, metric, value)))
    functions.create("def handler(event, context):\n    raise ValueError('no')\n")
    configure(functions, MaximumRetryAttempts=1)

    send(functions, {})
    functions.core.work.advance(200)

    assert [(name, metric) for name, metric, _value in seen] == [
        ("fn", "AsyncEventsReceived"),
        ("fn", "AsyncEventAge"),
        ("fn", "AsyncEventAge"),
        ("fn", "AsyncEventsDropped"),
    ]
    ages = [value for _name, metric, value in seen if metric == "AsyncEventAge"]
    assert ages[0] < 5_000
    assert 59_000 < ages[1] < 70_000

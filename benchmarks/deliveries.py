"""How fast events travel: deliveries per second by source, from a put to a handler, and through an hour."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.figures import Bench, Figure, timed
from tests.triggers.hour import SECONDS, Hour
from tests.triggers.world import World

EVENTS, ROUNDS, PUTS, HOURS = 200, 5, 60, 5
# Says when it began, by the clock that the bench looks at too.
_CODE = """
import time

def handler(event, context):
    print(f"began {time.time()}")
"""
Producer = Callable[[World, str], Callable[[], Any]]


def measure(bench: Bench) -> Iterator[Figure]:
    """Each source with a function that does nothing, warm; all in one account."""
    account = bench.provider.open()
    world = World(account)
    arn = world.function("began", {}, code=_CODE)
    for name, producer in PRODUCERS.items():
        rates = []
        world.begin()
        produce = producer(world, arn)
        world.settle()
        for turn in range(ROUNDS):
            started = time.perf_counter()
            produce()
            world.settle()
            if turn:
                rates.append(EVENTS / (time.perf_counter() - started))
        world.end()
        goal = GOALS[name]
        yield Figure(f"{name} → Lambda, deliveries per second", "/s", tuple(rates), goal, at_most=False)
    yield Figure("S3 put → handler begins, warm", "ms", tuple(_latencies(world, arn)), 15)
    account.close()
    yield Figure("an hour of schedules, retries, waits and alarms", "s", tuple(_hours(bench)), 3.0)


def _latencies(world: World, arn: str) -> Iterator[float]:
    """Milliseconds from asking for a put until the handler runs, one put at a time."""
    world.begin()
    logs = world.client("logs")
    _bucket(world, arn)()
    world.settle()
    s3, bucket = world.client("s3"), world.bucket()
    _notify(world, bucket, arn)
    before = len(_began(logs))
    asked = []
    for number in range(PUTS):
        asked.append(time.time())
        s3.put_object(Bucket=bucket, Key=str(number), Body=b"x")
        world.settle()
    began = _began(logs)[before:]
    world.end()
    assert len(began) == PUTS
    for put, start in list(zip(asked, began, strict=True))[5:]:
        yield (start - put) * 1000


def _began(logs: Any) -> list[float]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/began")
    messages = (event["message"] for page in pages for event in page["events"])
    return sorted(float(text.split()[1]) for text in messages if text.startswith("began "))


def _hours(bench: Bench) -> Iterator[float]:
    """Wall seconds that an hour of account time takes; each in an account of its own."""
    for _ in range(HOURS):
        account = bench.provider.open()
        world = World(account)
        world.begin()
        hour = Hour(world)
        yield timed(lambda world=world: world.advance(SECONDS)) / 1000  # type: ignore[misc]
        hour.check()
        account.close()


def _queue(world: World, arn: str) -> Callable[[], Any]:
    queue = world.queue(VisibilityTimeout=60)
    _map(world, queue.arn, arn)
    batches = [[{"Id": str(number), "MessageBody": "x"} for number in range(10)] for _ in range(EVENTS // 10)]
    return lambda: [queue.sqs.send_message_batch(QueueUrl=queue.url, Entries=entries) for entries in batches]


def _topic(world: World, arn: str) -> Callable[[], Any]:
    sns, topic = world.client("sns"), world.topic()
    world.subscribe(topic, "lambda", arn)
    entries = [{"Id": str(number), "Message": "x"} for number in range(10)]
    return lambda: [
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries) for _ in range(EVENTS // 10)
    ]


def _bucket(world: World, arn: str) -> Callable[[], Any]:
    s3, bucket = world.client("s3"), world.bucket()
    _notify(world, bucket, arn)

    def put() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: s3.put_object(Bucket=bucket, Key=str(n), Body=b"x"), range(EVENTS)))

    return put


def _notify(world: World, bucket: str, arn: str) -> None:
    notification = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    world.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [notification]}
    )


def _bus(world: World, arn: str) -> Callable[[], Any]:
    events = world.client("events")
    world.rule({"Arn": arn})
    entries = [{"Source": "shop", "DetailType": "order", "Detail": json.dumps({"n": 1})}] * 10
    return lambda: [events.put_events(Entries=entries) for _ in range(EVENTS // 10)]


def _table(world: World, arn: str) -> Callable[[], Any]:
    dynamodb = world.client("dynamodb")
    table, stream = world.table()
    _map(world, stream, arn, StartingPosition="LATEST", BatchSize=10)

    def put() -> None:
        for turn in range(EVENTS // 25):
            items = [{"pk": {"S": f"{turn}-{n}"}, "at": {"N": str(time.time())}} for n in range(25)]
            dynamodb.batch_write_item(
                RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]}
            )

    return put


def _stream(world: World, arn: str) -> Callable[[], Any]:
    kinesis = world.client("kinesis")
    name, stream = world.stream()
    _map(world, stream, arn, StartingPosition="LATEST", BatchSize=10)
    records = [{"Data": b"x", "PartitionKey": str(number)} for number in range(50)]
    return lambda: [kinesis.put_records(StreamName=name, Records=records) for _ in range(EVENTS // 50)]


def _map(world: World, source: str, arn: str, **settings: Any) -> None:
    api = world.client("lambda")
    made = api.create_event_source_mapping(EventSourceArn=source, FunctionName=arn, **settings)
    world.undo(lambda: api.delete_event_source_mapping(UUID=made["UUID"]))


# Batches of ten cost a tenth of the invocations; each object is put by a call of its own.
GOALS = {"SQS": 500, "SNS": 200, "S3": 100, "EventBridge": 200, "DynamoDB stream": 500, "Kinesis": 500}
PRODUCERS: dict[str, Producer] = {
    "SQS": _queue,
    "SNS": _topic,
    "S3": _bucket,
    "EventBridge": _bus,
    "DynamoDB stream": _table,
    "Kinesis": _stream,
}

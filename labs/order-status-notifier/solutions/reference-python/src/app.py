"""Announces status changes of orders from the table's stream, in order."""

import datetime as dt
import json
import os

import boto3
from botocore.exceptions import BotoCoreError, ClientError

TOPIC_ARN = os.environ["TOPIC_ARN"]
FAILURE_QUEUE_URL = os.environ["FAILURE_QUEUE_URL"]
NOTIFY_STATUSES = frozenset(os.environ["NOTIFY_STATUSES"].split(","))
ORDER_ID = os.environ["ORDER_ID_ATTRIBUTE"]
STATUS = os.environ["STATUS_ATTRIBUTE"]

sns = boto3.client("sns")
sqs = boto3.client("sqs")


class Corrupt(Exception):
    """A change that can't be announced; the message says why."""


def handler(event, context):
    """Announce what changed; from the first record on that can't be, Lambda has to come again."""
    for record in event["Records"]:
        try:
            take(record)
        except (BotoCoreError, ClientError) as error:
            print(json.dumps({"eventID": record["eventID"], "error": str(error)}))
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def take(record):
    """Announce a change if it is one to announce; put a corrupt one aside."""
    before, after = record["dynamodb"]["OldImage"], record["dynamodb"]["NewImage"]
    old, new = status_of(before), status_of(after)
    if new == old or new not in NOTIFY_STATUSES:
        return
    try:
        message = announcement(record, old, new)
    except Corrupt as reason:
        set_aside(record, reason)
    else:
        publish(message)


def status_of(image):
    """An order's status; None when it has none."""
    return image.get(STATUS, {}).get("S")


def announcement(record, old, new):
    """What subscribers are told."""
    order = {name: plain(value) for name, value in record["dynamodb"]["NewImage"].items()}
    if "N" not in record["dynamodb"]["NewImage"].get("total", {}):
        raise Corrupt("total is missing or not a number")
    moment = dt.datetime.fromtimestamp(record["dynamodb"]["ApproximateCreationDateTime"], dt.UTC)
    return {
        "orderId": order[ORDER_ID],
        "oldStatus": old,
        "newStatus": new,
        "changedAt": moment.isoformat(),
        "eventId": record["eventID"],
        "order": order,
    }


def plain(value):
    """An attribute as plain JSON. Numbers stay the text they are, so that no digit is lost."""
    [(kind, held)] = value.items()
    if kind == "M":
        return {name: plain(each) for name, each in held.items()}
    if kind == "L":
        return [plain(each) for each in held]
    return None if kind == "NULL" else held


def publish(message):
    """Publish within the order's group; the event's id keeps a repetition from being heard twice."""
    sns.publish(
        TopicArn=TOPIC_ARN,
        Message=json.dumps(message, ensure_ascii=False),
        MessageGroupId=message["orderId"],
        MessageDeduplicationId=message["eventId"],
    )


def set_aside(record, reason):
    """Tell the failure queue of a change that no retry will mend."""
    keys = {name: plain(value) for name, value in record["dynamodb"]["Keys"].items()}
    body = {"orderId": keys[ORDER_ID], "eventId": record["eventID"], "reason": str(reason)}
    sqs.send_message(QueueUrl=FAILURE_QUEUE_URL, MessageBody=json.dumps(body))

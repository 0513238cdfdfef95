"""Hands campaign messages to the mail provider: every key once, whatever fails on the way."""

import json
import os
import re
import time

import boto3

PROVIDER = os.environ["MAIL_PROVIDER_ARN"]
TABLE = os.environ["TABLE_NAME"]
PLACEHOLDER = re.compile(
    rf"{re.escape(os.environ['PLACEHOLDER_OPEN'])}(\w+){re.escape(os.environ['PLACEHOLDER_CLOSE'])}"
)
CLAIM_S = 60  # the function's time limit: whoever claimed a key before that is gone

dynamodb = boto3.client("dynamodb")
provider = boto3.client("lambda")


class UnderWay(Exception):
    """Somebody else is sending this key; how that ends is not known yet."""


class NotSent(Exception):
    """The provider answered with an error; nothing was sent."""


def handler(event, context):
    """Dispatch every message; those that fail stay in the queue."""
    failed = []
    for record in event["Records"]:
        try:
            dispatch(json.loads(record["body"]))
        except Exception as error:
            print(json.dumps({"messageId": record["messageId"], "error": repr(error)}))
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def dispatch(message):
    """Send one message unless its key was sent already."""
    key, to = message["messageKey"], message["to"]
    text = merge(message["template"], message["vars"])
    if not claim(key):
        return
    try:
        send({"messageKey": key, "to": to, "text": text})
    except Exception:
        release(key)
        raise
    confirm(key)


def merge(template, values):
    """The template with its placeholders replaced; KeyError when one has no value."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


def claim(key):
    """Take a key before anything is sent; false when it was sent already."""
    now = int(time.time())
    try:
        dynamodb.put_item(
            TableName=TABLE,
            Item={"messageKey": {"S": key}, "status": {"S": "sending"}, "until": {"N": str(now + CLAIM_S)}},
            ConditionExpression="attribute_not_exists(messageKey) OR (#status = :sending AND #until < :now)",
            ExpressionAttributeNames={"#status": "status", "#until": "until"},
            ExpressionAttributeValues={":sending": {"S": "sending"}, ":now": {"N": str(now)}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        if error.response["Item"]["status"]["S"] == "sent":
            return False
        raise UnderWay(key) from None
    return True


def send(message):
    """Call the provider."""
    answer = provider.invoke(FunctionName=PROVIDER, Payload=json.dumps(message).encode())
    if "FunctionError" in answer:
        raise NotSent(answer["Payload"].read().decode())


def confirm(key):
    """Remember that a key was sent."""
    dynamodb.update_item(
        TableName=TABLE,
        Key={"messageKey": {"S": key}},
        UpdateExpression="SET #status = :sent REMOVE #until",
        ExpressionAttributeNames={"#status": "status", "#until": "until"},
        ExpressionAttributeValues={":sent": {"S": "sent"}},
    )


def release(key):
    """Nothing was sent, so the next attempt may."""
    dynamodb.delete_item(TableName=TABLE, Key={"messageKey": {"S": key}})

"""Receives the payment provider's events: signed, fresh, and each of them once."""

import base64
import hashlib
import hmac
import json
import os
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from signing import SecretUnavailable, SigningSecret

TABLE = os.environ["TABLE_NAME"]
NAMESPACE = os.environ["METRICS_NAMESPACE"]
SIGNATURE_HEADER = os.environ["SIGNATURE_HEADER"].lower()
TIMESTAMP_HEADER = os.environ["TIMESTAMP_HEADER"].lower()
REPLAY_WINDOW_S = int(os.environ["REPLAY_WINDOW_S"])

dynamodb = boto3.client("dynamodb", config=Config(connect_timeout=2, read_timeout=2))
secret = SigningSecret(os.environ["SECRET_ARN"], float(os.environ["SECRET_MAX_AGE_S"]))


class Rejected(Exception):
    """A request that is refused. ``reason`` is the code that callers and metrics are told."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status
        self.reason = reason


def handler(event, context):
    """Accept an event, or say why not. Nothing of what was sent reaches the log."""
    try:
        receive(event)
    except Rejected as rejected:
        count(rejected.reason)
        return answer(rejected.status, {"error": rejected.reason})
    except SecretUnavailable as error:
        # Without the secret nobody can tell a good event from a forged one: the provider sends it again.
        print(json.dumps({"outcome": "UNAVAILABLE", "cause": str(error)}))
        return answer(503, {"error": "UNAVAILABLE"})
    print(json.dumps({"outcome": "accepted"}))
    return answer(202, {"ok": True})


def receive(event):
    """Verify the request as it was sent, then keep its event."""
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    headers = event.get("headers", {})
    signature, timestamp = headers.get(SIGNATURE_HEADER), headers.get(TIMESTAMP_HEADER)
    if not signature or not timestamp:
        raise Rejected(401, "MISSING_HEADER")
    signed = hmac.new(secret.value(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signed.encode(), signature.strip().encode()):
        raise Rejected(401, "BAD_SIGNATURE")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > REPLAY_WINDOW_S:
        raise Rejected(401, "STALE")
    try:
        found = json.loads(raw)
        item = {
            "eventId": {"S": found["id"]},
            "type": {"S": found["type"]},
            "orderId": {"S": found["orderId"]},
            "amount": {"N": str(int(found["amount"]))},
            "currency": {"S": found["currency"]},
        }
    except (KeyError, TypeError, ValueError):
        raise Rejected(400, "BAD_EVENT") from None
    store(item)


def store(item):
    """Keep an event unless one with its id is there: whoever writes first wins."""
    try:
        dynamodb.put_item(TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(eventId)")
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise Rejected(409, "REPLAYED") from None


def count(reason):
    """One rejection more, as CloudWatch reads it from the log."""
    metric = {"Name": "RejectedWebhooks", "Unit": "Count"}
    directive = {"Namespace": NAMESPACE, "Dimensions": [["Reason"]], "Metrics": [metric]}
    told = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    print(json.dumps({"_aws": told, "Reason": reason, "RejectedWebhooks": 1}))


def answer(status, body):
    """An answer for the HTTP API."""
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}

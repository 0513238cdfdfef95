"""Takes returns: checks them against the policy and hands them to the queue. Reads what became of them."""

import json
import os
import uuid
from pathlib import Path

import boto3

POLICY = json.loads(Path(__file__).with_name("policy.json").read_text("utf-8"))
TEXTS, NUMBERS = ("orderId", "category", "email"), ("amountCents", "daysSinceDelivery")

sqs = boto3.client("sqs")
dynamodb = boto3.client("dynamodb")


def handler(event, context):
    """Answer one request."""
    print("event", event)
    try:
        if event["resource"] == "/returns":
            return create(event)
        return read(event)
    except Exception as error:
        print("something went wrong", error)
        return answer(503, {"error": "try again later"})


def create(event):
    """Register a return, or say why not."""
    body = body_of(event)
    if body is None:
        return answer(400, {"error": "not a return"})
    reason = rejection(body)
    if reason:
        print("rejected", body["email"], reason)
        return answer(422, {"status": "REJECTED", "reason": reason})
    item = {
        "returnId": str(uuid.uuid4()),
        "orderId": body["orderId"],
        "email": body["email"],
        "refundCents": max(body["amountCents"] - POLICY["feeCents"], 0),
    }
    sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps(item))
    print("accepted", item)
    told = {"returnId": item["returnId"], "status": "ACCEPTED", "refundCents": item["refundCents"]}
    return answer(202, told)


def read(event):
    """A return that is registered; whoever asks has to know its e-mail address."""
    key = {"returnId": {"S": event["pathParameters"]["id"]}}
    item = dynamodb.get_item(TableName=os.environ["TABLE_NAME"], Key=key, ConsistentRead=True).get("Item")
    email = (event["queryStringParameters"] or {}).get("email")
    if item is None or item["email"]["S"] != email:
        return answer(404, {"error": "no such return"})
    told = {"returnId": item["returnId"]["S"], "orderId": item["orderId"]["S"], "status": "REGISTERED"}
    return answer(200, {**told, "refundCents": int(item["refundCents"]["N"])})


def body_of(event):
    """The request's body, or None when it is no return."""
    try:
        body = json.loads(event["body"])
    except (TypeError, ValueError):
        return None
    if not isinstance(body, dict):
        return None
    texts = all(isinstance(body.get(name), str) and body[name] for name in TEXTS)
    numbers = all(type(body.get(name)) is int and body[name] >= 0 for name in NUMBERS)
    return body if texts and numbers else None


def rejection(body):
    """Why the policy rejects a return; None when it does not."""
    for rule in POLICY["rules"]:
        value = body[rule["field"]]
        if value > rule["above"] if "above" in rule else value in rule["oneOf"]:
            return rule["reason"]
    return None


def answer(status, body):
    """An answer in JSON."""
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}

"""Takes returns: checks them against the policy and hands them to the queue. Reads what became of them."""

import json
import os
import uuid
from pathlib import Path

import boto3
import observe
from observe import logger, tracer

POLICY = json.loads(Path(__file__).with_name("policy.json").read_text("utf-8"))
TEXTS, NUMBERS = ("orderId", "category", "email"), ("amountCents", "daysSinceDelivery")
# What may be told of a return; everything else could be about a person.
HARMLESS = ("orderId", "category", *NUMBERS)
HEADER = "x-correlation-id"

sqs = boto3.client("sqs")
dynamodb = boto3.client("dynamodb")


@tracer.capture_lambda_handler(capture_response=False)
def handler(event, context):
    """Answer one request."""
    correlation_id = given(event) or str(uuid.uuid4())
    observe.begin(context, correlationId=correlation_id)
    try:
        response = create(event, correlation_id) if event["resource"] == "/returns" else read(event)
    except Exception as error:
        observe.failure("the request could not be served", error)
        response = answer(503, {"error": "try again later"})
    response["headers"][HEADER] = correlation_id
    return response


def given(event):
    """The correlation id that came with a request."""
    headers = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    return headers.get(HEADER)


def create(event, correlation_id):
    """Register a return, or say why not."""
    body = body_of(event)
    if body is None:
        logger.info("not a return")
        return answer(400, {"error": "not a return"})
    logger.debug("return asked for", extra={"request": {name: body[name] for name in HARMLESS}})
    reason = rejection(body)
    if reason:
        logger.info("return rejected", extra={"reason": reason})
        observe.rejected(reason)
        return answer(422, {"status": "REJECTED", "reason": reason})
    item = {
        "returnId": str(uuid.uuid4()),
        "orderId": body["orderId"],
        "email": body["email"],
        "refundCents": max(body["amountCents"] - POLICY["feeCents"], 0),
    }
    logger.append_keys(returnId=item["returnId"])
    tracer.put_annotation("returnId", item["returnId"])
    sqs.send_message(
        QueueUrl=os.environ["QUEUE_URL"],
        MessageBody=json.dumps(item),
        MessageAttributes={"correlationId": {"DataType": "String", "StringValue": correlation_id}},
    )
    logger.info("return accepted", extra={"refundCents": item["refundCents"]})
    observe.accepted(item["refundCents"])
    told = {"returnId": item["returnId"], "status": "ACCEPTED", "refundCents": item["refundCents"]}
    return answer(202, told)


def read(event):
    """A return that is registered; whoever asks has to know its e-mail address."""
    return_id = event["pathParameters"]["id"]
    logger.append_keys(returnId=return_id)
    tracer.put_annotation("returnId", return_id)
    key = {"returnId": {"S": return_id}}
    item = dynamodb.get_item(TableName=os.environ["TABLE_NAME"], Key=key, ConsistentRead=True).get("Item")
    email = (event["queryStringParameters"] or {}).get("email")
    if item is None or item["email"]["S"] != email:
        logger.info("no such return")
        return answer(404, {"error": "no such return"})
    logger.info("return read")
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

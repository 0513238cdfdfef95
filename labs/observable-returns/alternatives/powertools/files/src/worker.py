"""Registers returns from the queue."""

import json
import os

import boto3
import observe
from observe import logger, tracer

dynamodb = boto3.client("dynamodb")


@tracer.capture_lambda_handler(capture_response=False)
def handler(event, context):
    """Register every return; those that fail stay in the queue."""
    observe.begin(context)
    failed = []
    for record in event["Records"]:
        logger.remove_keys(["returnId"])
        logger.append_keys(correlationId=record["messageAttributes"]["correlationId"]["stringValue"])
        try:
            register(json.loads(record["body"]))
        except Exception as error:
            observe.failure("the return could not be registered", error)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def register(item):
    """Store one return."""
    logger.append_keys(returnId=item["returnId"])
    tracer.put_annotation("returnId", item["returnId"])
    dynamodb.put_item(
        TableName=os.environ["TABLE_NAME"],
        Item={
            "returnId": {"S": item["returnId"]},
            "orderId": {"S": item["orderId"]},
            "email": {"S": item["email"]},
            "refundCents": {"N": str(item["refundCents"])},
        },
    )
    logger.info("return registered")

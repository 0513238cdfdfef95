"""Registers returns from the queue."""

import json
import os

import boto3
import log
from aws_xray_sdk.core import patch, xray_recorder

patch(["botocore"])

dynamodb = boto3.client("dynamodb")


def handler(event, context):
    """Register every return; those that fail stay in the queue."""
    log.begin(context)
    failed = []
    for record in event["Records"]:
        log.forget("returnId")
        log.about(correlationId=record["messageAttributes"]["correlationId"]["stringValue"])
        try:
            register(json.loads(record["body"]))
        except Exception as error:
            log.failure("the return could not be registered", error)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def register(item):
    """Store one return."""
    log.about(returnId=item["returnId"])
    with xray_recorder.in_subsegment("register") as subsegment:
        subsegment.put_annotation("returnId", item["returnId"])
        dynamodb.put_item(
            TableName=os.environ["TABLE_NAME"],
            Item={
                "returnId": {"S": item["returnId"]},
                "orderId": {"S": item["orderId"]},
                "email": {"S": item["email"]},
                "refundCents": {"N": str(item["refundCents"])},
            },
        )
    log.info("return registered")

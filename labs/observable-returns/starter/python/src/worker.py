"""Registers returns from the queue."""

import json
import os

import boto3

dynamodb = boto3.client("dynamodb")


def handler(event, context):
    """Register every return; those that fail stay in the queue."""
    failed = []
    for record in event["Records"]:
        print("record", record)
        try:
            register(json.loads(record["body"]))
        except Exception as error:
            print("failed", error)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def register(item):
    """Store one return."""
    dynamodb.put_item(
        TableName=os.environ["TABLE_NAME"],
        Item={
            "returnId": {"S": item["returnId"]},
            "orderId": {"S": item["orderId"]},
            "email": {"S": item["email"]},
            "refundCents": {"N": str(item["refundCents"])},
        },
    )
    print("registered", item)

"""Keeps orders in the order in which their customer placed them."""

import json
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, _context):
    if "Records" not in event:
        detail = event["detail"]
        table.put_item(
            Item={"customer": detail["customer"], "place": 0, "what": f"cancelled {detail['order']}"}
        )
        return None
    failed = []
    for record in event["Records"]:
        if failed:
            failed.append({"itemIdentifier": record["messageId"]})
            continue
        try:
            write(record)
        except KeyError:
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def write(record):
    order, customer = json.loads(record["body"]), record["attributes"]["MessageGroupId"]
    count = table.update_item(
        Key={"customer": f"count-{customer}", "place": 0},
        UpdateExpression="ADD orders :one",
        ExpressionAttributeValues={":one": 1},
        ReturnValues="UPDATED_NEW",
    )["Attributes"]["orders"]
    table.put_item(Item={"customer": customer, "place": count, "what": order["what"]})

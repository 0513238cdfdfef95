"""Tells support what is known of a payment event."""

import os

import boto3

TABLE = os.environ["TABLE_NAME"]
dynamodb = boto3.client("dynamodb")


def handler(event, context):
    """The event of an id, or that there is none."""
    key = {"eventId": {"S": event["eventId"]}}
    item = dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    if item is None:
        return {"found": False}
    told = {name: item[name]["S"] for name in ("eventId", "type", "orderId", "currency")}
    return {"found": True, **told, "amount": int(item["amount"]["N"])}

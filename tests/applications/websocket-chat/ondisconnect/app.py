"""Somebody went."""

import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    request = event["requestContext"]
    print(f"gone: {request['disconnectStatusCode']} {request['disconnectReason']}")
    table.delete_item(Key={"connectionId": request["connectionId"]})
    return {"statusCode": 200, "body": "Disconnected."}

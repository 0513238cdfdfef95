"""Somebody comes: remember where they can be reached, and who they are."""

import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    request = event["requestContext"]
    table.put_item(
        Item={
            "connectionId": request["connectionId"],
            "name": request["authorizer"]["name"],
            "room": event["stageVariables"]["room"],
        }
    )
    return {"statusCode": 200, "body": "Connected."}

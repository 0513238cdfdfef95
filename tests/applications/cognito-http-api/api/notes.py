"""Notes of the user whose token came along."""

import json
import os

import boto3
from boto3.dynamodb.conditions import Key

table = boto3.resource("dynamodb").Table(os.environ["NOTES_TABLE"])


def claims(event):
    return event["requestContext"]["authorizer"]["jwt"]["claims"]


def read(event, context):
    found = table.query(KeyConditionExpression=Key("owner").eq(claims(event)["sub"]))
    # An answer without a status code is one of 200 with this body.
    return {item["name"]: item["text"] for item in found["Items"]}


def write(event, context):
    given = json.loads(event["body"])
    name = event["pathParameters"]["name"]
    table.put_item(Item={"owner": claims(event)["sub"], "name": name, "text": given["text"]})
    return {
        "statusCode": 201,
        "headers": {"content-type": "application/json"},
        "cookies": [f"last={name}; Secure"],
        "body": json.dumps({"name": name, "scopes": event["requestContext"]["authorizer"]["jwt"]["scopes"]}),
    }


def welcome(event, context):
    user = event["request"]["userAttributes"]
    table.put_item(Item={"owner": user["sub"], "name": "welcome", "text": f"hello {user['email']}"})
    return event


def health(event, context):
    return {"statusCode": 200, "body": "well", "headers": {"content-type": "text/plain"}}

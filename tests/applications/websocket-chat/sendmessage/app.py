"""Somebody says something: everybody hears it."""

import json
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    request = event["requestContext"]
    endpoint = f"https://{request['domainName']}/{request['stage']}"
    management = boto3.client("apigatewaymanagementapi", endpoint_url=endpoint)
    said = json.loads(event["body"])["data"]
    told = json.dumps({"from": request["authorizer"]["name"], "said": said}).encode()
    for each in table.scan()["Items"]:
        try:
            management.post_to_connection(ConnectionId=each["connectionId"], Data=told)
        except management.exceptions.GoneException:
            print(f"stale: {each['connectionId']}")
            table.delete_item(Key={"connectionId": each["connectionId"]})
    return {"statusCode": 200, "body": "Data sent."}

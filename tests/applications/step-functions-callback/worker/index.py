"""Picks what is asked for, and tells the execution that waits."""

import json
import os

import boto3

states = boto3.client("stepfunctions")
stock = json.loads(os.environ["STOCK"])


def handler(event, context):
    for record in event["Records"]:
        asked = json.loads(record["body"])
        order, token = asked["order"], asked["token"]
        if stock.get(order["item"], 0) < int(order["count"]):
            states.send_task_failure(taskToken=token, error="OutOfStock", cause=f"no {order['item']} left")
        else:
            states.send_task_success(taskToken=token, output=json.dumps({"picked": int(order["count"])}))

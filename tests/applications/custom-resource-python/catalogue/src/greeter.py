import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
ssm = boto3.client("ssm")


def handler(event, context):
    item = table.get_item(Key={"id": event["seed"]}).get("Item", {})
    level = ssm.get_parameter(Name=os.environ["LEVEL_NAME"])["Parameter"]["Value"]
    return {
        "greeting": os.environ["GREETING"],
        "fixed": os.environ["FIXED"],
        "user": os.environ["USER"],
        "password": len(os.environ["PASSWORD"]),
        "seeded": item.get("greeting"),
        "level": level,
    }

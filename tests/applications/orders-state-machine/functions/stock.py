import os

import boto3

PRICES = {"tea": 3.5, "cup": 8, "pot": 24}
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
asked = {}


class UnknownItem(Exception):
    pass


class Busy(Exception):
    pass


def handler(event, context):
    item = event["item"]
    if item not in PRICES:
        raise UnknownItem(item)
    # The first question about a pot comes at a bad moment.
    asked[event["id"]] = asked.get(event["id"], 0) + 1
    if item == "pot" and asked[event["id"]] == 1:
        raise Busy(item)
    placed = "Item" in table.get_item(Key={"id": event["id"]})
    return {"inStock": item != "cup", "price": PRICES[item], "placed": placed}

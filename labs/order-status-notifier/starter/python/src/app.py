"""Announces status changes of orders from the table's stream, in order."""

import json
import os

TOPIC_ARN = os.environ["TOPIC_ARN"]
NOTIFY_STATUSES = frozenset(os.environ["NOTIFY_STATUSES"].split(","))


def handler(event, context):
    """Look at every record of the event."""
    for record in event["Records"]:
        print(json.dumps(record["dynamodb"]["Keys"]))

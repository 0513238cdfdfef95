"""Loyalty members over HTTP."""

import json


def handler(event, context):
    """Answer one request."""
    return {"statusCode": 501, "body": json.dumps({"title": "Not written yet"})}

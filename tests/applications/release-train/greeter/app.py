"""Greets, draws, and says which version it is."""

import base64
import json
import os

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


def handler(event, _context):
    if event.get("path") == "/pictures":
        return picture(event)
    if "body" in event:
        name = json.loads(event["body"])["name"]
        told = {"text": f"Hello {name}", "version": os.environ["VERSION"]}
        colour = (event.get("stageVariables") or {}).get("colour")
        return {"statusCode": 200, "body": json.dumps(told | {"colour": colour})}
    if event.get("break"):
        raise ValueError("as it was told")
    return {"version": os.environ["VERSION"]}


def picture(event):
    if event["httpMethod"] == "GET":
        return {
            "statusCode": 200,
            "headers": {"Content-Type": "image/png"},
            "isBase64Encoded": True,
            "body": base64.b64encode(DOT).decode(),
        }
    assert event["isBase64Encoded"] is True
    return {"statusCode": 200, "body": str(len(base64.b64decode(event["body"])))}

"""Signs a form with which a browser may upload one picture."""

import json
import os

import boto3

s3 = boto3.client("s3")


def handler(event, _context):
    form = s3.generate_presigned_post(
        os.environ["BUCKET"],
        f"in/{event['pathParameters']['name']}/${{filename}}",
        Fields={"success_action_status": "201"},
        Conditions=[
            ["starts-with", "$Content-Type", "image/"],
            ["content-length-range", 1, int(os.environ["MOST_BYTES"])],
            {"success_action_status": "201"},
        ],
        ExpiresIn=300,
    )
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(form)}

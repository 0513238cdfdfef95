"""Keeps a small one of each picture, and forgets it with the picture."""

import os
from urllib.parse import unquote_plus

import boto3
from shrinking import shrunk

s3 = boto3.client("s3")


def handler(event, _context):
    for record in event["Records"]:
        bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
        if record["eventName"].startswith("ObjectRemoved"):
            s3.delete_object(Bucket=os.environ["SMALL"], Key=key)
            continue
        version = record["s3"]["object"]["versionId"]
        found = s3.get_object(Bucket=bucket, Key=key, VersionId=version)
        s3.put_object(Bucket=os.environ["SMALL"], Key=key, Body=shrunk(found["Body"].read()))

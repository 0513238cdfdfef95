"""Halves pictures in the plainest of formats until they are narrow enough."""

import os
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config

# Written for one region, and for buckets by their own host names, as much code in the wild is.
s3 = boto3.client("s3", region_name="us-east-1", config=Config(s3={"addressing_style": "virtual"}))
KIND = "image/x-portable-graymap"


def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        path = f"/tmp/{context.aws_request_id}.pgm"
        s3.download_file(bucket, key, path)
        small = shrunk(path, int(os.environ["WIDTH"]))
        # A signed address is plain HTTPS to the bucket's host, and needs no SDK.
        target = {"Bucket": os.environ["DESTINATION"], "Key": f"small/{os.path.basename(key)}"}
        address = s3.generate_presigned_url("put_object", Params={**target, "ContentType": KIND})
        request = urllib.request.Request(
            address, data=small.encode(), method="PUT", headers={"Content-Type": KIND}
        )
        with urllib.request.urlopen(request) as answer:
            print(f"{key} -> {address.split('?')[0]} {answer.status}")


def shrunk(path, width):
    with open(path, encoding="ascii") as file:
        kind, columns, _, most, *pixels = file.read().split()
    assert kind == "P2", kind
    grid = [[int(x) for x in pixels[i : i + int(columns)]] for i in range(0, len(pixels), int(columns))]
    while len(grid[0]) > width:
        grid = [
            [(a[i] + a[i + 1] + b[i] + b[i + 1]) // 4 for i in range(0, len(a), 2)]
            for a, b in zip(grid[::2], grid[1::2], strict=True)
        ]
    lines = [" ".join(map(str, line)) for line in grid]
    return "\n".join([kind, f"{len(grid[0])} {len(grid)}", most, *lines])

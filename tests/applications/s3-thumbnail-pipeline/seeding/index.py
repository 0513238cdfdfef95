"""A custom resource: puts sample pictures into a bucket, and empties buckets when the stack goes."""

import json
import urllib.request

import boto3

# Another region than the buckets are in, which the SDK finds out by itself.
s3 = boto3.resource("s3", region_name="eu-west-1")
SIZE = 16


def handler(event, context):
    status, data, reason = "SUCCESS", {}, ""
    properties = event["ResourceProperties"]
    try:
        if event["RequestType"] == "Delete":
            for name in properties["Emptied"]:
                s3.Bucket(name).objects.all().delete()
        else:
            for name in properties["Names"]:
                s3.Object(properties["Bucket"], f"in/the {name}.pgm").put(
                    Body=picture(), ContentType="image/x-pgm"
                )
            data = {"Count": len(properties["Names"])}
    except Exception as error:
        status, reason = "FAILED", f"{error} (log stream: {context.log_stream_name})"
    answer(event, context, status, data, reason)


def picture():
    rows = (" ".join(str(16 * column) for column in range(SIZE)) for _ in range(SIZE))
    return "\n".join(["P2", f"{SIZE} {SIZE}", "255", *rows]).encode("ascii")


def answer(event, context, status, data, reason):
    body = json.dumps(
        {
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": event.get("PhysicalResourceId", context.log_stream_name),
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            "Data": data,
        }
    ).encode()
    # The address is signed, and signed for no content type.
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT")
    request.add_header("Content-Type", "")
    assert request.type == "https"
    assert request.host.partition(":")[2] in ("", "443")
    with urllib.request.urlopen(request) as told:
        print("answered:", told.status)

"""Test events in the shapes that AWS's services send, told of the stack's own resources where it has them.

Sources: the pages "Using Lambda with …" of https://docs.aws.amazon.com/lambda/latest/dg/lambda-services.html
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sandbox.account import Account
from sandbox.console.stacks import Stack

# The services' own names are the same in every language.
NAMES = {
    "plain": "JSON",
    "s3": "S3",
    "sqs": "SQS",
    "sns": "SNS",
    "api-v1": "API Gateway (REST)",
    "api-v2": "API Gateway (HTTP)",
    "eventbridge": "EventBridge",
    "schedule": "EventBridge Scheduler",
    "kinesis": "Kinesis",
    "dynamodb": "DynamoDB Streams",
}


def sample(kind: str, account: Account, stack: Stack | None, now: datetime) -> str:
    """An event of a kind, as JSON over several lines; an empty object for a kind that there is not."""
    make = _KINDS.get(kind, _plain)
    return json.dumps(make(_Names(account, stack), now), indent=2, ensure_ascii=False)


class _Names:
    """What things are called in this account."""

    def __init__(self, account: Account, stack: Stack | None) -> None:
        self.account, self.region, self._stack = account.account_id, account.region, stack

    def of(self, kind: str, otherwise: str) -> str:
        """The first resource of a type, by the last part of its name."""
        found = self._stack.of(kind) if self._stack is not None else []
        return found[0].physical_id.rpartition("/")[2] if found else otherwise

    def arn(self, service: str, name: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{name}"


def _plain(names: _Names, now: datetime) -> dict[str, Any]:
    return {}


def _s3(names: _Names, now: datetime) -> dict[str, Any]:
    bucket = names.of("AWS::S3::Bucket", "example-bucket")
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": names.region,
                "eventTime": _iso(now),
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": f"AWS:{names.account}"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "test-event",
                    "bucket": {
                        "name": bucket,
                        "ownerIdentity": {"principalId": names.account},
                        "arn": f"arn:aws:s3:::{bucket}",
                    },
                    "object": {
                        "key": "incoming/example.csv",
                        "size": 1024,
                        "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                        "sequencer": "0A1B2C3D4E5F678901",
                    },
                },
            }
        ]
    }


def _sqs(names: _Names, now: datetime) -> dict[str, Any]:
    body, sent = '{"orderId": "o-1001"}', str(int(now.timestamp() * 1000))
    return {
        "Records": [
            {
                "messageId": "19dd0b57-b21e-4ac1-bd88-01bbb068cb78",
                "receiptHandle": "test-event",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": sent,
                    "SenderId": names.account,
                    "ApproximateFirstReceiveTimestamp": sent,
                },
                "messageAttributes": {},
                "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": names.arn("sqs", names.of("AWS::SQS::Queue", "example-queue")),
                "awsRegion": names.region,
            }
        ]
    }


def _sns(names: _Names, now: datetime) -> dict[str, Any]:
    found = names.of("AWS::SNS::Topic", "")
    topic = found if found.startswith("arn:") else names.arn("sns", "example-topic")
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": f"{topic}:21be56ed-a058-49f5-8c98-aedd2564c486",
                "Sns": {
                    "Type": "Notification",
                    "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                    "TopicArn": topic,
                    "Subject": None,
                    "Message": '{"orderId": "o-1001"}',
                    "Timestamp": _iso(now),
                    "SignatureVersion": "1",
                    "MessageAttributes": {},
                },
            }
        ]
    }


def _api_v1(names: _Names, now: datetime) -> dict[str, Any]:
    return {
        "resource": "/items/{id}",
        "path": "/items/42",
        "httpMethod": "GET",
        "headers": {"Accept": "application/json", "Host": "example.execute-api.us-east-1.amazonaws.com"},
        "multiValueHeaders": {"Accept": ["application/json"]},
        "queryStringParameters": {"full": "true"},
        "multiValueQueryStringParameters": {"full": ["true"]},
        "pathParameters": {"id": "42"},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "123456",
            "resourcePath": "/items/{id}",
            "httpMethod": "GET",
            "path": "/prod/items/42",
            "accountId": names.account,
            "stage": "prod",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "requestTimeEpoch": int(now.timestamp() * 1000),
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "test"},
            "apiId": "example",
        },
        "body": None,
        "isBase64Encoded": False,
    }


def _api_v2(names: _Names, now: datetime) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": "GET /items/{id}",
        "rawPath": "/items/42",
        "rawQueryString": "full=true",
        "headers": {"accept": "application/json", "host": "example.execute-api.us-east-1.amazonaws.com"},
        "queryStringParameters": {"full": "true"},
        "pathParameters": {"id": "42"},
        "requestContext": {
            "accountId": names.account,
            "apiId": "example",
            "domainName": "example.execute-api.us-east-1.amazonaws.com",
            "http": {
                "method": "GET",
                "path": "/items/42",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "GET /items/{id}",
            "stage": "$default",
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }


def _eventbridge(names: _Names, now: datetime) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "fe8d3c65-xmpl-c5c3-2c87-81584709a377",
        "detail-type": "Order Placed",
        "source": "shop.orders",
        "account": names.account,
        "time": _iso(now, digits=0),
        "region": names.region,
        "resources": [],
        "detail": {"orderId": "o-1001"},
    }


def _schedule(names: _Names, now: datetime) -> dict[str, Any]:
    return {
        **_eventbridge(names, now),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "resources": [names.arn("scheduler", "schedule/default/example")],
        "detail": "{}",
    }


def _kinesis(names: _Names, now: datetime) -> dict[str, Any]:
    stream = names.of("AWS::Kinesis::Stream", "example-stream")
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "1",
                    "sequenceNumber": "49590338271490256608559692538361571095921575989136588898",
                    "data": base64.b64encode(b'{"orderId": "o-1001"}').decode(),
                    "approximateArrivalTimestamp": round(now.timestamp(), 3),
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": f"arn:aws:iam::{names.account}:role/example",
                "awsRegion": names.region,
                "eventSourceARN": names.arn("kinesis", f"stream/{stream}"),
            }
        ]
    }


def _dynamodb(names: _Names, now: datetime) -> dict[str, Any]:
    table = names.of("AWS::DynamoDB::Table", "example-table")
    return {
        "Records": [
            {
                "eventID": "1",
                "eventVersion": "1.1",
                "dynamodb": {
                    "ApproximateCreationDateTime": int(now.timestamp()),
                    "Keys": {"id": {"S": "o-1001"}},
                    "NewImage": {"id": {"S": "o-1001"}, "total": {"N": "42"}},
                    "SequenceNumber": "111",
                    "SizeBytes": 26,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "awsRegion": names.region,
                "eventName": "INSERT",
                "eventSourceARN": names.arn("dynamodb", f"table/{table}/stream/2026-01-01T00:00:00.000"),
                "eventSource": "aws:dynamodb",
            }
        ]
    }


def _iso(now: datetime, digits: int = 3) -> str:
    text = now.isoformat(timespec="milliseconds" if digits else "seconds")
    return text.replace("+00:00", "Z")


_KINDS: dict[str, Callable[[_Names, datetime], dict[str, Any]]] = {
    "plain": _plain,
    "s3": _s3,
    "sqs": _sqs,
    "sns": _sns,
    "api-v1": _api_v1,
    "api-v2": _api_v2,
    "eventbridge": _eventbridge,
    "schedule": _schedule,
    "kinesis": _kinesis,
    "dynamodb": _dynamodb,
}

"""CloudTrail's LookupEvents over what was decided: each call with the statement that decided it.

Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.iam.enforcement import Record
from sandbox.emulator.iam.mapping import catalogue

_PAGE = 50
_TYPES = {"root": "Root", "user": "IAMUser", "role-session": "AssumedRole", "service": "AWSService"}
# Services whose principal has another name than botocore's name of them.
_SOURCES = {
    "apigatewayv2": "apigateway",
    "cloudwatch": "monitoring",
    "dynamodbstreams": "dynamodb",
    "resourcegroupstaggingapi": "tagging",
    "stepfunctions": "states",
}
# What CloudTrail calls data events. On AWS only trails that ask for them hold these.
# Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
_DATA = {
    "s3": ("Object", "Upload", "ListParts"),
    "lambda": ("Invoke",),
    "dynamodb": ("Item", "Query", "Scan", "Transact", "Statement", "GetRecords", "ExecuteTransaction"),
    "dynamodbstreams": ("GetRecords", "GetShardIterator", "DescribeStream"),
    "sqs": ("Message",),
    "sns": ("Publish",),
    "kinesis": ("Record", "GetShardIterator"),
    "cloudwatch": ("PutMetricData",),
    "logs": ("PutLogEvents", "GetLogEvents", "FilterLogEvents"),
    "events": ("PutEvents",),
    "xray": ("Put",),
}


class CloudTrail:
    """The account's events, as LookupEvents finds them: newest first."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def handlers(self) -> Handlers:
        """Operations taken over from moto."""
        return {("cloudtrail", "LookupEvents"): self.lookup_events}

    def lookup_events(self, call: Call) -> dict[str, Any]:
        """Events that match every attribute, fifty at a time.

        Data events are among them, which on AWS only a trail holds; ``managementEvent`` tells them apart.
        """
        wanted = [
            (str(each["AttributeKey"]), str(each["AttributeValue"]))
            for each in call.params.get("LookupAttributes") or ()
        ]
        unknown = [key for key, _value in wanted if key not in _ATTRIBUTES]
        if unknown or len(wanted) > 1:
            raise AwsError("InvalidLookupAttributesException", "A lookup attribute is not valid.")
        begin, end = _time(call.params.get("StartTime")), _time(call.params.get("EndTime"))
        if begin is not None and end is not None and begin > end:
            raise AwsError("InvalidTimeRangeException", "The start time is after the end time.")
        events = [
            event
            for record in reversed(self._core.guard.log.since())
            if record.account_id == call.account_id and record.region == call.region
            if (begin is None or record.at >= begin) and (end is None or record.at <= end)
            for event in (_event(record),)
            if all(_ATTRIBUTES[key](event, record) == value for key, value in wanted)
        ]
        first = int(call.params.get("NextToken") or 0)
        most = min(int(call.params.get("MaxResults") or _PAGE), _PAGE)
        more = {"NextToken": str(first + most)} if first + most < len(events) else {}
        return {"Events": events[first : first + most], **more}


def _time(given: Any) -> dt.datetime | None:
    if given is None:
        return None
    if isinstance(given, dt.datetime):
        return given if given.tzinfo else given.replace(tzinfo=dt.UTC)
    return dt.datetime.fromtimestamp(float(given), dt.UTC)


def _event(record: Record) -> dict[str, Any]:
    detail = as_cloudtrail(record)
    return {
        "EventId": detail["eventID"],
        "EventName": detail["eventName"],
        "ReadOnly": str(detail["readOnly"]).lower(),
        "AccessKeyId": record.access_key_id,
        "EventTime": record.at,
        "EventSource": detail["eventSource"],
        "Username": record.session or record.principal.rsplit("/", 1)[-1],
        "Resources": [
            {"ResourceName": verdict.request.resource}
            for verdict in record.verdicts
            if verdict.request.resource != "*"
        ],
        "CloudTrailEvent": json.dumps(detail),
    }


_ATTRIBUTES: Mapping[str, Callable[[dict[str, Any], Record], str]] = {
    "EventId": lambda event, _record: str(event["EventId"]),
    "EventName": lambda event, _record: str(event["EventName"]),
    "ReadOnly": lambda event, _record: str(event["ReadOnly"]),
    "Username": lambda event, _record: str(event["Username"]),
    "EventSource": lambda event, _record: str(event["EventSource"]),
    "AccessKeyId": lambda event, _record: str(event["AccessKeyId"]),
}


def as_cloudtrail(record: Record) -> dict[str, Any]:
    """A record as CloudTrail writes events, with what decided it under ``additionalEventData``."""
    detail: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": _identity(record),
        "eventTime": f"{record.at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": f"{_SOURCES.get(record.service, record.service)}.amazonaws.com",
        "eventName": record.operation,
        "awsRegion": record.region,
        "sourceIPAddress": record.source_ip or "AWS Internal",
        "userAgent": record.user_agent or "AWS Internal",
        "requestParameters": record.parameters or None,
        "responseElements": None,
        "additionalEventData": {"authorisations": [verdict.as_json() for verdict in record.verdicts]},
        "requestID": record.request_id,
        "eventID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{record.sequence}:{record.request_id}")),
        "readOnly": _reads(record),
        "eventType": "AwsApiCall" if record.source == "api" else "AwsServiceEvent",
        "managementEvent": not _is_data(record),
        "recipientAccountId": record.account_id,
        "eventCategory": "Data" if _is_data(record) else "Management",
    }
    if record.outcome not in ("", "ok"):
        detail["errorCode"] = record.outcome
        if record.message:
            detail["errorMessage"] = record.message
    return detail


def _identity(record: Record) -> dict[str, Any]:
    if record.principal_type == "service":
        return {"type": "AWSService", "invokedBy": record.principal}
    identity: dict[str, Any] = {
        "type": _TYPES.get(record.principal_type, "Unknown"),
        "arn": record.principal,
        "accountId": record.principal.split(":")[4]
        if record.principal.count(":") >= 5
        else record.account_id,
        "accessKeyId": record.access_key_id,
    }
    if record.role_arn:
        identity["sessionContext"] = {
            "sessionIssuer": {
                "type": "Role",
                "arn": record.role_arn,
                "accountId": record.role_arn.split(":")[4],
                "userName": record.role_arn.rsplit("/", 1)[-1],
            }
        }
    elif record.principal_type == "user":
        identity["userName"] = record.principal.rsplit("/", 1)[-1]
    return identity


def _reads(record: Record) -> bool:
    for verdict in record.verdicts:
        prefix, _, name = verdict.request.action.partition(":")
        action = catalogue.actions(prefix).get(name)
        if action is None or action.access not in ("Read", "List"):
            return False
    return True


def _is_data(record: Record) -> bool:
    return any(part in record.operation for part in _DATA.get(record.service, ()))

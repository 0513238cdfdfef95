"""S3's events as it sends them to destinations and to EventBridge."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

_EMPTY_ETAG = hashlib.md5(b"", usedforsecurity=False).hexdigest()
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
_DETAIL_TYPES = {
    "ObjectCreated": "Object Created",
    "ObjectRemoved": "Object Deleted",
    "ObjectTagging:Put": "Object Tags Added",
    "ObjectTagging:Delete": "Object Tags Deleted",
    "ObjectAcl:Put": "Object ACL Updated",
    "ObjectRestore:Post": "Object Restore Initiated",
    "ObjectRestore:Completed": "Object Restore Completed",
}
_REASONS = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
    "ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}


@dataclass(frozen=True, slots=True)
class ObjectState:
    """An object after what happened to it; ``size`` is None when it is gone."""

    key: str
    size: int | None = None
    etag: str = ""
    version_id: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an object. ``event`` is like ``s3:ObjectCreated:Put``."""

    event: str
    bucket: str
    bucket_arn: str
    owner: str
    region: str
    object: ObjectState
    at: dt.datetime
    sequencer: str
    caller_id: str
    caller_account: str
    request_id: str
    source_ip: str

    @property
    def name(self) -> str:
        """The event without its service: ``ObjectCreated:Put``."""
        return self.event.removeprefix("s3:")


def timestamp(at: dt.datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as S3 writes it."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def notification(change: Change, configuration_id: str) -> dict[str, Any]:
    """The message for functions, queues and topics.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": change.region,
        "eventTime": timestamp(change.at),
        "eventName": change.name,
        "userIdentity": {"principalId": f"AWS:{change.caller_id}"},
        "requestParameters": {"sourceIPAddress": change.source_ip},
        "responseElements": {
            "x-amz-request-id": change.request_id,
            "x-amz-id-2": host_id(change.request_id),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {
                "name": change.bucket,
                "ownerIdentity": {"principalId": _owner_id(change.owner)},
                "arn": change.bucket_arn,
            },
            "object": _object(change, key=quote_plus(change.object.key, safe="/"), etag_name="eTag"),
        },
    }
    return {"Records": [record]}


def bus_event(change: Change) -> dict[str, Any]:
    """The event on the default bus.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    group = change.name.split(":")[0]
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": change.bucket},
        "object": _object(change, key=change.object.key, etag_name="etag", version_name="version-id"),
        "request-id": change.request_id,
        "requester": change.caller_account,
        "source-ip-address": change.source_ip,
    }
    if reason := _REASONS.get(change.name):
        detail["reason"] = reason
    if group == "ObjectRemoved":
        marked = change.name.endswith("DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if marked else "Permanently Deleted"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": _DETAIL_TYPES.get(change.name) or _DETAIL_TYPES[group],
        "source": "aws.s3",
        "account": change.owner,
        "time": change.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": change.region,
        "resources": [change.bucket_arn],
        "detail": detail,
    }


def knows_bus_event(change: Change) -> bool:
    """Whether EventBridge hears of this kind of change."""
    return change.name in _DETAIL_TYPES or change.name.split(":")[0] in _DETAIL_TYPES


def trial(bucket: str, at: dt.datetime, request_id: str) -> dict[str, Any]:
    """What queues and topics are sent when they become destinations."""
    return {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": timestamp(at),
        "Bucket": bucket,
        "RequestId": request_id,
        "HostId": host_id(request_id),
    }


def host_id(request_id: str) -> str:
    """The second id of a request, ``x-amz-id-2``."""
    return base64.b64encode(hashlib.sha384(request_id.encode()).digest()).decode()


def _object(change: Change, *, key: str, etag_name: str, version_name: str = "versionId") -> dict[str, Any]:
    state = change.object
    found: dict[str, Any] = {"key": key}
    if state.size is not None:
        found["size"] = state.size
    marked = change.name.endswith("DeleteMarkerCreated")
    if etag := _EMPTY_ETAG if marked else state.etag:
        found[etag_name] = etag
    if state.version_id:
        found[version_name] = state.version_id
    return {**found, "sequencer": change.sequencer}


def _owner_id(account_id: str) -> str:
    digest = base64.b32encode(hashlib.sha256(account_id.encode()).digest()).decode()
    return f"A{digest[:13]}"

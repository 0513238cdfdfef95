"""S3, whose actions have other names than its operations.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html (each operation's permissions)
and https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.emulator.iam.evaluation.model import ContextValue
from sandbox.emulator.iam.mapping.model import Asked, Authorisation

BUCKET_ACTIONS: Mapping[str, str] = {
    "CreateBucketMetadataConfiguration": "CreateBucketMetadataTableConfiguration",
    "CreateSession": "CreateSession",
    "DeleteBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration": "PutInventoryConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketMetadataConfiguration": "DeleteBucketMetadataTableConfiguration",
    "DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketIntelligentTieringConfiguration": "GetIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration": "GetInventoryConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketMetadataConfiguration": "GetBucketMetadataTableConfiguration",
    "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration",
    "ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
    "ListBucketMetricsConfigurations": "GetMetricsConfiguration",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "PutBucketInventoryConfiguration": "PutInventoryConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketMetricsConfiguration": "PutMetricsConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketReplication": "PutReplicationConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
"""Operations on a bucket → their action, where it is not the operation's name."""

OBJECT_ACTIONS: Mapping[str, str] = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadObject": "GetObject",
    "ListParts": "ListMultipartUploadParts",
    "PostObject": "PutObject",
    "SelectObjectContent": "GetObject",
    "UploadPart": "PutObject",
}
"""Operations on an object → their action, where it is not the operation's name."""

# With a version in the request, the action is another.
_OF_VERSIONS = {
    "GetObject": "GetObjectVersion",
    "DeleteObject": "DeleteObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "PutObjectAcl": "PutObjectVersionAcl",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObjectAttributes": "GetObjectVersionAttributes",
}
_HEADERS = {
    "ACL": "s3:x-amz-acl",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "StorageClass": "s3:x-amz-storage-class",
    "CopySource": "s3:x-amz-copy-source",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "GrantRead": "s3:x-amz-grant-read",
    "GrantWrite": "s3:x-amz-grant-write",
    "GrantReadACP": "s3:x-amz-grant-read-acp",
    "GrantWriteACP": "s3:x-amz-grant-write-acp",
    "GrantFullControl": "s3:x-amz-grant-full-control",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "WebsiteRedirectLocation": "s3:x-amz-website-redirect-location",
    "ObjectOwnership": "s3:x-amz-object-ownership",
    "ObjectLockMode": "s3:object-lock-mode",
    "ObjectLockLegalHoldStatus": "s3:object-lock-legal-hold",
    "VersionId": "s3:VersionId",
}
_LISTING = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}


def authorisations(asked: Asked) -> list[Authorisation]:
    """What an S3 operation must be allowed for."""
    match asked.operation:
        case "ListBuckets":
            return [_one(asked, "ListAllMyBuckets", "*")]
        case "ListDirectoryBuckets":
            return [_one(asked, "ListAllMyBuckets", "*")]
        case "CopyObject":
            return [_source(asked), *_put(asked), *_tagging(asked, "PutObjectTagging")]
        case "UploadPartCopy":
            return [_source(asked), _one(asked, "PutObject", _object(asked))]
        case "DeleteObjects":
            return _each_deleted(asked)
        case "PutObject" | "CreateMultipartUpload" | "PostObject":
            return [*_put(asked), *_tagging(asked, "PutObjectTagging")]
        case "GetObjectAttributes":
            return [_versioned(asked, "GetObject"), _versioned(asked, "GetObjectAttributes")]
        case "CreateBucket":
            return _created(asked)
    if asked.text("Key"):
        return [_versioned(asked, OBJECT_ACTIONS.get(asked.operation, asked.operation))]
    action = BUCKET_ACTIONS.get(asked.operation, asked.operation)
    return [_one(asked, action, _bucket(asked), {**_common(asked), **_listing(asked)})]


def _one(
    asked: Asked, action: str, resource: str, context: Mapping[str, ContextValue] | None = None
) -> Authorisation:
    return Authorisation(f"s3:{action}", resource, "", _common(asked) if context is None else context)


def _bucket(asked: Asked) -> str:
    name = asked.text("Bucket")
    return name if name.startswith("arn:") else f"arn:aws:s3:::{name}"


def _object(asked: Asked, key: str = "") -> str:
    return f"{_bucket(asked)}/{key or asked.text('Key')}"


def _common(asked: Asked) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {
        condition: value for name, condition in _HEADERS.items() if (value := asked.text(name))
    }
    tags = _tags(asked)
    for name, value in tags:
        found[f"s3:RequestObjectTag/{name}"] = value
    if tags:
        found["s3:RequestObjectTagKeys"] = [name for name, _value in tags]
    return found


def _listing(asked: Asked) -> dict[str, ContextValue]:
    if not asked.operation.startswith("List"):
        return {}
    # Only what the request holds: a policy that asks for `s3:prefix` refuses a listing of everything.
    return {
        condition: str(value)
        for name, condition in _LISTING.items()
        if (value := asked.params.get(name)) is not None
    }


def _tags(asked: Asked) -> list[tuple[str, str]]:
    tagging = asked.params.get("Tagging")
    if isinstance(tagging, str):
        return parse_qsl(tagging, keep_blank_values=True)
    if isinstance(tagging, Mapping) and asked.text("Key"):
        return [(str(tag.get("Key", "")), str(tag.get("Value", ""))) for tag in tagging.get("TagSet") or ()]
    return []


def _versioned(asked: Asked, action: str) -> Authorisation:
    if asked.text("VersionId"):
        action = _OF_VERSIONS.get(action, action)
    return _one(asked, action, _object(asked))


def _put(asked: Asked) -> list[Authorisation]:
    found = [_one(asked, "PutObject", _object(asked))]
    if any(
        asked.text(name) for name in ("ACL", "GrantRead", "GrantReadACP", "GrantWriteACP", "GrantFullControl")
    ):
        found.append(_one(asked, "PutObjectAcl", _object(asked)))
    if asked.text("ObjectLockMode"):
        found.append(_one(asked, "PutObjectRetention", _object(asked)))
    if asked.text("ObjectLockLegalHoldStatus"):
        found.append(_one(asked, "PutObjectLegalHold", _object(asked)))
    return found


def _tagging(asked: Asked, action: str) -> list[Authorisation]:
    return [_one(asked, action, _object(asked))] if asked.params.get("Tagging") else []


def _source(asked: Asked) -> Authorisation:
    """The object that is copied: its own bucket, key and perhaps version."""
    text: Any = asked.params.get("CopySource") or ""
    if isinstance(text, Mapping):
        bucket, key, version = text.get("Bucket", ""), text.get("Key", ""), text.get("VersionId", "")
    else:
        path, _, query = str(text).partition("?versionId=")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        version = query
    action = "GetObjectVersion" if version else "GetObject"
    context: dict[str, ContextValue] = {"s3:VersionId": version} if version else {}
    return Authorisation(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}", "", context)


def _each_deleted(asked: Asked) -> list[Authorisation]:
    wanted = (asked.params.get("Delete") or {}).get("Objects") or ()
    found = []
    for each in wanted:
        version = str(each.get("VersionId") or "")
        action = "DeleteObjectVersion" if version else "DeleteObject"
        context: dict[str, ContextValue] = {"s3:VersionId": version} if version else {}
        found.append(Authorisation(f"s3:{action}", f"{_bucket(asked)}/{each.get('Key', '')}", "", context))
    return found


def _created(asked: Asked) -> list[Authorisation]:
    context = _common(asked)
    where = (asked.params.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
    if where:
        context["s3:locationconstraint"] = str(where)
    found = [_one(asked, "CreateBucket", _bucket(asked), context)]
    if asked.text("ACL"):
        found.append(_one(asked, "PutBucketAcl", _bucket(asked), context))
    if asked.params.get("ObjectLockEnabledForBucket"):
        found.append(_one(asked, "PutBucketObjectLockConfiguration", _bucket(asked), context))
        found.append(_one(asked, "PutBucketVersioning", _bucket(asked), context))
    if asked.text("ObjectOwnership"):
        found.append(_one(asked, "PutBucketOwnershipControls", _bucket(asked), context))
    return found

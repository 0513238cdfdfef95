"""A bucket's settings: a template's words for them, as the S3 API wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.convert import boolean, call, omit, unless_absent, whole

Properties = Mapping[str, Any]
_DESTINATIONS = (
    ("LambdaConfigurations", "LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
    ("QueueConfigurations", "QueueConfigurations", "Queue", "QueueArn"),
    ("TopicConfigurations", "TopicConfigurations", "Topic", "TopicArn"),
)
_CANNED = {
    "AuthenticatedRead": "authenticated-read",
    "AwsExecRead": "aws-exec-read",
    "BucketOwnerFullControl": "bucket-owner-full-control",
    "BucketOwnerRead": "bucket-owner-read",
    "LogDeliveryWrite": "log-delivery-write",
    "Private": "private",
    "PublicRead": "public-read",
    "PublicReadWrite": "public-read-write",
}
# What a bucket begins with.
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


def _versioning(s3: Any, bucket: str, given: Properties | None) -> None:
    status = (given or {}).get("Status", "Suspended")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def _encryption(s3: Any, bucket: str, given: Properties | None) -> None:
    if given is None:
        s3.delete_bucket_encryption(Bucket=bucket)
        return
    rules = []
    for rule in given["ServerSideEncryptionConfiguration"]:
        made = omit(rule, "ServerSideEncryptionByDefault")
        if default := rule.get("ServerSideEncryptionByDefault"):
            made["ApplyServerSideEncryptionByDefault"] = default
        rules.append(made)
    configuration = {"Rules": rules}
    call(s3, "PutBucketEncryption", {}, Bucket=bucket, ServerSideEncryptionConfiguration=configuration)


def _public_access(s3: Any, bucket: str, given: Properties | None) -> None:
    wanted = _BLOCKED if given is None else {key: boolean(given.get(key, False)) for key in _BLOCKED}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=wanted)


def _ownership(s3: Any, bucket: str, given: Properties | None) -> None:
    wanted = given or {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    call(s3, "PutBucketOwnershipControls", {}, Bucket=bucket, OwnershipControls=wanted)


def _acl(s3: Any, bucket: str, given: str | None) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL=_CANNED[given or "Private"])


def _cors(s3: Any, bucket: str, given: Properties | None) -> None:
    if given is None:
        s3.delete_bucket_cors(Bucket=bucket)
        return
    rules = [
        _renamed(rule, ExposedHeaders="ExposeHeaders", MaxAge="MaxAgeSeconds") for rule in given["CorsRules"]
    ]
    call(s3, "PutBucketCors", {}, Bucket=bucket, CORSConfiguration={"CORSRules": rules})


def _renamed(given: Properties, **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in given.items() if value is not None}


def _lifecycle(s3: Any, bucket: str, given: Properties | None) -> None:
    if given is None:
        s3.delete_bucket_lifecycle(Bucket=bucket)
        return
    rules = {"Rules": [_lifecycle_rule(rule) for rule in given["Rules"]]}
    call(s3, "PutBucketLifecycleConfiguration", {}, Bucket=bucket, LifecycleConfiguration=rules)


_EXPIRATION = {
    "ExpirationInDays": "Days",
    "ExpirationDate": "Date",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
_TRANSITION = {"TransitionInDays": "Days", "TransitionDate": "Date"}
_OLD_TRANSITION = {"TransitionInDays": "NoncurrentDays"}


def _lifecycle_rule(given: Properties) -> dict[str, Any]:
    expiration = {theirs: given[ours] for ours, theirs in _EXPIRATION.items() if ours in given}
    transitions = [*given.get("Transitions", ()), *([given["Transition"]] if "Transition" in given else ())]
    old_transitions = [
        *given.get("NoncurrentVersionTransitions", ()),
        *([given["NoncurrentVersionTransition"]] if "NoncurrentVersionTransition" in given else ()),
    ]
    old_expiration = given.get("NoncurrentVersionExpiration")
    if old_expiration is None and "NoncurrentVersionExpirationInDays" in given:
        old_expiration = {"NoncurrentDays": given["NoncurrentVersionExpirationInDays"]}
    rule = {
        "ID": given.get("Id"),
        "Status": given["Status"],
        "Filter": _lifecycle_filter(given),
        "Expiration": expiration or None,
        "Transitions": [_renamed(entry, **_TRANSITION) for entry in transitions] or None,
        "NoncurrentVersionTransitions": [_renamed(entry, **_OLD_TRANSITION) for entry in old_transitions]
        or None,
        "NoncurrentVersionExpiration": old_expiration,
        "AbortIncompleteMultipartUpload": given.get("AbortIncompleteMultipartUpload"),
    }
    return omit(rule)


def _lifecycle_filter(given: Properties) -> dict[str, Any]:
    tags = given.get("TagFilters") or []
    sizes = {
        key: whole(given[key]) for key in ("ObjectSizeGreaterThan", "ObjectSizeLessThan") if key in given
    }
    prefix = {"Prefix": given["Prefix"]} if "Prefix" in given else {}
    if len(tags) + len(sizes) + len(prefix) > 1:
        return {"And": {**prefix, **sizes, **({"Tags": tags} if tags else {})}}
    if tags:
        return {"Tag": tags[0]}
    return {**prefix, **sizes} or {"Prefix": ""}


def _notifications(s3: Any, bucket: str, given: Properties | None) -> None:
    made: dict[str, Any] = {}
    for ours, theirs, target, arn in _DESTINATIONS:
        if entries := (given or {}).get(ours):
            made[theirs] = [_notification(entry, target, arn) for entry in entries]
    bridge = (given or {}).get("EventBridgeConfiguration")
    if bridge is not None and boolean(bridge.get("EventBridgeEnabled", True)):
        made["EventBridgeConfiguration"] = {}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=made)


def _notification(given: Properties, target: str, arn: str) -> dict[str, Any]:
    made = {arn: given[target], "Events": [given["Event"]]}
    if chosen := given.get("Filter"):
        rules = [{"Name": rule["Name"], "Value": rule["Value"]} for rule in chosen["S3Key"]["Rules"]]
        made["Filter"] = {"Key": {"FilterRules": rules}}
    return made


def _object_lock(s3: Any, bucket: str, given: Properties | None) -> None:
    wanted = given or {"ObjectLockEnabled": "Enabled"}
    call(s3, "PutObjectLockConfiguration", {}, Bucket=bucket, ObjectLockConfiguration=wanted)


def _replication(s3: Any, bucket: str, given: Properties | None) -> None:
    if given is None:
        s3.delete_bucket_replication(Bucket=bucket)
        return
    rules = [_replication_rule(rule) for rule in given["Rules"]]
    configuration = {"Role": given["Role"], "Rules": rules}
    call(s3, "PutBucketReplication", {}, Bucket=bucket, ReplicationConfiguration=configuration)


def _replication_rule(given: Properties) -> dict[str, Any]:
    rule = _renamed(omit(given, "Filter"), Id="ID")
    chosen = given.get("Filter")
    if chosen is None:
        return rule
    both = chosen.get("And")
    if both is not None:
        rule["Filter"] = {"And": _renamed(both, TagFilters="Tags")}
    else:
        rule["Filter"] = _renamed(chosen, TagFilter="Tag")
    return rule


def set_tags(s3: Any, bucket: str, wanted: Mapping[str, str]) -> None:
    """Give the bucket exactly these tags."""
    if wanted:
        labels = [{"Key": key, "Value": value} for key, value in wanted.items()]
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": labels})
    else:
        with unless_absent("NoSuchTagSet"):
            s3.delete_bucket_tagging(Bucket=bucket)


# In the order in which they may depend on one another: an ACL needs the ownership that allows it.
SETTINGS: dict[str, Callable[[Any, str, Any], None]] = {
    "OwnershipControls": _ownership,
    "PublicAccessBlockConfiguration": _public_access,
    "AccessControl": _acl,
    "BucketEncryption": _encryption,
    "VersioningConfiguration": _versioning,
    "ReplicationConfiguration": _replication,
    "ObjectLockConfiguration": _object_lock,
    "CorsConfiguration": _cors,
    "LifecycleConfiguration": _lifecycle,
    "NotificationConfiguration": _notifications,
}

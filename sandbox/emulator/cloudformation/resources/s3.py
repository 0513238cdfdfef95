"""AWS::S3: buckets and their policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    boolean,
    changed,
    exists_already,
    found,
    or_else,
    tags,
    text,
    unless_absent,
)
from sandbox.emulator.cloudformation.resources.s3_configuration import SETTINGS, set_tags

_ABSENT = ("NoSuchBucket", "404")
_FIRST_REGION = "us-east-1"
# Regions whose websites are addressed with a dash before the region's name; all newer ones have a dot.
_DASHED_WEBSITES = frozenset(
    {
        "ap-northeast-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "eu-west-1",
        "sa-east-1",
        "us-east-1",
        "us-west-1",
        "us-west-2",
    }
)


class Bucket:
    """A bucket. ``Ref`` is its name; a bucket that still holds objects can't be deleted."""

    type = "AWS::S3::Bucket"
    properties = frozenset({*SETTINGS, "BucketName", "ObjectLockEnabled", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        s3 = context.client("s3")
        name = properties.get("BucketName") or context.unique_name(63, lower=True)
        if found(lambda: s3.head_bucket(Bucket=name), *_ABSENT):
            raise exists_already(self.type, name)
        placed: dict[str, Any] = {}
        if context.region != _FIRST_REGION:
            placed["CreateBucketConfiguration"] = {"LocationConstraint": context.region}
        if boolean(properties.get("ObjectLockEnabled", False)):
            placed["ObjectLockEnabledForBucket"] = True
        s3.create_bucket(Bucket=name, **placed)
        with or_else(lambda: s3.delete_bucket(Bucket=name)):
            self._configure(context, name, {}, properties)
        return _bucket(context, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self._configure(context, physical_id, old, new)
        return _bucket(context, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(*_ABSENT):
            context.client("s3").delete_bucket(Bucket=physical_id)

    def _configure(
        self, context: ResourceContext, name: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        s3 = context.client("s3")
        for key, put in SETTINGS.items():
            if changed(old, new, key):
                put(s3, name, new.get(key))
        # Only S3 itself may set tags that begin with aws:, so CloudFormation's own are left out.
        wanted = tags(context, new.get("Tags"), system=False)
        if wanted or old:
            set_tags(s3, name, wanted)


def _bucket(context: ResourceContext, name: str) -> Physical:
    region = context.region
    dash = "-" if region in _DASHED_WEBSITES else "."
    return Physical(
        name,
        {
            "Arn": f"arn:{context.partition}:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "DualStackDomainName": f"{name}.s3.dualstack.{region}.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
            "WebsiteURL": f"http://{name}.s3-website{dash}{region}.amazonaws.com",
        },
    )


class BucketPolicy:
    """A bucket's policy. ``Ref`` is the bucket's name."""

    type = "AWS::S3::BucketPolicy"
    properties = frozenset({"Bucket", "PolicyDocument"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        bucket = properties["Bucket"]
        policy = text(properties["PolicyDocument"])
        context.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
        return Physical(bucket)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self.create(context, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(*_ABSENT, "NoSuchBucketPolicy"):
            context.client("s3").delete_bucket_policy(Bucket=physical_id)


PROVIDERS = (Bucket(), BucketPolicy())

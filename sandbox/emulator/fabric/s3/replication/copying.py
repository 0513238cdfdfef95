"""One object (or the marker of its deletion) made in another bucket, with the id that it has in the first."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, s3_backends

from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.kms.patches import find_key, refusal
from sandbox.emulator.fabric.roles import RoleRefused
from sandbox.emulator.fabric.s3.events import ObjectState
from sandbox.emulator.fabric.s3.replication.rules import Rule

SERVICE = "s3.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Job:
    """Something that happened to a version and is to happen in the rule's bucket too.

    ``what`` is S3's name for it: ``OBJECT_PUT``, ``DELETE_MARKER`` … ``requested`` and ``due`` are in
    account time.
    """

    what: str
    bucket: FakeBucket
    role: str
    rule: Rule
    key: str
    version_id: str
    requested: float
    due: float


class NotCopied(Exception):
    """S3 could not; ``reason`` is one of its failure reasons, ``detail`` says what was refused.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-failure-codes.html
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def find_bucket(name: str) -> FakeBucket | None:
    """A bucket by its name, whoever owns it. Call with the dispatch lock held."""
    held = s3_backends.bucket_accounts.get(name)
    found: FakeBucket | None = s3_backends[held[1]][held[0]].buckets.get(name) if held is not None else None
    return found


def find_version(bucket: FakeBucket, key: str, version_id: str) -> Any:
    """A version of an object, or the marker of its deletion; None when it is gone."""
    versions = bucket.keys.getlist(key, [])
    return next((each for each in versions if str(each.version_id) == version_id), None)


class Copier:
    """Does jobs, each with the rights of its role. Call with the dispatch lock held."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def do(self, job: Job) -> ObjectState | None:
        """Make in the destination what is in the source; None when there is nothing to tell of.

        Raises:
            NotCopied: S3 would not.
        """
        source = find_version(job.bucket, job.key, job.version_id)
        if source is None:
            raise NotCopied("SrcKeyNotFound", f"{job.key} has no version {job.version_id} any more")
        caller = self._assume(job)
        target = find_bucket(job.rule.target)
        if target is None:
            raise NotCopied("DstBucketNotFound", job.rule.target)
        if not target.is_versioned:
            raise NotCopied("DstBucketUnversioned", job.rule.target)
        if job.what == "DELETE_MARKER":
            return self._mark(job, caller, target, source)
        if job.what == "OBJECT_TAGGING":
            self._tag(job, caller, target, source)
            return None
        return self._copy(job, caller, target, source)

    def _assume(self, job: Job) -> Principal:
        try:
            caller = roles.assume(self._core, job.role, SERVICE, source_arn=job.bucket.arn)
        except RoleRefused as refused:
            raise NotCopied("AssumeRoleNotPermitted", str(refused)) from None
        self._need(
            job, caller, "s3:GetReplicationConfiguration", job.bucket.arn, "SrcBucketReplicationConfigMissing"
        )
        return caller

    def _need(self, job: Job, caller: Principal, action: str, resource: str, reason: str) -> None:
        refused = self._refusal(job, caller, action, resource)
        if refused:
            raise NotCopied(reason, refused)

    def _refusal(self, job: Job, caller: Principal, action: str, resource: str) -> str:
        region = job.bucket.region_name if resource.startswith(job.bucket.arn) else self._region(job)
        return self._core.guard.refusal(caller, action, resource, region=region)

    def _region(self, job: Job) -> str:
        target = find_bucket(job.rule.target)
        return str(target.region_name) if target is not None else str(job.bucket.region_name)

    def _mark(self, job: Job, caller: Principal, target: FakeBucket, source: Any) -> ObjectState:
        self._need(job, caller, "s3:ListBucket", job.bucket.arn, "SrcGetObjectNotPermitted")
        self._need(job, caller, "s3:ReplicateDelete", f"{target.arn}/{job.key}", "DstDelObjNotPermitted")
        marker = FakeDeleteMarker(key=source.key)
        marker._version_id = job.version_id
        marker.replication_status = "REPLICA"
        target.keys[job.key] = marker
        return ObjectState(job.key, version_id=job.version_id)

    def _copy(self, job: Job, caller: Principal, target: FakeBucket, source: FakeKey) -> ObjectState:
        mine, theirs = f"{job.bucket.arn}/{job.key}", f"{target.arn}/{job.key}"
        self._need(job, caller, "s3:GetObjectVersionForReplication", mine, "SrcGetObjectNotPermitted")
        self._need(job, caller, "s3:GetObjectVersionAcl", mine, "SrcGetAclNotPermitted")
        self._need(job, caller, "s3:ReplicateObject", theirs, "DstPutObjectNotPermitted")
        key_arn = self._keys(job, caller, target, source)
        backend = s3_backends[target.account_id]["aws"]
        made = backend.put_object(
            target.name,
            job.key,
            source.value,
            storage=job.rule.storage_class or source.storage_class,
            etag=source.etag.strip('"'),
            multipart=source.multipart,
            encryption="aws:kms" if key_arn else None,
            kms_key_id=key_arn or None,
            lock_mode=source.lock_mode,
            lock_legal_status=source.lock_legal_status,
            lock_until=source.lock_until,
            checksum_value=source.checksum_value,
            disable_notification=True,
        )
        made._version_id = job.version_id
        made.last_modified = source.last_modified
        made.set_metadata(dict(source.metadata))
        made.acl = copy.copy(source.acl)
        made.website_redirect_location = source.website_redirect_location
        made.checksum_algorithm, made.checksum_type = source.checksum_algorithm, source.checksum_type
        made.checksum_parts = source.checksum_parts
        made.replication_status = "REPLICA"
        if not self._refusal(job, caller, "s3:GetObjectVersionTagging", mine) and not self._refusal(
            job, caller, "s3:ReplicateTags", theirs
        ):
            _take_tags(source, made)
        return ObjectState(job.key, int(made.size), made.etag.strip('"'), job.version_id)

    def _keys(self, job: Job, caller: Principal, target: FakeBucket, source: FakeKey) -> str:
        """The key for the copy, once the role may use both keys; empty for an object under none."""
        if not str(source.encryption or "").startswith("aws:kms"):
            return ""
        if source.kms_key_id and str(source.kms_key_id).startswith("arn:"):
            used, reason = str(source.kms_key_id), "SrcGetObjectNotPermitted"
            self._use(job, caller, "kms:Decrypt", used, job.bucket, ("Src", reason))
        used = job.rule.key_arn
        self._use(job, caller, "kms:Encrypt", used, target, ("Dst", "DstPutObjectNotPermitted"))
        return used

    def _use(
        self,
        job: Job,
        caller: Principal,
        action: str,
        key_arn: str,
        bucket: FakeBucket,
        reasons: tuple[str, str],
    ) -> None:
        """Make sure that a key is there, works, and is open to the role."""
        side, not_permitted = reasons
        key = find_key(key_arn)
        if key is None:
            raise NotCopied(f"{side}KmsKeyNotFound", key_arn)
        if (unusable := refusal(key)) is not None:
            raise NotCopied(f"{side}KmsKeyInvalidState", unusable[1])
        context = {
            "kms:ViaService": f"s3.{bucket.region_name}.amazonaws.com",
            "kms:EncryptionContext:aws:s3:arn": f"{bucket.arn}/{job.key}",
        }
        refused = self._core.guard.refusal(
            caller, action, key_arn, region=str(bucket.region_name), context=context
        )
        if refused:
            raise NotCopied(not_permitted, refused)

    def _tag(self, job: Job, caller: Principal, target: FakeBucket, source: FakeKey) -> None:
        mine, theirs = f"{job.bucket.arn}/{job.key}", f"{target.arn}/{job.key}"
        self._need(job, caller, "s3:GetObjectVersionTagging", mine, "SrcGetTaggingNotPermitted")
        self._need(job, caller, "s3:ReplicateTags", theirs, "DstPutTaggingNotPermitted")
        made = find_version(target, job.key, job.version_id)
        if made is not None:
            _take_tags(source, made)


def tags_of(key: FakeKey) -> dict[str, str]:
    """An object version's tags."""
    tagger = s3_backends[key.account_id]["aws"].tagger
    found: dict[str, str] = tagger.get_tag_dict_for_resource(key.arn)
    return found


def _take_tags(source: FakeKey, made: FakeKey) -> None:
    s3_backends[made.account_id]["aws"].put_object_tagging(made, tags_of(source))

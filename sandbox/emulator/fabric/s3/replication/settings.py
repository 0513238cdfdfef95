"""Which buckets are copied, and by which rules."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from moto.s3.models import FakeBucket

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.s3.notifications import Notifications
from sandbox.emulator.fabric.s3.replication import rules
from sandbox.emulator.fabric.s3.replication.copying import find_bucket
from sandbox.emulator.fabric.s3.replication.rules import Configuration, Rule


class Settings:
    """Keeps buckets' replication configurations. State is touched with the dispatch lock held."""

    def __init__(self, core: AccountCore, notifications: Notifications) -> None:
        self._core = core
        self._notifications = notifications
        self._configurations: WeakKeyDictionary[FakeBucket, Configuration] = WeakKeyDictionary()

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {
            ("s3", "PutBucketReplication"): self._put,
            ("s3", "GetBucketReplication"): self._get,
            ("s3", "DeleteBucketReplication"): self._delete,
            ("s3", "PutBucketVersioning"): self._version,
        }

    def find(self, bucket: FakeBucket) -> Configuration | None:
        """A bucket's configuration, if it has one."""
        return self._configurations.get(bucket)

    def _put(self, call: Call) -> dict[str, Any]:
        wanted = rules.read(call.params.get("ReplicationConfiguration") or {})
        with self._core.dispatch_lock:
            bucket = self._notifications.bucket(call)
            if bucket.versioning_status != "Enabled":
                raise _invalid(
                    "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
                )
            for rule in wanted.rules:
                _check_target(bucket, rule)
            self._configurations[bucket] = wanted
        return {}

    def _get(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            found = self._configurations.get(self._notifications.bucket(call))
        if found is None:
            raise AwsError(
                "ReplicationConfigurationNotFoundError",
                "The replication configuration was not found",
                404,
                BucketName=call.params.get("Bucket", ""),
            )
        return {"ReplicationConfiguration": dict(found.shown)}

    def _delete(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            self._configurations.pop(self._notifications.bucket(call), None)
        return {}

    def _version(self, call: Call) -> dict[str, Any]:
        status = (call.params.get("VersioningConfiguration") or {}).get("Status")
        with self._core.dispatch_lock:
            if status == "Suspended" and self._notifications.bucket(call) in self._configurations:
                raise AwsError(
                    "InvalidBucketState",
                    "A replication configuration is present on this bucket, so you cannot change the "
                    "versioning state. To change the versioning state, first delete the replication "
                    "configuration.",
                    409,
                )
            return self._core.moto(call)


def _check_target(bucket: FakeBucket, rule: Rule) -> None:
    target = find_bucket(rule.target)
    if target is bucket:
        raise _invalid("Destination bucket cannot be the same as the source bucket.")
    if target is None:
        raise _invalid("Destination bucket must exist.")
    if target.versioning_status != "Enabled":
        raise _invalid("Destination bucket must have versioning enabled.")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequest", message)

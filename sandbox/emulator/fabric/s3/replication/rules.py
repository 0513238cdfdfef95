"""A bucket's replication configuration: what is copied where, held to S3's rules.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.arns import Arn

_NEEDED = (
    "{} must be specified for this version of Cross Region Replication configuration schema. "
    "Please refer to S3 Developer Guide for more information."
)
_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """Copy objects with this prefix and these tags to the bucket ``target``.

    ``key_arn`` encrypts the copies; ``encrypted`` says that objects under KMS are copied too.
    """

    id: str
    priority: int
    enabled: bool
    prefix: str
    tags: Mapping[str, str]
    target: str
    storage_class: str | None
    delete_markers: bool
    encrypted: bool
    key_arn: str
    metrics: bool
    threshold_s: float | None

    def covers(self, key: str, tags: Mapping[str, str]) -> bool:
        """Whether an object is one of the rule's."""
        return self.enabled and key.startswith(self.prefix) and self.tags.items() <= tags.items()


@dataclass(frozen=True, slots=True)
class Configuration:
    """``shown`` is the configuration as GetBucketReplication answers it."""

    role: str
    rules: tuple[Rule, ...]
    shown: Mapping[str, Any] = field(repr=False)

    def for_object(self, key: str, tags: Mapping[str, str], kms: bool) -> list[Rule]:
        """The rules that copy an object: of those to one bucket, the one of the highest priority."""
        chosen: dict[str, Rule] = {}
        for rule in sorted(self.rules, key=lambda rule: rule.priority):
            if rule.covers(key, tags):
                chosen[rule.target] = rule
        return [rule for rule in chosen.values() if rule.encrypted or not kms]

    def for_delete_marker(self, key: str) -> list[Rule]:
        """The rules that copy the marker of a deletion; those by tags never do."""
        chosen: dict[str, Rule] = {}
        for rule in sorted(self.rules, key=lambda rule: rule.priority):
            if not rule.tags and rule.covers(key, {}):
                chosen[rule.target] = rule
        return [rule for rule in chosen.values() if rule.delete_markers]


def read(given: Mapping[str, Any]) -> Configuration:
    """The configuration that a bucket was given.

    Raises:
        AwsError: S3 would not take it, whatever the destinations are.
    """
    entries: Sequence[Mapping[str, Any]] = given.get("Rules") or ()
    role = str(given.get("Role") or "")
    if not 0 < len(entries) <= _LIMIT:
        raise AwsError("MalformedXML", "A replication configuration has 1 to 1000 rules.")
    if ":role/" not in role:
        raise AwsError("InvalidArgument", "Invalid Role", ArgumentName="Role", ArgumentValue=role)
    newer = {"Filter" in entry for entry in entries}
    if len(newer) > 1:
        raise _refused("All rules must be of the same version of the replication configuration schema.")
    named = [{**entry, "ID": entry.get("ID") or secrets.token_urlsafe(36)} for entry in entries]
    rules = [_read_rule(entry) for entry in named]
    if len({rule.id for rule in rules}) < len(rules):
        raise AwsError("InvalidArgument", "Rule ID must be unique. Found the same ID for more than one rule")
    if newer == {True}:
        if len({rule.priority for rule in rules}) < len(rules):
            raise _refused("Found duplicate priorities. Each rule must have a priority of its own.")
    else:
        _refuse_overlaps(rules)
    return Configuration(role, tuple(rules), {"Role": role, "Rules": named})


def _refuse_overlaps(rules: Sequence[Rule]) -> None:
    for one, other in itertools.combinations(rules, 2):
        if one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix):
            raise _refused(f"Found overlapping prefixes '{one.prefix}' and '{other.prefix}'")
        if one.target != other.target:
            raise _refused("All rules of this version of the schema must have the same destination bucket.")


def _read_rule(entry: Mapping[str, Any]) -> Rule:
    where: Mapping[str, Any] = entry.get("Destination") or {}
    target = str(where.get("Bucket") or "")
    try:
        arn = Arn.parse(target)
    except ValueError:
        arn = None
    if arn is None or arn.service != "s3" or not arn.resource:
        raise AwsError("InvalidArgument", "Invalid bucket ARN", ArgumentName="Bucket", ArgumentValue=target)
    prefix, tags = _read_filter(entry)
    markers = _is_on(entry.get("DeleteMarkerReplication"))
    if "Filter" in entry:
        if entry.get("Priority") is None:
            raise _refused(_NEEDED.format("Priority"))
        if entry.get("DeleteMarkerReplication") is None:
            raise _refused(_NEEDED.format("DeleteMarkerReplication"))
        if tags and markers:
            raise _refused(
                "Delete marker replication is not supported if any Tag filter is specified. "
                "Please refer to S3 Developer Guide for more information."
            )
    encrypted = _is_on((entry.get("SourceSelectionCriteria") or {}).get("SseKmsEncryptedObjects"))
    key_arn = str((where.get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID") or "")
    if encrypted and not key_arn:
        raise _refused("EncryptionConfiguration must be specified if SseKmsEncryptedObjects is present.")
    if key_arn and not encrypted:
        raise _refused("SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present.")
    metrics, timed = where.get("Metrics") or {}, where.get("ReplicationTime") or {}
    if _is_on(timed) and not _is_on(metrics):
        raise _refused("Metrics must be enabled if ReplicationTime is enabled.")
    minutes = int((timed.get("Time") or {}).get("Minutes") or 15) if _is_on(timed) else None
    return Rule(
        str(entry["ID"]),
        int(entry.get("Priority") or 0),
        entry.get("Status") == "Enabled",
        prefix,
        tags,
        arn.resource,
        where.get("StorageClass"),
        # The earlier schema always copies the markers that people's deletions leave.
        markers or "Filter" not in entry,
        encrypted,
        key_arn,
        _is_on(metrics),
        minutes * 60.0 if minutes is not None else None,
    )


def _read_filter(entry: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    given: Mapping[str, Any] = entry.get("Filter") or {}
    both: Mapping[str, Any] = given.get("And") or {}
    labels = [*(both.get("Tags") or ()), *([given["Tag"]] if given.get("Tag") else ())]
    prefix = both.get("Prefix") or given.get("Prefix") or entry.get("Prefix") or ""
    return str(prefix), {str(tag["Key"]): str(tag.get("Value") or "") for tag in labels}


def _is_on(given: Any) -> bool:
    return bool(given) and given.get("Status") == "Enabled"


def _refused(message: str) -> AwsError:
    return AwsError("InvalidRequest", message)

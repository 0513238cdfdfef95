"""A bucket's notification configuration: who is to hear of what, held to S3's rules."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.arns import Arn

# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
_EVENTS = {
    "s3:IntelligentTiering",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:ObjectAcl:Put",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Put",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ObjectRestore:Post",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Delete",
    "s3:ObjectTagging:Put",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationReplicatedAfterThreshold",
}
# Member of the configuration → (member with the ARN, the ARN's service).
_KINDS = {
    "TopicConfigurations": ("TopicArn", "sns"),
    "QueueConfigurations": ("QueueArn", "sqs"),
    "LambdaFunctionConfigurations": ("LambdaFunctionArn", "lambda"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Tell ``target`` of ``events`` on keys with this prefix and suffix."""

    id: str
    target: Arn
    events: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""

    def wants(self, event: str, key: str) -> bool:
        """Whether a change is for this rule."""
        return self.hears(event) and key.startswith(self.prefix) and key.endswith(self.suffix)

    def hears(self, event: str) -> bool:
        """Whether a kind of change is for this rule, whatever the key."""
        return any(_covers(wanted, event) for wanted in self.events)

    def overlaps(self, other: Rule) -> bool:
        """Whether one change could be for both."""
        events = any(_covers(a, b) or _covers(b, a) for a in self.events for b in other.events)
        return (
            events
            and (self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix))
            and (self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix))
        )


@dataclass(frozen=True, slots=True)
class Configuration:
    """``shown`` is the configuration as GetBucketNotificationConfiguration answers it."""

    rules: tuple[Rule, ...]
    event_bridge: bool
    shown: Mapping[str, Any]


def read(given: Mapping[str, Any], region: str) -> Configuration:
    """The configuration that a bucket in ``region`` was given.

    Raises:
        AwsError: S3 would not take it, whether or not the destinations exist.
    """
    rules: list[Rule] = []
    shown: dict[str, Any] = {}
    for member, (arn_member, service) in _KINDS.items():
        entries = []
        for entry in given.get(member) or ():
            rule = _read_rule(entry, entry.get(arn_member, ""), service, region)
            rules.append(rule)
            entries.append({**entry, "Id": rule.id})
        if entries:
            shown[member] = entries
    _refuse_overlaps(rules)
    event_bridge = given.get("EventBridgeConfiguration") is not None
    if event_bridge:
        shown["EventBridgeConfiguration"] = {}
    return Configuration(tuple(rules), event_bridge, shown)


def invalid(message: str, **extra: Any) -> AwsError:
    return AwsError("InvalidArgument", message, 400, **extra)


def _read_rule(entry: Mapping[str, Any], target: str, service: str, region: str) -> Rule:
    try:
        arn = Arn.parse(target)
    except ValueError:
        arn = None
    if arn is None or arn.service != service:
        raise invalid("The ARN is not well formed", ArgumentName=target, ArgumentValue=target)
    if arn.region != region:
        raise invalid(
            "The notification destination service region is not valid for the bucket location constraint",
            ArgumentName=target,
            ArgumentValue=target,
        )
    events = tuple(entry.get("Events") or ())
    for event in events:
        if event not in _EVENTS:
            raise invalid(
                f"The event '{event}' is not supported for notifications",
                ArgumentName="Event",
                ArgumentValue=event,
            )
    filters: dict[str, str] = {}
    for rule in ((entry.get("Filter") or {}).get("Key") or {}).get("FilterRules") or ():
        name = str(rule.get("Name", "")).lower()
        if name not in ("prefix", "suffix"):
            raise invalid(
                "filter rule name must be either prefix or suffix",
                ArgumentName="FilterRule.Name",
                ArgumentValue=rule.get("Name", ""),
            )
        if name in filters:
            raise invalid(
                f"Cannot specify more than one {name} rule in a filter.",
                ArgumentName="FilterRule.Name",
                ArgumentValue=name,
            )
        filters[name] = rule.get("Value") or ""
    return Rule(
        entry.get("Id") or str(uuid.uuid4()),
        arn,
        events,
        filters.get("prefix", ""),
        filters.get("suffix", ""),
    )


def _refuse_overlaps(rules: Sequence[Rule]) -> None:
    for one, other in itertools.combinations(rules, 2):
        if not one.overlaps(other):
            continue
        if one.prefix == other.prefix and one.suffix == other.suffix == "":
            what = (
                "Configurations overlap. Configurations on the same bucket cannot share a common event type."
            )
        else:
            what = (
                "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the "
                "prefixes are overlapping for the same event type."
            )
        raise invalid(what)


def _covers(wanted: str, event: str) -> bool:
    return wanted == event or (wanted.endswith(":*") and event.startswith(wanted[:-1]))

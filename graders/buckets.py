"""A bucket as a check sees it: who hears of uploads, who may call for it, how well it is closed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote_plus

from graders.evidence.aws import error_code
from graders.functions import Invocation
from sandbox.account import Account

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_SETTLE_S = 5.0


class Invoke(Protocol):
    """Invokes a function by ARN."""

    def __call__(self, function: str, payload: Any, *, asynchronous: bool = False) -> Invocation: ...


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody who hears of uploads: a function's or queue's ARN, and the keys that are let through.

    ``rule_arn`` is the EventBridge rule in between, if there is one.
    """

    arn: str
    prefix: str = ""
    suffix: str = ""
    rule_arn: str = ""

    @property
    def name(self) -> str:
        """The function's or queue's name."""
        return self.arn.split(":function:")[-1].rsplit("/", 1)[-1].rsplit(":", 1)[-1]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the learner's stack."""

    account: Account
    name: str
    invoke: Invoke

    @property
    def arn(self) -> str:
        """The bucket's ARN."""
        return f"arn:aws:s3:::{self.name}"

    # --- who hears of uploads

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Functions and queues that the bucket notifies, directly or through rules of the default bus."""
        found = self._s3.get_bucket_notification_configuration(Bucket=self.name)
        kinds = (
            ("LambdaFunctionConfigurations", "LambdaFunctionArn"),
            ("QueueConfigurations", "QueueArn"),
        )
        direct = tuple(
            Subscription(item[arn], *_key_rules(item)) for kind, arn in kinds for item in found.get(kind, ())
        )
        return direct + (tuple(self._rules()) if "EventBridgeConfiguration" in found else ())

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """Nobody hears of uploads while the block runs; the configuration is restored."""
        before = self._s3.get_bucket_notification_configuration(Bucket=self.name)
        before.pop("ResponseMetadata", None)
        self._s3.put_bucket_notification_configuration(Bucket=self.name, NotificationConfiguration={})
        try:
            yield
        finally:
            self._s3.put_bucket_notification_configuration(Bucket=self.name, NotificationConfiguration=before)
            # S3 tries a restored configuration with a test message to queues.
            self.account.settle(timeout_s=_SETTLE_S)

    def announce(self, keys: Sequence[str]) -> None:
        """Deliver the event of these uploads again, the way the stack hears of uploads.

        It is one event with a record for each key; EventBridge has one object an event, so there it is
        one event each.
        """
        for target in self.subscriptions():
            if target.rule_arn:
                events = [self._bus_event(key) for key in keys]
            else:
                events = [{"Records": [self._record(key) for key in keys]}]
            for event in events:
                if ":sqs:" in target.arn:
                    body = json.dumps(event)
                    self._sqs.send_message(QueueUrl=self._queue_url(target), MessageBody=body)
                else:
                    self.invoke(target.arn, event, asynchronous=True)

    def admits_only_this_bucket(self, target: Subscription) -> bool:
        """Whether what lets S3 call the target names this bucket and account, or else the rule between."""
        service = "events.amazonaws.com" if target.rule_arn else "s3.amazonaws.com"
        allowing = [
            statement
            for statement in as_list(self._policy_of(target).get("Statement"))
            if statement.get("Effect") == "Allow" and _is_for(statement.get("Principal"), service)
        ]
        return bool(allowing) and all(self._names_source(statement, target) for statement in allowing)

    # --- how well it is closed

    def openings(self) -> tuple[str, ...]:
        """The protections the bucket lacks: public access block, default encryption, TLS only."""
        found = []
        block = _setting(
            lambda: self._s3.get_public_access_block(Bucket=self.name)["PublicAccessBlockConfiguration"],
            "NoSuchPublicAccessBlockConfiguration",
        )
        off = [name for name in _BLOCKS if not (block or {}).get(name)]
        if off:
            found.append(f"{', '.join(off)} off")
        encryption = _setting(
            lambda: self._s3.get_bucket_encryption(Bucket=self.name)["ServerSideEncryptionConfiguration"],
            "ServerSideEncryptionConfigurationNotFoundError",
        )
        if not (encryption or {}).get("Rules"):
            found.append("no default encryption")
        policy = _setting(
            lambda: self._s3.get_bucket_policy(Bucket=self.name)["Policy"], "NoSuchBucketPolicy"
        )
        if not self._is_tls_only(json.loads(policy or "{}")):
            found.append("requests without TLS are not denied")
        return tuple(found)

    def _is_tls_only(self, policy: Mapping[str, Any]) -> bool:
        covered: set[str] = set()
        for statement in as_list(policy.get("Statement")):
            condition = {
                key.lower(): str(as_list(value)[0]).lower()
                for operator, body in statement.get("Condition", {}).items()
                if operator in ("Bool", "BoolIfExists")
                for key, value in body.items()
            }
            if (
                statement.get("Effect") == "Deny"
                and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
                and {"s3:*", "*"} & set(as_list(statement.get("Action")))
                and condition == {"aws:securetransport": "false"}
                and len(statement.get("Condition", {})) == 1
            ):
                covered |= set(as_list(statement.get("Resource")))
        return "*" in covered or f"{self.arn}*" in covered or {self.arn, f"{self.arn}/*"} <= covered

    # --- parts

    @property
    def _s3(self) -> Any:
        return self.account.client("s3")

    @property
    def _sqs(self) -> Any:
        return self.account.client("sqs")

    def _queue_url(self, target: Subscription) -> str:
        return str(self._sqs.get_queue_url(QueueName=target.name)["QueueUrl"])

    def _rules(self) -> Iterator[Subscription]:
        client = self.account.client("events")
        for page in client.get_paginator("list_rules").paginate():
            for rule in page["Rules"]:
                pattern = json.loads(rule.get("EventPattern") or "{}")
                detail = pattern.get("detail", {})
                buckets = detail.get("bucket", {}).get("name", [self.name])
                if "aws.s3" not in pattern.get("source", ()) or self.name not in buckets:
                    continue
                keys = _key_patterns(detail.get("object", {}).get("key", ()))
                for target in client.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                    yield Subscription(target["Arn"], *keys, rule_arn=rule["Arn"])

    def _policy_of(self, target: Subscription) -> Mapping[str, Any]:
        if ":sqs:" in target.arn:
            found = self._sqs.get_queue_attributes(
                QueueUrl=self._queue_url(target), AttributeNames=["Policy"]
            )
            text = found.get("Attributes", {}).get("Policy")
        else:
            client = self.account.client("lambda")
            text = _setting(
                lambda: client.get_policy(FunctionName=target.arn)["Policy"], "ResourceNotFoundException"
            )
        policy: Mapping[str, Any] = json.loads(text or "{}")
        return policy

    def _names_source(self, statement: Mapping[str, Any], target: Subscription) -> bool:
        condition = {
            key.lower(): [str(item) for item in as_list(value)]
            for body in statement.get("Condition", {}).values()
            for key, value in body.items()
        }
        source = condition.get("aws:sourcearn", [])
        if target.rule_arn:
            return source == [target.rule_arn]
        return source == [self.arn] and condition.get("aws:sourceaccount") == [self.account.account_id]

    def _record(self, key: str) -> dict[str, Any]:
        """An event record as S3 writes it.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
        """
        head = self._s3.head_object(Bucket=self.name, Key=key)
        return {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self.account.region,
            "eventTime": self.account.now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": f"AWS:AIDA{secrets.token_hex(8).upper()}"},
            "requestParameters": {"sourceIPAddress": "192.0.2.7"},
            "responseElements": {
                "x-amz-request-id": secrets.token_hex(8).upper(),
                "x-amz-id-2": secrets.token_urlsafe(48),
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": secrets.token_hex(8),
                "bucket": {
                    "name": self.name,
                    "ownerIdentity": {"principalId": secrets.token_hex(7).upper()},
                    "arn": self.arn,
                },
                "object": {
                    "key": quote_plus(key, safe="/"),
                    "size": head["ContentLength"],
                    "eTag": head["ETag"].strip('"'),
                    "sequencer": f"00{secrets.token_hex(8).upper()}",
                },
            },
        }

    def _bus_event(self, key: str) -> dict[str, Any]:
        """An event as S3 puts it on the bus.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
        """
        head = self._s3.head_object(Bucket=self.name, Key=key)
        token = secrets.token_hex(16)
        return {
            "version": "0",
            "id": f"{token[:8]}-{token[8:12]}-4{token[13:16]}-a{token[17:20]}-{token[20:]}",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": self.account.account_id,
            "time": self.account.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self.account.region,
            "resources": [self.arn],
            "detail": {
                "version": "0",
                "bucket": {"name": self.name},
                "object": {
                    "key": key,
                    "size": head["ContentLength"],
                    "etag": head["ETag"].strip('"'),
                    "sequencer": f"00{secrets.token_hex(8).upper()}",
                },
                "request-id": secrets.token_hex(8).upper(),
                "requester": self.account.account_id,
                "source-ip-address": "192.0.2.7",
                "reason": "PutObject",
            },
        }


def as_list(value: Any) -> list[Any]:
    """One thing or several, as policies write them, as a list."""
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _setting(read: Callable[[], Any], missing: str) -> Any:
    try:
        return read()
    except Exception as error:  # narrowed at once: only "there is none" is an answer
        if error_code(error) == missing:
            return None
        raise


def _key_rules(item: Mapping[str, Any]) -> tuple[str, str]:
    rules = item.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    by_name = {rule["Name"].lower(): rule["Value"] for rule in rules}
    return by_name.get("prefix", ""), by_name.get("suffix", "")


def _key_patterns(patterns: Iterable[Any]) -> tuple[str, str]:
    """What a rule's patterns for the key let through. Several are alternatives, so only one can be told."""
    found = list(patterns)
    if len(found) != 1 or not isinstance(found[0], Mapping):
        return "", ""
    before, star, after = str(found[0].get("wildcard", "")).partition("*")
    if star:
        return before, after
    return str(found[0].get("prefix", "")), str(found[0].get("suffix", ""))


def _is_for(principal: Any, service: str) -> bool:
    return principal == "*" or (
        isinstance(principal, Mapping) and service in (*as_list(principal.get("Service")), principal.get("*"))
    )

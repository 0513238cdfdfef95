"""Delivers what happens to objects, a moment later, to those a bucket's owner chose."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from moto.s3.models import FakeBucket, s3_backends

from sandbox.emulator.calls import AwsError, Call, Handlers, carrying, current_call, trace_header
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies, principals
from sandbox.emulator.fabric.policies import Delivery
from sandbox.emulator.fabric.s3 import configuration, events, patches
from sandbox.emulator.fabric.s3.configuration import Configuration, Rule
from sandbox.emulator.fabric.s3.events import Change, ObjectState
from sandbox.emulator.fabric.sqs import Mailroom
from sandbox.emulator.faults.deliveries import retry_s, trouble, twice
from sandbox.emulator.functions.contract import Functions

_SERVICE = "s3.amazonaws.com"
# moto does some operations by way of others, and tells of those too; S3 tells of one event.
_CAUSED_BY = {
    "CompleteMultipartUpload": "s3:ObjectCreated:CompleteMultipartUpload",
    "CopyObject": "s3:ObjectCreated:Copy",
    "DeleteObjectTagging": "s3:ObjectTagging:Delete",
    "PostObject": "s3:ObjectCreated:Post",
    "PutObject": "s3:ObjectCreated:Put",
    "PutObjectAcl": "s3:ObjectAcl:Put",
    "PutObjectTagging": "s3:ObjectTagging:Put",
}
_NOT_ALLOWED = {
    "lambda": "Not authorized to invoke function [{}]",
    "sns": "Permissions on the destination topic do not allow S3 to publish notifications from this bucket",
    "sqs": "Permissions on the destination queue do not allow S3 to publish notifications from this bucket",
}


class EventBus(Protocol):
    """Takes events that AWS services put on an account's default bus."""

    def put(self, account_id: str, region: str, event: Mapping[str, Any]) -> str:
        """Deliver ``event`` to the rules it matches; only enqueues."""


class Notifications:
    """Keeps buckets' notification configurations and acts on them."""

    def __init__(self, core: AccountCore, functions: Functions, mailroom: Mailroom, events: EventBus) -> None:
        self._core = core
        self._functions = functions
        self._mailroom = mailroom
        self._events = events
        self._lock = threading.Lock()
        self._configurations: WeakKeyDictionary[FakeBucket, Configuration] = WeakKeyDictionary()
        self._numbers = itertools.count(1)
        self.listeners: list[Callable[[str, FakeBucket, ObjectState], None]] = []
        """Told of each change, once, with the dispatch lock held; they must only enqueue."""
        patches.notify(self.changed)

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("s3", "PutBucketNotificationConfiguration"): self.put_configuration,
            ("s3", "GetBucketNotificationConfiguration"): self.get_configuration,
        }

    def put_configuration(self, call: Call) -> dict[str, Any]:
        bucket = self.bucket(call)
        wanted = configuration.read(call.params.get("NotificationConfiguration") or {}, bucket.region_name)
        if not call.params.get("SkipDestinationValidation"):
            self._validate_destinations(bucket, wanted)
        with self._lock:
            before = self._configurations.get(bucket)
            self._configurations[bucket] = wanted
        known = {rule.target for rule in before.rules} if before is not None else set()
        request_id = _request_id(call)
        for target in {rule.target for rule in wanted.rules} - known:
            if target.service != "lambda":
                message = events.trial(bucket.name, self._core.clock.now(), request_id)
                rule = Rule("", target, ("s3:TestEvent",))
                self._submit(bucket, rule, "s3:TestEvent", message)
        return {}

    def get_configuration(self, call: Call) -> dict[str, Any]:
        bucket = self.bucket(call)
        with self._lock:
            found = self._configurations.get(bucket)
        return dict(found.shown) if found is not None else {}

    def changed(self, event: str, bucket: FakeBucket, state: ObjectState) -> None:
        """Something happened to an object. Only enqueues: moto holds the dispatch lock."""
        call = current_call.get()
        if call is not None and call.operation == "PostObject" and event == "s3:ObjectCreated:Put":
            event = "s3:ObjectCreated:Post"
        if call is not None and event != _CAUSED_BY.get(call.operation, event):
            return
        for listener in self.listeners:
            listener(event, bucket, state)
        with self._lock:
            wanted = self._configurations.get(bucket)
        if wanted is None:
            return
        change = self._describe(event, bucket, state)
        chosen = [rule for rule in wanted.rules if rule.wants(event, state.key)]
        for rule in chosen:
            message = events.notification(change, rule.id)
            self._submit(bucket, rule, change.name, message)
        if wanted.rules and not chosen and not wanted.event_bridge:
            self._note(
                bucket, change.name, change.object.key, "filtered", reason=_why_unwanted(wanted, change)
            )
        if wanted.event_bridge and events.knows_bus_event(change):
            header = trace_header()
            self._core.work.submit(
                lambda: self._put(change.owner, change.region, events.bus_event(change), header),
                label=f"s3:{bucket.name} → event bus",
            )

    def replication(
        self, event: str, bucket: FakeBucket, state: ObjectState, data: Mapping[str, str]
    ) -> None:
        """Tell of what became of a copy (``s3:Replication:…``). Only enqueues.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html
        """
        with self._lock:
            wanted = self._configurations.get(bucket)
        for rule in wanted.rules if wanted is not None else ():
            if rule.wants(event, state.key):
                message = events.notification(self._describe(event, bucket, state), rule.id)
                message["Records"][0] |= {
                    "eventVersion": "2.2",
                    "userIdentity": {"principalId": _SERVICE},
                    "requestParameters": {"sourceIPAddress": _SERVICE},
                    "replicationEventData": dict(data),
                }
                self._submit(bucket, rule, event.removeprefix("s3:"), message)

    def _put(self, account_id: str, region: str, event: Mapping[str, Any], header: str) -> None:
        with carrying(header):
            self._events.put(account_id, region, event)

    def bucket(self, call: Call) -> FakeBucket:
        """The bucket that a call is about.

        Raises:
            AwsError: there is none, or it is somebody else's.
        """
        name = call.params.get("Bucket", "")
        with self._core.dispatch_lock:
            _, owner = s3_backends.bucket_accounts.get(name, ("aws", ""))
            bucket = s3_backends[owner]["aws"].buckets.get(name) if owner else None
        if bucket is None:
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404, BucketName=name)
        if owner != call.account_id:
            raise AwsError("AccessDenied", "Access Denied", 403)
        return bucket

    def _validate_destinations(self, bucket: FakeBucket, wanted: Configuration) -> None:
        problems: dict[str, str] = {}
        for rule in wanted.rules:
            target = str(rule.target)
            if target not in problems and (problem := self._problem_with(bucket, target, rule)):
                problems[target] = problem
        if problems:
            told = {}
            for number, (target, problem) in enumerate(problems.items(), 1):
                told[f"ArgumentName{number}"] = target
                told[f"ArgumentValue{number}"] = problem
            raise configuration.invalid("Unable to validate the following destination configurations", **told)

    def _problem_with(self, bucket: FakeBucket, target: str, rule: Rule) -> str:
        service = rule.target.service
        reason = self._refusal(bucket, target)
        if service == "sqs":
            queue = self._mailroom.find_queue(target)
            if queue is None:
                return "The destination queue does not exist"
            if queue.fifo_queue:
                return "FIFO SQS queues are not supported as destination"
        if reason.endswith("does not exist"):
            return (
                "The destination topic does not exist"
                if service == "sns"
                else _NOT_ALLOWED[service].format(target)
            )
        return _NOT_ALLOWED[service].format(target) if reason else ""

    def _refusal(self, bucket: FakeBucket, target: str) -> str:
        return policies.refusal(self._core, target, Delivery(_SERVICE, bucket.arn, bucket.account_id))

    def _describe(self, event: str, bucket: FakeBucket, state: ObjectState) -> Change:
        call = current_call.get()
        now = self._core.clock.now()
        caller = call.principal if call is not None else None
        return Change(
            event,
            bucket.name,
            bucket.arn,
            bucket.account_id,
            bucket.region_name,
            state,
            now,
            # Larger for what happens later to one key, as S3 promises.
            f"00{int(now.timestamp() * 1000):011X}{next(self._numbers) & 0xFFFFF:05X}",
            principals.unique_id(self._core, caller) if caller is not None else bucket.account_id,
            caller.account_id if caller is not None else bucket.account_id,
            _request_id(call),
            (call.headers.get("x-forwarded-for") if call is not None else None) or "127.0.0.1",
        )

    def _submit(self, bucket: FakeBucket, rule: Rule, event: str, message: dict[str, Any]) -> None:
        header = trace_header()
        label = f"s3:{bucket.name} → {rule.target.service}:{rule.target.name}"

        def deliver(tries: int = 0) -> None:
            if self._core.faults.hold(bucket.region_name, deliver, label=label):
                return
            wait_s = self._must_wait(bucket, rule, event, tries)
            if wait_s:
                self._core.work.submit(lambda: deliver(tries + 1), label=label, delay_s=wait_s)
                return
            with carrying(header):
                self._deliver(bucket, rule, event, message)

        for _ in range(2 if twice(self._core, "s3", bucket.arn) else 1):
            self._core.work.submit(deliver, label=label)

    def _must_wait(self, bucket: FakeBucket, rule: Rule, event: str, tries: int) -> float:
        """Seconds until a queue may be tried, because a fault stands in the way; 0: go on."""
        if rule.target.service != "sqs":
            return 0.0  # Functions and topics meet faults when they are invoked and published to.
        met = trouble(self._core, "sqs", "SendMessage", str(rule.target), _SERVICE)
        if met.error is not None:
            wait_s = retry_s(tries)
            why = f"target refused: {met.error}, again in {wait_s:g} s"
            self._note(bucket, event, "", "retry", target=str(rule.target), reason=why)
            return wait_s
        return met.delay_s if not tries else 0.0

    def _deliver(self, bucket: FakeBucket, rule: Rule, event: str, message: dict[str, Any]) -> None:
        target = rule.target
        reason = self._refusal(bucket, str(target))
        if not reason:
            self._hand_over(bucket, rule, message)
        records = message.get("Records")
        key = records[0]["s3"]["object"]["key"] if records else ""
        if reason:
            self._note(bucket, event, key, "refused", target=str(target), reason=f"target refused: {reason}")
        else:
            self._note(bucket, event, key, "ok", target=str(target))

    def _note(self, bucket: FakeBucket, event: str, key: str, outcome: str, **detail: str) -> None:
        self._core.timeline.add(
            "delivery",
            f"s3:{bucket.name}",
            account_id=bucket.account_id,
            region=bucket.region_name,
            outcome=outcome,
            event=event,
            key=key,
            **detail,
        )

    def _hand_over(self, bucket: FakeBucket, rule: Rule, message: dict[str, Any]) -> None:
        target, text = rule.target, json.dumps(message, separators=(",", ":"), ensure_ascii=False)
        if target.service == "lambda":
            self._functions.invoke_async(
                str(target),
                text.encode(),
                account_id=target.account_id,
                region=target.region,
                source=f"s3:{bucket.name}",
                trace_header=trace_header(),
            )
        elif target.service == "sqs":
            queue = self._mailroom.find_queue(str(target))
            if queue is not None:
                self._mailroom.send(queue, text, sender_id=f"AWS:{_SERVICE}", trace_header=trace_header())
        else:
            principal = principals.service(_SERVICE, target.account_id)
            client = self._core.clients.client("sns", region=target.region, principal=principal)
            client.publish(TopicArn=str(target), Message=text, Subject="Amazon S3 Notification")


def _why_unwanted(wanted: Configuration, change: Change) -> str:
    heard = [rule for rule in wanted.rules if rule.hears(change.event)]
    if not heard:
        return f"no notification of the bucket is for {change.event}"
    filters = ", ".join(f"{rule.prefix or ''}*{rule.suffix or ''}" for rule in heard)
    return f"the key does not match the filters for {change.event}: {filters}"


def _request_id(call: Call | None) -> str:
    """A request's id in the form S3 gives it."""
    return call.request_id.replace("-", "").upper()[:16] if call is not None else "0000000000000000"

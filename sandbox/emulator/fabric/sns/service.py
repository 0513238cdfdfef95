"""Delivers publications to queues and functions, a moment after they were published."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.emulator.calls import Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.policies import Delivery
from sandbox.emulator.fabric.sns import patches
from sandbox.emulator.fabric.sns.endpoints import PENDING, PROTOCOLS, Endpoints
from sandbox.emulator.fabric.sns.messages import Notification, Publication, passes
from sandbox.emulator.fabric.sqs import Mailroom
from sandbox.emulator.fabric.web import OutOfReach, Web
from sandbox.emulator.faults.deliveries import held_back_s, retry_s, trouble, twice
from sandbox.emulator.functions.contract import Functions

_SERVICE = "sns.amazonaws.com"
_RAW_ATTRIBUTES_LIMIT = 10
# Source: https://docs.aws.amazon.com/sns/latest/dg/fifo-message-dedup.html
_DEDUPLICATED_S = 300.0


@dataclass(slots=True)
class _Lane:
    """What a FIFO topic has for one subscription: delivered one after the other, as published."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: deque[Notification] = field(default_factory=deque)
    tries: int = 0
    waited: bool = False


class Sns:
    """Filters, wraps and delivers; who subscribes to what, moto knows."""

    def __init__(
        self, core: AccountCore, functions: Functions, mailroom: Mailroom, web: Web | None = None
    ) -> None:
        self._core = core
        self._endpoints = Endpoints(core, web)
        self._functions = functions
        self._mailroom = mailroom
        self._numbers = itertools.count(1)
        self._sequence_numbers: dict[str, str] = {}
        self._lanes: dict[str, _Lane] = {}
        self._recent: dict[tuple[str, str, str], tuple[str, float]] = {}
        patches.deliver_to(self.published)

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("sns", "Publish"): self.publish,
            ("sns", "PublishBatch"): self.publish_batch,
            ("sns", "Subscribe"): self.subscribe,
            ("sns", "ConfirmSubscription"): self._endpoints.confirm,
        }

    def publish(self, call: Call) -> dict[str, Any]:
        """moto validates and finds the subscriptions; a FIFO topic also numbers its messages."""
        return self._numbered(call, self._core.moto(call))

    def subscribe(self, call: Call) -> dict[str, Any]:
        """moto keeps it; an HTTP end point has to confirm before it hears of anything."""
        result = self._core.moto(call)
        if call.params.get("Protocol") not in PROTOCOLS:
            return result
        subscription = self._endpoints.find(result["SubscriptionArn"])
        if not subscription.confirmed:
            self._endpoints.ask(subscription)
        if subscription.confirmed or call.params.get("ReturnSubscriptionArn"):
            return result
        return {"SubscriptionArn": "pending confirmation"}

    def publish_batch(self, call: Call) -> dict[str, Any]:
        result = self._core.moto(call)
        successful = [self._numbered(call, entry) for entry in result.get("Successful", ())]
        return {**result, "Successful": successful}

    def published(self, subscription: Any, published: Publication) -> None:
        """moto has a publication for a subscription. Only enqueues."""
        topic = subscription.topic
        if topic.fifo_topic and not published.deduplication_id:
            digest = hashlib.sha256(published.message.encode()).hexdigest()
            published = replace(published, deduplication_id=digest)
        notification = Notification(
            published,
            topic.arn,
            Arn.parse(topic.arn).region,
            subscription.arn,
            self._core.clock.now(),
            self._sequence_number(published.id) if topic.fifo_topic else "",
        )
        policy, scope = subscription._filter_policy, subscription.attributes.get("FilterPolicyScope")
        if policy and not passes(policy, scope or "MessageAttributes", published):
            where = "body" if scope == "MessageBody" else "attributes"
            why = f"the subscription's filter policy does not match the message's {where}"
            self._report(subscription, notification, "filtered", why)
            return
        if subscription.attributes.get(PENDING) is True:
            self._report(subscription, notification, "pending", "the subscription is not confirmed")
            return
        label = f"sns:{topic.name} → {subscription.protocol}:{subscription.endpoint}"
        if not topic.fifo_topic:
            late_s = held_back_s(self._core, "sns", topic.arn)
            for _ in range(2 if twice(self._core, "sns", topic.arn) else 1):
                self._plan(subscription, notification, late_s)
        elif self._is_repeated(topic, published):
            why = "the topic took a message with this deduplication id in the last five minutes"
            self._report(subscription, notification, "deduplicated", why)
        else:
            lane = self._lanes.setdefault(subscription.arn, _Lane())
            lane.waiting.append(notification)
            self._core.work.submit(lambda: self._deliver_next(subscription, lane), label=label)

    def _plan(
        self, subscription: Any, notification: Notification, delay_s: float = 0.0, tries: int = 0
    ) -> None:
        self._core.work.submit(
            functools.partial(self._deliver, subscription, notification, tries, waited=tries > 0),
            label=f"sns:{subscription.topic.name} → {subscription.protocol}:{subscription.endpoint}",
            delay_s=delay_s,
        )

    def _is_repeated(self, topic: Any, published: Publication) -> bool:
        """Whether a FIFO topic took another message with this deduplication id in the last five minutes."""
        per_group = getattr(topic, "fifo_throughput_scope", "Topic") == "MessageGroup"
        key = (topic.arn, published.group if per_group else "", published.deduplication_id)
        now = self._core.clock.time()
        while self._recent and now - next(iter(self._recent.values()))[1] >= _DEDUPLICATED_S:
            del self._recent[next(iter(self._recent))]
        first, _ = self._recent.setdefault(key, (published.id, now))
        return first != published.id

    def _deliver_next(self, subscription: Any, lane: _Lane) -> None:
        label = f"sns:{subscription.topic.name}"
        region = Arn.parse(subscription.topic.arn).region
        if self._core.faults.hold(region, lambda: self._deliver_next(subscription, lane), label=label):
            return
        with lane.lock:
            if not lane.waiting:
                return
            wait_s = self._must_wait(subscription, lane.waiting[0], lane.tries, waited=lane.waited)
            if not wait_s:
                lane.tries, lane.waited = 0, False
                self._hand_to(subscription, lane.waiting.popleft())
                return
            # The whole lane waits, or the order would be lost.
            lane.tries, lane.waited = lane.tries + 1, True
            self._core.work.submit(
                lambda: self._deliver_next(subscription, lane), label=f"{label}: retry", delay_s=wait_s
            )

    def _numbered(self, call: Call, result: dict[str, Any]) -> dict[str, Any]:
        if not str(call.params.get("TopicArn", "")).endswith(".fifo"):
            return result
        number = self._sequence_number(result["MessageId"])
        del self._sequence_numbers[result["MessageId"]]
        return {**result, "SequenceNumber": number}

    def _sequence_number(self, message_id: str) -> str:
        """One number for a message, however many subscribers it has."""
        if message_id not in self._sequence_numbers:
            self._sequence_numbers[message_id] = str(10**19 + next(self._numbers) * 1000)
        return self._sequence_numbers[message_id]

    def _deliver(
        self, subscription: Any, notification: Notification, tries: int = 0, *, waited: bool = False
    ) -> None:
        """Hand a standard topic's notification to its subscriber, or see to it that this happens later."""
        label = f"sns:{subscription.topic.name}"
        again = functools.partial(self._deliver, subscription, notification, tries, waited=waited)
        if self._core.faults.hold(notification.region, again, label=label):
            return
        wait_s = self._must_wait(subscription, notification, tries, waited=waited)
        if wait_s:
            self._plan(subscription, notification, wait_s, tries + 1)
        else:
            self._hand_to(subscription, notification)

    def _must_wait(self, subscription: Any, notification: Notification, tries: int, *, waited: bool) -> float:
        """Seconds until a queue may be tried, because a fault stands in the way; 0: go on."""
        if subscription.protocol != "sqs":
            return 0.0  # A function meets its faults when it is invoked.
        met = trouble(self._core, "sqs", "SendMessage", subscription.endpoint, _SERVICE)
        if met.error is not None:
            wait_s = retry_s(tries)
            why = f"target refused: {met.error}, again in {wait_s:g} s"
            self._report(subscription, notification, "retry", why)
            return wait_s
        return 0.0 if waited else met.delay_s

    def _hand_to(self, subscription: Any, notification: Notification) -> None:
        if subscription.protocol in PROTOCOLS:
            self._post_to_endpoint(subscription, notification, 0)
            return
        if subscription.protocol not in ("sqs", "lambda"):
            what = f"Coldstart delivers nothing to {subscription.protocol} subscribers"
            self._endpoints.gap(subscription, what)
            return
        reason = self._refusal(subscription.endpoint, notification)
        if not reason:
            reason = self._hand_over(subscription, notification)
        self._report(subscription, notification, "refused" if reason else "ok", reason)
        if reason:
            self._bury(subscription, notification, reason)

    def _post_to_endpoint(self, subscription: Any, notification: Notification, tries: int) -> None:
        try:
            refusal = self._endpoints.deliver(subscription, notification, tries)
        except OutOfReach as error:
            self._endpoints.gap(subscription, str(error))
            return
        if refusal is None:
            self._report(subscription, notification, "ok")
        elif refusal.again_s is None:
            self._report(subscription, notification, "refused", refusal.reason)
            self._bury(subscription, notification, refusal.reason)
        else:
            why = f"{refusal.reason}, again in {refusal.again_s:g} s"
            self._report(subscription, notification, "retry", why)
            self._core.work.submit(
                lambda: self._post_to_endpoint(subscription, notification, tries + 1),
                label=f"sns:{subscription.topic.name} → {subscription.endpoint}: retry",
                delay_s=refusal.again_s,
            )

    def _refusal(self, target: str, notification: Notification) -> str:
        topic = notification.topic_arn
        return policies.refusal(self._core, target, Delivery(_SERVICE, topic, Arn.parse(topic).account_id))

    def _hand_over(self, subscription: Any, notification: Notification) -> str:
        """Why it could not be delivered, or nothing."""
        target = Arn.parse(subscription.endpoint)
        if subscription.protocol == "lambda":
            self._functions.invoke_async(
                subscription.endpoint,
                notification.lambda_event(),
                account_id=target.account_id,
                region=target.region,
                source=f"sns:{subscription.topic.name}",
                trace_header=notification.published.trace_header,
            )
            return ""
        raw = str(subscription.attributes.get("RawMessageDelivery", "")).lower() == "true"
        if raw and len(notification.published.attributes) > _RAW_ATTRIBUTES_LIMIT:
            return "a raw message has at most 10 attributes"
        body = notification.published.message if raw else notification.envelope()
        return self._post(
            subscription.endpoint, notification, body, notification.raw_attributes() if raw else {}
        )

    def _post(self, queue_arn: str, notification: Notification, body: str, attributes: dict[str, Any]) -> str:
        queue = self._mailroom.find_queue(queue_arn)
        if queue is None:
            return f"{queue_arn} does not exist"
        published = notification.published
        self._mailroom.send(
            queue,
            body,
            attributes=attributes,
            group=published.group,
            deduplication_id=published.deduplication_id,
            sender_id=f"AWS:{_SERVICE}",
            trace_header=published.trace_header,
        )
        return ""

    def _bury(self, subscription: Any, notification: Notification, reason: str) -> None:
        """What a subscriber's side refuses is not tried again: it goes to the subscription's DLQ.

        Source: https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
        """
        policy = json.loads(subscription.attributes.get("RedrivePolicy") or "{}")
        queue_arn = policy.get("deadLetterTargetArn", "")
        if not queue_arn:
            return
        if refusal := self._refusal(queue_arn, notification):
            self._report(subscription, notification, "failed", f"its dead-letter queue refused: {refusal}")
            return
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": notification.published.id},
            "ErrorCode": {"DataType": "String", "StringValue": "CLIENT_ERROR"},
            "ErrorMessage": {"DataType": "String", "StringValue": reason},
        }
        if not self._post(queue_arn, notification, notification.envelope(), attributes):
            self._report(subscription, notification, "dead-lettered", reason)

    def _report(self, subscription: Any, notification: Notification, outcome: str, reason: str = "") -> None:
        self._core.timeline.add(
            "delivery",
            f"sns:{subscription.topic.name}",
            account_id=subscription.topic.account_id,
            region=notification.region,
            outcome=outcome,
            target=subscription.endpoint,
            subscription=subscription.arn,
            message_id=notification.published.id,
            **({"reason": reason} if reason else {}),
        )

"""HTTP subscribers: asked to confirm their subscription, and asked again while they answer with errors.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html and
https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from moto.sns.models import sns_backends

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.sns.messages import Notification, confirmation
from sandbox.emulator.fabric.web import OutOfReach, Reply, Web

PROTOCOLS = frozenset({"http", "https"})
PENDING = "PendingConfirmation"
_DEFAULT = {"numRetries": 3, "minDelayTarget": 20, "maxDelayTarget": 20}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An end point did not take a message. ``again_s`` is when to ask again; None: never."""

    reason: str
    again_s: float | None = None


class Endpoints:
    """Posts to end points of the account."""

    def __init__(self, core: AccountCore, web: Web | None) -> None:
        self._core = core
        self._web = web
        self._tokens: dict[str, Any] = {}

    def ask(self, subscription: Any) -> None:
        """Have a new subscriber confirm; only enqueues."""
        token = secrets.token_hex(64)
        subscription.attributes[PENDING] = True
        self._tokens[token] = subscription
        self._core.work.submit(
            lambda: self._ask(subscription, token), label=f"sns: confirm {subscription.endpoint}"
        )

    def confirm(self, call: Call) -> dict[str, Any]:
        """ConfirmSubscription, signed or by the address that the subscriber was sent."""
        topic = str(call.params.get("TopicArn", ""))
        subscription = self._tokens.get(str(call.params.get("Token", "")))
        if subscription is None or subscription.topic.arn != topic:
            raise AwsError("InvalidParameter", "Invalid parameter: Token")
        subscription.attributes[PENDING] = False
        subscription.confirmed = True
        return {"SubscriptionArn": subscription.arn}

    def find(self, arn: str) -> Any:
        """moto's record of a subscription."""
        where = Arn.parse(arn)
        return sns_backends[where.account_id][where.region].subscriptions.get(arn)

    def deliver(self, subscription: Any, notification: Notification, tries: int) -> Refusal | None:
        """Post a notification; what came of it when it was not taken.

        Raises:
            OutOfReach: the account has no such address.
        """
        raw = str(subscription.attributes.get("RawMessageDelivery", "")).lower() == "true"
        body = notification.published.message if raw else notification.envelope()
        headers = {
            **_headers("Notification", notification.published.id, subscription),
            "x-amz-sns-subscription-arn": subscription.arn,
            **({"x-amz-sns-rawdelivery": "true"} if raw else {}),
        }
        reply = self._post(subscription.endpoint, headers, body)
        if reply.status < 300:
            return None
        reason = f"the end point answered {reply.status}"
        waits_s = delays(_policy(subscription))
        if (reply.status < 500 and reply.status != 429) or tries >= len(waits_s):
            return Refusal(reason)
        return Refusal(reason, waits_s[tries])

    def gap(self, subscription: Any, message: str) -> None:
        """Tell that we do not deliver to this subscriber."""
        self._core.timeline.add(
            "gap",
            f"sns:{subscription.protocol}",
            account_id=subscription.account_id,
            region=Arn.parse(subscription.topic.arn).region,
            outcome="NotEmulated",
            message=f"{message}: a gap of ours.",
            endpoint=subscription.endpoint,
        )

    def _ask(self, subscription: Any, token: str) -> None:
        message_id, topic = str(uuid.uuid4()), subscription.topic.arn
        region = Arn.parse(topic).region
        query = urlencode({"Action": "ConfirmSubscription", "TopicArn": topic, "Token": token})
        address = f"https://sns.{region}.amazonaws.com/?{query}"
        body = confirmation(message_id, topic, region, token, address, self._core.clock.now())
        outcome, why = "ok", ""
        try:
            headers = _headers("SubscriptionConfirmation", message_id, subscription)
            reply = self._post(subscription.endpoint, headers, body)
            if reply.status >= 300:
                outcome, why = "failed", f"the end point answered {reply.status}"
        except OutOfReach as error:
            self.gap(subscription, str(error))
            return
        self._core.timeline.add(
            "delivery",
            f"sns:{subscription.topic.name}",
            account_id=subscription.topic.account_id,
            region=region,
            outcome=outcome,
            target=subscription.endpoint,
            subscription=subscription.arn,
            message_type="SubscriptionConfirmation",
            **({"reason": why} if why else {}),
        )

    def _post(self, url: str, headers: Mapping[str, str], body: str) -> Reply:
        if self._web is None:
            raise OutOfReach(url)
        return self._web.send("POST", url, headers.items(), body.encode())


def delays(policy: Mapping[str, Any]) -> list[float]:
    """The waits before each retry of a healthy subscriber's policy: four phases."""
    least, most = float(policy["minDelayTarget"]), float(policy["maxDelayTarget"])
    at_once, early, late = (
        int(policy.get(name) or 0)
        for name in ("numNoDelayRetries", "numMinDelayRetries", "numMaxDelayRetries")
    )
    between = max(0, int(policy["numRetries"]) - at_once - early - late)
    parts = [number / max(1, between - 1) for number in range(between)]
    linear = str(policy.get("backoffFunction") or "linear") == "linear" or not least
    backoff = [least + (most - least) * part if linear else least * (most / least) ** part for part in parts]
    return [0.0] * at_once + [least] * early + backoff + [most] * late


def _policy(subscription: Any) -> dict[str, Any]:
    own = json.loads(subscription.attributes.get("DeliveryPolicy") or "{}")
    return {**_DEFAULT, **(own.get("healthyRetryPolicy") or {})}


def _headers(kind: str, message_id: str, subscription: Any) -> dict[str, str]:
    return {
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": kind,
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": subscription.topic.arn,
    }

"""Deliveries of one event to one target: tries, waits, gives up, dead-letters."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.calls import carrying, trace_header
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.eventbridge.inputs import make_input
from sandbox.emulator.fabric.eventbridge.targets import Delivery, DeliveryFailed, RuleName, Targets
from sandbox.emulator.faults.deliveries import twice

# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
MOST_RETRIES = 185
MOST_AGE_S = 86_400
_LONGEST_WAIT_S = 900.0


class Courier:
    """Tries each delivery until the target takes it or its retry policy is exhausted."""

    def __init__(self, core: AccountCore, targets: Targets) -> None:
        self._core = core
        self._targets = targets

    def send(self, rule: RuleName, target: Mapping[str, Any], event: Mapping[str, Any], hops: int) -> None:
        """Have the event delivered; only enqueues."""
        reserved = {
            "aws.events.rule-arn": rule.arn,
            "aws.events.rule-name": rule.name,
            "aws.events.event.ingestion-time": self._core.clock.now()
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
        }
        text = make_input(target, event, reserved)
        since = self._core.clock.time()
        delivery = Delivery(rule, target, event, text, since, hops, trace_header())
        for _ in range(2 if twice(self._core, "events", rule.arn) else 1):
            self._plan(delivery, retries=0, delay_s=0.0)

    def _plan(self, delivery: Delivery, *, retries: int, delay_s: float, waited: bool = False) -> None:
        self._core.work.submit(
            lambda: self._try(delivery, retries, waited=waited),
            label=f"events: {delivery.rule.name} → {delivery.target['Arn']}",
            delay_s=delay_s,
        )

    def _try(self, delivery: Delivery, retries: int, *, waited: bool = False) -> None:
        label = f"events: {delivery.rule.name}"
        again = functools.partial(self._try, delivery, retries, waited=waited)
        if self._core.faults.hold(delivery.rule.region, again, label=label):
            return
        try:
            late_s = self._targets.meet_faults(delivery)
            if late_s and not waited:
                self._plan(delivery, retries=retries, delay_s=late_s, waited=True)
                return
            with carrying(delivery.trace_header):
                self._targets.deliver(delivery)
        except DeliveryFailed as failure:
            self._failed(delivery, retries, failure)
            return
        self._note(delivery, "ok", retries)

    def _failed(self, delivery: Delivery, retries: int, failure: DeliveryFailed) -> None:
        if failure.gap:
            self._gap(delivery, failure)
            return
        policy = delivery.target.get("RetryPolicy") or {}
        most = int(policy.get("MaximumRetryAttempts", MOST_RETRIES))
        oldest_s = float(policy.get("MaximumEventAgeInSeconds", MOST_AGE_S))
        wait_s = min(2.0**retries, _LONGEST_WAIT_S)
        exhausted = ""
        if failure.retry:
            if retries >= most:
                exhausted = "MaximumRetryAttempts"
            elif self._core.clock.time() + wait_s - delivery.since > oldest_s:
                exhausted = "MaximumEventAgeInSeconds"
            else:
                self._note(delivery, "retry", retries, **_why(delivery, failure, f", again in {wait_s:g} s"))
                self._plan(delivery, retries=retries + 1, delay_s=wait_s)
                return
        self._give_up(delivery, retries, failure, exhausted)

    def _give_up(self, delivery: Delivery, retries: int, failure: DeliveryFailed, exhausted: str) -> None:
        queue_arn = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        detail = _why(delivery, failure, f", {exhausted} is reached" if exhausted else "")
        if not queue_arn:
            self._note(delivery, "failed", retries, **detail)
            return
        attributes = {
            "RULE_ARN": delivery.rule.arn,
            "TARGET_ARN": str(delivery.target["Arn"]),
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message,
            "RETRY_ATTEMPTS": str(retries),
        }
        if exhausted:
            attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
        try:
            self._targets.dead_letter(queue_arn, delivery.text, attributes, delivery.rule)
        except DeliveryFailed as second:
            lost = f"{detail['reason']}; its dead-letter queue refused, too: {second.message}"
            self._note(delivery, "failed", retries, **{**detail, "reason": lost})
            return
        self._note(delivery, "dead-lettered", retries, **detail, dead_letter_queue=queue_arn)

    def _gap(self, delivery: Delivery, failure: DeliveryFailed) -> None:
        self._core.timeline.add(
            "gap",
            f"events:{delivery.rule.name}",
            account_id=delivery.rule.account_id,
            region=delivery.rule.region,
            outcome="NotEmulated",
            message=failure.message,
            target=delivery.target["Arn"],
        )

    def _note(self, delivery: Delivery, outcome: str, retries: int, **detail: Any) -> None:
        self._core.timeline.add(
            "delivery",
            f"events:{delivery.rule.name}",
            account_id=delivery.rule.account_id,
            region=delivery.rule.region,
            outcome=outcome,
            target=delivery.target["Arn"],
            target_id=delivery.target["Id"],
            event_id=delivery.event.get("id", ""),
            event_bus=delivery.rule.bus,
            source=delivery.event.get("source", ""),
            detail_type=delivery.event.get("detail-type", ""),
            retries=retries,
            **detail,
        )


def _why(delivery: Delivery, failure: DeliveryFailed, then: str) -> dict[str, str]:
    """What the timeline says of a delivery that failed."""
    reason = f"rule {delivery.rule.name} matched, target refused: {failure.message}{then}"
    return {"error": failure.code, "reason": reason}

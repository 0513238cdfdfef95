"""Event buses: which rules an event matches, and what they then send where."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from moto.events.models import EventBus, EventsBackend, Rule, events_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.eventbridge import events
from sandbox.emulator.fabric.eventbridge.connections import Connections
from sandbox.emulator.fabric.eventbridge.delivery import Courier
from sandbox.emulator.fabric.eventbridge.patterns import InvalidPattern, read_pattern
from sandbox.emulator.fabric.eventbridge.schedules import InvalidSchedule, read_schedule
from sandbox.emulator.fabric.eventbridge.targets import DeliveryFailed, RuleName, Targets
from sandbox.emulator.fabric.eventbridge.timetable import Timetable
from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.fabric.web import Web
from sandbox.emulator.functions.contract import Functions

_ARCHIVING = "prod.vhs.events.aws.internal"
# An event that goes round in circles between buses is stopped here; AWS stops those as well.
_MOST_HOPS = 16


class Buses:
    """Every bus of every account in this process."""

    def __init__(
        self,
        core: AccountCore,
        functions: Functions,
        mailroom: Mailroom,
        web: Web | None = None,
        connections: Connections | None = None,
    ) -> None:
        self._core = core
        self._courier = Courier(core, Targets(core, functions, mailroom, self._forward, web, connections))
        self._timetable = Timetable(core)

    def put(
        self, account_id: str, region: str, bus_name: str, event: Mapping[str, Any], hops: int = 0
    ) -> int:
        """Match an event and enqueue what follows from it; how many rules it matched.

        ``hops`` is how many other buses it came over. A bus that does not exist swallows the event, as
        PutEvents does on AWS.
        """
        with self._core.dispatch_lock:
            backend: EventsBackend = events_backends[account_id][region]
            bus = backend.event_buses.get(bus_name)
            rules = [] if bus is None else [rule for rule in bus.rules.values() if _matches(rule, event)]
            for rule in rules:
                if rule.managed_by == _ARCHIVING:
                    self._archive(backend, rule, event)
                else:
                    self._send(rule, event, hops)
        if bus is None:
            self._note(
                account_id, region, bus_name, event, "no such event bus", f"there is no bus {bus_name}"
            )
        elif not rules:
            why = _why_unmatched(list(bus.rules.values()))
            self._note(account_id, region, bus_name, event, "no rule matched", why)
        return len(rules)

    def _send(self, rule: Rule, event: Mapping[str, Any], hops: int = 0) -> None:
        name = RuleName(rule.name, rule.arn, rule.event_bus_name, rule.account_id, rule.region_name)
        if not rule.targets:
            why = f"rule {rule.name} matched, and has no target"
            self._note(rule.account_id, rule.region_name, rule.event_bus_name, event, "no target", why)
        for target in rule.targets:
            self._courier.send(name, dict(target), event, hops)

    def _archive(self, backend: EventsBackend, rule: Rule, event: Mapping[str, Any]) -> None:
        archive = backend.archives.get(rule.name.removeprefix("Events-Archive-"))
        if archive is not None:
            archive.events.append(dict(event))

    def _forward(self, arn: Arn, event: Mapping[str, Any], hops: int) -> None:
        name = arn.resource.removeprefix("event-bus/")
        if arn.account_id != event.get("account"):
            raise DeliveryFailed(
                "NOT_EMULATED",
                "Sending events to a bus of another account is not emulated. This is our gap.",
                gap=True,
            )
        with self._core.dispatch_lock:
            missing = name not in events_backends[arn.account_id][arn.region].event_buses
        if missing:
            raise DeliveryFailed("NO_RESOURCE", f"{arn} does not exist")
        if hops >= _MOST_HOPS:
            raise DeliveryFailed("EVENT_LOOP_DETECTED", "the event goes round between event buses")
        self.put(arn.account_id, arn.region, name, event, hops + 1)

    def _note(
        self,
        account_id: str,
        region: str,
        bus_name: str,
        event: Mapping[str, Any],
        outcome: str,
        reason: str,
    ) -> None:
        self._core.timeline.add(
            "delivery",
            f"events:{bus_name}",
            account_id=account_id,
            region=region,
            outcome=outcome,
            reason=reason,
            event_id=event.get("id", ""),
            event_bus=bus_name,
            source=event.get("source", ""),
            detail_type=event.get("detail-type", ""),
        )

    def reschedule(self, rule: Rule) -> None:
        """Follow a rule that is new or has changed; call with the dispatch lock held."""
        self._timetable.cancel(rule.arn)
        if not rule.scheduled_expression or rule.state == "DISABLED":
            return
        try:
            schedule = read_schedule(rule.scheduled_expression)
        except InvalidSchedule:
            return

        def fire(due: dt.datetime) -> None:
            self._send(rule, events.scheduled(rule.arn, rule.account_id, rule.region_name, due))

        self._timetable.set(rule.arn, schedule, fire)

    def forget(self, rule: Rule) -> None:
        """A rule is gone; call with the dispatch lock held."""
        self._timetable.cancel(rule.arn)


def find_bus(account_id: str, region: str, name: str | None) -> EventBus | None:
    """A bus by its name or ARN; call with the dispatch lock held."""
    found: EventBus | None = events_backends[account_id][region].event_buses.get(bus_name(name))
    return found


def bus_name(given: str | None) -> str:
    """A bus's name, given as name, ARN or not at all."""
    return (given or "default").split("event-bus/")[-1]


def _why_unmatched(rules: list[Rule]) -> str:
    patterns = [rule for rule in rules if rule.event_pattern.dump()]
    if not patterns:
        return "the bus has no rule with a pattern"
    disabled = [rule.name for rule in patterns if rule.state == "DISABLED"]
    switched_off = f"; disabled: {', '.join(disabled)}" if disabled else ""
    return f"none of the bus's {len(patterns)} patterns matches{switched_off}"


def _matches(rule: Rule, event: Mapping[str, Any]) -> bool:
    text = rule.event_pattern.dump()
    if rule.state == "DISABLED" or not text:
        return False
    try:
        return read_pattern(text).matches(event)
    except InvalidPattern:
        # Moto's own rules, and those of stacks made before the pattern was checked.
        return False

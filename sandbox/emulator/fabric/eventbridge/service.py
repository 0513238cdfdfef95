"""EventBridge of an account: PutEvents, rules and their targets, schedules, archives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moto.events.models import Replay, ReplayState, Rule, events_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers, carrying, trace_header
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.eventbridge import events
from sandbox.emulator.fabric.eventbridge.bus import Buses, bus_name, find_bus
from sandbox.emulator.fabric.eventbridge.connections import Connections
from sandbox.emulator.fabric.eventbridge.inputs import check_target
from sandbox.emulator.fabric.eventbridge.patterns import InvalidPattern, read_pattern
from sandbox.emulator.fabric.eventbridge.schedules import InvalidSchedule, read_schedule
from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.fabric.web import Web
from sandbox.emulator.functions.contract import Functions

# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
_TARGETS_PER_RULE = 5
_MANDATORY = ("id", "account", "source", "time", "region", "resources", "detail-type")


class EventBridge:
    """Events of learners come in by PutEvents, those of services by :meth:`put`."""

    def __init__(
        self, core: AccountCore, functions: Functions, mailroom: Mailroom, web: Web | None = None
    ) -> None:
        self._core = core
        self._connections = Connections(core, web)
        self._buses = Buses(core, functions, mailroom, web, self._connections)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "PutEvents": self._put_events,
            "TestEventPattern": self._test_event_pattern,
            "PutRule": self._put_rule,
            "EnableRule": self._switch_rule,
            "DisableRule": self._switch_rule,
            "DeleteRule": self._delete_rule,
            "PutTargets": self._put_targets,
            "RemoveTargets": self._remove_targets,
            "DeleteEventBus": self._delete_event_bus,
            "CreateArchive": self._create_archive,
            "StartReplay": self._start_replay,
        }
        return {("events", name): handler for name, handler in found.items()} | self._connections.handlers()

    def put(self, account_id: str, region: str, event: Mapping[str, Any]) -> str:
        """Put an AWS service's event on the default bus, and return its id.

        Fields that the service leaves out (``id``, ``time``, ``account``, ``region`` …) are filled in.
        Only enqueues, so producers may call it while they hold the dispatch lock.
        """
        made = events.completed(event, account_id, region, self._core.clock.now())
        self._buses.put(account_id, region, "default", made)
        return str(made["id"])

    def inject(self, event: Mapping[str, Any], *, account_id: str = "", region: str = "") -> str:
        """Play an AWS service: put its event on the default bus, which PutEvents must refuse.

        Raises:
            ValueError: it is not an event of an AWS service.
        """
        source = event.get("source")
        if not isinstance(source, str) or not source.startswith("aws."):
            raise ValueError(
                f"An injected event comes from an AWS service: its source begins with 'aws.', not {source!r}."
            )
        if not isinstance(event.get("detail-type"), str):
            raise ValueError("An event has a 'detail-type'.")
        if not isinstance(event.get("detail", {}), Mapping):
            raise ValueError("An event's 'detail' is an object.")
        return self.put(account_id or self._core.account_id, region or self._core.region, event)

    def _put_events(self, call: Call) -> dict[str, Any]:
        entries = call.params.get("Entries") or []
        events.check_request(entries)
        results: list[dict[str, Any]] = []
        for entry in entries:
            error = events.entry_error(entry)
            results.append(error or {"EventId": self._put_entry(call, entry)})
        return {"FailedEntryCount": sum("ErrorCode" in item for item in results), "Entries": results}

    def _put_entry(self, call: Call, entry: Mapping[str, Any]) -> str:
        event = events.event_of(entry, call.account_id, call.region, self._core.clock.now())
        with carrying(entry.get("TraceHeader") or trace_header()):
            self._buses.put(call.account_id, call.region, bus_name(entry.get("EventBusName")), event)
        return str(event["id"])

    def _test_event_pattern(self, call: Call) -> dict[str, Any]:
        pattern = _pattern(call.params["EventPattern"])
        try:
            event = json.loads(call.params["Event"])
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise AwsError(
                "ValidationException", "Parameter Event is not valid. Reason: Event is not valid JSON."
            )
        missing = [name for name in _MANDATORY if name not in event]
        if missing:
            raise AwsError(
                "ValidationException",
                f"Parameter Event is not valid. Reason: The {missing[0]} field is mandatory.",
            )
        return {"Result": pattern.matches(event)}

    def _put_rule(self, call: Call) -> dict[str, Any]:
        params = call.params
        if params.get("EventPattern"):
            _pattern(params["EventPattern"])
        if params.get("ScheduleExpression"):
            try:
                read_schedule(params["ScheduleExpression"])
            except InvalidSchedule:
                raise AwsError("ValidationException", "Parameter ScheduleExpression is not valid.") from None
        with self._core.dispatch_lock:
            self._check_bus(call)
            result = self._core.moto(call)
            self._buses.reschedule(self._rule(call, params["Name"]))
        return result

    def _switch_rule(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            self._check_bus(call)
            result = self._core.moto(call)
            self._buses.reschedule(self._rule(call, call.params["Name"]))
        return result

    def _delete_rule(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            bus = find_bus(call.account_id, call.region, call.params.get("EventBusName"))
            rule = bus.rules.get(call.params["Name"]) if bus is not None else None
            result = self._core.moto(call)
            if rule is not None:
                self._buses.forget(rule)
        return result

    def _put_targets(self, call: Call) -> dict[str, Any]:
        targets = call.params["Targets"]
        for target in targets:
            check_target(target)
        with self._core.dispatch_lock:
            self._check_bus(call)
            rule = self._rule(call, call.params["Rule"])
            known = {target["Id"] for target in rule.targets} | {target["Id"] for target in targets}
            if len(known) > _TARGETS_PER_RULE:
                raise AwsError(
                    "LimitExceededException", "The requested resource exceeds the maximum number allowed."
                )
            return self._core.moto(call)

    def _remove_targets(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            self._check_bus(call)
            return self._core.moto(call)

    def _delete_event_bus(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            bus = find_bus(call.account_id, call.region, call.params["Name"])
            if bus is not None and bus.name != "default" and bus.rules:
                raise AwsError("ValidationException", "Event bus can't be deleted since it has rules.")
            return self._core.moto(call)

    def _create_archive(self, call: Call) -> dict[str, Any]:
        if call.params.get("EventPattern"):
            _pattern(call.params["EventPattern"])
        return self._core.moto(call)

    def _start_replay(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            result = self._core.moto(call)
            backend = events_backends[call.account_id][call.region]
            replayed = backend.replays[call.params["ReplayName"]]
            archive = backend.archives[call.params["EventSourceArn"].split("/")[-1]]
            start, end = events.stamp(replayed.event_start_time), events.stamp(replayed.event_end_time)
            chosen = [event for event in archive.events if start <= str(event["time"]) <= end]
        self._core.work.submit(
            lambda: self._replay(call, replayed, chosen), label=f"events: replay {replayed.name}"
        )
        return result

    def _replay(self, call: Call, replayed: Replay, chosen: list[dict[str, Any]]) -> None:
        replayed.state = ReplayState.RUNNING
        name = bus_name(call.params["Destination"]["Arn"])
        for event in chosen:
            self._buses.put(call.account_id, call.region, name, {**event, "replay-name": replayed.name})
        with self._core.dispatch_lock:
            replayed.state = ReplayState.COMPLETED
            replayed.end_time = self._core.clock.time()

    def _check_bus(self, call: Call) -> None:
        name = call.params.get("EventBusName")
        if find_bus(call.account_id, call.region, name) is None:
            raise AwsError("ResourceNotFoundException", f"Event bus {bus_name(name)} does not exist.")

    def _rule(self, call: Call, name: str) -> Rule:
        bus = find_bus(call.account_id, call.region, call.params.get("EventBusName"))
        rule = bus.rules.get(name) if bus is not None else None
        if bus is None or rule is None:
            where = bus_name(call.params.get("EventBusName"))
            raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {where}.")
        return rule


def _pattern(text: str) -> Any:
    try:
        return read_pattern(text)
    except InvalidPattern as error:
        raise AwsError(
            "InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}"
        ) from None

"""What follows from log events: embedded metrics, metric filters, subscriptions."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError
from moto.logs.models import logs_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies, roles
from sandbox.emulator.functions.contract import Functions
from sandbox.emulator.patches import replaces
from sandbox.emulator.telemetry import embedded
from sandbox.emulator.telemetry.metrics import TOO_NEW_S, TOO_OLD_S
from sandbox.emulator.telemetry.pattern_conditions import MISSING, BadPattern
from sandbox.emulator.telemetry.patterns import Pattern, read_pattern
from sandbox.emulator.telemetry.series import MetricKey, MetricStore, dimensions

SERVICE = "logs.amazonaws.com"
Sink = Callable[[Any, list[dict[str, Any]]], None]  # (moto's log stream, the events); holds the lock
_sink: Sink | None = None


@replaces(
    "moto.logs.models",
    "LogStream.put_log_events",
    source_sha256="b07b0d5ae328f7ddb2e0c62bbd8d9f724cfb954ec1f6ebb54cc102291d10273f",
)
def _tell(original: Callable[..., str]) -> Callable[..., str]:
    def put_log_events(stream: Any, log_events: list[dict[str, Any]]) -> str:
        group = stream.log_group
        # moto delivers to subscriptions itself, within the writer's call and whatever their pattern.
        kept, group.subscription_filters = group.subscription_filters, {}
        try:
            token = original(stream, log_events)
        finally:
            group.subscription_filters = kept
        if _sink is not None:
            _sink(stream, log_events)
        return token

    return put_log_events


@replaces(
    "moto.logs.utils",
    "EventMessageFilter.__init__",
    source_sha256="0e1ed97a67756862a265049483bf10acfb87fba5e080f848e1bdd5313884b8eb",
)
def _patterns(_original: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: Any, pattern: str) -> None:
        """FilterLogEvents finds what filters find; moto knows words only."""
        self.filter_type = _pattern(pattern or "")

    return __init__


class LogIngestion:
    """Sees each log event once, with the dispatch lock held; what takes time is only enqueued."""

    def __init__(self, core: AccountCore, store: MetricStore, functions: Functions) -> None:
        global _sink
        self._core = core
        self._store = store
        self._functions = functions
        self.listeners: list[Sink] = []
        _sink = self._take

    def _take(self, stream: Any, events: list[dict[str, Any]]) -> None:
        for listener in self.listeners:
            listener(stream, events)
        group = stream.log_group
        for event in events:
            self._embedded(stream, event["message"])
        for found in logs_backends[stream.account_id][stream.region].filters.metric_filters:
            if found["logGroupName"] == group.name:
                self._count(stream, found, events)
        for subscription in group.subscription_filters.values():
            self._subscribe(stream, subscription, events)

    def _embedded(self, stream: Any, message: str) -> None:
        now = self._core.clock.time()
        for metric in embedded.read(message):
            moment = self._in_account(metric.moment)
            if metric.namespace.startswith("AWS/") or not now - TOO_OLD_S <= moment <= now + TOO_NEW_S:
                continue
            key = MetricKey(
                stream.account_id,
                stream.region,
                metric.namespace,
                metric.name,
                frozenset(metric.dimensions),
            )
            for value in metric.values:
                self._store.put(key, moment, value, metric.unit)

    def _in_account(self, moment: float) -> float:
        """A moment of a function's clock as one of the account's."""
        clock = self._core.clock
        by_wall = abs(moment - clock.wall_time()) < abs(moment - clock.time())
        return moment + clock.functions_behind_s if by_wall else moment

    def _count(self, stream: Any, found: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> None:
        pattern = _pattern(str(found.get("filterPattern") or ""))
        for event in events:
            matched = pattern.find(event["message"])
            for change in found.get("metricTransformations") or ():
                self._transform(stream, change, matched, event["timestamp"] / 1000)

    def _transform(
        self, stream: Any, change: Mapping[str, Any], matched: Mapping[str, Any] | None, moment: float
    ) -> None:
        names = change.get("dimensions") or {}
        if matched is None:
            # The default is what a period with log events but without a match has; never with dimensions.
            if change.get("defaultValue") is None or names:
                return
            value, chosen = float(change["defaultValue"]), {}
        else:
            told = str(change["metricValue"])
            found = matched.get(told, MISSING) if told.startswith("$") else told
            try:
                value = float(found)
            except (TypeError, ValueError):
                return
            chosen = {name: matched.get(selector, MISSING) for name, selector in names.items()}
            if any(each is MISSING or isinstance(each, dict | list) for each in chosen.values()):
                return
        key = MetricKey(
            stream.account_id,
            stream.region,
            change["metricNamespace"],
            change["metricName"],
            dimensions({name: str(each) for name, each in chosen.items()}),
        )
        self._store.put(key, moment, value, str(change.get("unit") or "None"))

    def _subscribe(self, stream: Any, subscription: Any, events: Sequence[Mapping[str, Any]]) -> None:
        pattern = _pattern(str(subscription.filter_pattern or ""))
        chosen = [event for event in events if pattern.matches(event["message"])]
        if not chosen:
            return
        message = {
            "messageType": "DATA_MESSAGE",
            "owner": stream.account_id,
            "logGroup": stream.log_group.name,
            "logStream": stream.log_stream_name,
            "subscriptionFilters": [subscription.name],
            "logEvents": [
                {"id": str(uuid.uuid4().int)[:38], "timestamp": each["timestamp"], "message": each["message"]}
                for each in chosen
            ],
        }
        label = f"logs:{stream.log_group.name} → {subscription.destination_arn}"
        self._core.work.submit(lambda: self._deliver(stream, subscription, message), label=label)

    def _deliver(self, stream: Any, subscription: Any, message: Mapping[str, Any]) -> None:
        """Hand a batch to a function or a stream, compressed as AWS does it.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/services-cloudwatchlogs.html
        """
        label = f"logs:{stream.log_group.name}"
        again = functools.partial(self._deliver, stream, subscription, message)
        if self._core.faults.hold(stream.region, again, label=label):
            return
        packed = gzip.compress(json.dumps(message, separators=(",", ":")).encode())
        arn, outcome, why = subscription.destination_arn, "ok", ""
        source_arn = f"arn:aws:logs:{stream.region}:{stream.account_id}:log-group:{stream.log_group.name}:*"
        service = arn.split(":")[2]
        if service == "lambda":
            why = policies.refusal(self._core, arn, policies.Delivery(SERVICE, source_arn, stream.account_id))
            if not why:
                event = {"awslogs": {"data": base64.b64encode(packed).decode()}}
                self._functions.invoke_async(
                    arn,
                    json.dumps(event).encode(),
                    account_id=stream.account_id,
                    region=stream.region,
                    source=f"logs:{stream.log_group.name}",
                )
        elif service == "kinesis":
            why = self._to_stream(stream, subscription, arn, packed, source_arn)
        else:
            why = f"Destinations of the service {service} are not emulated; this is our gap"
        if why:
            outcome = "failed"
        self._core.timeline.add(
            "gap" if "our gap" in why else "delivery",
            f"logs:{stream.log_group.name}",
            account_id=stream.account_id,
            region=stream.region,
            outcome=outcome,
            target=arn,
            **({"reason": f"target refused: {why}"} if why else {}),
        )

    def _to_stream(self, stream: Any, subscription: Any, arn: str, packed: bytes, source_arn: str) -> str:
        try:
            role = roles.assume(self._core, subscription.role_arn or "", SERVICE, source_arn=source_arn)
            self._core.clients.client("kinesis", region=arn.split(":")[3], principal=role).put_record(
                StreamARN=arn, PartitionKey=stream.log_stream_name, Data=packed
            )
        except (roles.RoleRefused, ClientError) as error:
            return str(error)
        return ""


def _pattern(text: str) -> Pattern:
    try:
        return read_pattern(text)
    except BadPattern:
        return Pattern(lambda message: None)

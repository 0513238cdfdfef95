"""CloudWatch and what follows from logs, put together."""

from __future__ import annotations

import json
from typing import Any

from moto.logs.models import logs_backends

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.functions.contract import Functions
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.telemetry.alarm_actions import AlarmActions, Bus
from sandbox.emulator.telemetry.alarm_service import Alarms
from sandbox.emulator.telemetry.ingestion import LogIngestion
from sandbox.emulator.telemetry.insights.definitions import QueryDefinitions
from sandbox.emulator.telemetry.insights.service import Insights
from sandbox.emulator.telemetry.live_tail import LiveTail
from sandbox.emulator.telemetry.metrics import Metrics
from sandbox.emulator.telemetry.pattern_conditions import MISSING, BadPattern
from sandbox.emulator.telemetry.patterns import read_pattern
from sandbox.emulator.telemetry.platform import PlatformMetrics
from sandbox.emulator.telemetry.retention import Retention
from sandbox.emulator.telemetry.series import MetricKey, MetricStore, dimensions


class Telemetry:
    """Metrics, alarms, metric filters and subscriptions of an account."""

    def __init__(self, core: AccountCore, functions: Functions, mailroom: Mailroom, bus: Bus) -> None:
        self._core = core
        self.store = MetricStore()
        self.metrics = Metrics(core, self.store)
        self.alarms = Alarms(core, self.metrics, AlarmActions(core, functions, bus))
        self._platform = PlatformMetrics(core, self.store, mailroom)
        self._ingestion = LogIngestion(core, self.store, functions)
        self._live_tail = LiveTail(core, self._ingestion)
        self._retention = Retention(core)
        self._insights = Insights(core)
        self._definitions = QueryDefinitions(core)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {
            **self.metrics.handlers(),
            **self.alarms.handlers(),
            **self._insights.handlers(),
            **self._definitions.handlers(),
            **self._live_tail.handlers(),
            ("logs", "PutMetricFilter"): self._put_metric_filter,
            ("logs", "TestMetricFilter"): self._test_metric_filter,
            ("logs", "PutSubscriptionFilter"): self._put_subscription,
            ("logs", "FilterLogEvents"): self._filter_events,
        }

    def queued(self, name: FunctionName, metric: str, value: float) -> None:
        """What happened to an asynchronous event of a function."""
        self._platform.queued(name, metric, value)

    def health(self, check_id: str, healthy: bool, moment: float) -> None:
        """Keep what Route 53 takes a health check for; all its metrics are in one region."""
        for name, value in (("HealthCheckStatus", 1.0), ("HealthCheckPercentageHealthy", 100.0)):
            names = dimensions({"HealthCheckId": check_id})
            key = MetricKey(self._core.account_id, "us-east-1", "AWS/Route53", name, names)
            self.store.put(key, moment, value * healthy)

    def start(self) -> None:
        """Begin to sample states; call once the account's work has started."""
        self._platform.start()
        self._retention.start()

    def _put_metric_filter(self, call: Call) -> dict[str, Any]:
        """moto keeps a filter twice when it is put again."""
        params = call.params
        _check_pattern(params.get("filterPattern") or "")
        with self._core.dispatch_lock:
            backend = logs_backends[call.account_id][call.region]
            if params["logGroupName"] not in backend.groups:
                raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
            backend.filters.delete_filter(params["filterName"], params["logGroupName"])
            return self._core.moto(call)

    def _test_metric_filter(self, call: Call) -> dict[str, Any]:
        pattern = _check_pattern(call.params.get("filterPattern") or "")
        matches = []
        for number, message in enumerate(call.params["logEventMessages"], 1):
            found = pattern.find(message)
            if found is not None:
                values = {
                    name: value if isinstance(value, str) else json.dumps(value)
                    for name, value in found.items()
                    if value is not MISSING
                }
                matches.append({"eventNumber": number, "eventMessage": message, "extractedValues": values})
        return {"matches": matches}

    def _put_subscription(self, call: Call) -> dict[str, Any]:
        _check_pattern(call.params.get("filterPattern") or "")
        return self._core.moto(call)

    def _filter_events(self, call: Call) -> dict[str, Any]:
        _check_pattern(call.params.get("filterPattern") or "")
        return self._core.moto(call)


def _check_pattern(text: str) -> Any:
    try:
        return read_pattern(text)
    except BadPattern as error:
        raise AwsError("InvalidParameterException", str(error)) from None

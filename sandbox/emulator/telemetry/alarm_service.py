"""CloudWatch's API for alarms, and their evaluation on the account's clock."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.telemetry.alarm_actions import AlarmActions, record_change, told_state
from sandbox.emulator.telemetry.alarm_checks import check_metric_alarm
from sandbox.emulator.telemetry.alarms import EXTRA_PERIODS, Alarm, AlarmState, BadRule, judge, read_rule
from sandbox.emulator.telemetry.maths import BadExpression
from sandbox.emulator.telemetry.metrics import Metrics

# Metrics of a period are there a little after its end.
_DELAY_S = 2.0
_MINUTE_S = 60
_Key = tuple[str, str]


class Alarms:
    """Keeps alarms and looks at each of them at the end of every minute."""

    def __init__(self, core: AccountCore, metrics: Metrics, actions: AlarmActions) -> None:
        self._core = core
        self._metrics = metrics
        self._actions = actions
        self._lock = threading.RLock()
        self._alarms: dict[_Key, dict[str, Alarm]] = {}

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "PutMetricAlarm": self._put_metric_alarm,
            "PutCompositeAlarm": self._put_composite_alarm,
            "DescribeAlarms": self._describe,
            "DescribeAlarmsForMetric": self._describe_for_metric,
            "DescribeAlarmHistory": self._history,
            "DeleteAlarms": self._delete,
            "SetAlarmState": self._set_state,
            "EnableAlarmActions": self._enable,
            "DisableAlarmActions": self._disable,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._tags,
        }
        return {("cloudwatch", name): handler for name, handler in found.items()}

    def state(self, account_id: str, region: str, name: str) -> str:
        """The state of an alarm; empty when there is none of this name."""
        alarm = self._alarms.get((account_id, region), {}).get(name)
        return str(alarm.state) if alarm is not None else ""

    def _of(self, call: Call) -> dict[str, Alarm]:
        return self._alarms.setdefault((call.account_id, call.region), {})

    def _put_metric_alarm(self, call: Call) -> dict[str, Any]:
        check_metric_alarm(call.params)
        alarm = self._put(call)
        self._plan(alarm)
        return {}

    def _put_composite_alarm(self, call: Call) -> dict[str, Any]:
        try:
            _test, names = read_rule(call.params["AlarmRule"])
        except BadRule as error:
            raise AwsError("ValidationError", f"AlarmRule must be valid: {error}") from None
        with self._lock:
            missing = [name for name in names if name not in self._of(call)]
            if missing:
                raise AwsError("ValidationError", f"AlarmRule: the alarm {missing[0]} does not exist.")
            alarm = self._put(call)
        self._core.work.submit(lambda: self._evaluate(alarm), label=f"alarm {alarm.name}")
        return {}

    def _put(self, call: Call) -> Alarm:
        params = {name: value for name, value in call.params.items() if name != "Tags" and value is not None}
        name, now = params["AlarmName"], self._core.clock.now()
        arn = f"arn:aws:cloudwatch:{call.region}:{call.account_id}:alarm:{name}"
        with self._lock:
            before = self._of(call).get(name)
            alarm = Alarm(name, arn, call.account_id, call.region, params, now)
            alarm.actions_enabled = params.get("ActionsEnabled") is not False
            if before is None:
                alarm.tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or ()}
                alarm.state_updated_at = now
            else:
                alarm.tags, alarm.history, alarm.state = before.tags, before.history, before.state
                alarm.reason, alarm.state_updated_at = before.reason, before.state_updated_at
            self._of(call)[name] = alarm
        summary = f'Alarm "{name}" {"created" if before is None else "updated"}'
        alarm.history.append(
            {
                "AlarmName": name,
                "AlarmType": "CompositeAlarm" if alarm.composite else "MetricAlarm",
                "Timestamp": now,
                "HistoryItemType": "ConfigurationUpdate",
                "HistorySummary": summary,
                "HistoryData": json.dumps(
                    {"version": "1.0", "type": "Create" if before is None else "Update"}
                ),
            }
        )
        return alarm

    def _plan(self, alarm: Alarm) -> None:
        """Look again when the next minute (or the alarm's shorter period) is over."""
        every = min(alarm.period_s, _MINUTE_S)
        now = self._core.clock.time()
        due = (now - _DELAY_S) // every * every + every + _DELAY_S
        self._core.work.submit(lambda: self._look(alarm), label=f"alarm {alarm.name}", delay_s=due - now)

    def _look(self, alarm: Alarm) -> None:
        if self._core.faults.hold(alarm.region, lambda: self._look(alarm), label=f"alarm {alarm.name}"):
            return
        with self._lock:
            if self._alarms.get((alarm.account_id, alarm.region), {}).get(alarm.name) is not alarm:
                return
        try:
            self._evaluate(alarm)
        finally:
            self._plan(alarm)

    def _evaluate(self, alarm: Alarm) -> None:
        if alarm.composite:
            self._evaluate_composite(alarm)
            return
        period_s = alarm.period_s
        end = (self._core.clock.time() - _DELAY_S + 0.001) // period_s * period_s
        start = end - (int(alarm.params["EvaluationPeriods"]) + EXTRA_PERIODS) * period_s
        queries, wanted = alarm.queries()
        if alarm.least_samples and self._samples(alarm, queries, end) < alarm.least_samples:
            return
        found = self._metrics.read(alarm.account_id, alarm.region, queries, start, end)[wanted]
        values = {} if isinstance(found, BadExpression) or not found else found[0]
        verdict = judge(alarm, values, end - period_s)
        if verdict.state is not None:
            data = {
                "version": "1.0",
                "queryDate": self._core.clock.now().isoformat(),
                "period": period_s,
                "recentDatapoints": [value for _at, value in reversed(verdict.points)],
                "threshold": alarm.params.get("Threshold"),
            }
            self._change(alarm, verdict.state, verdict.reason, json.dumps(data))

    def _samples(self, alarm: Alarm, queries: Sequence[Mapping[str, Any]], end: float) -> float:
        """How many samples the periods of an evaluation have."""
        [query] = queries
        counted = {**query, "MetricStat": {**query["MetricStat"], "Stat": "SampleCount"}}
        start = end - int(alarm.params["EvaluationPeriods"]) * alarm.period_s
        found = self._metrics.read(alarm.account_id, alarm.region, [counted], start, end)[query["Id"]]
        return 0 if isinstance(found, BadExpression) or not found else sum(found[0].values())

    def _evaluate_composite(self, alarm: Alarm) -> None:
        test, _names = read_rule(alarm.params["AlarmRule"])
        with self._lock:
            others = dict(self._alarms.get((alarm.account_id, alarm.region), {}))
        held = test(lambda name: others[name].state if name in others else AlarmState.INSUFFICIENT_DATA)
        state = AlarmState.ALARM if held else AlarmState.OK
        self._change(alarm, state, f"{alarm.params['AlarmRule']} was evaluated as {str(held).upper()}", "")

    def _change(self, alarm: Alarm, state: AlarmState, reason: str, data: str) -> None:
        with self._lock:
            before = alarm.state
            if state is before:
                return
            told = told_state(alarm)
            alarm.state, alarm.reason, alarm.reason_data = state, reason, data
            alarm.state_updated_at = self._core.clock.now()
            record_change(alarm, told, alarm.state_updated_at)
            watching = [
                each
                for each in self._alarms.get((alarm.account_id, alarm.region), {}).values()
                if each.composite and alarm.name in read_rule(each.params["AlarmRule"])[1]
            ]
        self._core.timeline.add(
            "alarm",
            alarm.name,
            account_id=alarm.account_id,
            region=alarm.region,
            outcome=state.value,
            before=before.value,
            reason=reason,
        )
        self._actions.changed(alarm, before)
        for each in watching:
            self._core.work.submit(functools.partial(self._evaluate, each), label=f"alarm {each.name}")

    def _find(self, call: Call, name: str) -> Alarm:
        with self._lock:
            alarm = self._of(call).get(name)
        if alarm is None:
            raise AwsError("ResourceNotFound", f"Alarm {name} does not exist", 404)
        return alarm

    def _set_state(self, call: Call) -> dict[str, Any]:
        alarm = self._find(call, call.params["AlarmName"])
        data = call.params.get("StateReasonData") or ""
        try:
            json.loads(data or "{}")
        except (ValueError, RecursionError):
            raise AwsError("InvalidFormat", "StateReasonData was not syntactically valid JSON") from None
        self._change(alarm, AlarmState(call.params["StateValue"]), call.params["StateReason"], data)
        return {}

    def _delete(self, call: Call) -> dict[str, Any]:
        with self._lock:
            for name in call.params.get("AlarmNames") or ():
                self._find(call, name)
            for name in call.params.get("AlarmNames") or ():
                self._of(call).pop(name)
        return {}

    def _enable(self, call: Call) -> dict[str, Any]:
        return self._switch(call, enabled=True)

    def _disable(self, call: Call) -> dict[str, Any]:
        return self._switch(call, enabled=False)

    def _switch(self, call: Call, *, enabled: bool) -> dict[str, Any]:
        with self._lock:
            for name in call.params.get("AlarmNames") or ():
                if name in self._of(call):
                    self._of(call)[name].actions_enabled = enabled
        return {}

    def _describe(self, call: Call) -> dict[str, Any]:
        params = call.params
        kinds = params.get("AlarmTypes") or ["MetricAlarm"]
        names, prefix = params.get("AlarmNames"), params.get("AlarmNamePrefix") or ""
        action = params.get("ActionPrefix") or ""
        with self._lock:
            found = [
                alarm
                for alarm in self._of(call).values()
                if (not names or alarm.name in names)
                and alarm.name.startswith(prefix)
                and params.get("StateValue") in (None, alarm.state.value)
                and (not action or any(arn.startswith(action) for arn in _all_actions(alarm)))
            ]
            if names and not params.get("AlarmTypes"):
                kinds = ["MetricAlarm", "CompositeAlarm"]
            return {
                "MetricAlarms": [_shown(a) for a in found if not a.composite and "MetricAlarm" in kinds],
                "CompositeAlarms": [_shown(a) for a in found if a.composite and "CompositeAlarm" in kinds],
            }

    def _describe_for_metric(self, call: Call) -> dict[str, Any]:
        params = call.params
        wanted = {(each["Name"], each["Value"]) for each in params.get("Dimensions") or ()}
        with self._lock:
            found = []
            for alarm in self._of(call).values():
                stats = [] if alarm.composite else [query.get("MetricStat") for query in alarm.queries()[0]]
                for stat in filter(None, stats):
                    metric = stat["Metric"]
                    names = {(each["Name"], each["Value"]) for each in metric.get("Dimensions") or ()}
                    if (metric["Namespace"], metric["MetricName"], names) == (
                        params["Namespace"],
                        params["MetricName"],
                        wanted,
                    ):
                        found.append(_shown(alarm))
        return {"MetricAlarms": found}

    def _history(self, call: Call) -> dict[str, Any]:
        params = call.params
        with self._lock:
            alarms: Sequence[Alarm] = list(self._of(call).values())
            items = [item for alarm in alarms for item in alarm.history]
        items = [
            item
            for item in items
            if params.get("AlarmName") in (None, item["AlarmName"])
            and params.get("HistoryItemType") in (None, item["HistoryItemType"])
            and (params.get("StartDate") is None or item["Timestamp"] >= params["StartDate"])
            and (params.get("EndDate") is None or item["Timestamp"] <= params["EndDate"])
        ]
        oldest_first = params.get("ScanBy") == "TimestampAscending"
        items.sort(key=lambda item: item["Timestamp"], reverse=not oldest_first)
        return {"AlarmHistoryItems": items[: int(params.get("MaxRecords") or 100)]}

    def _tagged(self, call: Call) -> Alarm | None:
        arn = str(call.params["ResourceARN"])
        if ":alarm:" not in arn:
            return None
        return self._find(call, arn.split(":alarm:", 1)[1])

    def _tag(self, call: Call) -> dict[str, Any]:
        alarm = self._tagged(call)
        if alarm is None:
            return self._core.moto(call)
        alarm.tags |= {tag["Key"]: tag["Value"] for tag in call.params["Tags"]}
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        alarm = self._tagged(call)
        if alarm is None:
            return self._core.moto(call)
        for key in call.params["TagKeys"]:
            alarm.tags.pop(key, None)
        return {}

    def _tags(self, call: Call) -> dict[str, Any]:
        alarm = self._tagged(call)
        if alarm is None:
            return self._core.moto(call)
        return {"Tags": [{"Key": key, "Value": value} for key, value in alarm.tags.items()]}


def _all_actions(alarm: Alarm) -> list[str]:
    return [
        arn
        for name in ("AlarmActions", "OKActions", "InsufficientDataActions")
        for arn in alarm.params.get(name) or ()
    ]


def _shown(alarm: Alarm) -> dict[str, Any]:
    made: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.updated_at,
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        "StateValue": alarm.state.value,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": alarm.state_updated_at,
        "StateTransitionedTimestamp": alarm.state_updated_at,
    }
    if alarm.reason_data:
        made["StateReasonData"] = alarm.reason_data
    if not alarm.composite and not alarm.params.get("Metrics"):
        made["Dimensions"] = []
    return made | {name: value for name, value in alarm.params.items() if name != "ActionsEnabled"}

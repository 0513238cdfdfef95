"""CloudWatch's API for metrics."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.telemetry import maths
from sandbox.emulator.telemetry.maths import BadExpression, Inputs, Times
from sandbox.emulator.telemetry.series import MetricKey, MetricStore, NoSuchStatistic, Sample, dimensions

TOO_OLD_S, TOO_NEW_S = 14 * 86_400, 2 * 3600
_DIMENSIONS_LIMIT, _VALUES_LIMIT = 30, 150
_ID = re.compile(r"[a-z]\w{0,254}")


class Metrics:
    """Puts, lists and reads metrics. ``read`` is also how alarms see them."""

    def __init__(self, core: AccountCore, store: MetricStore) -> None:
        self._core = core
        self._store = store

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "PutMetricData": self._put,
            "ListMetrics": self._list,
            "GetMetricStatistics": self._statistics,
            "GetMetricData": self._data,
        }
        return {("cloudwatch", name): handler for name, handler in found.items()}

    def _put(self, call: Call) -> dict[str, Any]:
        namespace = str(call.params["Namespace"])
        if namespace.startswith(("AWS/", ":")):
            reserved = "AWS/" if namespace.startswith("AWS/") else ":"
            raise AwsError(
                "InvalidParameterValue", f"The value {reserved} for parameter Namespace is invalid."
            )
        given = list(call.params.get("MetricData") or ())
        for entity in call.params.get("EntityMetricData") or ():
            given += entity.get("MetricData") or ()
        now = self._core.clock.time()
        kept = [self._datum(call, namespace, index, datum, now) for index, datum in enumerate(given, 1)]
        for key, moment, samples, unit in kept:
            for sample in samples:
                self._store.put(key, moment, sample, unit)
        return {}

    def _datum(
        self, call: Call, namespace: str, index: int, datum: Mapping[str, Any], now: float
    ) -> tuple[MetricKey, float, list[Sample], str]:
        where = f"MetricData.member.{index}"
        names = datum.get("Dimensions") or []
        if len(names) > _DIMENSIONS_LIMIT:
            raise AwsError(
                "InvalidParameterValue",
                f"The collection {where}.Dimensions must not have a size greater than 30.",
            )
        given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
        if len(given) != 1:
            raise AwsError(
                "InvalidParameterCombination" if given else "MissingParameter",
                f"The parameters {where}.Value and {where}.StatisticValues are mutually exclusive and you "
                "have specified both."
                if given
                else f"The parameter {where}.Value is required.",
            )
        moment = datum["Timestamp"].timestamp() if datum.get("Timestamp") is not None else now
        if moment < now - TOO_OLD_S or moment > now + TOO_NEW_S:
            raise AwsError(
                "InvalidParameterValue",
                f"The parameter {where}.Timestamp must specify a time no more than two weeks in the past "
                "and no more than two hours in the future.",
            )
        key = MetricKey(call.account_id, call.region, namespace, datum["MetricName"], dimensions(names))
        return key, moment, _samples(datum, where), str(datum.get("Unit") or "None")

    def _list(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._store.sample(call.account_id, call.region)
        wanted = params.get("Dimensions") or []
        found = []
        for key in sorted(
            self._store.keys(call.account_id, call.region), key=lambda key: (key[2], key[3], sorted(key[4]))
        ):
            names = dict(key.dimensions)
            if params.get("Namespace") not in (None, key.namespace):
                continue
            if params.get("MetricName") not in (None, key.name):
                continue
            if any(
                each["Name"] not in names or each.get("Value", names[each["Name"]]) != names[each["Name"]]
                for each in wanted
            ):
                continue
            found.append(
                {
                    "Namespace": key.namespace,
                    "MetricName": key.name,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in sorted(key.dimensions)],
                }
            )
        first = int(params.get("NextToken") or 0)
        more = {"NextToken": str(first + 500)} if first + 500 < len(found) else {}
        return {"Metrics": found[first : first + 500], **more}

    def _statistics(self, call: Call) -> dict[str, Any]:
        params = call.params
        names = [*(params.get("Statistics") or ()), *(params.get("ExtendedStatistics") or ())]
        if not names:
            raise AwsError(
                "InvalidParameterCombination",
                "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
            )
        start, end, period_s = _range(params["StartTime"], params["EndTime"], int(params["Period"]))
        self._store.sample(call.account_id, call.region)
        key = MetricKey(
            call.account_id,
            call.region,
            params["Namespace"],
            params["MetricName"],
            dimensions(params.get("Dimensions") or []),
        )
        points: dict[float, dict[str, Any]] = {}
        unit = str(params.get("Unit") or "")
        shown_unit = unit or next(iter(sorted(self._store.units(key))), "None")
        for name in names:
            for begin, value in self._values(key, name, period_s, start, end, unit).items():
                point = points.setdefault(begin, {"Timestamp": _moment(begin), "Unit": shown_unit})
                if name in (params.get("ExtendedStatistics") or ()):
                    point.setdefault("ExtendedStatistics", {})[name] = value
                else:
                    point[name] = value
        return {"Label": params["MetricName"], "Datapoints": list(points.values())}

    def _values(self, key: MetricKey, name: str, period_s: int, start: float, end: float, unit: str) -> Times:
        try:
            return self._store.values(key, name, period_s, start, end, unit)
        except NoSuchStatistic:
            raise AwsError(
                "InvalidParameterValue", f"The value {name} for parameter Stat is not supported."
            ) from None

    def _data(self, call: Call) -> dict[str, Any]:
        params = call.params
        queries = params["MetricDataQueries"]
        start, end = params["StartTime"].timestamp(), params["EndTime"].timestamp()
        if start >= end:
            raise AwsError(
                "ValidationError", "The parameter StartTime must be less than the parameter EndTime."
            )
        found = self.read(call.account_id, call.region, queries, start, end)
        newest_first = params.get("ScanBy", "TimestampDescending") != "TimestampAscending"
        results, messages = [], []
        for query in queries:
            if query.get("ReturnData") is False:
                continue
            series = found[query["Id"]]
            if isinstance(series, BadExpression):
                messages.append({"Code": "ArithmeticError", "Value": str(series)})
                series = [{}]
            for each in series:
                moments = sorted(each, reverse=newest_first)
                results.append(
                    {
                        "Id": query["Id"],
                        "Label": query.get("Label") or _label(query),
                        "Timestamps": [_moment(at) for at in moments],
                        "Values": [each[at] for at in moments],
                        "StatusCode": "Complete",
                    }
                )
        return {"MetricDataResults": results, "Messages": messages}

    def read(
        self, account_id: str, region: str, queries: Sequence[Mapping[str, Any]], start: float, end: float
    ) -> dict[str, list[Times] | BadExpression]:
        """Every query's series by its id, expressions over others included.

        Raises:
            AwsError: ids are missing, doubled or refer to one another in a circle.
        """
        self._store.sample(account_id, region)
        by_id = {query["Id"]: query for query in queries}
        for name in by_id:
            if not _ID.fullmatch(name):
                raise AwsError(
                    "ValidationError",
                    f"The value {name} for parameter MetricDataQueries.member.Id is not matching the "
                    "expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                )
        if len(by_id) != len(queries):
            raise AwsError(
                "ValidationError", "The values for parameter id in MetricDataQueries are not unique."
            )
        found: dict[str, list[Times] | BadExpression] = {}
        todo = list(by_id)
        while todo:
            ready = [name for name in todo if self._needs(by_id[name], by_id) <= found.keys()]
            if not ready:
                raise AwsError(
                    "ValidationError", "Error in expression: the queries refer to one another in a circle."
                )
            for name in ready:
                found[name] = self._query(account_id, region, by_id[name], by_id, found, start, end)
                todo.remove(name)
        return found

    @staticmethod
    def _needs(query: Mapping[str, Any], by_id: Mapping[str, Any]) -> set[str]:
        expression = query.get("Expression")
        if not expression:
            return set()
        names = set(re.findall(r"[A-Za-z]\w*", re.sub(r"'[^']*'|\"[^\"]*\"", "", expression)))
        needed = names & by_id.keys() - {query["Id"]}
        if re.search(r"METRICS\s*\(", expression, re.IGNORECASE):
            needed |= {name for name, each in by_id.items() if each.get("MetricStat")}
        return needed

    def _query(
        self,
        account_id: str,
        region: str,
        query: Mapping[str, Any],
        by_id: Mapping[str, Mapping[str, Any]],
        found: Mapping[str, list[Times] | BadExpression],
        start: float,
        end: float,
    ) -> list[Times] | BadExpression:
        stat = query.get("MetricStat")
        if stat:
            metric = stat["Metric"]
            key = MetricKey(
                query.get("AccountId") or account_id,
                region,
                metric["Namespace"],
                metric["MetricName"],
                dimensions(metric.get("Dimensions") or []),
            )
            first, last, period_s = _aligned(start, end, int(stat["Period"]))
            return [self._values(key, stat["Stat"], period_s, first, last, str(stat.get("Unit") or ""))]
        periods = [int(each["MetricStat"]["Period"]) for each in by_id.values() if each.get("MetricStat")]
        period_s = int(query.get("Period") or min(periods, default=60))
        series: dict[str, maths.Value] = {}
        for name, value in found.items():
            if isinstance(value, BadExpression):
                continue
            series[name] = value[0] if len(value) == 1 else value
        ids = tuple(name for name, each in by_id.items() if each.get("MetricStat"))
        first, last, _ = _aligned(start, end, period_s)
        try:
            return maths.evaluate(str(query["Expression"]), Inputs(series, period_s, first, last, ids))
        except BadExpression as error:
            return error


def _samples(datum: Mapping[str, Any], where: str) -> list[Sample]:
    if (value := datum.get("Value")) is not None:
        if math.isnan(value) or math.isinf(value):
            raise AwsError(
                "InvalidParameterValue", f"The value {value} for parameter {where}.Value is invalid."
            )
        return [Sample(float(value))]
    if (statistics := datum.get("StatisticValues")) is not None:
        return [
            Sample(
                float(statistics["Sum"]),
                float(statistics["SampleCount"]),
                float(statistics["Minimum"]),
                float(statistics["Maximum"]),
            )
        ]
    values, counts = datum["Values"], datum.get("Counts") or [1.0] * len(datum["Values"])
    if len(values) != len(counts) or len(values) > _VALUES_LIMIT:
        raise AwsError(
            "InvalidParameterValue",
            f"{where}: Values and Counts must be of the same size, at most {_VALUES_LIMIT}.",
        )
    return [Sample(float(value), float(count)) for value, count in zip(values, counts, strict=True)]


def _range(start: dt.datetime, end: dt.datetime, period_s: int) -> tuple[float, float, int]:
    if start >= end:
        raise AwsError(
            "InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime."
        )
    if period_s not in (1, 5, 10, 20, 30) and period_s % 60:
        raise AwsError(
            "InvalidParameterValue", "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60."
        )
    return _aligned(start.timestamp(), end.timestamp(), period_s)


def _aligned(start: float, end: float, period_s: int) -> tuple[float, float, int]:
    """Whole periods: the start goes back to the beginning of its period."""
    return start // period_s * period_s, end, period_s


def _label(query: Mapping[str, Any]) -> str:
    stat = query.get("MetricStat")
    return str(stat["Metric"]["MetricName"]) if stat else str(query["Id"])


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)

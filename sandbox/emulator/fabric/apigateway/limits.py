"""API keys, usage plans and throttling.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.apigateway.models import apigateway_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.model import Kind, Route, Stage, Throttle

_FORBIDDEN = answers.message(403, "Forbidden", kind="ForbiddenException", reason="INVALID_API_KEY")
_PERIODS = {"DAY": "%Y-%m-%d", "WEEK": "%G-%V", "MONTH": "%Y-%m"}


@dataclass(slots=True)
class _Bucket:
    """Tokens that come back with time; a request takes one."""

    tokens: float
    at: float


class Limits:
    """Counts requests on the account's clock."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, ...], _Bucket] = {}
        self._used: dict[tuple[str, ...], int] = {}

    def throttled(self, stage: Stage, route: Route) -> Answer | None:
        """What to answer when the stage's own limits are exhausted."""
        keys = (route.key, f"{route.method} {route.path}", "*")
        found = next((key for key in keys if key in stage.throttles), None)
        if found is None:
            return None
        name = (stage.api_id, stage.name, route.key if found == "*" else found)
        return None if self._take(name, stage.throttles[found]) else _too_many(stage.kind)

    def admit(self, stage: Stage, key_value: str) -> tuple[Answer | None, dict[str, Any]]:
        """Let a holder of an API key in, or say what to answer; and the key for ``identity``."""
        with self._core.dispatch_lock:
            backend = apigateway_backends[stage.account_id][stage.region]
            key = next((k for k in backend.keys.values() if k.value == key_value and k.enabled), None)
            plans = [] if key is None else list(self._plans(backend, key.id, stage))
        if key is None or not plans:
            return _FORBIDDEN, {}
        for plan, limits in plans:
            if limits is not None and not self._take((plan.id, key.id, stage.api_id, stage.name), limits):
                return _too_many(Kind.REST), {}
            quota = plan.quota or {}
            if quota and not self._count(plan.id, key.id, quota):
                return (
                    answers.message(
                        429, "Limit Exceeded", kind="LimitExceededException", reason="QUOTA_EXCEEDED"
                    ),
                    {},
                )
        return None, {"apiKey": key.value, "apiKeyId": key.id}

    @staticmethod
    def _plans(backend: Any, key_id: str, stage: Stage) -> Iterator[tuple[Any, Throttle | None]]:
        for plan in backend.usage_plans.values():
            if key_id not in backend.usage_plan_keys.get(plan.id, {}):
                continue
            for each in plan.api_stages:
                if (each.get("apiId"), each.get("stage")) == (stage.api_id, stage.name):
                    limits = plan.throttle or {}
                    rate, burst = limits.get("rateLimit"), limits.get("burstLimit")
                    yield (
                        plan,
                        None
                        if rate is None and burst is None
                        else Throttle(
                            float(rate if rate is not None else 10_000),
                            float(burst if burst is not None else 5_000),
                        ),
                    )

    def _take(self, name: tuple[str, ...], throttle: Throttle) -> bool:
        now = self._core.clock.time()
        with self._lock:
            bucket = self._buckets.setdefault(name, _Bucket(throttle.burst, now))
            bucket.tokens = min(throttle.burst, bucket.tokens + (now - bucket.at) * throttle.rate)
            bucket.at = now
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True

    def _count(self, plan_id: str, key_id: str, quota: Any) -> bool:
        period = dt.datetime.fromtimestamp(self._core.clock.time(), dt.UTC).strftime(
            _PERIODS[quota["period"]]
        )
        name = (plan_id, key_id, period)
        with self._lock:
            if self._used.get(name, 0) >= int(quota["limit"]):
                return False
            self._used[name] = self._used.get(name, 0) + 1
            return True


def _too_many(kind: Kind) -> Answer:
    if kind is Kind.HTTP:
        return answers.message(429, "Too Many Requests")
    return answers.message(429, "Too Many Requests", kind="TooManyRequestsException", reason="THROTTLED")

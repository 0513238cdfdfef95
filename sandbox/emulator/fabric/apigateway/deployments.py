"""What is deployed: moto keeps an API's present state alone, so what stages serve is kept here."""

from __future__ import annotations

import datetime as dt
import random
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from moto.apigateway.models import RestAPI, apigateway_backends
from moto.apigatewayv2.models import Api as HttpApi
from moto.apigatewayv2.models import apigatewayv2_backends

from sandbox.emulator.fabric.apigateway import canaries
from sandbox.emulator.fabric.apigateway.model import CachePolicy, Kind, Snapshot, Stage, Throttle
from sandbox.emulator.fabric.apigateway.snapshots import snapshot_http, snapshot_rest

_ACCOUNT_RATE, _ACCOUNT_BURST = 10_000.0, 5_000.0
_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(slots=True)
class Deployment:
    """An API as it was at one time."""

    id: str
    created: dt.datetime
    snapshot: Snapshot
    description: str = ""
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An API in moto's store and where it lives."""

    kind: Kind
    api: Any
    account_id: str
    region: str


@dataclass(slots=True)
class Deployments:
    """Deployments per API, and which of them each stage of an HTTP API serves.

    Everything here is called with the dispatch lock held. An API that is deleted from moto's store
    takes its deployments with it. ``chance`` decides which requests are a canary's.
    """

    chance: random.Random = field(default_factory=random.Random)

    _by_api: WeakKeyDictionary[Any, dict[str, Deployment]] = field(default_factory=WeakKeyDictionary)
    _stages: WeakKeyDictionary[HttpApi, dict[str, str]] = field(default_factory=WeakKeyDictionary)

    def of(self, api: Any) -> dict[str, Deployment]:
        """An API's deployments by id."""
        return self._by_api.setdefault(api, {})

    def served(self, api: HttpApi) -> dict[str, str]:
        """Which deployment each stage of an HTTP API serves; stages never deployed are absent."""
        return self._stages.setdefault(api, {})

    def take(
        self, kind: Kind, api: Any, now: dt.datetime, *, description: str = "", automatic: bool = False
    ) -> Deployment:
        """Deploy an API as it stands."""
        snapshot = snapshot_rest(api) if kind is Kind.REST else snapshot_http(api)
        deployment = Deployment(new_id(), now, snapshot, description, automatic)
        self.of(api)[deployment.id] = deployment
        return deployment

    def take_automatically(self, api: HttpApi, now: dt.datetime) -> None:
        """Bring every stage that deploys by itself up to date."""
        stages = [name for name, stage in api.stages.items() if stage.auto_deploy]
        if not stages:
            return
        deployment = self.take(
            Kind.HTTP,
            api,
            now,
            description="Automatic deployment triggered by changes to the Api configuration",
            automatic=True,
        )
        for name in stages:
            self.served(api)[name] = deployment.id

    def stage(self, found: Found, name: str) -> Stage | None:
        """A stage with what it serves, or None if there is no such stage or nothing is deployed to it.

        What it serves is drawn anew each time for a stage that has a canary.
        """
        stage = found.api.stages.get(name)
        if stage is None:
            return None
        rest = found.kind is Kind.REST
        deployment_id = stage.deployment_id if rest else self.served(found.api).get(name, "")
        canary = canaries.drawn(stage, self.chance) if rest else None
        if canary is not None:
            deployment_id = canary["deploymentId"]
        deployment = self.of(found.api).get(deployment_id)
        if deployment is None:
            return None
        logging = stage.access_log_settings or {}
        return Stage(
            kind=found.kind,
            api_id=found.api.id if rest else found.api.api_id,
            account_id=found.account_id,
            region=found.region,
            name=name,
            deployment_id=deployment.id,
            variables={
                **((stage.variables if rest else stage.stage_variables) or {}),
                **((canary or {}).get("stageVariableOverrides") or {}),
            },
            snapshot=deployment.snapshot,
            log_destination=logging.get("destinationArn") or "",
            log_format=logging.get("format") or "",
            api_name=str(found.api.name) if rest else "",
            canary=canary is not None if canaries.settings(stage) else None,
            traced=rest and bool(stage.tracing_enabled),
            throttles=_rest_throttles(stage) if rest else _http_throttles(stage),
            caches=_caches(stage) if rest and stage.cache_cluster_enabled else {},
        )


def find_api(api_id: str) -> Found | None:
    """The API with this id, in whatever account and region. Call with the dispatch lock held."""
    for kind, backends in ((Kind.REST, apigateway_backends), (Kind.HTTP, apigatewayv2_backends)):
        for account_id, region, backend in _each(backends):
            api: RestAPI | HttpApi | None = backend.apis.get(api_id)
            if api is not None:
                if kind is Kind.HTTP and api.protocol_type == "WEBSOCKET":
                    return Found(Kind.WEBSOCKET, api, account_id, region)
                return Found(kind, api, account_id, region)
    return None


def new_id(length: int = 6) -> str:
    """An id as API Gateway makes them."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _each(backends: Any) -> Iterator[tuple[str, str, Any]]:
    for account_id, regions in list(backends.items()):
        for region, backend in list(regions.items()):
            yield account_id, region, backend


def _rest_throttles(stage: Any) -> dict[str, Throttle]:
    """A stage's method settings: ``/*/*`` for all, ``/~1items/GET`` for one."""
    made: dict[str, Throttle] = {}
    for key, settings in (stage.method_settings or {}).items():
        rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
        if rate is not None or burst is not None:
            made[_setting_name(key)] = _throttle(rate, burst)
    return made


def _setting_name(key: str) -> str:
    path, _, method = key.rpartition("/")
    path = path.replace("~1", "/")
    return "*" if path.strip("/") == "*" and method == "*" else f"{method} /{path.strip('/')}"


def _caches(stage: Any) -> dict[str, CachePolicy | None]:
    """A stage's method settings about caching; a time to live of 0 switches it off."""
    made: dict[str, CachePolicy | None] = {}
    shared = bool((canaries.settings(stage) or {}).get("useStageCache"))
    for key, settings in (stage.method_settings or {}).items():
        ttl_s = float(settings.get("cacheTtlInSeconds") or 0)
        policy = CachePolicy(
            ttl_s,
            bool(settings.get("requireAuthorizationForCacheControl", True)),
            str(settings.get("unauthorizedCacheControlHeaderStrategy") or ""),
            shared,
        )
        made[_setting_name(key)] = policy if settings.get("cachingEnabled") and ttl_s > 0 else None
    return made


def _http_throttles(stage: Any) -> dict[str, Throttle]:
    made: dict[str, Throttle] = {}
    settings = {"*": stage.default_route_settings or {}, **(stage.route_settings or {})}
    for key, each in settings.items():
        rate, burst = each.get("throttlingRateLimit"), each.get("throttlingBurstLimit")
        if rate is not None or burst is not None:
            made[key] = _throttle(rate, burst)
    return made


def _throttle(rate: Any, burst: Any) -> Throttle:
    """What is not set is the account's limit.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
    """
    return Throttle(
        _ACCOUNT_RATE if rate is None or float(rate) < 0 else float(rate),
        _ACCOUNT_BURST if burst is None or float(burst) < 0 else float(burst),
    )

"""Caches of REST API stages: what methods answered is kept, and answered again without asking anybody.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-caching.html
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.mappings import Sources
from sandbox.emulator.fabric.apigateway.model import CachePolicy, Integration

_LIMIT_BYTES = 1_048_576
_ENTRIES = 10_000
_WARNING = "199 Cache-control headers were ignored because the caller was unauthorized."
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer
    until: float


class ResponseCaches:
    """The answers that stages keep, the ones longest unasked for going first."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def answered(
        self, policy: CachePolicy, integration: Integration, sources: Sources, ask: Callable[[], Answer]
    ) -> tuple[Answer, str]:
        """The answer, and whether it was a ``hit`` or a ``miss``."""
        key = _key(policy, integration, sources)
        renewing = sources.request.header("cache-control").replace(" ", "").lower() == "max-age=0"
        refused = renewing and policy.authorized
        if refused and policy.strategy == "FAIL_WITH_403":
            text = "User is not authorized to perform: execute-api:InvalidateCache"
            return answers.message(403, text, kind="AccessDeniedException", reason="ACCESS_DENIED"), "miss"
        found = None if renewing and not refused else self._find(key)
        told = "hit"
        if found is None:
            found, told = ask(), "miss"
            if 200 <= found.status < 300 and not found.error and len(found.body) <= _LIMIT_BYTES:
                self._keep(key, found, policy.ttl_s)
        if refused and policy.strategy == "SUCCEED_WITH_RESPONSE_HEADER":
            found = found.with_headers(("warning", _WARNING))
        return found, told

    def flush(self, api_id: str, stage: str) -> None:
        """Forget what a stage has kept."""
        with self._lock:
            for key in [key for key in self._kept if key[:2] == (api_id, stage)]:
                del self._kept[key]

    def _find(self, key: Key) -> Answer | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            if kept.until <= self._time():
                del self._kept[key]
                return None
            self._kept.move_to_end(key)
            return kept.answer

    def _keep(self, key: Key, answer: Answer, seconds: float) -> None:
        with self._lock:
            self._kept[key] = _Kept(answer, self._time() + seconds)
            self._kept.move_to_end(key)
            while len(self._kept) > _ENTRIES:
                self._kept.popitem(last=False)


def _key(policy: CachePolicy, integration: Integration, sources: Sources) -> Key:
    """What tells requests apart: method and resource, and the parameters that were chosen for it."""
    stage, route = sources.stage, sources.route
    chosen = (
        integration.parameters.get(name, "") if name.startswith("integration.") else name
        for name in integration.cache_keys
    )
    return (
        stage.api_id,
        stage.name,
        "canary" if stage.canary and not policy.shared else "",
        integration.cache_namespace or route.resource_id,
        sources.request.method,
        *(sources.value(name) for name in chosen),
    )

"""Tags of APIs, stages, API keys and usage plans, of which moto changes only an HTTP API's."""

from __future__ import annotations

import re
from typing import Any

from moto.apigateway.models import apigateway_backends
from moto.apigatewayv2.models import apigatewayv2_backends

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore

_RESOURCE = re.compile(
    r"arn:[\w-]+:apigateway:(?P<region>[\w-]+)::/"
    r"(?:restapis/(?P<rest>\w+)(?:/stages/(?P<rest_stage>[^/]+))?"
    r"|apikeys/(?P<key>\w+)|usageplans/(?P<plan>\w+)"
    r"|apis/(?P<http>\w+)/stages/(?P<http_stage>[^/]+))"
)
_LIMIT = 50


class Tags:
    """Handlers of the tag operations of ``apigateway`` and ``apigatewayv2``."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def handlers(self) -> Handlers:
        """What it takes over from moto."""
        of_each = {"TagResource": self._tag, "UntagResource": self._untag, "GetTags": self._get}
        services = ("apigateway", "apigatewayv2")
        return {(service, name): handler for service in services for name, handler in of_each.items()}

    def _tag(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            found = _resource(call)
            if found is None:
                return self._core.moto(call)
            tags = {**(found.tags or {}), **(_given(call, "tags") or {})}
            if len(tags) > _LIMIT:
                raise AwsError("LimitExceededException", "Resource has too many tags", 429)
            found.tags = tags
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            found = _resource(call)
            if found is None:
                return self._core.moto(call)
            gone = _given(call, "tagKeys")
            found.tags = {key: value for key, value in (found.tags or {}).items() if key not in gone}
        return {}

    def _get(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            found = _resource(call)
            if found is None:
                return self._core.moto(call)
            return {"tags" if call.service == "apigateway" else "Tags": dict(found.tags or {})}


def _given(call: Call, name: str) -> Any:
    """A parameter; those of HTTP APIs begin with a capital."""
    return call.params.get(name, call.params.get(name[0].upper() + name[1:]))


def _resource(call: Call) -> Any:
    """What a tag operation is about; None: moto keeps its tags itself."""
    arn = str(_given(call, "resourceArn"))
    match = _RESOURCE.fullmatch(arn)
    if match is None:
        if call.service == "apigatewayv2":
            return None
        raise AwsError("BadRequestException", f"Invalid resource ARN {arn}")
    backend = apigateway_backends[call.account_id][match["region"]]
    found: Any
    if match["http"]:
        found = apigatewayv2_backends[call.account_id][match["region"]].apis.get(match["http"])
    elif match["rest"]:
        found = backend.apis.get(match["rest"])
    elif match["key"]:
        found = backend.keys.get(match["key"])
    else:
        found = backend.usage_plans.get(match["plan"])
    stage = match["http_stage"] or match["rest_stage"]
    if stage and found is not None:
        found = found.stages.get(stage)
    if found is None:
        raise AwsError("NotFoundException", f"Invalid resource identifier specified in {arn}", 404)
    return found

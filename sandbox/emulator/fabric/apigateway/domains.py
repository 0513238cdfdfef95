"""Custom domain names: an API behind a name of one's own, in the region that the name leads to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.apigateway.models import apigateway_backends
from moto.apigatewayv2.models import apigatewayv2_backends

from sandbox.emulator.calls import Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.dataplane import HOST_KEY, DataPlane
from sandbox.emulator.fabric.apigateway.requests import SIGNED_KEY

_ENDPOINT = re.compile(r"d-[a-z0-9]+\.execute-api\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")
# Source: https://docs.aws.amazon.com/general/latest/gr/apigateway.html (one zone for each region)
_ZONE_ID = "Z2FDTNDATAQYW2"
_SECURITY = "TLS_1_2"


@dataclass(frozen=True, slots=True)
class _Mapping:
    base: str
    api_id: str
    stage: str


class Domains:
    """Finds the API behind a name and has ``plane`` answer."""

    def __init__(self, core: AccountCore, plane: DataPlane) -> None:
        self._core = core
        self._plane = plane

    def handlers(self) -> Handlers:
        """Operations whose answers moto leaves half empty."""
        return {
            ("apigatewayv2", name): self._described
            for name in ("CreateDomainName", "GetDomainName", "UpdateDomainName")
        } | {
            ("apigatewayv2", "DeleteDomainName"): self._delete,
        }

    def configured(self, host: str) -> bool:
        """Whether ``host`` is a custom domain name of the account, in any region."""
        with self._core.dispatch_lock:
            rest, http = (
                held[self._core.account_id] for held in (apigateway_backends, apigatewayv2_backends)
            )
            return any(host in each.domain_names for held in (rest, http) for each in held.values())

    def serves(self, endpoint: str, host: str) -> bool:
        """Whether this regional name answers for the custom domain name ``host``."""
        with self._core.dispatch_lock:
            return self._region(endpoint, host) is not None

    def wsgi(
        self, environ: dict[str, Any], start_response: Any, endpoint: str, host: str, path: str
    ) -> Iterable[bytes]:
        """Answer at a custom domain name, by the longest mapping that the path begins with."""
        with self._core.dispatch_lock:
            region = self._region(endpoint, host) or ""
            found = self._mapping(region, host, path)
        if found is None:
            refused = answers.message(403, "Forbidden", kind="ForbiddenException")
            start_response("403 Forbidden", [*refused.headers, ("content-length", str(len(refused.body)))])
            return [refused.body]
        rest = path[len(found.base) + 1 :] if found.base else path
        stage, rest = found.stage, rest if rest.startswith("/") else f"/{rest}"
        named = found.stage
        if not named:
            stage, _, rest = rest.removeprefix("/").partition("/")
            rest = f"/{rest}"
        at = f"/_aws/execute-api/{found.api_id}/{stage}{rest}"
        query = str(environ.get("QUERY_STRING") or "")
        raw = f"{at}?{query}" if query else at
        signed = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        environ = {**environ, "PATH_INFO": at, "RAW_URI": raw, "REQUEST_URI": raw, HOST_KEY: host}
        environ[SIGNED_KEY] = signed
        return self._plane.wsgi(environ, start_response)

    def _region(self, endpoint: str, host: str) -> str | None:
        """The region where ``endpoint`` is the custom domain name ``host``."""
        found = _ENDPOINT.fullmatch(endpoint.lower().rstrip("."))
        if found is None:
            return None
        region, account_id = found["region"], self._core.account_id
        rest = apigateway_backends[account_id][region].domain_names.get(host)
        http = apigatewayv2_backends[account_id][region].domain_names.get(host)
        names = {rest.regional_domain_name} if rest is not None else set()
        names |= {_http_endpoint(http, region)} if http is not None else set()
        return region if endpoint.lower().rstrip(".") in names else None

    def _mapping(self, region: str, host: str, path: str) -> _Mapping | None:
        account_id = self._core.account_id
        rest = apigateway_backends[account_id][region].base_path_mappings.get(host) or {}
        found = [
            _Mapping("" if base == "(none)" else base, str(each.rest_api_id), str(each.stage or ""))
            for base, each in rest.items()
        ]
        http = apigatewayv2_backends[account_id][region].api_mappings.values()
        found += [
            _Mapping(str(each.api_mapping_key or ""), str(each.api_id), str(each.stage))
            for each in http
            if each.domain_name == host
        ]
        fitting = [each for each in found if not each.base or f"{path}/".startswith(f"/{each.base}/")]
        return max(fitting, key=lambda each: len(each.base), default=None)

    def _described(self, call: Call) -> dict[str, Any]:
        answer = self._core.moto(call)
        with self._core.dispatch_lock:
            domain = apigatewayv2_backends[call.account_id][call.region].domain_names[answer["DomainName"]]
        endpoint = _http_endpoint(domain, call.region)
        given: list[Mapping[str, Any]] = answer.get("DomainNameConfigurations") or [{}]
        answer["DomainNameConfigurations"] = [
            {
                "EndpointType": "REGIONAL",
                "SecurityPolicy": _SECURITY,
                **each,
                "ApiGatewayDomainName": endpoint,
                "HostedZoneId": _ZONE_ID,
                "DomainNameStatus": "AVAILABLE",
            }
            for each in given
        ]
        return answer

    def _delete(self, call: Call) -> dict[str, Any]:
        """moto takes mappings away while it goes through them."""
        with self._core.dispatch_lock:
            backend = apigatewayv2_backends[call.account_id][call.region]
            name = call.params["DomainName"]
            for key in [k for k, each in backend.api_mappings.items() if each.domain_name == name]:
                del backend.api_mappings[key]
            return self._core.moto(call)


def _http_endpoint(domain: Any, region: str) -> str:
    """The regional name of an HTTP API's domain: moto keeps none, so it comes from the domain's own."""
    digest = hashlib.sha256(str(domain.domain_name_arn).encode()).hexdigest()[:10]
    return f"d-{digest}.execute-api.{region}.amazonaws.com"

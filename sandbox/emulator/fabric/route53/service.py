"""Route 53 of an account: records, health checks, and the names that lead to its APIs."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.route53 import checks, zones
from sandbox.emulator.fabric.route53.answering import Answer, Answering, Remembering
from sandbox.emulator.fabric.route53.health import CHECKERS, AlarmStates, Check, HealthChecks
from sandbox.emulator.fabric.route53.zones import canonical
from sandbox.emulator.fabric.web import Web
from sandbox.emulator.gateway.requests import ENVIRONMENT
from sandbox.isolation.names import ADDRESS, Found, is_known

_NAMED = re.compile(r"/_aws/name/(?P<client>[^/]*)/(?P<host>[^/]+)(?P<path>/.*)?")
_ADDRESS = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}", re.ASCII)
_HOPS = 8
# (check's id, healthy, time): what becomes a metric.
Report = Callable[[str, bool, float], None]
_SOURCES = ("52.95.110.1", "54.183.255.129", "54.244.52.193", "54.228.16.1", "54.255.254.193")


class Domains(Protocol):
    """API Gateway's custom domain names."""

    def serves(self, endpoint: str, host: str) -> bool:
        """Whether the regional name ``endpoint`` answers for ``host``."""

    def wsgi(
        self, environ: dict[str, Any], start_response: Any, endpoint: str, host: str, path: str
    ) -> Iterable[bytes]:
        """Answer at a custom domain name."""


class Route53:
    """Answers the API through :meth:`handlers` and requests to the account's names through :meth:`wsgi`."""

    def __init__(
        self, core: AccountCore, web: Web, domains: Domains, alarm: AlarmStates, report: Report
    ) -> None:
        self._core = core
        self._domains = domains
        self.health = HealthChecks(core, web, alarm, report)
        self._answering = Answering(core.account_id, core.region, self.health.is_healthy)
        self.names = Remembering(self._ask, core.clock.time)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "ChangeResourceRecordSets": self._change_records,
            "CreateHealthCheck": self._create_check,
            "UpdateHealthCheck": self._update_check,
            "DeleteHealthCheck": self._delete_check,
            "GetHealthCheck": self._get_check,
            "ListHealthChecks": self._list_checks,
            "GetHealthCheckStatus": self._status,
            "GetHealthCheckLastFailureReason": self._last_failure,
            "TestDNSAnswer": self._test_answer,
        }
        return {("route53", name): handler for name, handler in found.items()}

    def _ask(self, name: str) -> Answer:
        with self._core.dispatch_lock:
            return self._answering.answer(name)

    def look_up(self, name: str, client: str) -> Found | None:
        """A name of the account's zones as functions find it: what AWS answers at is right beside them."""
        wanted = name
        for _ in range(_HOPS):
            said = self.names.answer(wanted, client)
            if said.code == "REFUSED":
                return None if wanted == name else Found(ttl_s=said.ttl_s)
            endpoint = said.endpoint.rstrip(".")
            if not said.values or is_known(endpoint):
                return Found(said.code, (ADDRESS,) if said.values else (), said.ttl_s)
            addresses = tuple(value for value in said.values if _ADDRESS.fullmatch(value))
            if addresses or canonical(endpoint) == canonical(wanted):
                return Found(said.code, addresses, said.ttl_s)
            wanted = endpoint
        return Found("SERVFAIL")

    def find(self, host: str, path: str) -> bool:
        """Whether a request is for a name of the account's zones: by its Host, or by a path of ours."""
        if path.startswith("/_aws/name/"):
            return True
        if "." not in host or host.endswith((".amazonaws.com", ".on.aws", ".localhost")):
            return False
        with self._core.dispatch_lock:
            return zones.zone_of(self._core.account_id, host) is not None

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Send a request where its name leads at this time, for the client that asks."""
        target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"])
        target = target.partition("?")[0]
        by_path = _NAMED.fullmatch(target)
        if by_path:
            client, host, path = by_path["client"], by_path["host"].lower(), by_path["path"] or "/"
        else:
            client, host, path = (
                str(environ.get(ENVIRONMENT, "")),
                str(environ["HTTP_HOST"]).partition(":")[0].lower(),
                target,
            )
        said = self.names.answer(host, client)
        endpoint = said.endpoint.rstrip(".")
        if not endpoint or not said.values:
            return _refuse(start_response, "502 Bad Gateway", f"{host} does not resolve ({said.code})")
        if self._domains.serves(endpoint, host):
            return self._domains.wsgi(environ, start_response, endpoint, host, path)
        if endpoint.endswith((".amazonaws.com", ".on.aws")):
            # These answer to their own names and to custom domain names, not to whatever points at them.
            return _refuse(start_response, "403 Forbidden", "Forbidden")
        return _refuse(start_response, "502 Bad Gateway", f"{host} leads out of the account, to {endpoint}")

    def _change_records(self, call: Call) -> dict[str, Any]:
        params = call.params
        with self._core.dispatch_lock:
            held = zones.backend(call.account_id)
            zone = held.get_hosted_zone(str(params["HostedZoneId"]).rpartition("/")[2])
            zones.change(call.account_id, zone, params["ChangeBatch"]["Changes"])
        comment = params["ChangeBatch"].get("Comment")
        made = {
            "Id": f"/change/C{uuid.uuid4().hex[:13].upper()}",
            "Status": "INSYNC",
            "SubmittedAt": self._core.clock.now(),
        }
        return {"ChangeInfo": made | ({"Comment": comment} if comment else {})}

    def _create_check(self, call: Call) -> dict[str, Any]:
        config = _bare(call.params["HealthCheckConfig"])
        checks.check(config)
        self._check_children(config)
        reference = str(call.params["CallerReference"])
        if again := self._made_before(call, reference, config):
            return again
        answer = self._core.moto(call)
        made = answer["HealthCheck"]
        if call.account_id != self._core.account_id:
            return answer
        check = self.health.keep(str(made["Id"]), _with_defaults(config))
        where = f"https://route53.amazonaws.com/2013-04-01/healthcheck/{made['Id']}"
        return {"HealthCheck": self._shown(made, check), "Location": where}

    def _made_before(self, call: Call, reference: str, config: dict[str, Any]) -> dict[str, Any] | None:
        """The check that the same request made before."""
        with self._core.dispatch_lock:
            held = zones.backend(call.account_id).health_checks.values()
            known = next((each for each in held if each.caller_reference == reference), None)
        check = self.health.find(str(known.id)) if known is not None else None
        if known is None or check is None:
            return None
        if check.config != _with_defaults(config):
            raise AwsError(
                "HealthCheckAlreadyExists",
                f"A health check with the caller reference {reference} and other settings exists already.",
                409,
            )
        made = {"Id": known.id, "CallerReference": reference}
        where = f"https://route53.amazonaws.com/2013-04-01/healthcheck/{known.id}"
        return {"HealthCheck": self._shown(made, check), "Location": where}

    def _update_check(self, call: Call) -> dict[str, Any]:
        check = self._get(call)
        given = call.params
        version = given.get("HealthCheckVersion")
        if version is not None and int(version) != check.version:
            raise AwsError(
                "HealthCheckVersionMismatch",
                f"The specified HealthCheckVersion {version} is not the current one, {check.version}.",
                409,
            )
        reset = set(given.get("ResetElements") or [])
        kept = {name: value for name, value in check.config.items() if name not in reset}
        new = _bare({k: v for k, v in given.items() if k not in _NO_CONFIG})
        config = {**kept, **new}
        checks.check(config)
        self._check_children(config)
        answer = self._core.moto(call)
        return {"HealthCheck": self._shown(answer["HealthCheck"], self.health.keep(check.identifier, config))}

    def _check_children(self, config: Mapping[str, Any]) -> None:
        for child in config.get("ChildHealthChecks") or []:
            if self.health.find(child) is None:
                raise AwsError("InvalidInput", f"Child health check {child} does not exist")

    def _delete_check(self, call: Call) -> dict[str, Any]:
        self._get(call)
        self.health.drop(str(call.params["HealthCheckId"]))
        return self._core.moto(call)

    def _get_check(self, call: Call) -> dict[str, Any]:
        check = self._get(call)
        return {"HealthCheck": self._shown(self._core.moto(call)["HealthCheck"], check)}

    def _list_checks(self, call: Call) -> dict[str, Any]:
        answer = self._core.moto(call)
        answer["HealthChecks"] = [
            each if (check := self.health.find(str(each["Id"]))) is None else self._shown(each, check)
            for each in answer.get("HealthChecks") or []
        ]
        return answer

    def _shown(self, made: Mapping[str, Any], check: Check) -> dict[str, Any]:
        return {**made, "HealthCheckConfig": check.config, "HealthCheckVersion": check.version}

    def _get(self, call: Call) -> Check:
        identifier = str(call.params["HealthCheckId"])
        check = self.health.find(identifier)
        if check is None:
            raise AwsError(
                "NoSuchHealthCheck", f"No health check exists with the specified ID {identifier}", 404
            )
        return check

    def _status(self, call: Call) -> dict[str, Any]:
        check = self._get(call)
        return self._observations(check, check.status, check.checked)

    def _last_failure(self, call: Call) -> dict[str, Any]:
        check = self._get(call)
        return self._observations(check, check.failure, check.failed)

    def _observations(self, check: Check, status: str, at: dt.datetime | None) -> dict[str, Any]:
        if check.kind in ("CALCULATED", "CLOUDWATCH_METRIC"):
            raise AwsError("InvalidInput", f"Health checks of type {check.kind} have no checkers to ask")
        if at is None:
            return {"HealthCheckObservations": []}
        report = {"Status": status, "CheckedTime": at}
        return {
            "HealthCheckObservations": [
                {"Region": region, "IPAddress": address, "StatusReport": report}
                for region, address in zip(CHECKERS, _SOURCES, strict=True)
            ]
        }

    def _test_answer(self, call: Call) -> dict[str, Any]:
        params = call.params
        name, kind = str(params["RecordName"]), str(params["RecordType"])
        with self._core.dispatch_lock:
            held = zones.backend(call.account_id)
            zone = held.get_hosted_zone(str(params["HostedZoneId"]).rpartition("/")[2])
            if not zones.is_in(zones.canonical(name), zones.canonical(zone.name)):
                raise AwsError("InvalidInput", f"{name} is not in the hosted zone {zone.name}")
            said = self._answering.answer(name, kind)
            servers = (zone.delegation_set.name_servers if zone.delegation_set else None) or [
                "ns-1.awsdns-01.org"
            ]
        return {
            "Nameserver": servers[0],
            "RecordName": zones.canonical(name).rstrip("."),
            "RecordType": kind,
            "RecordData": list(said.values),
            "ResponseCode": said.code,
            "Protocol": "UDP",
        }


_NO_CONFIG = frozenset({"HealthCheckId", "HealthCheckVersion", "ResetElements"})
_NUMBERS = ("Port", "RequestInterval", "FailureThreshold", "HealthThreshold")


def _bare(given: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: value for name, value in given.items() if value is not None}
    return made | {name: int(made[name]) for name in _NUMBERS if name in made}


def _with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    common: dict[str, Any] = {"Inverted": False, "Disabled": False}
    if config["Type"] in ("CALCULATED", "CLOUDWATCH_METRIC"):
        return common | config
    secure = config["Type"].startswith("HTTPS")
    endpoint = {
        "Port": 443 if secure else 80,
        "RequestInterval": 30,
        "FailureThreshold": 3,
        "MeasureLatency": False,
        "EnableSNI": secure,
    }
    return common | endpoint | config


def _refuse(start_response: Any, status: str, message: str) -> Iterable[bytes]:
    body = json.dumps({"message": message}).encode()
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    start_response(status, headers)
    return [body]

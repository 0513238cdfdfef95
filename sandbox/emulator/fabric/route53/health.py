"""Health checks that really ask: an end point of the account, other checks, or an alarm.

One checker stands for all of AWS's, so an end point is asked once in an interval and not by each location.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.route53.answering import address_of
from sandbox.emulator.fabric.web import OutOfReach, Web

CHECKERS = ("us-east-1", "us-west-1", "us-west-2", "eu-west-1", "ap-southeast-1")
SEARCHED_BYTES = 5_120
# A connection may take four seconds, and the answer two more.
PATIENCE_S = 6.0
_OTHERS_INTERVAL_S = 60.0
_DEEPEST = 8
_PORTS = {"HTTP": 80, "HTTP_STR_MATCH": 80, "HTTPS": 443, "HTTPS_STR_MATCH": 443}
# (account, region, name) → state; empty when there is no such alarm.
AlarmStates = Callable[[str, str, str], str]
Report = Callable[[str, bool, float], None]


@dataclass(slots=True)
class Check:
    """A health check and what is known of its end point. It is healthy until enough says otherwise."""

    identifier: str
    config: dict[str, Any]
    version: int = 1
    healthy: bool = True
    streak: int = 0
    status: str = ""
    checked: dt.datetime | None = None
    failure: str = ""
    failed: dt.datetime | None = None
    last_alarm: bool = True
    generation: int = field(default=0)

    @property
    def kind(self) -> str:
        return str(self.config["Type"])

    @property
    def interval_s(self) -> float:
        """How often it is looked at."""
        return float(self.config.get("RequestInterval") or 30) if self.kind in _PORTS else _OTHERS_INTERVAL_S

    def port(self) -> int:
        return int(self.config.get("Port") or _PORTS[self.kind])

    def url(self) -> str:
        """What is asked for; empty for a check by address alone, which nothing of the account has."""
        name = str(self.config.get("FullyQualifiedDomainName") or "")
        scheme = "https" if self.kind.startswith("HTTPS") else "http"
        path = str(self.config.get("ResourcePath") or "/")
        return f"{scheme}://{name}{path if path.startswith('/') else f'/{path}'}" if name else ""


class HealthChecks:
    """The account's health checks, asked on the account's clock. ``report`` gets each verdict."""

    def __init__(self, core: AccountCore, web: Web, alarm: AlarmStates, report: Report) -> None:
        self._core = core
        self._web = web
        self._alarm = alarm
        self._report = report
        self._lock = threading.RLock()
        self._checks: dict[str, Check] = {}

    def find(self, identifier: str) -> Check | None:
        """The check of this id."""
        with self._lock:
            return self._checks.get(identifier)

    def keep(self, identifier: str, config: Mapping[str, Any]) -> Check:
        """Begin to look at a new check, or at one that was changed as if it were new."""
        with self._lock:
            known = self._checks.get(identifier)
            made = known or Check(identifier, {})
            made.config = dict(config)
            made.version += known is not None
            made.streak = 0
            made.generation += 1
            self._checks[identifier] = made
            self._plan(made, made.generation)
            return made

    def drop(self, identifier: str) -> None:
        """Stop looking."""
        with self._lock:
            self._checks.pop(identifier, None)

    def is_healthy(self, identifier: str, *, left: int = _DEEPEST) -> bool:
        """What Route 53 takes a check for at this moment; one that does not exist counts as healthy."""
        check = self.find(identifier)
        if check is None:
            return True
        inverted = bool(check.config.get("Inverted"))
        if check.config.get("Disabled"):
            return not inverted
        if check.kind == "CALCULATED":
            children = check.config.get("ChildHealthChecks") or []
            good = sum(left > 0 and self.is_healthy(child, left=left - 1) for child in children)
            return (good >= int(check.config.get("HealthThreshold") or 0)) != inverted
        if check.kind == "CLOUDWATCH_METRIC":
            return self._by_alarm(check) != inverted
        return check.healthy != inverted

    def _by_alarm(self, check: Check) -> bool:
        named = check.config.get("AlarmIdentifier") or {}
        state = self._alarm(self._core.account_id, str(named.get("Region", "")), str(named.get("Name", "")))
        if state in ("OK", "ALARM"):
            check.last_alarm = state == "OK"
            return check.last_alarm
        treated = str(check.config.get("InsufficientDataHealthStatus") or "LastKnownStatus")
        return check.last_alarm if treated == "LastKnownStatus" else treated == "Healthy"

    def _plan(self, check: Check, generation: int) -> None:
        self._core.work.submit(
            lambda: self._look(check, generation),
            label=f"health check {check.identifier}",
            delay_s=check.interval_s,
            observes=True,
        )

    def _look(self, check: Check, generation: int) -> None:
        with self._lock:
            current = self._checks.get(check.identifier) is check and check.generation == generation
        if not current:
            return
        if check.kind in _PORTS and not check.config.get("Disabled"):
            self._judge(check, *self._probe(check))
        self._report(check.identifier, self.is_healthy(check.identifier), self._core.clock.time())
        with self._lock:
            if check.generation == generation:
                self._plan(check, generation)

    def _judge(self, check: Check, good: bool, status: str) -> None:
        """So many answers of one kind in a row that the threshold says: then the verdict turns."""
        now = self._core.clock.now()
        with self._lock:
            check.status, check.checked = status, now
            if not good:
                check.failure, check.failed = status, now
            check.streak = check.streak + 1 if good != check.healthy else 0
            turned = check.streak >= int(check.config.get("FailureThreshold") or 3)
            if turned:
                check.healthy, check.streak = good, 0
        if turned:
            self._core.timeline.add(
                "health",
                check.identifier,
                account_id=self._core.account_id,
                region="us-east-1",
                outcome="ok" if good else "failed",
                endpoint=check.url(),
                reason=status,
            )

    def _probe(self, check: Check) -> tuple[bool, str]:
        url = check.url()
        host = str(check.config.get("FullyQualifiedDomainName") or check.config.get("IPAddress") or "")
        at = f"Resolved IP: {address_of(host)}"
        wanted = 443 if check.kind.startswith("HTTPS") else 80
        if not url or check.port() != wanted:
            return False, f"Failure: Connection timed out. {host}:{check.port()} is not reachable."
        if check.kind.startswith("HTTP_") or check.kind == "HTTP":
            # API Gateway and function URLs answer by TLS alone.
            return False, "Failure: Connection refused. The end point answers HTTPS only."
        began = self._core.clock.time()
        headers = (("user-agent", f"Amazon-Route53-Health-Check-Service (ref {check.identifier})"),)
        try:
            reply = self._web.send("GET", url, headers)
        except OutOfReach as error:
            return False, f"Failure: DNS resolution failed: {error}"
        if self._core.clock.time() - began > PATIENCE_S:
            return False, f"Failure: The endpoint did not respond in time. {at}"
        if not 200 <= reply.status < 400:
            return False, f"Failure: HTTP Status Code {reply.status}. {at}"
        if check.kind.endswith("_STR_MATCH"):
            sought = str(check.config.get("SearchString") or "").encode()
            if sought not in reply.body[:SEARCHED_BYTES]:
                return False, f"Failure: HTTP Status Code {reply.status}, string not found. {at}"
        return True, f"Success: HTTP Status Code {reply.status}, OK. {at}"

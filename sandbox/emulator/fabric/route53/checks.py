"""Which health checks Route 53 takes.

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.calls import AwsError

_ENDPOINTS = frozenset({"HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "TCP"})
_KINDS = _ENDPOINTS | {"CALCULATED", "CLOUDWATCH_METRIC"}


def check(config: Mapping[str, Any]) -> None:
    """Refuse what Route 53 refuses.

    Raises:
        AwsError: InvalidInput with the reason, or NotEmulated for what this sandbox lacks.
    """
    kind = config["Type"]
    if kind == "RECOVERY_CONTROL":
        raise AwsError(
            "NotEmulated", "Health checks by routing controls are not emulated by this sandbox.", 501
        )
    if kind not in _KINDS:
        raise _invalid(f"Unknown health check type {kind}")
    if kind == "TCP":
        raise AwsError("NotEmulated", "TCP health checks are not emulated by this sandbox.", 501)
    if kind in _ENDPOINTS:
        if not (config.get("FullyQualifiedDomainName") or config.get("IPAddress")):
            raise _invalid("Basic health checks must specify either an IP address or a domain name")
        if config.get("RequestInterval") not in (None, 10, 30):
            raise _invalid("Request interval must be 10 or 30 seconds")
    if not 1 <= int(config.get("FailureThreshold") or 3) <= 10:
        raise _invalid("Failure threshold must be between 1 and 10")
    matches = kind.endswith("_STR_MATCH")
    if matches and not config.get("SearchString"):
        raise _invalid(f"SearchString must be specified for health checks of type {kind}")
    if config.get("SearchString") and not matches:
        raise _invalid(f"SearchString cannot be specified for health checks of type {kind}")
    if len(str(config.get("SearchString") or "")) > 255:
        raise _invalid("SearchString must have a length less than or equal to 255")
    if kind == "CALCULATED" and config.get("HealthThreshold") is None:
        raise _invalid("HealthThreshold must be specified for calculated health checks")
    if kind == "CLOUDWATCH_METRIC" and not config.get("AlarmIdentifier"):
        raise _invalid("AlarmIdentifier must be specified for health checks of type CLOUDWATCH_METRIC")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInput", message)

"""Deployment configurations: in which steps traffic moves.

Sources: https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html and
https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.calls import AwsError

LAMBDA = "Lambda"
AT_ONCE = "CodeDeployDefault.LambdaAllAtOnce"
PREDEFINED = "CodeDeployDefault."
_LONGEST_MINUTES = 2880
_NAME = re.compile(r"[\w.+=,@-]{1,100}")


@dataclass(frozen=True, slots=True)
class Shift:
    """One step: so much of the traffic is on the new version, for so long."""

    percentage: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Config:
    """A named way to move traffic. ``routing`` is the API's ``trafficRoutingConfig``."""

    name: str
    routing: Mapping[str, Any]
    created_at: dt.datetime
    id: str

    def shifts(self) -> Iterator[Shift]:
        """The steps before all traffic is on the new version."""
        if canary := self.routing.get("timeBasedCanary"):
            yield Shift(canary["canaryPercentage"], 60.0 * canary["canaryInterval"])
        elif linear := self.routing.get("timeBasedLinear"):
            step = linear["linearPercentage"]
            for percentage in range(step, 100, step):
                yield Shift(percentage, 60.0 * linear["linearInterval"])

    def described(self) -> dict[str, Any]:
        """As the API tells it."""
        return {
            "deploymentConfigId": self.id,
            "deploymentConfigName": self.name,
            "createTime": self.created_at,
            "computePlatform": LAMBDA,
            "trafficRoutingConfig": dict(self.routing),
        }


def predefined() -> dict[str, Config]:
    """What every account has for functions."""
    found: dict[str, Mapping[str, Any]] = {AT_ONCE: {"type": "AllAtOnce"}}
    for minutes in (5, 10, 15, 30):
        canary = {"canaryPercentage": 10, "canaryInterval": minutes}
        found[f"{PREDEFINED}LambdaCanary10Percent{minutes}Minutes"] = {
            "type": "TimeBasedCanary",
            "timeBasedCanary": canary,
        }
    for minutes in (1, 2, 3, 10):
        linear = {"linearPercentage": 10, "linearInterval": minutes}
        found[f"{PREDEFINED}LambdaLinear10PercentEvery{minutes}Minute{'s' if minutes > 1 else ''}"] = {
            "type": "TimeBasedLinear",
            "timeBasedLinear": linear,
        }
    since = dt.datetime(2017, 11, 27, tzinfo=dt.UTC)
    space = uuid.UUID(int=0)
    return {
        name: Config(name, routing, since, str(uuid.uuid5(space, name))) for name, routing in found.items()
    }


def read(params: Mapping[str, Any], now: dt.datetime) -> Config:
    """What CreateDeploymentConfig is given.

    Raises:
        AwsError: it is none, or one for servers or containers, which is our gap.
    """
    name = str(params.get("deploymentConfigName") or "")
    if not _NAME.fullmatch(name) or name.startswith(PREDEFINED):
        raise AwsError(
            "InvalidDeploymentConfigNameException",
            f"The deployment configuration name {name!r} has a form that is not allowed.",
        )
    check_platform(params.get("computePlatform"))
    routing = dict(params.get("trafficRoutingConfig") or {"type": "AllAtOnce"})
    if params.get("minimumHealthyHosts") or params.get("zonalConfig"):
        raise _invalid("A deployment configuration for Lambda has no minimum of healthy hosts and no zones.")
    match routing.get("type"):
        case "TimeBasedCanary":
            _check(routing.get("timeBasedCanary") or {}, "canaryPercentage", "canaryInterval")
        case "TimeBasedLinear":
            _check(routing.get("timeBasedLinear") or {}, "linearPercentage", "linearInterval")
        case "AllAtOnce":
            pass
        case other:
            raise _invalid(f"{other} is no type of traffic routing.")
    return Config(name, routing, now, str(uuid.uuid4()))


def check_platform(given: Any) -> None:
    """Refuse what is not a function's.

    Raises:
        AwsError: it is our gap; the message says so.
    """
    platform = given or "Server"
    if platform not in ("Server", LAMBDA, "ECS"):
        raise AwsError("InvalidComputePlatformException", f"{platform} is no compute platform.")
    if platform != LAMBDA:
        raise AwsError(
            "NotEmulated",
            f"CodeDeploy's compute platform {platform} is not emulated: only deployments of Lambda functions "
            "are. This is our gap.",
            501,
        )


def _check(given: Mapping[str, Any], percentage: str, interval: str) -> None:
    share, minutes = given.get(percentage), given.get(interval)
    if not isinstance(share, int) or not 1 <= share <= 99:
        raise _invalid(f"{percentage} must be between 1 and 99, not {share}.")
    steps = 1 if percentage.startswith("canary") else (99 // share)
    if not isinstance(minutes, int) or minutes < 1 or steps * minutes > _LONGEST_MINUTES:
        raise _invalid(
            f"{interval} must be at least 1 minute, and traffic shifted within {_LONGEST_MINUTES} minutes."
        )


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidTrafficRoutingConfigurationException", message)

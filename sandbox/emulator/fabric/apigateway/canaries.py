"""Canary releases: a share of a REST API stage's requests goes to another deployment.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/canary-release.html
"""

from __future__ import annotations

import random
from collections.abc import Container, Mapping
from typing import Any

from moto.apigateway.models import Stage

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.apigateway.snapshots import is_true

_ROOT = "/canarySettings"
_OVERRIDES = "stageVariableOverrides"


def settings(stage: Any) -> dict[str, Any] | None:
    """A stage's canary, if it has one."""
    found: dict[str, Any] | None = getattr(stage, "canary_settings", None)
    return found


def set_canary(
    stage: Stage, given: Mapping[str, Any], deployment_id: str, deployments: Container[str]
) -> None:
    """Give a stage a canary; ``deployment_id`` is what it serves unless the settings name one."""
    named = str(given.get("deploymentId") or deployment_id)
    if named not in deployments:
        raise AwsError("BadRequestException", "Deployment id does not exist")
    stage.canary_settings = {
        "deploymentId": named,
        "percentTraffic": _percent(given.get("percentTraffic", 0.0)),
        "useStageCache": is_true(given.get("useStageCache")),
        **({_OVERRIDES: dict(given[_OVERRIDES])} if given.get(_OVERRIDES) else {}),
    }


def begin(stages: Mapping[str, Stage], name: str) -> Stage:
    """The stage that a canary deployment is for, which has to be there already."""
    problem = "Invalid deployment content specified."
    if not name:
        raise AwsError(
            "BadRequestException",
            f"{problem}Non null and non empty stageName must be provided for canary deployment.",
        )
    if name not in stages:
        raise AwsError(
            "BadRequestException",
            f"{problem}Stage {name} must already be created before making a canary release deployment",
        )
    return stages[name]


def patch(stage: Stage, operation: Mapping[str, Any], deployments: Container[str]) -> bool:
    """Perform a patch operation on a stage's canary; False: the path is no canary's."""
    kind, path = str(operation.get("op")), str(operation.get("path") or "")
    value = operation.get("value") or ""
    if path == _ROOT and kind == "remove":
        stage.canary_settings = None
        return True
    name = path.removeprefix(f"{_ROOT}/")
    if name == path:
        return False
    present = settings(stage)
    kept = dict(
        present or {"deploymentId": stage.deployment_id, "percentTraffic": 0.0, "useStageCache": False}
    )
    if name.startswith(f"{_OVERRIDES}/") and kind in ("add", "replace", "remove"):
        key = name.removeprefix(f"{_OVERRIDES}/").replace("~1", "/").replace("~0", "~")
        overrides = {known: text for known, text in (kept.get(_OVERRIDES) or {}).items() if known != key}
        kept[_OVERRIDES] = overrides if kind == "remove" else {**overrides, key: value}
    elif name == _OVERRIDES and kind == "remove":
        kept.pop(_OVERRIDES, None)
    elif kind not in ("add", "replace"):
        return False
    elif name == "percentTraffic":
        kept[name] = _percent(value)
    elif name == "useStageCache":
        kept[name] = is_true(value)
    elif name == "deploymentId":
        if value not in deployments:
            raise AwsError("BadRequestException", "Deployment id does not exist")
        kept[name] = value
    else:
        return False
    if not kept.get(_OVERRIDES):
        kept.pop(_OVERRIDES, None)
    stage.canary_settings = kept
    return True


def promote(stage: Stage, operation: Mapping[str, Any]) -> bool:
    """Perform a ``copy`` out of a stage's canary; False: there is nothing of that name to copy.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/promote-canary-deployment.html
    """
    present = settings(stage)
    source, target = str(operation.get("from") or ""), str(operation.get("path") or "")
    if present is None:
        return False
    if (source, target) == (f"{_ROOT}/deploymentId", "/deploymentId"):
        stage.deployment_id = present["deploymentId"]
    elif (source, target) == (f"{_ROOT}/{_OVERRIDES}", "/variables"):
        stage.variables.update(present.get(_OVERRIDES) or {})
    else:
        return False
    return True


def drawn(stage: Any, chance: random.Random) -> dict[str, Any] | None:
    """The canary's settings when this request is one of its share."""
    present = settings(stage)
    if present is None or chance.random() * 100 >= present["percentTraffic"]:
        return None
    return present


def _percent(value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = -1.0
    if not 0 <= found <= 100:
        raise AwsError("BadRequestException", f"Percent traffic must be between 0.0 and 100.0, not {value}")
    return found

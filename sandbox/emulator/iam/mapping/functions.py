"""Which functions and layers a request names, what deploys them, and the logs, alarms and traces of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.emulator.iam.mapping.model import Asked
from sandbox.emulator.iam.mapping.naming import Builder, both, named, tagged

_ACCOUNT = re.compile(r"\d{12}")


def function_arn(asked: Asked, text: str, qualifier: str = "") -> str:
    """A function's ARN from a name, ``name:qualifier``, ``account:function:name`` or an ARN."""
    parts = text.split(":")
    if text.startswith("arn:") and len(parts) >= 7:
        region, account, rest = parts[3], parts[4], parts[6:]
    elif _ACCOUNT.fullmatch(parts[0]) and len(parts) >= 3:
        region, account, rest = asked.region, parts[0], parts[2:]
    else:
        region, account, rest = asked.region, asked.account_id, parts
    name, own = rest[0], rest[1] if len(rest) > 1 else ""
    wanted = qualifier or own
    tail = f":{wanted}" if wanted else ""
    return f"arn:aws:lambda:{region}:{account}:function:{name}{tail}"


def _function(asked: Asked) -> list[str]:
    text = asked.text("FunctionName")
    if text:
        return [function_arn(asked, text, asked.text("Qualifier"))]
    return [arn for arn in asked.texts("Resource", "FunctionArn") if ":function:" in arn]


def _layer(asked: Asked) -> list[str]:
    name = asked.text("LayerName")
    if not name:
        return []
    bare = ":".join(name.split(":")[:7])
    return [bare if name.startswith("arn:") else asked.arn("lambda", f"layer:{name}")]


def _layer_version(asked: Asked) -> list[str]:
    version = asked.params.get("VersionNumber")
    whole = [arn for arn in asked.texts("Arn", "LayerVersionArn") if ":layer:" in arn]
    return [f"{arn}:{version}" for arn in _layer(asked)] if version is not None else whole


def _log_group(asked: Asked) -> list[str]:
    """Operations on a group are authorised for its stream of no name; tagging for the group itself.

    That is how CloudWatch Logs words its refusals, and why policies have to end in ``:*``.
    """
    names = asked.texts(
        "logGroupName", "logGroupIdentifier", "logGroupNames", "logGroupIdentifiers", "logGroupArnList"
    )
    arns = [text for text in asked.texts("resourceArn") if ":log-group:" in text]
    if arns or asked.operation in ("TagLogGroup", "UntagLogGroup", "ListTagsLogGroup"):
        return [arn.removesuffix(":*") for arn in arns] or [_group_arn(asked, name) for name in names]
    return [f"{_group_arn(asked, name)}:log-stream:" for name in names]


def _group_arn(asked: Asked, name: str) -> str:
    return name.removesuffix(":*") if name.startswith("arn:") else asked.arn("logs", f"log-group:{name}")


def _log_stream(asked: Asked) -> list[str]:
    group = asked.text("logGroupName", "logGroupIdentifier")
    if not group:
        return []
    return [f"{_group_arn(asked, group)}:log-stream:{asked.text('logStreamName')}"]


def _dashboards(asked: Asked) -> list[str]:
    return [
        f"arn:aws:cloudwatch::{asked.account_id}:dashboard/{name}"
        for name in asked.texts("DashboardName", "DashboardNames")
    ]


def _deployment_group(asked: Asked) -> list[str]:
    """A deployment's group, where a request names the deployment."""
    application = asked.text("applicationName")
    groups = asked.texts("deploymentGroupName", "currentDeploymentGroupName", "deploymentGroupNames")
    if application and groups:
        return [asked.arn("codedeploy", f"deploymentgroup:{application}/{name}") for name in groups]
    ids = asked.texts("deploymentId", "deploymentIds")
    found = [asked.find("deployment", each) for each in ids] + asked.texts("ResourceArn")
    return [arn for arn in found if arn and ":deploymentgroup:" in arn]


def _sampling_rule(asked: Asked) -> list[str]:
    given = asked.params.get("SamplingRule") or asked.params.get("SamplingRuleUpdate") or asked.params
    arn, name = given.get("RuleARN"), given.get("RuleName")
    return [str(arn)] if arn else [asked.arn("xray", f"sampling-rule/{name}")] if name else []


BUILDERS: Mapping[str, Mapping[str, Builder]] = {
    "cloudwatch": {
        "alarm": both(
            named("cloudwatch", "alarm:{}", "AlarmName", "AlarmNames"), tagged(":alarm:", "ResourceARN")
        ),
        "dashboard": both(tagged(":dashboard/", "ResourceARN"), _dashboards),
        "insight-rule": named("cloudwatch", "insight-rule/{}", "RuleName", "RuleNames"),
        "metric-stream": named("cloudwatch", "metric-stream/{}", "Name", "Names"),
        "alarm-mute-rule": lambda asked: (
            named("cloudwatch", "alarm-mute-rule:{}", "AlarmMuteRuleName", "Name")(asked)
            if "MuteRule" in asked.operation
            else []
        ),
    },
    "codedeploy": {
        "application": both(
            named("codedeploy", "application:{}", "applicationName", "applicationNames"),
            tagged(":application:", "ResourceArn"),
        ),
        "deploymentconfig": named("codedeploy", "deploymentconfig:{}", "deploymentConfigName"),
        "deploymentgroup": _deployment_group,
        "instance": named("codedeploy", "instance:{}", "instanceName", "instanceNames"),
    },
    "lambda": {
        "function": _function,
        "function alias": lambda asked: [],
        "function version": lambda asked: [],
        "layer": _layer,
        "layerVersion": _layer_version,
        "eventSourceMapping": both(
            named("lambda", "event-source-mapping:{}", "UUID"),
            tagged(":event-source-mapping:", "Resource"),
        ),
        "code signing config": both(
            named("lambda", "code-signing-config:{}", "CodeSigningConfigArn"),
            tagged(":code-signing-config:", "Resource"),
        ),
        "capacityProvider": both(
            named("lambda", "capacity-provider:{}", "CapacityProviderName"),
            tagged(":capacity-provider:", "Resource"),
        ),
        "durable execution": lambda asked: list(asked.texts("DurableExecutionArn")),
    },
    "logs": {
        "log-group": _log_group,
        "log-stream": _log_stream,
        "destination": named("logs", "destination:{}", "destinationName"),
        "delivery": named("logs", "delivery:{}", "id"),
        "delivery-source": named("logs", "delivery-source:{}", "deliverySourceName", "name"),
        "delivery-destination": named(
            "logs", "delivery-destination:{}", "deliveryDestinationName", "deliveryDestinationArn", "name"
        ),
        "anomaly-detector": named("logs", "anomaly-detector:{}", "anomalyDetectorArn"),
        "scheduled-query": named("logs", "scheduled-query:{}", "identifier"),
    },
    "xray": {
        "group": lambda asked: (
            asked.texts("GroupARN")
            or (
                [asked.arn("xray", f"group/{asked.text('GroupName')}/*")]
                if "Group" in asked.operation and asked.text("GroupName")
                else []
            )
        ),
        "sampling-rule": _sampling_rule,
    },
}

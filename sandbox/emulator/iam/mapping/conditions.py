"""Condition keys that follow from a request's parameters, beside those of S3 and DynamoDB.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/ (each service's condition keys)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.iam.evaluation.model import ContextValue
from sandbox.emulator.iam.mapping.functions import function_arn
from sandbox.emulator.iam.mapping.model import Asked

_TAG_MEMBERS = ("Tags", "tags", "TagList", "tagList")
_KEY_MEMBERS = ("TagKeys", "tagKeys", "TagKeyList", "tagKeyList")


def tags(asked: Asked) -> dict[str, ContextValue]:
    """``aws:RequestTag/…`` and ``aws:TagKeys``."""
    given = next((asked.params[name] for name in _TAG_MEMBERS if asked.params.get(name)), None)
    found: dict[str, str] = {}
    if isinstance(given, Mapping):
        found = {str(name): str(value) for name, value in given.items()}
    elif isinstance(given, list | tuple):
        for tag in given:
            if isinstance(tag, Mapping):
                name = next((tag[k] for k in ("Key", "key", "TagKey", "tagKey") if k in tag), None)
                value = next((tag[k] for k in ("Value", "value", "TagValue", "tagValue") if k in tag), "")
                if name is not None:
                    found[str(name)] = str(value)
    context: dict[str, ContextValue] = {f"aws:RequestTag/{name}": value for name, value in found.items()}
    keys = list(found) or asked.texts(*_KEY_MEMBERS)
    if not keys and asked.operation.startswith("Untag") and isinstance(given, list | tuple):
        keys = [str(name) for name in given if isinstance(name, str)]
    if keys:
        context["aws:TagKeys"] = keys
    return context


def _named(asked: Asked, keys: Mapping[str, str]) -> dict[str, ContextValue]:
    """The condition keys of those members that were given as text; ``keys`` are by member."""
    return {key: asked.text(member) for member, key in keys.items() if asked.text(member)}


def _lambda(asked: Asked) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    if "EventSourceMapping" in asked.operation:
        name = asked.text("FunctionName")
        arn = function_arn(asked, name) if name else asked.find("mapping-function", asked.text("UUID"))
        if arn:
            found["lambda:FunctionArn"] = arn
    keys = {
        "Principal": "lambda:Principal",
        "FunctionUrlAuthType": "lambda:FunctionUrlAuthType",
        "AuthType": "lambda:FunctionUrlAuthType",
    }
    found |= _named(asked, keys)
    if asked.texts("Layers"):
        found["lambda:Layer"] = asked.texts("Layers")
    network = asked.params.get("VpcConfig") or {}
    for member, key in (("SubnetIds", "lambda:SubnetIds"), ("SecurityGroupIds", "lambda:SecurityGroupIds")):
        if network.get(member):
            found[key] = list(network[member])
    return found


def _kms(asked: Asked) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    context = asked.params.get("EncryptionContext") or asked.params.get("DestinationEncryptionContext") or {}
    for name, value in context.items():
        found[f"kms:EncryptionContext:{name}"] = str(value)
    if context:
        found["kms:EncryptionContextKeys"] = list(context)
    keys = {
        "EncryptionAlgorithm": "kms:EncryptionAlgorithm",
        "SigningAlgorithm": "kms:SigningAlgorithm",
        "MessageType": "kms:MessageType",
        "GranteePrincipal": "kms:GranteePrincipal",
        "KeySpec": "kms:DataKeySpec" if "DataKey" in asked.operation else "kms:KeySpec",
        "KeyUsage": "kms:KeyUsage",
        "PrimaryRegion": "kms:PrimaryRegion",
        "ReplicaRegion": "kms:ReplicaRegion",
    }
    found |= _named(asked, keys)
    if asked.operation == "CreateKey":
        found["kms:MultiRegion"] = "true" if asked.params.get("MultiRegion") else "false"
    if asked.text("KeyId").removeprefix("arn:").rpartition(":")[2].startswith("alias/"):
        found["kms:RequestAlias"] = "alias/" + asked.text("KeyId").rpartition("alias/")[2]
    if asked.operation == "ScheduleKeyDeletion":
        found["kms:ScheduleKeyDeletionPendingWindowInDays"] = str(
            asked.params.get("PendingWindowInDays") or 30
        )
    return found


def _sns(asked: Asked) -> dict[str, ContextValue]:
    return _named(asked, {"Protocol": "sns:Protocol", "Endpoint": "sns:Endpoint"})


def _cloudwatch(asked: Asked) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    if asked.operation == "PutMetricData":
        found |= _named(asked, {"Namespace": "cloudwatch:namespace"})
    if asked.texts("AlarmActions"):
        found["cloudwatch:AlarmActions"] = asked.texts("AlarmActions")
    return found


def _secretsmanager(asked: Asked) -> dict[str, ContextValue]:
    keys = {
        "SecretId": "secretsmanager:SecretId",
        "VersionId": "secretsmanager:VersionId",
        "Name": "secretsmanager:Name",
        "KmsKeyId": "secretsmanager:KmsKeyId",
        "Description": "secretsmanager:Description",
        "RotationLambdaARN": "secretsmanager:RotationLambdaARN",
    }
    found = _named(asked, keys)
    if function := asked.find("secret-rotation", asked.text("SecretId")):
        found["secretsmanager:resource/AllowRotationLambdaArn"] = function
    if asked.operation == "GetSecretValue":
        # The version that one gets without asking for another.
        found["secretsmanager:VersionStage"] = asked.text("VersionStage") or "AWSCURRENT"
    if asked.operation == "PutResourcePolicy" and "BlockPublicPolicy" in asked.params:
        found["secretsmanager:BlockPublicPolicy"] = str(bool(asked.params["BlockPublicPolicy"])).lower()
    if asked.operation == "DeleteSecret":
        forced = bool(asked.params.get("ForceDeleteWithoutRecovery"))
        found["secretsmanager:ForceDeleteWithoutRecovery"] = str(forced).lower()
    if replicas := asked.params.get("AddReplicaRegions"):
        found["secretsmanager:AddReplicaRegions"] = [str(each.get("Region", "")) for each in replicas]
    return found


def _events(asked: Asked) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    arns = [
        str(t["Arn"]) for t in asked.params.get("Targets") or () if isinstance(t, Mapping) and t.get("Arn")
    ]
    if arns:
        found["events:TargetArn"] = arns
    return found


def _iam(asked: Asked) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    if asked.text("PolicyArn") and asked.operation.startswith(("Attach", "Detach")):
        found["iam:PolicyARN"] = asked.text("PolicyArn")
    boundary = asked.text("PermissionsBoundary")
    if not boundary and asked.text("UserName", "RoleName"):
        kind = "role-boundary" if asked.text("RoleName") else "user-boundary"
        boundary = asked.find(kind, asked.text("RoleName", "UserName")) or ""
    if boundary:
        found["iam:PermissionsBoundary"] = boundary
    if asked.text("AWSServiceName"):
        found["iam:AWSServiceName"] = asked.text("AWSServiceName")
    return found


def _sts(asked: Asked) -> dict[str, ContextValue]:
    keys = {
        "ExternalId": "sts:ExternalId",
        "RoleSessionName": "sts:RoleSessionName",
        "SourceIdentity": "sts:SourceIdentity",
    }
    found = _named(asked, keys)
    if asked.texts("TransitiveTagKeys"):
        found["sts:TransitiveTagKeys"] = asked.texts("TransitiveTagKeys")
    return found


def _cloudformation(asked: Asked) -> dict[str, ContextValue]:
    keys = {
        "RoleARN": "cloudformation:RoleArn",
        "TemplateURL": "cloudformation:TemplateUrl",
        "StackPolicyURL": "cloudformation:StackPolicyUrl",
        "ChangeSetName": "cloudformation:ChangeSetName",
    }
    found = _named(asked, keys)
    if asked.texts("ResourceTypes"):
        found["cloudformation:ResourceTypes"] = asked.texts("ResourceTypes")
    return found


def _ssm(asked: Asked) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    if asked.operation == "GetParametersByPath":
        found["ssm:Recursive"] = str(bool(asked.params.get("Recursive"))).lower()
    if asked.operation == "PutParameter":
        found["ssm:Overwrite"] = str(bool(asked.params.get("Overwrite"))).lower()
    return found


def _states(asked: Asked) -> dict[str, ContextValue]:
    parts = asked.text("stateMachineArn").split(":")
    return {"states:StateMachineQualifier": parts[7]} if len(parts) > 7 else {}


_BY_SERVICE: Mapping[str, Callable[[Asked], dict[str, ContextValue]]] = {
    "cloudformation": _cloudformation,
    "cloudwatch": _cloudwatch,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "secretsmanager": _secretsmanager,
    "sns": _sns,
    "ssm": _ssm,
    "stepfunctions": _states,
    "sts": _sts,
}


def of(asked: Asked) -> dict[str, ContextValue]:
    """All keys that a request's parameters give."""
    found: dict[str, Any] = tags(asked)
    service = _BY_SERVICE.get(asked.service)
    return {**found, **service(asked)} if service is not None else found

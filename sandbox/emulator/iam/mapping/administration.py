"""Which stacks, identities, keys, secrets, parameters and zones a request names."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from sandbox.emulator.iam.mapping.model import Asked
from sandbox.emulator.iam.mapping.naming import Builder, both, named


def _stack(asked: Asked) -> list[str]:
    name = asked.text("StackName", "StackId", "PhysicalResourceId")
    if not name and asked.operation not in ("DescribeStacks", "ListStacks"):
        name = asked.text("ResourceArn")
    if name.startswith("arn:"):
        return [name]
    return [asked.arn("cloudformation", f"stack/{name}/*")] if name else []


def _secret(asked: Asked) -> list[str]:
    found = []
    for text in asked.texts("SecretId", "SecretIdList", "Name"):
        known = asked.find("secret", text)
        found.append(
            known or (text if text.startswith("arn:") else asked.arn("secretsmanager", f"secret:{text}"))
        )
    return found


def _key(asked: Asked) -> list[str]:
    found = []
    for text in asked.texts("KeyId", "TargetKeyId", "DestinationKeyId", "SourceKeyId"):
        if text.startswith("arn:") and ":key/" in text:
            found.append(text)
            continue
        known = asked.find("key", text)
        found.append(known or (text if text.startswith("arn:") else asked.arn("kms", f"key/{text}")))
    return found or [known for blob in _ciphertexts(asked) if (known := asked.find("ciphertext", blob))]


def _ciphertexts(asked: Asked) -> list[str]:
    blob = asked.params.get("CiphertextBlob")
    if isinstance(blob, bytes):
        return [base64.b64encode(blob).decode()]
    return [blob] if isinstance(blob, str) and blob else []


def _iam(kind: str, *params: str) -> Builder:
    def build(asked: Asked) -> list[str]:
        found = []
        for text in asked.texts(*params):
            known = None if text.startswith("arn:") else asked.find(kind, text)
            path = asked.text("Path") if asked.text("Path").startswith("/") else "/"
            made = f"arn:aws:iam::{asked.account_id}:{kind}{path}{text}"
            found.append(text if text.startswith("arn:") else known or made)
        return found

    return build


def _user(asked: Asked) -> list[str]:
    """Operations on one's own keys and password leave the user's name out."""
    return _iam("user", "UserName")(asked)


def _zone(kind: str, *params: str) -> Builder:
    def build(asked: Asked) -> list[str]:
        return [
            f"arn:aws:route53:::{kind}/{text.rsplit('/', 1)[-1]}"
            for text in asked.texts(*params)
            if kind not in ("hostedzone", "healthcheck", "change")
            or "Id" not in params
            or _meant(asked.operation, kind)
        ]

    return build


def _meant(operation: str, kind: str) -> bool:
    words = {"hostedzone": ("HostedZone", "QueryLogging", "DNSSEC", "VPC"), "change": ("GetChange",)}
    return any(word in operation for word in words.get(kind, ()))


def _parameter(asked: Asked) -> list[str]:
    names = asked.texts("Name", "Names", "Path")
    if "Parameter" not in asked.operation:
        names = asked.texts("ResourceId") if asked.text("ResourceType") == "Parameter" else []
    return [
        text if text.startswith("arn:") else asked.arn("ssm", f"parameter/{_bare(text)}") for text in names
    ]


def _bare(name: str) -> str:
    """A parameter's name without slash in front and without version or label behind."""
    return name.lstrip("/").split(":", 1)[0]


BUILDERS: Mapping[str, Mapping[str, Builder]] = {
    "cloudformation": {
        "stack": _stack,
        "changeset": lambda asked: [],
        "stackset": named("cloudformation", "stackset/{}:*", "StackSetName"),
    },
    "cloudtrail": {
        "trail": named("cloudtrail", "trail/{}", "Name", "TrailName", "TrailNameList", "ResourceId"),
        "eventdatastore": named("cloudtrail", "eventdatastore/{}", "EventDataStore"),
        "channel": named("cloudtrail", "channel/{}", "Channel"),
        "dashboard": named("cloudtrail", "dashboard/{}", "DashboardId"),
    },
    "cognito-idp": {"userpool": named("cognito-idp", "userpool/{}", "UserPoolId", "ResourceArn")},
    "iam": {
        "role": _iam("role", "RoleName", "RoleArn"),
        "user": _user,
        "group": _iam("group", "GroupName"),
        "policy": _iam("policy", "PolicyName", "PolicyArn"),
        "instance-profile": _iam("instance-profile", "InstanceProfileName"),
        "server-certificate": _iam("server-certificate", "ServerCertificateName"),
        "mfa": _iam("mfa", "SerialNumber", "VirtualMFADeviceName"),
        "oidc-provider": named("iam", "oidc-provider/{}", "OpenIDConnectProviderArn"),
        "saml-provider": named("iam", "saml-provider/{}", "SAMLProviderArn", "Name"),
    },
    "kms": {"key": _key, "alias": named("kms", "{}", "AliasName")},
    "route53": {
        "hostedzone": both(_zone("hostedzone", "HostedZoneId"), _zone("hostedzone", "Id")),
        "healthcheck": _zone("healthcheck", "HealthCheckId"),
        "change": _zone("change", "Id"),
        "delegationset": _zone("delegationset", "DelegationSetId"),
        "cidrcollection": _zone("cidrcollection", "CollectionId"),
        "queryloggingconfig": lambda asked: (
            _zone("queryloggingconfig", "Id")(asked) if "QueryLoggingConfig" in asked.operation else []
        ),
    },
    "secretsmanager": {"Secret": _secret},
    "ssm": {
        "parameter": _parameter,
        "document": lambda asked: (
            named("ssm", "document/{}", "Name", "DocumentName")(asked)
            if "Parameter" not in asked.operation
            else []
        ),
        "maintenancewindow": named("ssm", "maintenancewindow/{}", "WindowId"),
        "patchbaseline": named("ssm", "patchbaseline/{}", "BaselineId"),
        "opsitem": named("ssm", "opsitem/{}", "OpsItemId"),
        "association": named("ssm", "association/{}", "AssociationId"),
        "automation-execution": named("ssm", "automation-execution/{}", "AutomationExecutionId"),
        "servicesetting": named("ssm", "servicesetting/{}", "SettingId"),
        "session": named("ssm", "session/{}", "SessionId"),
    },
    "sts": {"role": named("iam", "role/{}", "RoleArn")},
}

"""AWS::SecretsManager: secrets, given or generated, their rotation and their policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    call,
    changed,
    invalid,
    not_here,
    omit,
    pick,
    stale,
    tags,
    text,
    unless_absent,
)

_ABSENT = "ResourceNotFoundException"


class Secret:
    """A secret. ``Ref`` is its ARN."""

    type = "AWS::SecretsManager::Secret"
    properties = frozenset(
        {"Description", "GenerateSecretString", "KmsKeyId", "Name", "ReplicaRegions", "SecretString", "Tags"}
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        secrets = context.client("secretsmanager")
        name = properties.get("Name") or context.unique_name(256)
        labels = as_list(tags(context, properties.get("Tags")))
        settings = pick(properties, ("Description", "KmsKeyId"))
        if replicas := properties.get("ReplicaRegions"):
            settings["AddReplicaRegions"] = replicas
        if (content := _content(secrets, properties)) is not None:
            settings["SecretString"] = content
        arn = call(secrets, "CreateSecret", settings, Name=name, Tags=labels)["ARN"]
        return Physical(arn, {"Id": arn})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        secrets = context.client("secretsmanager")
        settings: dict[str, Any] = {}
        if changed(old, new, "Description"):
            settings["Description"] = new.get("Description", "")
        if changed(old, new, "KmsKeyId"):
            settings["KmsKeyId"] = new.get("KmsKeyId", "")
        if changed(old, new, "SecretString", "GenerateSecretString"):
            content = _content(secrets, new)
            if content is not None:
                settings["SecretString"] = content
        if settings:
            call(secrets, "UpdateSecret", settings, SecretId=physical_id)
        _replicate(secrets, physical_id, old, new)
        listed = secrets.describe_secret(SecretId=physical_id).get("Tags", [])
        current = {tag["Key"]: tag["Value"] for tag in listed}
        wanted = tags(context, new.get("Tags"))
        if gone := stale(current, wanted):
            secrets.untag_resource(SecretId=physical_id, TagKeys=gone)
        if wanted != current:
            secrets.tag_resource(SecretId=physical_id, Tags=as_list(wanted))
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        secrets = context.client("secretsmanager")
        with unless_absent(_ABSENT):
            if replicas := _regions(properties):
                secrets.remove_regions_from_replication(SecretId=physical_id, RemoveReplicaRegions=replicas)
            secrets.delete_secret(SecretId=physical_id, ForceDeleteWithoutRecovery=True)


def _content(secrets: Any, properties: Mapping[str, Any]) -> str | None:
    """The secret as the template gives it, or made up as the template asks; None for neither."""
    if (given := properties.get("SecretString")) is not None:
        return text(given)
    if (wanted := properties.get("GenerateSecretString")) is None:
        return None
    rules = omit(wanted, "SecretStringTemplate", "GenerateStringKey")
    password: str = call(secrets, "GetRandomPassword", rules)["RandomPassword"]
    template, key = wanted.get("SecretStringTemplate"), wanted.get("GenerateStringKey")
    if template is None and key is None:
        return password
    if template is None or key is None:
        raise invalid("#/GenerateSecretString: SecretStringTemplate and GenerateStringKey go together")
    try:
        content = json.loads(template)
    except ValueError:
        raise invalid("#/GenerateSecretString/SecretStringTemplate: is not valid JSON") from None
    return json.dumps({**content, key: password})


def _regions(properties: Mapping[str, Any]) -> list[str]:
    return [replica["Region"] for replica in properties.get("ReplicaRegions") or []]


def _replicate(secrets: Any, arn: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    before, after = _regions(old), _regions(new)
    if gone := [region for region in before if region not in after]:
        secrets.remove_regions_from_replication(SecretId=arn, RemoveReplicaRegions=gone)
    if added := [replica for replica in new.get("ReplicaRegions") or [] if replica["Region"] not in before]:
        secrets.replicate_secret_to_regions(SecretId=arn, AddReplicaRegions=added)


class RotationSchedule:
    """When and by which function a secret is rotated. ``Ref`` is the secret's ARN."""

    type = "AWS::SecretsManager::RotationSchedule"
    properties = frozenset(
        {
            "HostedRotationLambda",
            "RotateImmediatelyOnUpdate",
            "RotationLambdaARN",
            "RotationRules",
            "SecretId",
        }
    )
    replaces = frozenset({"SecretId"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        return self._rotate(context, properties)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self._rotate(context, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT, "InvalidRequestException"):
            context.client("secretsmanager").cancel_rotate_secret(SecretId=physical_id)

    def _rotate(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        if properties.get("HostedRotationLambda") is not None:
            raise not_here("HostedRotationLambda (a rotation function that AWS writes)")
        settings = pick(properties, ("RotationLambdaARN", "RotationRules", "SecretId"))
        if (at_once := properties.get("RotateImmediatelyOnUpdate")) is not None:
            settings["RotateImmediately"] = at_once
        arn = call(context.client("secretsmanager"), "RotateSecret", settings)["ARN"]
        return Physical(arn, {"Id": arn})


class ResourcePolicy:
    """Who else may use a secret. ``Ref`` is the secret's ARN."""

    type = "AWS::SecretsManager::ResourcePolicy"
    properties = frozenset({"BlockPublicPolicy", "ResourcePolicy", "SecretId"})
    replaces = frozenset({"SecretId"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        arn = call(context.client("secretsmanager"), "PutResourcePolicy", properties)["ARN"]
        return Physical(arn, {"Id": arn})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self.create(context, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("secretsmanager").delete_resource_policy(SecretId=physical_id)


PROVIDERS = (Secret(), RotationSchedule(), ResourcePolicy())

"""AWS::IAM: roles, and policies inline and managed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    call,
    changed,
    or_else,
    pick,
    stale,
    tags,
    text,
    unless_absent,
)

_ABSENT = "NoSuchEntity"
_HOLDERS = (("Roles", "Role"), ("Users", "User"), ("Groups", "Group"))
_ROLE = ("AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Path", "PermissionsBoundary")
_READ = (
    "AttachmentCount",
    "CreateDate",
    "DefaultVersionId",
    "IsAttachable",
    "PermissionsBoundaryUsageCount",
    "PolicyId",
    "UpdateDate",
)
_DEFAULT_SESSION_S = 3600


class Role:
    """A role, with its inline policies and the managed ones attached to it."""

    type = "AWS::IAM::Role"
    properties = frozenset({*_ROLE, "ManagedPolicyArns", "Policies", "RoleName", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        iam = context.client("iam")
        name = properties.get("RoleName") or context.unique_name(64)
        labels = as_list(tags(context, properties.get("Tags"), system=False))
        more = {"Tags": labels} if labels else {}
        role = call(iam, "CreateRole", pick(properties, _ROLE), RoleName=name, **more)["Role"]
        with or_else(lambda: self.delete(context, name, properties)):
            for policy in properties.get("Policies") or []:
                call(iam, "PutRolePolicy", policy, RoleName=name)
            for arn in _unique(properties.get("ManagedPolicyArns")):
                iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        return _role(role)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        iam = context.client("iam")
        name = physical_id
        if changed(old, new, "AssumeRolePolicyDocument"):
            document = text(new["AssumeRolePolicyDocument"])
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
        if changed(old, new, "Description", "MaxSessionDuration"):
            settings = {"Description": "", "MaxSessionDuration": _DEFAULT_SESSION_S}
            settings |= pick(new, tuple(settings))
            call(iam, "UpdateRole", settings, RoleName=name)
        if changed(old, new, "PermissionsBoundary"):
            _bound(iam, name, new.get("PermissionsBoundary"))
        _update_inline(iam, name, old, new)
        _update_attached(iam, name, old, new)
        _update_tags(iam, name, tags(context, new.get("Tags"), system=False))
        return _role(iam.get_role(RoleName=name)["Role"])

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        iam = context.client("iam")
        with unless_absent(_ABSENT):
            # Only what the template attached goes; what others attached makes the deletion fail, as on AWS.
            for policy in properties.get("Policies") or []:
                _delete_inline(iam, physical_id, policy["PolicyName"])
            for arn in _unique(properties.get("ManagedPolicyArns")):
                with unless_absent(_ABSENT):
                    iam.detach_role_policy(RoleName=physical_id, PolicyArn=arn)
            iam.delete_role(RoleName=physical_id)


def _role(role: Mapping[str, Any]) -> Physical:
    return Physical(role["RoleName"], {"Arn": role["Arn"], "RoleId": role["RoleId"]})


def _unique(arns: Any) -> list[str]:
    return list(dict.fromkeys(arns or []))


def _bound(iam: Any, role: str, boundary: str | None) -> None:
    if boundary:
        iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    else:
        iam.delete_role_permissions_boundary(RoleName=role)


def _update_inline(iam: Any, role: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    before = {policy["PolicyName"]: policy for policy in old.get("Policies") or []}
    after = {policy["PolicyName"]: policy for policy in new.get("Policies") or []}
    for name, policy in after.items():
        if before.get(name) != policy:
            call(iam, "PutRolePolicy", policy, RoleName=role)
    for name in stale(before, after):
        _delete_inline(iam, role, name)


def _update_attached(iam: Any, role: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    before, after = _unique(old.get("ManagedPolicyArns")), _unique(new.get("ManagedPolicyArns"))
    for arn in after:
        if arn not in before:
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    for arn in before:
        if arn not in after:
            with unless_absent(_ABSENT):
                iam.detach_role_policy(RoleName=role, PolicyArn=arn)


def _delete_inline(iam: Any, role: str, policy: str) -> None:
    with unless_absent(_ABSENT):
        iam.delete_role_policy(RoleName=role, PolicyName=policy)


def _update_tags(iam: Any, role: str, wanted: dict[str, str]) -> None:
    current = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=role)["Tags"]}
    if gone := stale(current, wanted):
        iam.untag_role(RoleName=role, TagKeys=gone)
    if wanted != current and wanted:
        iam.tag_role(RoleName=role, Tags=as_list(wanted))


class Policy:
    """An inline policy, put on each of the roles, users and groups it names."""

    type = "AWS::IAM::Policy"
    properties = frozenset({"Groups", "PolicyDocument", "PolicyName", "Roles", "Users"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        with or_else(lambda: self.delete(context, "", properties)):
            self._put(context, properties)
        policy_id = context.unique_name(128)
        return Physical(policy_id, {"Id": policy_id})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self._put(context, new)
        kept = set(_holders(new)) if old["PolicyName"] == new["PolicyName"] else set()
        self._remove(context, old["PolicyName"], [holder for holder in _holders(old) if holder not in kept])
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        self._remove(context, properties["PolicyName"], list(_holders(properties)))

    def _put(self, context: ResourceContext, properties: Mapping[str, Any]) -> None:
        iam = context.client("iam")
        policy = pick(properties, ("PolicyName", "PolicyDocument"))
        for kind, name in _holders(properties):
            call(iam, f"Put{kind}Policy", policy, **{f"{kind}Name": name})

    def _remove(self, context: ResourceContext, policy: str, holders: list[tuple[str, str]]) -> None:
        iam = context.client("iam")
        for kind, name in holders:
            with unless_absent(_ABSENT):
                call(iam, f"Delete{kind}Policy", {"PolicyName": policy}, **{f"{kind}Name": name})


class RolePolicy:
    """One inline policy of one role."""

    type = "AWS::IAM::RolePolicy"
    properties = frozenset({"PolicyDocument", "PolicyName", "RoleName"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        call(context.client("iam"), "PutRolePolicy", properties)
        return Physical(f"{properties['PolicyName']}|{properties['RoleName']}")

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self.create(context, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        policy, role = physical_id.split("|", 1)
        _delete_inline(context.client("iam"), role, policy)


class ManagedPolicy:
    """A customer managed policy; a changed document becomes its new default version."""

    type = "AWS::IAM::ManagedPolicy"
    properties = frozenset(
        {"Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users"}
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        iam = context.client("iam")
        name = properties.get("ManagedPolicyName") or context.unique_name(128)
        settings = pick(properties, ("Description", "Path", "PolicyDocument"))
        arn = call(iam, "CreatePolicy", settings, PolicyName=name)["Policy"]["Arn"]
        with or_else(lambda: self.delete(context, arn, properties)):
            for kind, holder in _holders(properties):
                call(iam, f"Attach{kind}Policy", {"PolicyArn": arn}, **{f"{kind}Name": holder})
        return self._describe(iam, arn)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        iam = context.client("iam")
        if changed(old, new, "PolicyDocument"):
            _make_room(iam, physical_id)
            document = text(new["PolicyDocument"])
            iam.create_policy_version(PolicyArn=physical_id, PolicyDocument=document, SetAsDefault=True)
        before, after = list(_holders(old)), list(_holders(new))
        for kind, holder in after:
            if (kind, holder) not in before:
                call(iam, f"Attach{kind}Policy", {"PolicyArn": physical_id}, **{f"{kind}Name": holder})
        _detach(iam, physical_id, [holder for holder in before if holder not in after])
        return self._describe(iam, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        iam = context.client("iam")
        with unless_absent(_ABSENT):
            _detach(iam, physical_id, list(_holders(properties)))
            for version in _versions(iam, physical_id):
                if not version["IsDefaultVersion"]:
                    iam.delete_policy_version(PolicyArn=physical_id, VersionId=version["VersionId"])
            iam.delete_policy(PolicyArn=physical_id)

    def _describe(self, iam: Any, arn: str) -> Physical:
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        read = {name: text(policy[name]) for name in _READ if name in policy}
        return Physical(arn, {"PolicyArn": arn, **read})


def _holders(properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for plural, kind in _HOLDERS:
        for name in properties.get(plural) or []:
            yield kind, name


def _detach(iam: Any, arn: str, holders: list[tuple[str, str]]) -> None:
    for kind, holder in holders:
        with unless_absent(_ABSENT):
            call(iam, f"Detach{kind}Policy", {"PolicyArn": arn}, **{f"{kind}Name": holder})


def _versions(iam: Any, arn: str) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    return versions


def _make_room(iam: Any, arn: str) -> None:
    """A policy has at most five versions; the oldest that is not in use gives way."""
    versions = sorted(_versions(iam, arn), key=lambda version: int(version["VersionId"].lstrip("v")))
    if len(versions) >= 5:
        oldest = next(version for version in versions if not version["IsDefaultVersion"])
        iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])


PROVIDERS = (Role(), Policy(), RolePolicy(), ManagedPolicy())

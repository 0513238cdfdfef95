"""Which policies bear on a call, read from what moto keeps. Hold the dispatch lock around everything here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.iam.models import iam_backends
from moto.organizations.models import organizations_backends

from sandbox.emulator.calls import Principal, PrincipalKind
from sandbox.emulator.iam.evaluation import (
    Caller,
    CallerKind,
    MalformedPolicy,
    Policies,
    Policy,
    Request,
    evaluate,
    parse_policy,
)

# What a document that can't be read amounts to: AWS refuses to store one, so nobody is let in by it.
_NOTHING = {"Statement": {"Effect": "Allow", "Action": "none:None", "Resource": "arn:aws:none:::none"}}
_SERVICE_LINKED = ":role/aws-service-role/"


@dataclass(frozen=True, slots=True)
class Held:
    """A caller with everything that binds it wherever it goes. ``exists`` is false when it was deleted."""

    caller: Caller
    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] = ()
    scps: tuple[tuple[Policy, ...], ...] = ()
    exists: bool = True

    def over(self, resource: Policy | None) -> Policies:
        """These policies with a resource's own."""
        return Policies(self.identity, resource, self.boundary, self.session, self.scps)


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """What was said when a role's session was made: its policies and its tags."""

    policies: tuple[tuple[str, str], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def read(document: Any, name: str) -> Policy:
    """A stored document; one that is no policy allows and denies nothing."""
    try:
        return parse_policy(document, name)
    except (MalformedPolicy, ValueError):
        return parse_policy(_NOTHING, name)


class PrincipalPolicies:
    """Finds users, roles, their policies and the organization's, in every account of this process."""

    def __init__(self) -> None:
        self._grants: dict[str, SessionGrant] = {}

    def note_session(self, access_key_id: str, grant: SessionGrant) -> None:
        """Remember what a new session was narrowed to."""
        self._grants[access_key_id] = grant

    def of(self, principal: Principal) -> Held:
        """Everything that binds a principal."""
        scps, manages = organization(principal.account_id)
        match principal.kind:
            case PrincipalKind.ROOT:
                caller = Caller(
                    CallerKind.ROOT,
                    principal.account_id,
                    principal.arn,
                    unique_id=principal.account_id,
                    management_account=manages,
                )
                return Held(caller, scps=scps)
            case PrincipalKind.USER:
                return self._user(principal, scps, manages)
            case PrincipalKind.ROLE_SESSION:
                return self._session(principal, scps, manages)
            case PrincipalKind.SERVICE:
                return Held(Caller.of_service(principal.service))
        return Held(Caller(CallerKind.ANONYMOUS), exists=False)

    def _user(self, principal: Principal, scps: tuple[tuple[Policy, ...], ...], manages: bool) -> Held:
        backend = iam_backends[principal.account_id]["aws"]
        user = next((user for user in backend.users.values() if user.arn == principal.arn), None)
        if user is None:
            return Held(Caller(CallerKind.USER, principal.account_id, principal.arn), scps=scps, exists=False)
        groups = [group for group in backend.groups.values() if user in group.users]
        tags = {t["Key"]: t["Value"] for t in backend.tagger.list_tags_for_resource(user.arn)["Tags"]}
        caller = Caller(
            CallerKind.USER,
            principal.account_id,
            principal.arn,
            unique_id=str(user.id),
            management_account=manages,
            tags=tags,
        )
        identity = tuple(_attached(user)) + tuple(policy for group in groups for policy in _attached(group))
        return Held(caller, identity, _boundary(principal.account_id, user), (), scps)

    def _session(self, principal: Principal, scps: tuple[tuple[Policy, ...], ...], manages: bool) -> Held:
        role = find_role(principal.role_arn)
        grant = self._grants.get(principal.access_key_id, SessionGrant())
        session = principal.arn.rsplit("/", 1)[-1]
        caller = Caller(
            CallerKind.ROLE_SESSION,
            principal.account_id,
            principal.arn,
            principal.role_arn,
            unique_id=f"{role.id}:{session}" if role is not None else session,
            service_linked=_SERVICE_LINKED in principal.role_arn,
            management_account=manages,
            tags={**_role_tags(role), **grant.tags},
        )
        if role is None:
            return Held(caller, scps=scps, exists=False)
        narrowed = tuple(read(text, name) for name, text in grant.policies)
        return Held(caller, tuple(_attached(role)), _boundary(principal.account_id, role), narrowed, scps)


def find_role(arn: str) -> Any:
    """moto's role of this ARN, if there is one."""
    parts = arn.split(":")
    if len(parts) != 6:
        return None
    roles = iam_backends[parts[4]]["aws"].roles.values()
    return next((role for role in roles if role.arn == arn), None)


def trusts(role_arn: str, service: str, context: Mapping[str, str] | None = None) -> bool:
    """Whether a role is there and lets a service (``lambda.amazonaws.com``) assume it."""
    role = find_role(role_arn)
    if role is None:
        return False
    trust = read(role.assume_role_policy_document, role_arn)
    request = Request("sts:AssumeRole", role_arn, role_arn.split(":")[4], dict(context or {}))
    return evaluate(Caller.of_service(service), request, Policies(resource=trust)).allowed


def managed_document(account_id: str, arn: str) -> str | None:
    """The default version of a managed policy."""
    policy = iam_backends[account_id]["aws"].managed_policies.get(arn)
    return None if policy is None else default_version(policy)


def default_version(policy: Any) -> str:
    """The document of a managed policy's default version."""
    for version in policy.versions:
        if version.version_id == policy.default_version_id:
            return str(version.document)
    return json.dumps(_NOTHING)


def _attached(holder: Any) -> Iterator[Policy]:
    for name, document in holder.policies.items():
        yield read(document, f"{holder.name}/{name}")
    for arn, policy in holder.managed_policies.items():
        yield read(default_version(policy), arn)


def _boundary(account_id: str, holder: Any) -> Policy | None:
    arn = getattr(holder, "permissions_boundary_arn", None)
    arn = arn or (getattr(holder, "permissions_boundary", None) or {}).get("PermissionsBoundaryArn")
    if not arn:
        return None
    document = managed_document(account_id, arn)
    return read(_NOTHING if document is None else document, arn)


def _role_tags(role: Any) -> dict[str, str]:
    tags = getattr(role, "tags", None) or {}
    values = tags.values() if isinstance(tags, Mapping) else tags
    return {str(tag["Key"]): str(tag["Value"]) for tag in values if isinstance(tag, Mapping)}


def organization(account_id: str) -> tuple[tuple[tuple[Policy, ...], ...], bool]:
    """The service control policies above an account, root first, and whether it manages the organization."""
    for partitions in list(organizations_backends.values()):
        backend = next((b for name, b in partitions.items() if name == "aws"), None)
        if backend is None or backend.org is None:
            continue
        account = next((each for each in backend.accounts if each.id == account_id), None)
        if account is None:
            continue
        if account_id == backend.org.master_account_id:
            return (), True
        return tuple(_levels(backend, account)), False
    return (), False


def _levels(backend: Any, account: Any) -> Iterator[tuple[Policy, ...]]:
    above = [account.id]
    parent = account.parent_id
    units = {unit.id: unit for unit in backend.ou}
    while parent:
        above.append(parent)
        unit = units.get(parent)
        parent = getattr(unit, "parent_id", None) if unit is not None else None
    for target in reversed(above):
        yield tuple(
            read(policy.content, policy.name)
            for policy in backend.policies
            if policy.type == "SERVICE_CONTROL_POLICY" and _is_at(policy.attachments, target)
        )


def _is_at(attachments: Iterable[Any], target: str) -> bool:
    return any(getattr(each, "id", None) == target for each in attachments)

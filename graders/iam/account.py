"""Reads an account's roles and users, through clients that AWS has too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from graders.evidence.aws import error_code
from graders.iam.model import HeldPolicy, PolicySource, Role, parsed
from sandbox.account import Account
from sandbox.emulator.iam.evaluation import Policy
from sandbox.faults.rights import POLICY_PREFIX


@dataclass(frozen=True, slots=True)
class Principals:
    """The roles of an account by ARN, its users' ARNs, and its customer managed policies' ARNs."""

    roles: Mapping[str, Role]
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    managed: tuple[str, ...] = ()

    def role(self, arn: str) -> Role | None:
        """A role by ARN."""
        return self.roles.get(arn)


def read_principals(account: Account) -> Principals:
    """Everything that IAM holds, in one call and one more for each policy that AWS manages.

    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
    """
    return _Reader(account).read()


def _is_fault(item: Mapping[str, Any]) -> bool:
    """Whether an inline policy is the grader's own way of taking a right away for a moment.

    A learner's policy of such a name that allows anything is read like every other.
    """
    if not str(item["PolicyName"]).startswith(POLICY_PREFIX):
        return False
    statements = _document(item["PolicyDocument"]).get("Statement", ())
    listed = [statements] if isinstance(statements, Mapping) else statements
    return all(statement.get("Effect") == "Deny" for statement in listed)


class _Reader:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._iam = account.client("iam")
        self._documents: dict[str, Mapping[str, Any]] = {}

    def read(self) -> Principals:
        pages = list(self._pages())
        for page in pages:
            for policy in page.get("Policies", ()):
                for version in policy.get("PolicyVersionList", ()):
                    if version.get("IsDefaultVersion"):
                        self._documents[policy["Arn"]] = _document(version["Document"])
        scps = self._scps()
        roles = [
            self._role(detail, scps)
            for page in pages
            for detail in page.get("RoleDetailList", ())
            if "/aws-service-role/" not in detail["Arn"]
        ]
        return Principals(
            {role.arn: role for role in roles},
            tuple(user["Arn"] for page in pages for user in page.get("UserDetailList", ())),
            tuple(group["Arn"] for page in pages for group in page.get("GroupDetailList", ())),
            tuple(arn for arn in self._documents if ":aws:policy/" not in arn),
        )

    def _pages(self) -> Iterator[Mapping[str, Any]]:
        wanted = ["Role", "User", "Group", "LocalManagedPolicy"]
        page = self._iam.get_account_authorization_details(Filter=wanted)
        yield page
        while page.get("IsTruncated"):
            page = self._iam.get_account_authorization_details(Filter=wanted, Marker=page["Marker"])
            yield page

    def _role(self, detail: Mapping[str, Any], scps: tuple[tuple[Policy, ...], ...]) -> Role:
        arn, name = str(detail["Arn"]), str(detail["RoleName"])
        policies = [
            HeldPolicy(f"{name}/{item['PolicyName']}", _document(item["PolicyDocument"]))
            for item in detail.get("RolePolicyList", ())
            if not _is_fault(item)
        ]
        for item in detail.get("AttachedManagedPolicies", ()):
            source = PolicySource.AWS if ":aws:policy/" in item["PolicyArn"] else PolicySource.CUSTOMER
            policies.append(HeldPolicy(item["PolicyArn"], self._managed(item["PolicyArn"]), source))
        trust = parsed(_document(detail["AssumeRolePolicyDocument"]), arn)
        tags = {str(tag["Key"]): str(tag["Value"]) for tag in detail.get("Tags", ())}
        return Role(arn, tuple(policies), self._boundary(detail), trust, scps, tags)

    def _boundary(self, detail: Mapping[str, Any]) -> Policy | None:
        found = detail.get("PermissionsBoundary")
        if found is None:
            role = self._iam.get_role(RoleName=detail["RoleName"])["Role"]
            found = role.get("PermissionsBoundary")
        if not found:
            return None
        arn = str(found["PermissionsBoundaryArn"])
        return parsed(self._managed(arn), arn)

    def _managed(self, arn: str) -> Mapping[str, Any]:
        if arn not in self._documents:
            version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            found = self._iam.get_policy_version(PolicyArn=arn, VersionId=version)
            self._documents[arn] = _document(found["PolicyVersion"]["Document"])
        return self._documents[arn]

    def _scps(self) -> tuple[tuple[Policy, ...], ...]:
        """The organization's levels from the root down; empty where there is none or it can't be read."""
        client = self._account.client("organizations")
        try:
            organization = client.describe_organization()["Organization"]
            if organization["MasterAccountId"] == self._account.account_id:
                return ()
            above = [self._account.account_id]
            while not above[-1].startswith("r-"):
                above.append(str(client.list_parents(ChildId=above[-1])["Parents"][0]["Id"]))
            return tuple(self._level(client, target) for target in reversed(above))
        except Exception as error:  # narrowed at once: not in use, or not to be read from a member account
            if error_code(error) in ("AWSOrganizationsNotInUseException", "AccessDeniedException"):
                return ()
            raise

    @staticmethod
    def _level(client: Any, target: str) -> tuple[Policy, ...]:
        listed = client.list_policies_for_target(TargetId=target, Filter="SERVICE_CONTROL_POLICY")
        found = []
        for item in listed["Policies"]:
            content = client.describe_policy(PolicyId=item["Id"])["Policy"]["Content"]
            policy = parsed(content, str(item["Name"]))
            if policy is not None:
                found.append(policy)
        return tuple(found)


def _document(value: Any) -> Mapping[str, Any]:
    """A policy as boto3 gives it: decoded already, or as URL-encoded text."""
    found = value if isinstance(value, Mapping) else json.loads(unquote(value))
    assert isinstance(found, Mapping)
    return found

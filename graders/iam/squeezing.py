"""A lab run again with each role's minimal policy as its permissions boundary: does it still hold?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from graders.sandbox import Stack
from sandbox.account import Account

# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_LIMIT_CHARACTERS = 6_144
_NAME = "coldstart-squeeze"


@dataclass(frozen=True, slots=True)
class Squeeze:
    """The minimal policies of one run, by the roles' logical ids, and the names that stand in them.

    Another run has another account and other physical names, so they are put in place of these.
    """

    policies: Mapping[str, str]
    names: Mapping[str, str]
    account_id: str

    @classmethod
    def of(cls, iam: Mapping[str, Any], stack: Stack, account_id: str) -> Squeeze:
        """From the report's ``iam`` part and the stack it speaks of."""
        by_name = {item.physical_id: item.logical_id for item in stack.resources}
        policies = {
            by_name[name]: json.dumps(item["minimal_policy"], separators=(",", ":"))
            for item in iam["roles"]
            for name in (item["role"].rsplit("/", 1)[-1],)
            if name in by_name and item["minimal_policy"]["Statement"]
        }
        return cls(policies, _names(stack), account_id)

    @property
    def too_long(self) -> tuple[str, ...]:
        """Roles whose policy is longer than a managed policy may be."""
        return tuple(role for role, text in self.policies.items() if len(text) > _LIMIT_CHARACTERS)

    @contextmanager
    def applied(self, account: Account, stack: Stack) -> Iterator[None]:
        """The boundaries for the time of the block, in another run's account."""
        iam = account.client("iam")
        here = _names(stack)
        with ExitStack() as undo:
            for number, (role, text) in enumerate(sorted(self.policies.items())):
                name = stack.physical_id(role)
                if name is None or role in self.too_long:
                    continue
                made = iam.create_policy(
                    PolicyName=f"{_NAME}-{stack.name}-{number}",
                    PolicyDocument=self._translated(text, here, account.account_id),
                )
                arn = made["Policy"]["Arn"]
                undo.callback(iam.delete_policy, PolicyArn=arn)
                iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=arn)
                undo.callback(iam.delete_role_permissions_boundary, RoleName=name)
            yield

    def _translated(self, text: str, here: Mapping[str, str], account_id: str) -> str:
        for logical_id, name in sorted(self.names.items(), key=lambda item: -len(item[1])):
            if logical_id in here:
                text = text.replace(name, here[logical_id])
        return text.replace(self.account_id, account_id)


def _names(stack: Stack) -> dict[str, str]:
    """Physical names as they stand in ARNs, by logical id."""
    return {
        item.logical_id: item.physical_id.rsplit("/", 1)[-1]
        if "://" in item.physical_id
        else item.physical_id
        for item in stack.resources
        if item.physical_id and len(item.physical_id) > 3
    }

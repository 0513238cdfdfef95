"""Users, roles and sessions of an account in which IAM is enforced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sandbox.emulator.calls import Principal, PrincipalKind
from sandbox.emulator.fabric.sqs import SqsService
from sandbox.emulator.iam.simulation import Simulator
from sandbox.emulator.iam.trail import CloudTrail
from sandbox.emulator.iam.users import UserBoundaries
from sandbox.emulator.sts import SecurityTokens
from tests.emulator.conftest import ACCOUNT_ID, REGION

Statement = Mapping[str, Any]


def document(*statements: Statement) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": [dict(each) for each in statements]})


def allow(actions: str | Sequence[str], resources: str | Sequence[str] = "*", **more: Any) -> Statement:
    """An Allow statement."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def deny(actions: str | Sequence[str], resources: str | Sequence[str] = "*", **more: Any) -> Statement:
    """A Deny statement."""
    return {"Effect": "Deny", "Action": actions, "Resource": resources, **more}


class Country:
    """One account with its people: ``root`` clients, and clients of users and roles made on the spot."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.guard = account.gateway.guard
        self.root = account.client

    def user(self, name: str, *statements: Statement) -> Any:
        """A new user with an inline policy; a function that makes its clients."""
        iam = self.root("iam")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*statements))
        principal = Principal(PrincipalKind.USER, ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:user/{name}")
        return self._clients(principal)

    def role(self, name: str, *statements: Statement, service: str = "lambda.amazonaws.com") -> Any:
        """A new role with an inline policy; a function that makes clients of a session of it."""
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        iam = self.root("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
        session = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/{name}-fn"
        return self._clients(Principal(PrincipalKind.ROLE_SESSION, ACCOUNT_ID, session, role_arn=made["Arn"]))

    def _clients(self, principal: Principal) -> Any:
        return lambda service, region=REGION: self.account.core.clients.client(
            service, region=region, principal=principal
        )

    def decisions(self, operation: str) -> list[dict[str, Any]]:
        """What was decided about an operation, as graders see it."""
        return [each.as_json() for each in self.guard.log.since() if each.operation == operation]


@pytest.fixture
def country(account: Any) -> Country:
    """An empty account that enforces."""
    account.gateway.guard.enforcing = True
    for service in (
        SecurityTokens(account.core, account.gateway.keys),
        SqsService(account.core),
        CloudTrail(account.core),
        Simulator(account.core),
        UserBoundaries(account.core),
    ):
        account.add(service.handlers())
    return Country(account)

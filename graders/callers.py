"""Callers of APIs that a check makes up: roles with as many rights as it wants them to have."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sandbox.account import AccessKeys, Account

_POLICY = "rights"


@contextmanager
def caller(account: Account, statements: Sequence[Mapping[str, Any]]) -> Iterator[AccessKeys]:
    """Access keys of a new role of the learner's account that these statements speak of; gone afterwards."""
    iam = account.client("iam")
    name = f"caller-{secrets.token_hex(5)}"
    root = {"AWS": f"arn:aws:iam::{account.account_id}:root"}
    trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document([trust]))["Role"]
    try:
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName=_POLICY, PolicyDocument=_document(statements))
        made = account.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="check")["Credentials"]
        yield AccessKeys(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    finally:
        if statements:
            iam.delete_role_policy(RoleName=name, PolicyName=_POLICY)
        iam.delete_role(RoleName=name)


def _document(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

"""Callers by the unique ids that services put into events."""

from __future__ import annotations

from moto.iam.models import iam_backends

from sandbox.emulator.calls import Principal, PrincipalKind
from sandbox.emulator.core import AccountCore


def unique_id(core: AccountCore, principal: Principal) -> str:
    """The caller's id as GetCallerIdentity's ``UserId`` has it.

    ``AROA…:session`` of a role session, ``AIDA…`` of a user, the account's id of its root.
    """
    with core.dispatch_lock:
        iam = iam_backends[principal.account_id]["aws"]
        if principal.kind is PrincipalKind.ROLE_SESSION:
            session = principal.arn.rsplit("/", 1)[-1]
            role = next((role for role in iam.roles.values() if role.arn == principal.role_arn), None)
            return f"{role.id}:{session}" if role is not None else session
        user = next((user for user in iam.users.values() if user.arn == principal.arn), None)
    return str(user.id) if user is not None else principal.account_id


def service(name: str, account_id: str) -> Principal:
    """An AWS service (``s3.amazonaws.com``) acting in ``account_id``."""
    return Principal(PrincipalKind.SERVICE, account_id, name, service=name)

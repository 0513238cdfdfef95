"""AWS services that act in a role of the account: schedules, pipes, state machines, rules."""

from __future__ import annotations

import json
import secrets

from moto.iam.models import iam_backends

from sandbox.emulator.calls import Principal, PrincipalKind
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.iam.evaluation.documents import MalformedPolicy, parse_policy
from sandbox.emulator.iam.evaluation.evaluator import evaluate
from sandbox.emulator.iam.evaluation.model import Caller, Policies, Request


class RoleRefused(Exception):
    """The role is not there, or does not trust the service."""


def assume(core: AccountCore, role_arn: str, service: str, *, source_arn: str = "") -> Principal:
    """A session of ``role_arn`` for ``service`` (``scheduler.amazonaws.com``) acting for ``source_arn``.

    The role's trust policy decides; it sees ``aws:SourceArn`` and ``aws:SourceAccount``.

    Raises:
        RoleRefused: it says no.
    """
    try:
        arn = Arn.parse(role_arn)
    except ValueError as error:
        raise RoleRefused(str(error)) from None
    with core.dispatch_lock:
        roles = iam_backends[arn.account_id]["aws"].roles.values()
        role = next((each for each in roles if each.arn == role_arn), None)
        trust = None if role is None else role.assume_role_policy_document
    if trust is None:
        raise RoleRefused(f"{role_arn} does not exist")
    document = trust if isinstance(trust, str) else json.dumps(trust)
    context = {"aws:SourceAccount": arn.account_id}
    if source_arn:
        context["aws:SourceArn"] = source_arn
    request = Request("sts:AssumeRole", role_arn, arn.account_id, context)
    try:
        policies = Policies(resource=parse_policy(document, "trust policy"))
    except MalformedPolicy as error:
        raise RoleRefused(f"The trust policy of {role_arn} can't be read: {error}") from None
    if not evaluate(Caller.of_service(service), request, policies).allowed:
        raise RoleRefused(f"{role_arn} does not let {service} assume it")
    session = f"arn:aws:sts::{arn.account_id}:assumed-role/{arn.name}/{secrets.token_hex(16)}"
    return Principal(PrincipalKind.ROLE_SESSION, arn.account_id, session, role_arn=role_arn)

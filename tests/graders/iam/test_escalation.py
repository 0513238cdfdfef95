from __future__ import annotations

from typing import Any

import pytest
from rights_world import ACCOUNT, FUNCTION, TABLE, allow, around, deny, document, managed, role

from graders.iam.account import Principals
from graders.iam.escalation import Escalations, Runs
from graders.iam.model import Role

USER = f"arn:aws:iam::{ACCOUNT}:user/ada"


def trust(principal: Any) -> dict[str, Any]:
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


ADMIN = role(allow("*", "*"), name="admin", trust=trust({"Service": "lambda.amazonaws.com"}))
READER = role(
    allow("dynamodb:GetItem", TABLE), name="reader", trust=trust({"Service": "lambda.amazonaws.com"})
)


def ways(
    asking: Role, *others: Role, users: tuple[str, ...] = (), running: tuple[Runs, ...] = ()
) -> list[str]:
    managed_arns = tuple(policy.name for policy in asking.policies if f"::{ACCOUNT}:policy/" in policy.name)
    principals = Principals({each.arn: each for each in (asking, *others)}, users, (), managed_arns)
    return [found.sentence for found in Escalations(asking, principals, running, around()).find()]


PASS_AND_CREATE = allow(["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"], "*")


def test_passing_a_stronger_role_to_a_new_function_is_a_way_up() -> None:
    (found,) = ways(role(PASS_AND_CREATE), ADMIN)

    assert found.startswith("iam:PassRole on admin and lambda:CreateFunction and lambda:InvokeFunction: ")
    assert "it may act as admin" in found


def test_a_way_up_cites_the_statements_that_open_it() -> None:
    asking = role(allow("iam:PassRole", ADMIN.arn), allow("lambda:*", "*"))
    principals = Principals({each.arn: each for each in (asking, ADMIN)})

    (found,) = Escalations(asking, principals, (), around()).find()

    assert found.towards == ADMIN.arn
    assert {(ref.policy, ref.index) for ref in found.statements} == {
        ("worker-role-1/own", 0),
        ("worker-role-1/own", 1),
    }


@pytest.mark.parametrize(
    "statements",
    [
        (allow(["lambda:CreateFunction", "lambda:InvokeFunction"], "*"),),
        (allow("iam:PassRole", "*"),),
        (allow("iam:PassRole", READER.arn), allow("lambda:*", "*"), allow("dynamodb:*", "*")),
        (PASS_AND_CREATE, deny("iam:PassRole", "*")),
        (
            allow("lambda:*", "*"),
            allow(
                "iam:PassRole", "*", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
            ),
        ),
    ],
    ids=["nothing to pass", "nothing to run it", "a weaker role", "denied", "another service only"],
)
def test_half_a_way_is_none(statements: tuple[Any, ...]) -> None:
    assert ways(role(*statements), ADMIN, READER) == []


def test_a_role_that_the_service_may_not_assume_leads_nowhere() -> None:
    elsewhere = role(allow("*", "*"), name="admin", trust=trust({"Service": "ec2.amazonaws.com"}))

    assert ways(role(PASS_AND_CREATE), elsewhere) == []


def test_a_boundary_that_does_not_allow_it_closes_the_way() -> None:
    bounded = role(PASS_AND_CREATE, boundary=document(allow("lambda:*", "*")))

    assert ways(bounded, ADMIN) == []


@pytest.mark.parametrize(
    ("action", "resource", "gains"),
    [
        ("iam:PutRolePolicy", "*", "it may give itself any right"),
        ("iam:AttachRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/worker-*", "it may give itself any right"),
        ("iam:CreateAccessKey", USER, "it may act as user ada"),
        ("iam:UpdateAssumeRolePolicy", "*", "it may act as admin"),
        ("lambda:UpdateFunctionCode", "*", "it may act as admin"),
    ],
)
def test_one_right_can_be_enough(action: str, resource: str, gains: str) -> None:
    found = ways(role(allow(action, resource)), ADMIN, users=(USER,), running=(Runs(FUNCTION, ADMIN.arn),))

    assert len(found) == 1, found
    assert gains in found[0]


def test_attaching_only_harmless_policies_is_no_way_up() -> None:
    only = {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}}

    assert ways(role(allow("iam:AttachRolePolicy", "*", Condition=only)), ADMIN) == []


def test_rewriting_ones_own_policy_is_a_way_up() -> None:
    shared = managed("shared", allow("iam:CreatePolicyVersion", "*"), aws=False)

    (found,) = ways(role(policies=(shared,)))

    assert "shared, which is its own policy" in found


def test_new_code_for_a_function_that_may_no_more_is_none() -> None:
    asking = role(allow("lambda:UpdateFunctionCode", "*"), allow("dynamodb:GetItem", TABLE))

    assert ways(asking, READER, running=(Runs(FUNCTION, READER.arn),)) == []


def test_a_role_that_trusts_the_asking_one_is_a_way_up() -> None:
    asking = role(allow("sts:AssumeRole", "*"))
    open_to_it = role(allow("*", "*"), name="admin", trust=trust({"AWS": asking.arn}))
    closed = role(allow("*", "*"), name="admin", trust=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}))

    assert len(ways(asking, open_to_it)) == 1
    assert ways(asking, closed) == []


def test_state_machines_and_schedules_are_ways_too() -> None:
    runs = role(
        allow("*", "*"),
        name="admin",
        trust=trust({"Service": ["states.amazonaws.com", "scheduler.amazonaws.com"]}),
    )
    asking = role(allow(["iam:PassRole", "states:*", "scheduler:CreateSchedule"], "*"))

    assert [text.partition(": ")[0] for text in ways(asking, runs)] == [
        "iam:PassRole on admin and scheduler:CreateSchedule",
        "iam:PassRole on admin and states:CreateStateMachine and states:StartExecution",
    ]

from __future__ import annotations

from typing import Any

import pytest
from rights_world import ACCOUNT, BUCKET, HERE, QUEUE, TABLE, allow, around, deny, document, managed, role

from graders.iam.budget import LIMIT, excess
from graders.iam.declared import right

GROUP = f"arn:aws:logs:{HERE}:log-group:/worker"
BUDGET = [
    right("s3:GetObject", f"{BUCKET}/incoming/*"),
    right(["dynamodb:PutItem", "dynamodb:BatchWriteItem"], TABLE),
    right(["logs:CreateLogStream", "logs:PutLogEvents"], f"{GROUP}:*"),
]
WITHIN = (
    allow("s3:GetObject", f"{BUCKET}/incoming/*"),
    allow("dynamodb:PutItem", TABLE),
    allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{GROUP}:*"),
)


def pairs(*statements: Any, budget: Any = BUDGET, **more: Any) -> list[str]:
    return [item.pair for item in excess(role(*statements, **more), budget, around())]


def test_a_role_within_its_budget_has_no_excess() -> None:
    assert pairs(*WITHIN) == []


def test_writing_it_otherwise_changes_nothing() -> None:
    """`s3:*` that a deny cuts down to the budget is as narrow as the budget."""
    cut = (
        allow("s3:*", f"{BUCKET}/*"),
        deny("s3:*", "*", Condition={"StringNotLike": {"s3:ExistingObjectTag/x": "y"}}),
    )
    narrow = (allow("s3:*", f"{BUCKET}/incoming/*"), deny(None, "*"))
    del narrow[1]["Action"]
    narrow[1]["NotAction"] = "s3:GetObject"

    assert pairs(*narrow) == []
    assert pairs(*cut)


@pytest.mark.parametrize(
    ("statement", "pair"),
    [
        (allow("dynamodb:DeleteTable", TABLE), "dynamodb:DeleteTable on your Orders"),
        (allow("dynamodb:PutItem", "*"), "dynamodb:PutItem on any other table"),
        (
            allow("dynamodb:PutItem", f"arn:aws:dynamodb:{HERE}:table/*"),
            "dynamodb:PutItem on any other table",
        ),
        (allow("s3:GetObject", f"{BUCKET}/*"), "s3:GetObject on anything in your Intake"),
        (allow("s3:GetObject", f"{BUCKET}/in*"), "s3:GetObject on anything in your Intake"),
        (allow("s3:getobject", "arn:aws:s3:::*"), "s3:GetObject on any other object"),
        (allow("sqs:SendMessage", QUEUE), "sqs:SendMessage on your Failures"),
        (allow("logs:PutLogEvents", "*"), "logs:PutLogEvents on any other log stream"),
        (
            allow("s3:ListAllMyBuckets", "*"),
            "s3:ListAllMyBuckets on everything, for it acts on no resource of its own",
        ),
    ],
)
def test_each_way_of_allowing_more_is_found(statement: dict[str, Any], pair: str) -> None:
    assert pair in pairs(*WITHIN, statement)


def test_a_condition_that_a_caller_can_meet_does_not_hide_a_right() -> None:
    hidden = allow("dynamodb:DeleteTable", TABLE, Condition={"StringEquals": {"aws:RequestTag/x": "y"}})

    assert pairs(*WITHIN, hidden) == ["dynamodb:DeleteTable on your Orders"]


def test_a_condition_that_the_budget_asks_for_has_to_be_there() -> None:
    key = f"arn:aws:kms:{HERE}:key/1"
    via = {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}
    budget = [right("kms:Decrypt", key, when=via)]

    open_to_all = role(allow("kms:Decrypt", key))
    through_the_service = role(allow("kms:Decrypt", key, Condition={"StringEquals": via}))
    surroundings = around(("Key", "1", "AWS::KMS::Key"))
    # A key's own policy has to let the account decide, so ask with one that does.
    assert [item.pair for item in excess(open_to_all, budget, surroundings)] == ["kms:Decrypt on your Key"]
    assert excess(through_the_service, budget, surroundings) == ()


def test_boundary_and_service_control_policies_take_rights_away() -> None:
    wide = allow("dynamodb:*", TABLE)
    narrow = document(allow(["dynamodb:PutItem"], "*"))

    assert pairs(wide)
    assert pairs(wide, boundary=narrow) == []


def test_managed_policies_count() -> None:
    found = excess(
        role(
            policies=(managed("PowerUserAccess", {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),)
        ),
        BUDGET,
        around(),
    )

    assert len(found) == LIMIT
    assert not any(item.action.startswith("iam:") for item in found)
    assert {ref.policy for item in found for ref in item.statements} == {
        "arn:aws:iam::aws:policy/PowerUserAccess"
    }


def test_the_gravest_pairs_come_first() -> None:
    first, *_ = pairs(allow("s3:*", "*"))

    assert first.startswith(("s3:DeleteBucketPolicy", "s3:DeleteAccess"))


def test_an_action_that_never_acts_on_such_a_resource_is_no_pair() -> None:
    assert pairs(allow("dynamodb:PutItem", [TABLE, f"{TABLE}/index/*"])) == []
    assert pairs(allow("s3:ListBucket", f"{BUCKET}/incoming/*")) == []


def test_resources_that_the_lab_calls_others_are_named() -> None:
    from graders.iam.surroundings import Surroundings

    payroll = f"arn:aws:secretsmanager:{HERE}:secret:payroll/db-AbCdEf"
    surroundings = Surroundings(ACCOUNT, "eu-west-1", others={"the payroll secret": payroll})
    reader = role(allow("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:*"))

    found = [item.pair for item in excess(reader, [], surroundings)]

    assert "secretsmanager:GetSecretValue on the payroll secret" in found

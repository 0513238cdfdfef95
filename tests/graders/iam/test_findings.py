from __future__ import annotations

from typing import Any

import pytest
from rights_world import BUCKET, HERE, QUEUE, TABLE, allow, around, decision, deny, document, managed, role

from graders.iam import evidence
from graders.iam.declared import Right, right
from graders.iam.findings import Findings

GROUP = f"arn:aws:logs:{HERE}:log-group:/worker"


def looking(asking: Any, *decisions: dict[str, Any], rights: tuple[Right, ...] = ()) -> Findings:
    return Findings(asking, evidence.of_role(asking.arn, decisions), around(), rights)


def kinds(
    *statements: Any, used: tuple[dict[str, Any], ...] = (), rights: tuple[Right, ...] = ()
) -> list[str]:
    return [found.kind for found in looking(role(*statements), *used, rights=rights).found]


GET = decision("dynamodb:GetItem", TABLE)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow("dynamodb:GetItem", TABLE), []),
        (allow("dynamodb:Get*", TABLE), ["wildcard_action"]),
        (allow("dynamodb:GetItem", "*"), ["wildcard_resource"]),
        (allow("dynamodb:GetItem", f"arn:aws:dynamodb:{HERE}:table/*"), ["broad_resource"]),
        (allow(["dynamodb:GetItem", "dynamodb:PutItem"], TABLE), ["unused_action"]),
        (allow(["dynamodb:GetItem", "dynamodb:GetItems"], TABLE), ["unknown_action"]),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": TABLE}, ["not_action"]),
        ({"Effect": "Allow", "Action": "dynamodb:GetItem", "NotResource": QUEUE}, ["not_resource"]),
    ],
)
def test_each_kind_is_told_from_the_others(statement: dict[str, Any], expected: list[str]) -> None:
    assert kinds(statement, used=(GET,)) == expected


def test_everything_is_right_where_an_action_acts_on_no_resource() -> None:
    used = decision("cloudwatch:PutMetricData", "*")

    assert kinds(allow("cloudwatch:PutMetricData", "*"), used=(used,)) == []


def test_all_objects_of_ones_own_bucket_are_no_others_resources() -> None:
    used = decision("s3:GetObject", f"{BUCKET}/a")

    assert kinds(allow("s3:GetObject", f"{BUCKET}/*"), used=(used,)) == []


def test_what_the_lab_says_is_needed_is_not_unused() -> None:
    needed = (right("sqs:SendMessage", QUEUE, needed=True),)

    assert kinds(allow("sqs:SendMessage", QUEUE)) == ["unused_action"]
    assert kinds(allow("sqs:SendMessage", QUEUE), rights=needed) == []


def test_what_a_log_can_not_show_is_not_unused() -> None:
    asking = role(allow(["s3:GetObject", "dynamodb:DescribeTable"], "*"))
    blind = evidence.Evidence(asking.arn, observable=lambda action: action != "s3:GetObject")

    unused = [written for _, written, _ in Findings(asking, blind, around()).unused]

    assert unused == ["dynamodb:DescribeTable"]


def test_rights_that_boundary_or_denies_take_away_are_not_granted() -> None:
    denied = role(allow("dynamodb:*", TABLE), deny("dynamodb:D*", "*"))
    bounded = role(allow("dynamodb:*", TABLE), boundary=document(allow("dynamodb:GetItem", "*")))

    ((_, _, of_denied),) = looking(denied).unused
    ((_, _, of_bounded),) = looking(bounded).unused

    assert "dynamodb:PutItem" in of_denied
    assert "dynamodb:DeleteItem" not in of_denied
    assert of_bounded == ("dynamodb:GetItem",)


def test_a_finding_has_the_evidence_and_the_narrower_statements() -> None:
    used = (
        decision("s3:GetObject", f"{BUCKET}/in/a"),
        decision("s3:GetObject", f"{BUCKET}/in/b"),
        decision("logs:PutLogEvents", f"{GROUP}:log-stream:x"),
    )

    first, _ = looking(role(allow("*", "*")), *used, rights=(right("s3:GetObject", f"{BUCKET}/in/*"),)).found

    assert first.kind == "wildcard_action"
    assert first.evidence == ("This run used logs:PutLogEvents (1 ×), s3:GetObject (2 ×) of it.",)
    assert first.narrower == (
        allow("logs:PutLogEvents", f"{GROUP}:*"),
        allow("s3:GetObject", f"{BUCKET}/in/*"),
    )


def test_a_use_rests_on_the_tightest_statement_that_allows_it() -> None:
    both = role(
        allow("dynamodb:GetItem", TABLE),
        policies=(managed("PowerUserAccess", {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),),
    )
    record = decision("dynamodb:GetItem", TABLE)
    power = {
        "policy_type": "identity-based policy",
        "policy": "arn:aws:iam::aws:policy/PowerUserAccess",
        "index": 0,
    }
    record["authorisations"][0]["statements"].append({**power, "sid": "", "effect": "Allow"})

    found, *_ = looking(both, record).found

    assert found.kind == "not_action"
    assert found.narrower == ()
    assert found.evidence == ("Nothing in this run rested on it.",)

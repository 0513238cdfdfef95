from __future__ import annotations

from typing import Any

import pytest
from rights_world import ACCOUNT, BUCKET, FUNCTION, QUEUE, REGION, document

from graders.iam.exposure import exposures

FRIEND = "444455556666"
OTHER = "777788889999"


def opened(arn: str, *statements: dict[str, Any]) -> list[tuple[str, str]]:
    found = exposures(arn, document(*statements), account_id=ACCOUNT, region=REGION, friends=(FRIEND,))
    return [(item.kind, item.who) for item in found]


def statement(principal: Any, action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("arn", "given", "expected"),
    [
        (BUCKET, statement("*", "s3:GetObject", f"{BUCKET}/*"), [("public", "Anyone")]),
        (QUEUE, statement({"AWS": "*"}, "sqs:*", QUEUE), [("public", "Anyone")]),
        (
            QUEUE,
            statement({"AWS": f"arn:aws:iam::{OTHER}:root"}, "sqs:SendMessage", QUEUE),
            [("cross-account", f"Account {OTHER}")],
        ),
        (
            QUEUE,
            statement({"AWS": f"arn:aws:iam::{OTHER}:role/x"}, "sqs:SendMessage", QUEUE),
            [("cross-account", f"Account {OTHER}")],
        ),
        (QUEUE, statement({"AWS": FRIEND}, "sqs:SendMessage", QUEUE), []),
        (QUEUE, statement({"AWS": ACCOUNT}, "sqs:*", QUEUE), []),
        (
            FUNCTION,
            statement({"Service": "s3.amazonaws.com"}, "lambda:InvokeFunction", FUNCTION),
            [("any-source", "s3.amazonaws.com")],
        ),
        (
            FUNCTION,
            statement(
                {"Service": "s3.amazonaws.com"},
                "lambda:InvokeFunction",
                FUNCTION,
                Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            ),
            [],
        ),
        (
            QUEUE,
            statement(
                "*",
                "sqs:SendMessage",
                QUEUE,
                Condition={"ArnLike": {"aws:SourceArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t"}},
            ),
            [],
        ),
        (
            QUEUE,
            statement("*", "sqs:SendMessage", QUEUE, Condition={"Bool": {"aws:SecureTransport": "true"}}),
            [("public", "Anyone")],
        ),
    ],
)
def test_who_is_let_in(arn: str, given: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert opened(arn, given) == expected


def test_a_deny_closes_what_an_allow_opens() -> None:
    shut = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}

    assert opened(QUEUE, statement("*", "sqs:*", QUEUE), shut) == []

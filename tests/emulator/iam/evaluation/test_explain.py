"""A decision says why: AWS's sentence, the deciding statement, and what came near to allowing."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.emulator.iam.evaluation import (
    Caller,
    Policies,
    Request,
    denial_sentence,
    evaluate,
    explain,
    parse_policy,
)
from tests.emulator.iam.evaluation.tables import USER

KEY = "arn:aws:s3:::bucket/key"


def policy(name: str, **statement: Any) -> Any:
    return parse_policy({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}, name)


EVERYTHING = policy("everything", Action="*", Resource="*")
NOTHING = policy("nothing", Action="sqs:*", Resource="*")
DENY = policy("denies", Effect="Deny", Action="*", Resource="*", Sid="NoneOfThis")
DENY_ALL_CALLERS = policy("denies", Effect="Deny", Principal="*", Action="*", Resource="*")
START = "User: arn:aws:iam::111122223333:user/ada is not authorized to perform: s3:GetObject on resource: "


@pytest.mark.parametrize(
    ("policies", "end"),
    [
        (Policies(), "because no identity-based policy allows the s3:GetObject action"),
        (Policies((EVERYTHING, DENY)), "with an explicit deny in an identity-based policy"),
        (
            Policies((EVERYTHING,), boundary=NOTHING),
            "because no permissions boundary allows the s3:GetObject action",
        ),
        (Policies((EVERYTHING,), boundary=DENY), "with an explicit deny in a permissions boundary"),
        (
            Policies((EVERYTHING,), session=(NOTHING,)),
            "because no session policy allows the s3:GetObject action",
        ),
        (Policies((EVERYTHING,), session=(DENY,)), "with an explicit deny in a session policy"),
        (
            Policies((EVERYTHING,), scps=((NOTHING,),)),
            "because no service control policy allows the s3:GetObject action",
        ),
        (Policies((EVERYTHING,), scps=((DENY,),)), "with an explicit deny in a service control policy"),
        (
            Policies((EVERYTHING,), resource=DENY_ALL_CALLERS),
            "with an explicit deny in a resource-based policy",
        ),
    ],
)
def test_a_denial_reads_as_aws_writes_it(policies: Policies, end: str) -> None:
    request = Request("s3:GetObject", KEY)
    assert denial_sentence(USER, request, evaluate(USER, request, policies)) == f"{START}{KEY} {end}"


def test_a_denial_across_accounts_names_the_resource_s_policy() -> None:
    request = Request("s3:GetObject", KEY, "444455556666")
    sentence = denial_sentence(USER, request, evaluate(USER, request, Policies((EVERYTHING,))))
    assert sentence == f"{START}{KEY} because no resource-based policy allows the s3:GetObject action"


def test_an_action_without_resource_is_denied_without_one() -> None:
    request = Request("codecommit:ListRepositories")
    sentence = denial_sentence(USER, request, evaluate(USER, request, Policies()))
    assert sentence == (
        "User: arn:aws:iam::111122223333:user/ada is not authorized to perform: codecommit:ListRepositories "
        "because no identity-based policy allows the codecommit:ListRepositories action"
    )


def test_assuming_a_role_is_denied_by_its_trust_policy() -> None:
    request = Request("sts:AssumeRole", "arn:aws:iam::111122223333:role/r")
    trust = policy("trust", Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole")
    decision = evaluate(USER, request, Policies((EVERYTHING,), resource=trust))
    assert denial_sentence(USER, request, decision).endswith(
        "because no role trust policy allows the sts:AssumeRole action"
    )


def test_an_allowed_request_has_no_denial() -> None:
    request = Request("s3:GetObject", KEY)
    with pytest.raises(ValueError, match="allowed"):
        denial_sentence(USER, request, evaluate(USER, request, Policies((EVERYTHING,))))


def test_the_deciding_statement_is_named_by_policy_place_and_sid() -> None:
    decision = evaluate(USER, Request("s3:GetObject", KEY), Policies((EVERYTHING, DENY)))
    (ref,) = decision.statements
    assert (ref.policy, ref.index, ref.sid, ref.effect) == ("denies", 0, "NoneOfThis", "Deny")
    assert (
        "identity-based policy denies, statement 1 (NoneOfThis)"
        in explain(USER, Request("s3:GetObject", KEY), Policies((EVERYTHING, DENY))).text
    )


@pytest.mark.parametrize(
    ("layer", "statement", "element", "said"),
    [
        (
            "identity",
            {"Action": "s3:*", "Resource": "arn:aws:s3:::other/*"},
            "Resource",
            "not of this resource",
        ),
        (
            "identity",
            {"Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
            "Condition",
            "Bool aws:SecureTransport does not hold: the request's aws:SecureTransport is absent",
        ),
        (
            "identity",
            {
                "Action": "s3:*",
                "Resource": "*",
                "Condition": {"StringLike": {"x:k": "b*"}, "Null": {"x:n": "true"}},
            },
            "Condition",
            "StringLike x:k does not hold: the request's x:k is ada",
        ),
        (
            "resource",
            {"Principal": {"AWS": "999999999999"}, "Action": "s3:*", "Resource": "*"},
            "Principal",
            "name the caller",
        ),
    ],
)
def test_what_came_near_to_allowing_says_what_kept_it(
    layer: str, statement: dict[str, Any], element: str, said: str
) -> None:
    near = policy("near", **statement)
    policies = Policies((near,)) if layer == "identity" else Policies((EVERYTHING,), resource=near)
    account = "" if layer == "identity" else "444455556666"
    explanation = explain(USER, Request("s3:GetObject", KEY, account, {"x:K": "ada"}), policies)
    (miss,) = explanation.near_misses
    assert (miss.statement.policy, miss.element) == ("near", element)
    assert said in explanation.text


def test_a_boundary_and_a_level_of_scps_have_near_misses_too() -> None:
    near = policy("near", Action="s3:*", Resource="arn:aws:s3:::other/*")
    for policies in (Policies((EVERYTHING,), boundary=near), Policies((EVERYTHING,), scps=((near,),))):
        explanation = explain(USER, Request("s3:GetObject", KEY), policies)
        assert [miss.element for miss in explanation.near_misses] == ["Resource"]


def test_a_statement_of_another_action_did_not_come_near() -> None:
    explanation = explain(USER, Request("s3:GetObject", KEY), Policies((NOTHING,)))
    assert explanation.near_misses == ()


def test_a_service_without_a_resource_policy_is_told_what_is_missing() -> None:
    sns = Caller.of_service("sns.amazonaws.com")
    explanation = explain(sns, Request("sqs:SendMessage", "arn:aws:sqs:us-east-1:111122223333:q"), Policies())
    assert "The resource's own policy has to allow this" in explanation.text
    sentence = denial_sentence(sns, Request("sqs:SendMessage"), explanation.decision)
    assert sentence.startswith(
        "User: sns.amazonaws.com is not authorized to perform: sqs:SendMessage because no"
    )

"""Malformed documents are refused where they are attached, with AWS's reasons, and size limits hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.iam.evaluation import (
    MalformedPolicy,
    PolicyKind,
    PolicyRefused,
    SizeLimit,
    check_size,
    parse_policy,
    validate,
)

ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


def document(*statements: Any, **top: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **top})


def allow(**changed: Any) -> str:
    return document({key: value for key, value in {**ALLOW, **changed}.items() if value is not None})


def refusal(text: str, kind: PolicyKind = PolicyKind.IDENTITY) -> str:
    with pytest.raises(PolicyRefused) as refused:
        validate(text, kind)
    assert refused.value.code == "MalformedPolicyDocument"
    return refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '"text"',
        "[" * 100_000,
        document(),
        document("text"),
        document(ALLOW, Extra=1),
        document(ALLOW, Version="2012-10-18"),
        document(ALLOW, Id=5),
        json.dumps({"Version": "2012-10-17"}),
        allow(Effect=None),
        allow(Effect="Permit"),
        allow(Effect=True),
        allow(Sid=5),
        allow(Actions="s3:*"),
        allow(NotAction="s3:*"),
        allow(NotResource="*"),
        allow(Action=5),
        allow(Action=["s3:GetObject", 5]),
        allow(Resource={"a": "b"}),
        allow(Condition="x"),
        allow(Condition={"StringEquals": "x"}),
        allow(Condition={"StringSame": {"aws:username": "x"}}),
        allow(Condition={"NullIfExists": {"aws:username": "true"}}),
        allow(Condition={"ForSomeValue:StringEquals": {"aws:username": "x"}}),
        allow(Condition={"StringEquals": {"aws:username": {"a": "b"}}}),
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}}',
    ],
)
def test_what_is_no_policy_is_a_syntax_error(text: str) -> None:
    assert refusal(text) == "Syntax errors in policy."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (document(ALLOW, Version="2008-10-17"), "Policy document must be version 2012-10-17 or greater."),
        (json.dumps({"Statement": ALLOW}), "Policy document must be version 2012-10-17 or greater."),
        (allow(Effect="allow"), "The policy failed legacy parsing"),
        (
            allow(Condition={"DateGreaterThan": {"aws:CurrentTime": "tomorrow"}}),
            "The policy failed legacy parsing",
        ),
        (allow(Resource="arn:aws:s3::bucket"), "The policy failed legacy parsing"),
        (
            document({**ALLOW, "Sid": "a"}, {**ALLOW, "Sid": "a"}),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
        (allow(Action=None), "Policy statement must contain actions."),
        (allow(Action=[]), "Policy statement must contain actions."),
        (allow(Resource=None), "Policy statement must contain resources."),
        (allow(Resource=[]), "Policy statement must contain resources."),
        (allow(Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
        (
            allow(Resource="arn:nowhere:s3:::bucket"),
            'Partition "nowhere" is not valid for resource "arn:nowhere:s3:::bucket".',
        ),
        (allow(Resource="arn:aws"), "Resource vendor must be fully qualified and cannot contain regexes."),
        (
            allow(Resource="arn:aws:iam:us-east-1::user/a"),
            "IAM resource arn:aws:iam:us-east-1::user/a cannot contain region information.",
        ),
        (
            allow(Resource="arn:aws:s3:us-east-1::bucket"),
            "Resource arn:aws:s3:us-east-1::bucket can not contain region information.",
        ),
        (
            allow(Action="GetObject"),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (allow(Action="s3:Get:Object"), "Actions/Condition can contain only one colon."),
        (allow(Action="s 3:GetObject"), "Vendor s 3 is not valid"),
        (allow(Action="s3*:GetObject"), "Vendor s3* is not valid"),
        (
            allow(NotAction="GetObject", Action=None),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (allow(Principal="*"), "Policy document should not specify a principal."),
        (allow(NotPrincipal={"AWS": "*"}), "Policy document should not specify a principal."),
    ],
)
def test_an_identity_policy_is_refused_in_aws_s_words(text: str, reason: str) -> None:
    assert refusal(text) == reason


def test_an_iam_resource_has_a_known_path() -> None:
    message = refusal(allow(Resource="arn:aws:iam::111122223333:person/ada"))
    assert message.startswith(
        'IAM resource path must either be "*" or start with user/, federated-user/, role/'
    )


@pytest.mark.parametrize(
    "text",
    [
        allow(),
        allow(Action="*"),
        allow(Action="s3:*", Resource=["arn:aws:s3:::b", "arn:aws:s3:::b/*"]),
        allow(Resource="arn:aws:s3:us-east-1:111122223333:accesspoint/a"),
        allow(Resource="arn:aws:iam::111122223333:user/ada"),
        allow(Resource="arn:aws:iam::111122223333:*"),
        allow(Resource="arn:*:s3:::b"),
        allow(Resource="arn:aws:sqs:*"),
        allow(Condition={}),
        allow(Condition={"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}),
        allow(Condition={"ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a", "b"]}}),
        allow(Condition={"Bool": {"aws:SecureTransport": True}}),
        document({**ALLOW, "Sid": "a"}, {**ALLOW, "Sid": "b"}, Id="x"),
        json.dumps({"Version": "2012-10-17", "Statement": ALLOW}),
    ],
)
def test_well_formed_identity_policies_pass(text: str) -> None:
    validate(text, PolicyKind.IDENTITY)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ({**TRUST, "Resource": "*"}, "Has prohibited field Resource."),
        ({key: TRUST[key] for key in ("Effect", "Action")}, "Missing required field Principal"),
        (
            {**TRUST, "Action": "s3:GetObject"},
            "Trust Policy statement actions can only be sts:AssumeRole, "
            "sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity",
        ),
        ({**TRUST, "Action": []}, "Policy statement must contain actions."),
        ({**TRUST, "Principal": {"Robot": "r2"}}, "Syntax errors in policy."),
        ({**TRUST, "Principal": "ada"}, "Syntax errors in policy."),
    ],
)
def test_a_trust_policy_is_refused_in_aws_s_words(statement: dict[str, Any], reason: str) -> None:
    assert refusal(document(statement), PolicyKind.TRUST) == reason


def test_a_trust_policy_names_whom_it_trusts() -> None:
    validate(document(TRUST), PolicyKind.TRUST)
    validate(document({**TRUST, "Action": ["sts:AssumeRole", "sts:TagSession"]}), PolicyKind.TRUST)


def test_a_resource_s_policy_needs_a_principal_and_may_be_of_the_first_version() -> None:
    assert refusal(document(ALLOW), PolicyKind.RESOURCE) == "Missing required field Principal"
    validate(document({**ALLOW, "Principal": "*"}, Version="2008-10-17"), PolicyKind.RESOURCE)


def test_a_service_control_policy_has_no_principal() -> None:
    validate(document(ALLOW), PolicyKind.SCP)
    message = "The provided policy document does not meet the requirements of the specified policy type."
    assert refusal(document({**ALLOW, "Principal": "*"}), PolicyKind.SCP) == message
    assert refusal(allow(Resource=None), PolicyKind.SCP) == message


def test_sizes_are_counted_without_white_space_and_inline_policies_together() -> None:
    check_size(SizeLimit.MANAGED, ["x" * 6144 + " \n\t" * 1000])
    with pytest.raises(PolicyRefused, match=r"^Cannot exceed quota for PolicySize: 6144$") as refused:
        check_size(SizeLimit.MANAGED, ["x" * 6145])
    assert refused.value.code == "LimitExceeded"
    check_size(SizeLimit.ROLE_INLINE, ["x" * 5120, "y" * 5120], "worker")
    with pytest.raises(PolicyRefused, match=r"^Maximum policy size of 10240 bytes exceeded for role worker$"):
        check_size(SizeLimit.ROLE_INLINE, ["x" * 5120, "y" * 5121], "worker")
    with pytest.raises(PolicyRefused, match=r"^Cannot exceed quota for ACLSizePerRole: 2048$"):
        check_size(SizeLimit.TRUST, ["x" * 2049])


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (allow(Effect="allow"), "Statement[0].Effect"),
        (allow(Action=[]), "Statement[0].Action"),
        (allow(Action=None), "Statement[0]"),
        (allow(Resource=None), "Statement[0]"),
        (document(ALLOW, {**ALLOW, "Condition": {"StringIs": {}}}), "Statement[1].Condition.StringIs"),
        (document({**ALLOW, "Principal": {}}), "Statement[0].Principal"),
        (document({**ALLOW, "Principal": {"AWS": []}}), "Statement[0].Principal.AWS"),
        (document(ALLOW, Version="2020-01-01"), "Version"),
        (json.dumps({"Version": "2012-10-17", "Statement": []}), "Statement"),
        (allow(Condition={"StringEquals": {"a:b": None}}), "Statement[0].Condition.StringEquals.a:b"),
    ],
)
def test_a_malformed_policy_says_where(text: str, where: str) -> None:
    with pytest.raises(MalformedPolicy) as malformed:
        parse_policy(text)
    assert malformed.value.where == where

"""Roles and policies that stacks make."""

from __future__ import annotations

from typing import Any

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
WRITE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}],
}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
XRAY = "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"


def test_a_role_has_everything_its_template_says(stack: Any) -> None:
    boundary = stack.create("IAM::ManagedPolicy", {"PolicyDocument": READ}, "Boundary").physical_id
    role = stack.create(
        "IAM::Role",
        {
            "AssumeRolePolicyDocument": TRUST,
            "Description": "reads",
            "MaxSessionDuration": "7200",
            "Path": "/team/",
            "PermissionsBoundary": boundary,
            "ManagedPolicyArns": [BASIC],
            "Policies": [{"PolicyName": "read", "PolicyDocument": READ}],
            "Tags": [{"Key": "team", "Value": "shop"}],
        },
        "ReaderRole",
    )

    iam = stack.client("iam")
    found = iam.get_role(RoleName=role.physical_id)["Role"]
    assert role.physical_id.startswith("shop-ReaderRole-")
    assert role.attributes == {"Arn": found["Arn"], "RoleId": found["RoleId"]}
    assert found["Arn"].endswith(f"role/team/{role.physical_id}")
    assert found["AssumeRolePolicyDocument"] == TRUST
    assert (found["Description"], found["MaxSessionDuration"]) == ("reads", 7200)
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert found["Tags"] == [{"Key": "team", "Value": "shop"}]
    assert iam.get_role_policy(RoleName=role.physical_id, PolicyName="read")["PolicyDocument"] == READ
    attached = iam.list_attached_role_policies(RoleName=role.physical_id)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [BASIC]


def test_a_role_changes_in_place(stack: Any) -> None:
    old = {
        "AssumeRolePolicyDocument": TRUST,
        "Description": "reads",
        "MaxSessionDuration": 7200,
        "ManagedPolicyArns": [BASIC],
        "Policies": [{"PolicyName": "read", "PolicyDocument": READ}],
        "Tags": [{"Key": "team", "Value": "shop"}],
    }
    trust = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Sid": "Lambda"}]}  # type: ignore[dict-item]
    new = {
        "AssumeRolePolicyDocument": trust,
        "ManagedPolicyArns": [XRAY],
        "Policies": [{"PolicyName": "write", "PolicyDocument": WRITE}],
        "Tags": [{"Key": "owner", "Value": "ada"}],
    }
    role = stack.create("IAM::Role", old)

    after = stack.update("IAM::Role", role, old, new)

    iam = stack.client("iam")
    found = iam.get_role(RoleName=role.physical_id)["Role"]
    assert after == role
    assert found["AssumeRolePolicyDocument"] == trust
    assert found["Description"] == ""
    assert found["MaxSessionDuration"] == 3600
    assert found["Tags"] == [{"Key": "owner", "Value": "ada"}]
    assert iam.list_role_policies(RoleName=role.physical_id)["PolicyNames"] == ["write"]
    attached = iam.list_attached_role_policies(RoleName=role.physical_id)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [XRAY]


def test_a_role_goes_with_what_the_template_attached(stack: Any) -> None:
    properties = {
        "AssumeRolePolicyDocument": TRUST,
        "ManagedPolicyArns": [BASIC],
        "Policies": [{"PolicyName": "read", "PolicyDocument": READ}],
    }
    role = stack.create("IAM::Role", properties)

    stack.delete("IAM::Role", role, properties)

    assert stack.client("iam").list_roles()["Roles"] == []


def test_an_inline_policy_follows_its_roles(stack: Any) -> None:
    stack.role("first")
    stack.role("second")
    old = {"PolicyName": "access", "PolicyDocument": READ, "Roles": ["first"]}
    new = {"PolicyName": "access", "PolicyDocument": WRITE, "Roles": ["second"]}
    policy = stack.create("IAM::Policy", old)

    stack.update("IAM::Policy", policy, old, new)

    iam = stack.client("iam")
    assert "access" not in iam.list_role_policies(RoleName="first")["PolicyNames"]
    assert iam.get_role_policy(RoleName="second", PolicyName="access")["PolicyDocument"] == WRITE

    stack.delete("IAM::Policy", policy, new)

    assert "access" not in iam.list_role_policies(RoleName="second")["PolicyNames"]


def test_a_managed_policy_gains_a_default_version_with_each_change(stack: Any) -> None:
    stack.role("first")
    old = {"PolicyDocument": READ, "Roles": ["first"]}
    policy = stack.create("IAM::ManagedPolicy", old, "Access")
    assert policy.attributes["DefaultVersionId"] == "v1"

    for round_ in range(7):
        new = {"PolicyDocument": {**WRITE, "Id": str(round_)}, "Roles": []}
        policy = stack.update("IAM::ManagedPolicy", policy, old, new)
        old = new

    iam = stack.client("iam")
    assert policy.attributes["DefaultVersionId"] == "v8"
    assert len(iam.list_policy_versions(PolicyArn=policy.physical_id)["Versions"]) == 5
    assert iam.list_attached_role_policies(RoleName="first")["AttachedPolicies"] == []

    stack.delete("IAM::ManagedPolicy", policy, old)

    assert iam.list_policies(Scope="Local")["Policies"] == []

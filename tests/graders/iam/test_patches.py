from __future__ import annotations

import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from rights_world import ACCOUNT, BUCKET, HERE, TABLE, allow, around, document, managed, stack

from graders.iam.model import HeldPolicy
from graders.iam.patches import Change, Patcher
from graders.iam.places import Places
from sandbox.templates import TemplateText, parse_template

ROLE = """\
    Resources:
      # The worker's role.
      WorkerRole:
        Type: AWS::IAM::Role
        Properties:
          ManagedPolicyArns:
            - arn:aws:iam::aws:policy/PowerUserAccess
            - !Sub arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess
          Policies:
            - PolicyName: !Sub own-${AWS::StackName}
              PolicyDocument:
                Version: "2012-10-17"
                Statement:
                  - Sid: Files
                    Effect: Allow
                    Action: s3:*
                    Resource: "*"
                  # Rows, too.
                  - Effect: Allow
                    Action: [dynamodb:PutItem]
                    Resource: !GetAtt Orders.Arn
      Orders:
        Type: AWS::DynamoDB::Table
      Intake:
        Type: AWS::S3::Bucket
        Properties: {BucketName: !Sub "${AWS::StackName}-in"}
"""
SAM = """\
    Transform: AWS::Serverless-2016-10-31
    Resources:
      Worker:
        Type: AWS::Serverless::Function
        Properties:
          Policies:
            - AmazonS3FullAccess
            - DynamoDBCrudPolicy:
                TableName: !Ref Orders
            - Version: "2012-10-17"
              Statement:
                - {Effect: Allow, Action: "s3:*", Resource: "*"}
      Orders:
        Type: AWS::DynamoDB::Table
"""


def template(text: str) -> TemplateText:
    return parse_template("template.yaml", dedent(text).encode())


def places(text: str) -> Places:
    return Places(template(text), stack())


def inline(name: str) -> HeldPolicy:
    return HeldPolicy(f"worker-role-1/{name}", {})


@pytest.mark.parametrize(
    ("text", "policy", "index", "line"),
    [
        (ROLE, inline("own-abc"), 0, 14),
        (ROLE, inline("own-abc"), 1, 19),
        (ROLE, managed("PowerUserAccess"), 0, 7),
        (ROLE, managed("AWSXRayDaemonWriteAccess"), 0, 8),
        (SAM, inline("WorkerRolePolicy1"), 0, 8),
        (SAM, inline("WorkerRolePolicy2"), 0, 12),
        (SAM, managed("AmazonS3FullAccess"), 0, 7),
    ],
)
def test_a_statement_is_found_in_the_template(text: str, policy: HeldPolicy, index: int, line: int) -> None:
    found = places(text).statement("worker-role-1", policy, index)

    assert found is not None
    assert found.line == f"template.yaml:{line}"


def test_what_the_transform_adds_leads_to_its_function() -> None:
    found = places(SAM).statement("worker-role-1", managed("service-role/AWSLambdaBasicExecutionRole"), 0)

    assert found is not None
    assert found.implied
    assert found.line == "template.yaml:3"


def test_a_role_of_another_stack_has_no_place() -> None:
    assert places(SAM).statement("somebody-elses", inline("own"), 0) is None


def test_policies_that_are_resources_of_their_own_are_found() -> None:
    text = """\
    Resources:
      WorkerRole:
        Type: AWS::IAM::Role
      Rights:
        Type: AWS::IAM::Policy
        Properties:
          PolicyName: rights
          Roles: [!Ref WorkerRole]
          PolicyDocument: {Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}
    """

    found = places(text).statement("worker-role-1", inline("rights"), 0)

    assert found is not None
    assert found.line == "template.yaml:9"


def patched(
    text: str, policy: HeldPolicy, index: int, *statements: dict[str, Any], folder: Path
) -> TemplateText:
    """The template after its patch, put in place by git."""
    written = template(text)
    place = Places(written, stack()).statement("worker-role-1", policy, index)
    assert place is not None
    diff = Patcher(written, around()).diff([Change(place, statements)])
    (folder / "template.yaml").write_text(written.text)
    subprocess.run(["git", "apply", "--unidiff-zero", "-p1"], input=diff.encode(), cwd=folder, check=True)
    return parse_template("template.yaml", (folder / "template.yaml").read_bytes())


def statements(found: TemplateText, *path: Any) -> Any:
    value: Any = found.values["Resources"]
    for step in path:
        value = value[step]
    return value


OWN = ("WorkerRole", "Properties", "Policies", 0, "PolicyDocument", "Statement")


def test_a_statement_is_narrowed_in_the_templates_own_terms(tmp_path: Path) -> None:
    needed = (allow("s3:GetObject", f"{BUCKET}/in/*"), allow(["dynamodb:GetItem", "dynamodb:PutItem"], TABLE))

    found = patched(ROLE, inline("own-x"), 0, *needed, folder=tmp_path)

    assert statements(found, *OWN) == [
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": {"Fn::Sub": "arn:${AWS::Partition}:s3:::${AWS::StackName}-in/in/*"},
        },
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:PutItem"],
            "Resource": {"Fn::GetAtt": ["Orders", "Arn"]},
        },
        {"Effect": "Allow", "Action": ["dynamodb:PutItem"], "Resource": {"Fn::GetAtt": ["Orders", "Arn"]}},
    ]
    assert "# Rows, too." in found.text


def test_what_is_not_the_stacks_keeps_its_name_without_this_account(tmp_path: Path) -> None:
    topic = f"arn:aws:sns:{HERE}:elsewhere"

    found = patched(ROLE, inline("own-x"), 1, allow("sns:Publish", topic), folder=tmp_path)

    assert statements(found, *OWN, 1, "Resource") == {
        "Fn::Sub": "arn:aws:sns:${AWS::Region}:${AWS::AccountId}:elsewhere"
    }
    assert ACCOUNT not in found.text


def test_a_statement_that_nothing_needed_is_taken_away(tmp_path: Path) -> None:
    found = patched(ROLE, inline("own-x"), 0, folder=tmp_path)

    assert [item["Action"] for item in statements(found, *OWN)] == [["dynamodb:PutItem"]]


def test_a_managed_policy_that_nothing_needed_is_taken_away(tmp_path: Path) -> None:
    found = patched(ROLE, managed("PowerUserAccess"), 0, folder=tmp_path)

    (left,) = statements(found, "WorkerRole", "Properties", "ManagedPolicyArns")
    assert "AWSXRayDaemonWriteAccess" in left["Fn::Sub"]


@pytest.mark.parametrize(
    ("policy", "position"),
    [(managed("AmazonS3FullAccess"), 0), (inline("WorkerRolePolicy1"), 1)],
    ids=["a managed policy", "a policy template"],
)
def test_entries_of_a_functions_policies_become_statements(
    policy: HeldPolicy, position: int, tmp_path: Path
) -> None:
    found = patched(SAM, policy, 0, allow("dynamodb:GetItem", TABLE), folder=tmp_path)

    assert statements(found, "Worker", "Properties", "Policies", position) == document(
        allow("dynamodb:GetItem", {"Fn::GetAtt": ["Orders", "Arn"]})
    )


def test_a_statement_within_braces_stays_within_braces(tmp_path: Path) -> None:
    found = patched(SAM, inline("WorkerRolePolicy2"), 0, allow("dynamodb:GetItem", TABLE), folder=tmp_path)

    assert statements(found, "Worker", "Properties", "Policies", 2, "Statement") == [
        allow("dynamodb:GetItem", {"Fn::GetAtt": ["Orders", "Arn"]})
    ]


def test_the_last_statement_takes_its_policy_with_it(tmp_path: Path) -> None:
    text = SAM.replace("            - AmazonS3FullAccess\n", "")

    found = patched(text, inline("WorkerRolePolicy1"), 0, folder=tmp_path)

    assert [list(item) for item in statements(found, "Worker", "Properties", "Policies")] == [
        ["DynamoDBCrudPolicy"]
    ]


def test_conditions_are_kept(tmp_path: Path) -> None:
    condition = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}

    found = patched(
        ROLE, inline("own-x"), 0, allow("s3:GetObject", "*", Condition=condition), folder=tmp_path
    )

    assert statements(found, *OWN, 0, "Condition") == condition


def test_json_templates_get_the_long_forms(tmp_path: Path) -> None:
    text = """{
    "Resources": {
      "WorkerRole": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{
        "PolicyName": "own",
        "PolicyDocument": {"Statement": [
          {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
        ]}
      }]}},
      "Orders": {"Type": "AWS::DynamoDB::Table"}
    }}"""
    written = parse_template("template.json", text.encode())
    place = Places(written, stack()).statement("worker-role-1", inline("own"), 0)
    assert place is not None

    diff = Patcher(written, around()).diff([Change(place, (allow("dynamodb:GetItem", TABLE),))])

    (tmp_path / "template.json").write_text(text)
    subprocess.run(["git", "apply", "-p1"], input=diff.encode(), cwd=tmp_path, check=True)
    found = parse_template("template.json", (tmp_path / "template.json").read_bytes())
    assert statements(found, *OWN) == [allow("dynamodb:GetItem", {"Fn::GetAtt": ["Orders", "Arn"]})]

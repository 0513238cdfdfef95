"""The inspector on a real account: the emulator's gateway and its decisions, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
from emulator_fixtures import ACCOUNT_ID, REGION, InProcessAccount
from moto.core.base_backend import BackendDict

from graders.findings import Outcome
from graders.iam.declared import right
from graders.iam.inspection import Inspector
from graders.iam.reporting import as_json
from graders.iam.squeezing import Squeeze
from graders.iam.verdict import judge_rights
from graders.sandbox import Stack, StackResource
from graders.template import Template
from sandbox.emulator import patches
from sandbox.emulator.calls import Principal, PrincipalKind
from sandbox.templates import parse_template

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/orders-1"
TEMPLATE = dedent("""\
    Resources:
      Orders:
        Type: AWS::DynamoDB::Table
      WorkerRole:
        Type: AWS::IAM::Role
        Properties:
          ManagedPolicyArns: [arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess]
          Policies:
            - PolicyName: own
              PolicyDocument:
                Version: "2012-10-17"
                Statement:
                  - Effect: Allow
                    Action: dynamodb:*
                    Resource: "*"
""")


class Account:
    """What a grader holds, over the account in this process."""

    backend = "emulated"
    account_id = ACCOUNT_ID
    fixture_account_id = "999900001111"
    region = REGION

    def __init__(self, inner: InProcessAccount) -> None:
        self.inner = inner

    def client(self, service: str, *, region: str = "", fixture: bool = False) -> Any:
        if service == "lambda":
            listed = {"Functions": [{"FunctionName": "worker-1", "FunctionArn": "arn:f", "Role": self.role}]}
            return SimpleNamespace(list_functions=lambda **_: listed)
        return self.inner.client(service)

    def decisions(self, since: int = 0) -> list[dict[str, Any]]:
        return [record.as_json() for record in self.inner.gateway.guard.log.since(since)]

    @property
    def role(self) -> str:
        return f"arn:aws:iam::{ACCOUNT_ID}:role/worker-role-1"

    def as_worker(self, service: str) -> Any:
        """A client of the role's, as the function has it."""
        session = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/worker-role-1/worker-1"
        principal = Principal(PrincipalKind.ROLE_SESSION, ACCOUNT_ID, session, role_arn=self.role)
        return self.inner.core.clients.client(service, region=REGION, principal=principal)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    BackendDict.reset()
    patches.apply_all()
    inner = InProcessAccount(tmp_path)
    try:
        iam = inner.client("iam")
        iam.create_role(RoleName="worker-role-1", AssumeRolePolicyDocument=TRUST)
        document = parse_template("t.yaml", TEMPLATE.encode()).values["Resources"]["WorkerRole"]
        policy = document["Properties"]["Policies"][0]["PolicyDocument"]
        iam.put_role_policy(RoleName="worker-role-1", PolicyName="own", PolicyDocument=json.dumps(policy))
        iam.attach_role_policy(
            RoleName="worker-role-1", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"
        )
        inner.client("dynamodb").create_table(
            TableName="orders-1",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield Account(inner)
    finally:
        inner.core.work.stop()
        inner.core.clock.stop()
        BackendDict.reset()


RESOURCES = (
    StackResource("Orders", "orders-1", "AWS::DynamoDB::Table", "CREATE_COMPLETE"),
    StackResource("WorkerRole", "worker-role-1", "AWS::IAM::Role", "CREATE_COMPLETE"),
)


def inspector(account: Account) -> Inspector:
    template = parse_template("template.yaml", TEMPLATE.encode())
    return Inspector(account, RESOURCES, template, lambda _name: [right("dynamodb:PutItem", TABLE)])  # type: ignore[arg-type]


def test_a_role_is_inspected_from_what_it_may_and_did(account: Account) -> None:
    account.as_worker("dynamodb").put_item(TableName="orders-1", Item={"id": {"S": "1"}})
    with pytest.raises(Exception, match="AccessDenied"):
        account.as_worker("sqs").create_queue(QueueName="more")

    (role,) = as_json(inspector(account).inspect())["roles"]

    assert role["used"] == [{"action": "dynamodb:PutItem", "resource": TABLE, "times": 1}]
    assert [(item["action"], item["times"]) for item in role["denied"]] == [("sqs:CreateQueue", 1)]
    assert role["minimal_policy"]["Statement"] == [
        {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": TABLE}
    ]
    assert role["proof"] == {"replayed": 1, "holds": True, "refused": [], "idle": []}
    assert role["functions"] == ["worker-1"]
    assert {(item["kind"], item["line"]) for item in role["findings"]} >= {
        ("wildcard_action", "template.yaml:13"),
        ("wildcard_resource", "template.yaml:7"),
    }
    assert all(item["action"].startswith("sqs:") for item in role["granted_unused"])
    assert "+                Action: dynamodb:PutItem" in role["patch"]
    assert "-      ManagedPolicyArns:" in role["patch"]


def test_each_pair_beyond_the_contract_costs_points(account: Account) -> None:
    iam = account.client("iam")
    iam.detach_role_policy(
        RoleName="worker-role-1", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"
    )
    rights = [right("dynamodb:PutItem", TABLE)]

    def judged(*actions: str) -> tuple[Outcome, float | None]:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": TABLE}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName="worker-role-1", PolicyName="own", PolicyDocument=text)
        inspecting = inspector(account)
        found = judge_rights(inspecting, [(inspecting.role_of("worker-1"), rights)], points=10, each=4)
        return found.outcome, found.points

    assert judged("dynamodb:PutItem") == (Outcome.PASSED, None)
    assert judged("dynamodb:PutItem", "dynamodb:GetItem") == (Outcome.PARTIAL, 6)
    assert judged("dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:Query") == (Outcome.PARTIAL, 2)
    assert judged("dynamodb:PutItem", "dynamodb:Get*", "dynamodb:Query") == (Outcome.FAILED, None)


def test_the_verdict_shows_pairs_place_use_and_repair(account: Account) -> None:
    account.as_worker("dynamodb").put_item(TableName="orders-1", Item={"id": {"S": "1"}})

    inspecting = inspector(account)
    role = inspecting.role_of("worker-1")
    found = judge_rights(inspecting, [(role, [right("dynamodb:PutItem", TABLE)])], points=10, each=2)

    assert found.outcome is Outcome.FAILED
    assert "dynamodb:DeleteResourcePolicy on your Orders" in found.headline
    assert {"template.yaml:13", "template.yaml:7"} <= set(found.look)
    assert found.saw[-1].what == "worker-role-1 used 1 actions: dynamodb:PutItem"
    assert "+                Action: dynamodb:PutItem" in found.patch


def test_a_squeezed_role_keeps_what_it_used_and_loses_the_rest(account: Account) -> None:
    worker = account.as_worker("dynamodb")
    worker.put_item(TableName="orders-1", Item={"id": {"S": "1"}})
    iam = as_json(inspector(account).inspect())
    stack = Stack("s", {}, {}, RESOURCES, Template({}, {}))

    with Squeeze.of(iam, stack, ACCOUNT_ID).applied(account, stack):  # type: ignore[arg-type]
        worker.put_item(TableName="orders-1", Item={"id": {"S": "2"}})
        with pytest.raises(Exception, match="AccessDenied"):
            worker.get_item(TableName="orders-1", Key={"id": {"S": "1"}})

    assert worker.get_item(TableName="orders-1", Key={"id": {"S": "2"}})["Item"]
    assert account.client("iam").list_policies(Scope="Local")["Policies"] == []


def test_a_squeeze_speaks_of_the_names_of_the_other_run() -> None:
    iam = {
        "roles": [
            {
                "role": "arn:aws:iam::111111111111:role/a-WorkerRole-x",
                "minimal_policy": {
                    "Statement": [{"Resource": "arn:aws:dynamodb:r:111111111111:table/a-Orders-x"}]
                },
            }
        ]
    }

    def stack(tail: str) -> Stack:
        names = (("WorkerRole", "AWS::IAM::Role"), ("Orders", "AWS::DynamoDB::Table"))
        resources = tuple(StackResource(name, f"a-{name}-{tail}", kind, "") for name, kind in names)
        return Stack("a", {}, {}, resources, Template({}, {}))

    made: list[str] = []
    client = SimpleNamespace(
        create_policy=lambda **given: made.append(given["PolicyDocument"]) or {"Policy": {"Arn": "arn:p"}},
        put_role_permissions_boundary=lambda **given: made.append(given["RoleName"]),
        delete_role_permissions_boundary=lambda **given: made.append("undone"),
        delete_policy=lambda **given: made.append("deleted"),
    )
    other = SimpleNamespace(account_id="222222222222", client=lambda _service: client)

    with Squeeze.of(iam, stack("x"), "111111111111").applied(other, stack("y")):  # type: ignore[arg-type]
        pass

    assert made == [
        '{"Statement":[{"Resource":"arn:aws:dynamodb:r:222222222222:table/a-Orders-y"}]}',
        "a-WorkerRole-y",
        "undone",
        "deleted",
    ]


def test_rules_generalise_names_of_roles_that_no_function_runs_as(account: Account) -> None:
    account.as_worker("dynamodb").put_item(TableName="orders-1", Item={"id": {"S": "1"}})
    rules = [right("*", TABLE.replace("orders-1", "orders-*"))]

    (found,) = Inspector(account, ()).every_role(rules)  # type: ignore[arg-type]

    assert found.minimal["Statement"] == [
        {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": TABLE.replace("orders-1", "orders-*")}
    ]
    assert found.proof.holds

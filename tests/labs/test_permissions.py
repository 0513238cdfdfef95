"""Each permission of a reference's role is needed: without it exactly its calls are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from curriculum.loader import Catalogue
from graders.backend import Backend, open_backend
from sandbox.submissions import Submission

STACK = "intake"
GRANTED = (
    *("s3:GetObject", "s3:PutObject", "dynamodb:BatchWriteItem", "sqs:SendMessage"),
    *("logs:CreateLogStream", "logs:PutLogEvents"),
)


class Intake:
    """The invoice intake's reference, deployed; its role can be changed."""

    def __init__(self, backend: Backend) -> None:
        lab = next(lab for lab in Catalogue().labs if lab.slug == "invoice-intake")
        files = lab.reference("reference-python")
        self.account = backend.open()
        package = backend.build(self.account, Submission(files), registries=False, tell=lambda text: None)
        deployed = backend.deploy(self.account, package, STACK, {})
        self.bucket = deployed.outputs["IntakeBucketName"]
        self.iam = self.account.client("iam")
        self.s3 = self.account.client("s3")
        self.functions = self.account.client("lambda")
        resources = self.account.client("cloudformation").describe_stack_resources(StackName=STACK)
        named = {each["ResourceType"]: each["PhysicalResourceId"] for each in resources["StackResources"]}
        self.role, self.function = named["AWS::IAM::Role"], named["AWS::Lambda::Function"]
        [self.policy] = self.iam.list_role_policies(RoleName=self.role)["PolicyNames"]
        held = self.iam.get_role_policy(RoleName=self.role, PolicyName=self.policy)["PolicyDocument"]
        self.document: dict[str, Any] = json.loads(unquote(held)) if isinstance(held, str) else held
        self.csv = files["sample/kuusk-0412.csv"]
        self.uploads = 0

    def actions(self) -> set[str]:
        """What the role allows."""
        return {action for statement in self.document["Statement"] for action in _listed(statement["Action"])}

    def allow_all_but(self, action: str) -> None:
        """The role's own policy without one action; a new environment for the next call."""
        statements = []
        for statement in self.document["Statement"]:
            kept = [each for each in _listed(statement["Action"]) if each != action]
            if kept:
                statements.append({**statement, "Action": kept})
        self.iam.put_role_policy(
            RoleName=self.role,
            PolicyName=self.policy,
            PolicyDocument=json.dumps({**self.document, "Statement": statements}),
        )
        self.functions.update_function_configuration(FunctionName=self.function, Description=f"-{action}")

    def use(self) -> list[dict[str, Any]]:
        """Upload a file with good and bad rows, lose one event for good; what the role was refused then."""
        since = max((each["sequence"] for each in self.account.decisions()), default=0)
        self.uploads += 1
        self.s3.put_object(Bucket=self.bucket, Key=f"incoming/file-{self.uploads}.csv", Body=self.csv)
        lost = {"s3": {"bucket": {"name": self.bucket}, "object": {"key": "incoming/gone.csv"}}}
        event = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", **lost}]}
        self.functions.invoke(
            FunctionName=self.function, InvocationType="Event", Payload=json.dumps(event).encode()
        )
        assert self.account.advance(900).settled
        return [
            each
            for each in self.account.decisions(since)
            if each["decision"] == "Deny" and each.get("role_arn", "").endswith(f":role/{self.role}")
        ]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.fixture(scope="module")
def intake() -> Iterator[Intake]:
    with open_backend("emulated") as backend:
        made = Intake(backend)
        yield made
        made.account.close()


def test_with_its_own_policy_nothing_is_refused(intake: Intake) -> None:
    assert intake.actions() == set(GRANTED)
    intake.allow_all_but("")
    assert intake.use() == []


@pytest.mark.parametrize("action", GRANTED)
def test_without_a_permission_exactly_its_calls_are_refused(intake: Intake, action: str) -> None:
    intake.allow_all_but(action)
    refused = intake.use()
    asked = {
        each["action"] for call in refused for each in call["authorisations"] if each["decision"] == "Deny"
    }
    assert asked == {action}
    call = refused[0]
    resource = call["authorisations"][0]["resource"]
    assert call["authorisations"][0]["reason"] == "no identity-based policy allows it"
    if call["source"] == "api" and not action.startswith("s3:"):
        message = call["message"].lower()  # SQS writes its actions in lower case
        assert f"is not authorized to perform: {action.lower()} on resource: " in message
        assert message.endswith(f"because no identity-based policy allows the {action.lower()} action")
    assert resource.startswith("arn:aws:") or resource == "*"

"""Stacks of the grader's in the fixture account, out of reach of a learner's code."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from graders.evidence.aws import error_code
from sandbox.account import Account
from sandbox.errors import EnvironmentFault

_DEPLOYED_WITHIN_S = 60.0


def deploy(account: Account, stack: str, template: Mapping[str, Any]) -> dict[str, str]:
    """Deploy a stack and wait for it; returns its outputs. One that is there already stays as it is.

    Raises:
        EnvironmentFault: it could not be deployed.
    """
    client = account.client("cloudformation", fixture=True)
    try:
        client.create_stack(
            StackName=stack, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
        )
    except Exception as error:  # narrowed at once: in an account that stays it was deployed before
        if error_code(error) != "AlreadyExistsException":
            raise
    deadline = time.monotonic() + _DEPLOYED_WITHIN_S
    pause_s = 0.02
    while True:
        found = client.describe_stacks(StackName=stack)["Stacks"][0]
        if found["StackStatus"] == "CREATE_COMPLETE":
            return {item["OutputKey"]: item["OutputValue"] for item in found["Outputs"]}
        if found["StackStatus"] != "CREATE_IN_PROGRESS" or time.monotonic() > deadline:
            reason = found.get("StackStatusReason", found["StackStatus"])
            raise EnvironmentFault(f"The fixture `{stack}` could not be deployed: {reason}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 2.0)


def role(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """The resource of a function's role with these rights."""
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": _document(
                [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ]
            ),
            "Policies": [{"PolicyName": "work", "PolicyDocument": _document(statements)}],
        },
    }


def _document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}

"""Functions of the grader's that do one thing as directly as can be, to measure a learner's by.

What is fast depends on the machine. A baseline runs on the same backend, with the same memory, between the
very calls that are compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders.errors import PositiveControlFailed
from graders.fixtures import deploy, role
from graders.functions import invoke
from sandbox.account import Account

_RUNTIME = "python3.13"
_CODE = Path(__file__).with_name("single_read_function.py")


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline that is deployed and warm."""

    arn: str
    payload: Mapping[str, Any]
    account: Account = field(repr=False)

    def duration_ms(self) -> float:
        """How long one call took, as its REPORT line says.

        Raises:
            PositiveControlFailed: our own function did not do its work.
        """
        client = self.account.client("lambda", fixture=True)
        answer = invoke(client, self.arn, self.payload, asynchronous=False)
        if not answer.succeeded or "Duration" not in answer.report:
            raise PositiveControlFailed(f"the baseline answered {answer.describe()}")
        return answer.report["Duration"]


def single_read(account: Account, item: Mapping[str, Any], memory_mb: int) -> Baseline:
    """A function that reads one item by its key and answers with it as JSON.

    ``item`` is what a learner's function reads, as JSON has it.
    """
    stack = f"baseline-read-{memory_mb}"
    outputs = deploy(account, stack, _template(stack, memory_mb))
    stored = {name: _attribute(value) for name, value in item.items()}
    table = account.client("dynamodb", fixture=True)
    table.put_item(TableName=outputs["Table"], Item={**stored, "pk": {"S": "1"}})
    found = Baseline(outputs["Arn"], {"pk": "1"}, account)
    for _ in range(3):
        found.duration_ms()
    return found


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int | float) else {"S": str(value)}


def _template(stack: str, memory_mb: int) -> dict[str, Any]:
    read = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": {"Fn::GetAtt": ["Table", "Arn"]}}
    write = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": {"Fn::GetAtt": ["Logs", "Arn"]},
    }
    return {
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                },
            },
            "Logs": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {"LogGroupName": f"/baselines/{stack}", "RetentionInDays": 1},
            },
            "Role": role(read, write),
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": _RUNTIME,
                    "Handler": "index.handler",
                    "Code": {"ZipFile": _CODE.read_text("utf-8")},
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "MemorySize": memory_mb,
                    "Timeout": 30,
                    "LoggingConfig": {"LogGroup": {"Ref": "Logs"}},
                    "Environment": {"Variables": {"TABLE": {"Ref": "Table"}}},
                },
            },
        },
        "Outputs": {
            "Arn": {"Value": {"Fn::GetAtt": ["Function", "Arn"]}},
            "Table": {"Value": {"Ref": "Table"}},
        },
    }

"""CloudFormation with every type it has, driven through its API, and a vendor of custom resources."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import Client


@dataclass
class Vendor:
    """The code behind a topic: keeps what it is asked, and answers as ``answers`` says."""

    account: Any
    web: Client
    asked: list[dict[str, Any]] = field(default_factory=list)
    answers: Callable[[dict[str, Any]], dict[str, Any] | bytes | None] = lambda request: {}

    def publish(self, call: Any) -> dict[str, Any]:
        request = json.loads(call.params["Message"])
        self.asked.append(request)
        told = self.answers(request)
        if isinstance(told, dict):
            told = json.dumps(
                {
                    "Status": "SUCCESS",
                    "PhysicalResourceId": request.get("PhysicalResourceId", "thing-1"),
                    **{key: request[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
                    **told,
                }
            ).encode()
        if told is not None:
            # Whoever is told by a topic answers in its own time.
            self.account.core.work.submit(lambda: self.put(request["ResponseURL"], told), label="vendor")
        return {"MessageId": "1"}

    def put(self, address: str, body: bytes) -> None:
        assert self.web.put(address, data=body).status_code == 200


@dataclass
class Engine:
    """CloudFormation with every type it has, in an account with a vendor of custom resources."""

    account: Any
    client: Any
    vendor: Vendor

    def settle(self) -> None:
        self.account.settle(30)

    def create(self, template: Any, *, settled: bool = True, **more: Any) -> str:
        body = json.dumps(template)
        stack_id = self.client.create_stack(StackName="shop", TemplateBody=body, **more)["StackId"]
        if settled:
            self.settle()
        return str(stack_id)

    def update(self, template: Any, **more: Any) -> None:
        self.client.update_stack(StackName="shop", TemplateBody=json.dumps(template), **more)
        self.settle()

    def delete(self) -> None:
        self.client.delete_stack(StackName="shop")
        self.settle()

    def status(self, name: str = "shop") -> str:
        return str(self.client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    def outputs(self) -> dict[str, str]:
        found = self.client.describe_stacks(StackName="shop")["Stacks"][0].get("Outputs", [])
        return {each["OutputKey"]: each["OutputValue"] for each in found}

    def reasons(self, name: str = "shop") -> dict[str, str]:
        events = self.client.describe_stack_events(StackName=name)["StackEvents"]
        return {
            each["LogicalResourceId"]: each["ResourceStatusReason"]
            for each in events
            if each["ResourceStatus"].endswith("_FAILED")
        }

    def events(self, name: str = "shop") -> list[str]:
        events = self.client.describe_stack_events(StackName=name)["StackEvents"]
        return [f"{each['LogicalResourceId']} {each['ResourceStatus']}" for each in events[::-1]]

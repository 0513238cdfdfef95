"""A stack and its resources."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.account import Account
from sandbox.console.refusals import Refused, asks


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a stack."""

    logical_id: str
    type: str
    physical_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as it is now."""

    name: str
    status: str
    outputs: dict[str, str]
    parameters: dict[str, str]
    resources: tuple[Resource, ...] = field(repr=False)

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types that exist."""
        return [each for each in self.resources if each.type in types and each.physical_id]

    def get(self, physical_id: str, *types: str) -> Resource:
        """The one of this id.

        Raises:
            Refused: the stack has none.
        """
        found = next((each for each in self.of(*types) if each.physical_id == physical_id), None)
        if found is None:
            raise Refused(f"The stack has no {physical_id or 'such resource'}.")
        return found


@asks
def find_stack(account: Account, name: str) -> Stack | None:
    """The stack of this name, if there is one."""
    client = account.client("cloudformation")
    try:
        found = client.describe_stacks(StackName=name)["Stacks"][0]
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if found["StackStatus"] == "REVIEW_IN_PROGRESS":
        return None
    pages = client.get_paginator("list_stack_resources").paginate(StackName=found["StackId"])
    return Stack(
        name=found["StackName"],
        status=found["StackStatus"],
        outputs={item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", ())},
        parameters={item["ParameterKey"]: item["ParameterValue"] for item in found.get("Parameters", ())},
        resources=tuple(
            Resource(
                item["LogicalResourceId"],
                item["ResourceType"],
                item.get("PhysicalResourceId", ""),
                item["ResourceStatus"],
            )
            for page in pages
            for item in page["StackResourceSummaries"]
            if item["ResourceStatus"] != "DELETE_COMPLETE"
        ),
    )

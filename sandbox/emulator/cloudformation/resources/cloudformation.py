"""AWS::CloudFormation: what stacks hold of CloudFormation itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext


class WaitConditionHandle:
    """Nothing but an address; stacks also use it to hold a place. ``Ref`` is the address."""

    type = "AWS::CloudFormation::WaitConditionHandle"
    properties: frozenset[str] = frozenset()
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        host = f"cloudformation-waitcondition-{context.region}.s3.{context.region}.amazonaws.com"
        path = quote(f"{context.stack_id}/{context.logical_id}", safe="/")
        address = f"https://{host}/{path}"
        return Physical(address, {"Id": address})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        """There is nothing to remove."""


PROVIDERS = (WaitConditionHandle(),)

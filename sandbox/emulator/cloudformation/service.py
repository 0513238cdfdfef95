"""CloudFormation: from a template to resources that exist, and back."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.calls import Call, Handlers
from sandbox.emulator.cloudformation import changesets, describing, stackcalls
from sandbox.emulator.cloudformation.callbacks import Callbacks
from sandbox.emulator.cloudformation.region import Region
from sandbox.emulator.cloudformation.resources import providers
from sandbox.emulator.cloudformation.resources.base import ResourceProvider
from sandbox.emulator.cloudformation.schemas import Schemas, compile_patterns
from sandbox.emulator.cloudformation.shifts import Shifts
from sandbox.emulator.cloudformation.template import SERVERLESS, Template
from sandbox.emulator.cloudformation.transform import Macros, managed_policies
from sandbox.emulator.core import AccountCore

_OPERATIONS: Mapping[str, Callable[[Region, Call], dict[str, Any]]] = {
    "CreateStack": stackcalls.create_stack,
    "UpdateStack": stackcalls.update_stack,
    "DeleteStack": stackcalls.delete_stack,
    "CancelUpdateStack": stackcalls.cancel_update_stack,
    "ContinueUpdateRollback": stackcalls.continue_update_rollback,
    "UpdateTerminationProtection": stackcalls.update_termination_protection,
    "DescribeStacks": describing.describe_stacks,
    "ListStacks": describing.list_stacks,
    "DescribeStackEvents": describing.describe_stack_events,
    "DescribeStackResource": describing.describe_stack_resource,
    "DescribeStackResources": describing.describe_stack_resources,
    "ListStackResources": describing.list_stack_resources,
    "GetTemplate": describing.get_template,
    "GetTemplateSummary": describing.get_template_summary,
    "ValidateTemplate": describing.validate_template,
    "ListExports": describing.list_exports,
    "ListImports": describing.list_imports,
    "CreateChangeSet": changesets.create_change_set,
    "DescribeChangeSet": changesets.describe_change_set,
    "ListChangeSets": changesets.list_change_sets,
    "ExecuteChangeSet": changesets.execute_change_set,
    "DeleteChangeSet": changesets.delete_change_set,
}


class CloudFormation:
    """Stacks of every account and region of one account process.

    ``by_name``: inside execution environments AWS's own names lead to the gateway, by HTTPS.
    """

    def __init__(
        self,
        core: AccountCore,
        resource_providers: Mapping[str, ResourceProvider] | None = None,
        *,
        by_name: bool = False,
    ) -> None:
        self._core = core
        self.callbacks = Callbacks(core, by_name=by_name)
        """The data plane at which custom resources answer and wait conditions are signalled."""
        self._shifts = Shifts(core.timeline)
        self._providers = providers() if resource_providers is None else resource_providers
        self._regions: dict[tuple[str, str], Region] = {}
        self._lock = threading.Lock()

    def handlers(self) -> Handlers:
        """What the gateway calls instead of moto."""
        return {
            ("cloudformation", name): functools.partial(self._handle, operation)
            for name, operation in _OPERATIONS.items()
        }

    def _handle(self, operation: Callable[[Region, Call], dict[str, Any]], call: Call) -> dict[str, Any]:
        return operation(self._region(call.account_id, call.region), call)

    def _region(self, account_id: str, name: str) -> Region:
        with self._lock:
            key = (account_id, name)
            if key not in self._regions:
                self._regions[key] = Region(
                    self._core, account_id, name, self._providers, self.callbacks, self._shifts
                )
            return self._regions[key]


def warm_up(regions: tuple[str, ...] = ("us-east-1",)) -> None:
    """Import and load what every deployment needs, once, before accounts are forked."""
    managed_policies()
    for region in regions:
        schemas = Schemas(region)
        for kind in providers():
            schema = schemas.find(kind)
            compile_patterns(schema.root if schema is not None else {})
        Macros("123456789012", region).run(Template(_WARMING), {})


_WARMING: Mapping[str, Any] = {
    "Transform": SERVERLESS,
    "Resources": {
        "Function": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Runtime": "python3.12",
                "Handler": "app.handler",
                "InlineCode": "def handler(event, context): ...",
                "Policies": [{"S3ReadPolicy": {"BucketName": "warm"}}],
                "Events": {
                    "Api": {"Type": "Api", "Properties": {"Path": "/", "Method": "get"}},
                    "HttpApi": {"Type": "HttpApi", "Properties": {"Path": "/", "Method": "get"}},
                },
            },
        }
    },
}

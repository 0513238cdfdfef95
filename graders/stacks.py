"""The stacks of one run: deployed, described, deployed again beside, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graders.backend import Backend
from graders.evidence.aws import is_missing
from graders.sandbox import Stack, StackResource
from graders.telemetry import log_groups
from graders.template import Template
from sandbox.account import Account
from sandbox.errors import DeploymentFailed
from sandbox.templates import TemplateText, parse_template


@dataclass(slots=True)
class RunStacks:
    """Deploys one artefact into one account, as often as checks ask for."""

    backend: Backend
    account: Account
    package: Any
    parameters: Mapping[str, str]
    written: TemplateText

    def first(self, name: str) -> Stack:
        """Deploy the submission under test."""
        return self._deploy(name)

    def second(self, stack: Stack) -> Stack:
        """Deploy the same artefact beside the first."""
        return self._deploy(f"{stack.name}-twin")

    def deploy_again(self, stack: Stack) -> tuple[str, ...]:
        """Deploy the same artefact to the same stack; returns the logical ids that changed."""
        again = self.backend.deploy(self.account, self.package, stack.name, self.parameters)
        if not again.changed:
            return ()
        touched = {str(event["LogicalResourceId"]) for event in again.events}
        return tuple(sorted(touched - {stack.name})) or (stack.name,)

    def delete(self, stack: Stack) -> tuple[str, ...]:
        """Delete a stack, buckets emptied first; returns what is left behind, as ``Type name``.

        On AWS a bucket that holds objects can't be deleted. The grader put them there, so the
        grader takes them out.
        """
        for item in stack.resources:
            if item.type == "AWS::S3::Bucket" and item.physical_id:
                self._empty(item.physical_id)
        self.account.settle(timeout_s=5.0)
        try:
            self.backend.delete(self.account, stack.name)
        except DeploymentFailed as error:
            return (f"AWS::CloudFormation::Stack {stack.name} ({error.reason})",)
        kept = [
            f"{item.type} {item.physical_id}"
            for item in stack.resources
            if item.type in _STILL_THERE and _STILL_THERE[item.type](self.account, item.physical_id)
        ]
        groups = [
            f"AWS::Logs::LogGroup {name}"
            for name in sorted(log_groups(self.account).keys() - stack.log_groups_before)
            if any(name.endswith(f"/{owner}") for owner in _names(stack)) or name in _names(stack)
        ]
        return tuple(dict.fromkeys(kept + groups))

    def _deploy(self, name: str) -> Stack:
        groups = frozenset(log_groups(self.account))
        found = self.backend.deploy(self.account, self.package, name, self.parameters)
        return Stack(
            name=found.stack_name,
            outputs=found.outputs,
            parameters=dict(self.parameters),
            resources=tuple(
                StackResource(logical_id, item.physical_id, item.type, item.status)
                for logical_id, item in found.resources.items()
            ),
            template=Template(self.written.values, _values(found.template_processed), self.written),
            log_groups_before=groups,
        )

    def _empty(self, bucket: str) -> None:
        client = self.account.client("s3")
        try:
            while True:
                page = client.list_object_versions(Bucket=bucket, MaxKeys=1000)
                found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                if not found:
                    return
                keys = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        except Exception as error:  # narrowed at once: a bucket that is gone is empty
            if not is_missing(error):
                raise


def _values(body: Any) -> Mapping[str, Any]:
    """A template body as boto3 gives it: a mapping for JSON, text for YAML."""
    return body if isinstance(body, Mapping) else parse_template("processed template", body.encode()).values


def _names(stack: Stack) -> frozenset[str]:
    return frozenset(item.physical_id for item in stack.resources if item.physical_id)


def _exists(service: str, operation: str, argument: str) -> Any:
    def exists(account: Account, physical_id: str) -> bool:
        try:
            getattr(account.client(service), operation)(**{argument: physical_id})
        except Exception as error:  # narrowed at once: only "does not exist" is an answer
            if is_missing(error):
                return False
            raise
        return True

    return exists


# What keeps data or costs money when it stays; how to ask whether it is still there.
_STILL_THERE = {
    "AWS::S3::Bucket": _exists("s3", "head_bucket", "Bucket"),
    "AWS::DynamoDB::Table": _exists("dynamodb", "describe_table", "TableName"),
    "AWS::Lambda::Function": _exists("lambda", "get_function", "FunctionName"),
    "AWS::SQS::Queue": _exists("sqs", "get_queue_attributes", "QueueUrl"),
    "AWS::IAM::Role": _exists("iam", "get_role", "RoleName"),
}

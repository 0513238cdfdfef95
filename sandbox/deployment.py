"""Makes a built submission exist in an account, the way `sam deploy` does: by a change set.

Works through the account's clients alone, so it is the same on the emulator and on AWS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.account import Account
from sandbox.builds import Package
from sandbox.errors import DeploymentFailed, EnvironmentFault

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")

# CloudFormation takes this much template in a request; more has to come from S3.
_TEMPLATE_BODY_LIMIT_BYTES = 51_200
_POLL_S = 0.05
_NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")
# What our own services answer with when they lack something; never the learner's fault.
_GAP_CODES = frozenset(
    {"NotEmulated", "NotImplemented", "InternalFailure", "InternalError", "ServiceFailure"}
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a stack."""

    type: str
    physical_id: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack as it stands after a deployment. ``changed`` is false when nothing was to be done."""

    stack_name: str
    stack_id: str
    outputs: Mapping[str, str]
    resources: Mapping[str, Resource]
    events: tuple[dict[str, Any], ...] = field(repr=False)
    template_processed: Any = field(repr=False)
    changed: bool = True

    def update(
        self,
        account: Account,
        package: Package,
        *,
        parameters: Mapping[str, str] | None = None,
        capabilities: Sequence[str] = CAPABILITIES,
        timeout_s: float = 300.0,
    ) -> Deployment:
        """Deploy another package, or other parameters, to the same stack; raises as :func:`deploy`."""
        return deploy(
            account,
            package,
            stack_name=self.stack_name,
            parameters=parameters or {},
            capabilities=capabilities,
            timeout_s=timeout_s,
        )

    def delete(self, account: Account, *, timeout_s: float = 300.0) -> None:
        """Delete the stack; raises as :func:`delete`."""
        delete(account, self.stack_id, timeout_s=timeout_s)


def deploy(
    account: Account,
    package: Package,
    *,
    stack_name: str,
    parameters: Mapping[str, str] | None = None,
    capabilities: Sequence[str] = CAPABILITIES,
    timeout_s: float = 300.0,
) -> Deployment:
    """Upload the artefacts, then create or update the stack and wait for it.

    Parameters that the template does not declare are left out, as `sam deploy` does. Deploying what
    is there already changes nothing and says so in ``changed``.

    Raises:
        DeploymentFailed: CloudFormation refused it or rolled back; the first cause and all events.
        EnvironmentFault: the cause is something we do not emulate, or the account broke.
    """
    with _told_apart():
        return _Deploying(account, stack_name, timeout_s).deploy(package, parameters or {}, capabilities)


def delete(account: Account, stack_name: str, *, timeout_s: float = 300.0) -> None:
    """Delete a stack, by name or id, and wait until it is gone. No such stack: nothing to do.

    Raises:
        DeploymentFailed: something could not be deleted.
        EnvironmentFault: as :func:`deploy`.
    """
    with _told_apart():
        _Deploying(account, stack_name, timeout_s).delete()


class _Deploying:
    """One deployment or deletion in progress."""

    def __init__(self, account: Account, stack_name: str, timeout_s: float) -> None:
        self._account = account
        self._name = stack_name
        self._deadline = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._cloudformation = account.client("cloudformation")

    def deploy(
        self, package: Package, parameters: Mapping[str, str], capabilities: Sequence[str]
    ) -> Deployment:
        bucket = self._upload(package)
        before = self._find_stack(self._name)
        fresh = before is None or before["StackStatus"] in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")
        if before is not None and before["StackStatus"] == "ROLLBACK_COMPLETE":
            self._cloudformation.delete_stack(StackName=before["StackId"])
            self._await(before["StackId"])
            before, fresh = None, True
        seen = frozenset() if before is None else self._event_ids(before["StackId"])
        change = self._cloudformation.create_change_set(
            StackName=self._name,
            ChangeSetName=f"coldstart-{package.digest.removeprefix('sha256:')[:16]}-{time.time_ns():x}",
            ChangeSetType="CREATE" if fresh else "UPDATE",
            Capabilities=list(capabilities),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
                if name in package.parameters
            ],
            **self._template(package, bucket),
        )
        changed = self._execute(change, fresh)
        stack = self._await(change["StackId"])
        events = [event for event in self._events(change["StackId"]) if event["EventId"] not in seen]
        wanted = ("CREATE_COMPLETE",) if fresh else ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        if changed and stack["StackStatus"] not in wanted:
            raise _failed(stack, events)
        return self._deployment(stack, events, changed)

    def delete(self) -> None:
        stack = self._find_stack(self._name)
        if stack is None:
            return
        seen = self._event_ids(stack["StackId"])
        self._cloudformation.delete_stack(StackName=stack["StackId"])
        gone = self._await(stack["StackId"])
        if gone["StackStatus"] != "DELETE_COMPLETE":
            raise _failed(gone, [e for e in self._events(stack["StackId"]) if e["EventId"] not in seen])

    def _upload(self, package: Package) -> str:
        storage = self._account.client("s3")
        region = self._account.region
        bucket = f"coldstart-deployments-{self._account.account_id}-{region}"
        try:
            storage.head_bucket(Bucket=bucket)
        except ClientError:
            where = (
                {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            )
            storage.create_bucket(Bucket=bucket, **where)
        for artifact in package.artifacts:
            try:
                storage.head_object(Bucket=bucket, Key=artifact.key)
            except ClientError:
                storage.put_object(Bucket=bucket, Key=artifact.key, Body=artifact.body)
        return bucket

    def _template(self, package: Package, bucket: str) -> dict[str, str]:
        text = package.template_for(bucket)
        if len(text.encode()) <= _TEMPLATE_BODY_LIMIT_BYTES:
            return {"TemplateBody": text}
        key = f"{package.digest.removeprefix('sha256:')}.template"
        self._account.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
        return {"TemplateURL": f"https://{bucket}.s3.{self._account.region}.amazonaws.com/{key}"}

    def _execute(self, change: Mapping[str, Any], fresh: bool) -> bool:
        """Run the change set; false when it holds no change.

        Raises:
            DeploymentFailed: it could not be made.
        """
        where = {"ChangeSetName": change["Id"], "StackName": change["StackId"]}

        def made() -> dict[str, Any] | None:
            found: dict[str, Any] = self._cloudformation.describe_change_set(**where)
            return found if found["Status"] in ("CREATE_COMPLETE", "FAILED") else None

        found = self._until(made)
        if found["Status"] == "CREATE_COMPLETE":
            self._cloudformation.execute_change_set(**where)
            return True
        reason = str(found.get("StatusReason", "the change set failed"))
        self._cloudformation.delete_change_set(**where)
        if fresh:
            # `sam deploy` leaves an empty stack in review behind; nobody is helped by it here.
            self._cloudformation.delete_stack(StackName=change["StackId"])
        if any(words in reason for words in _NOTHING_TO_DO):
            return False
        raise DeploymentFailed(reason)

    def _await(self, stack_id: str) -> dict[str, Any]:
        """The stack once nothing happens to it any more."""

        def finished() -> dict[str, Any] | None:
            found = self._find_stack(stack_id)
            if found is None:
                return {"StackId": stack_id, "StackName": self._name, "StackStatus": "DELETE_COMPLETE"}
            status = str(found["StackStatus"])
            return None if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS" else found

        return self._until(finished)

    def _until(self, found: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        while True:
            answer = found()
            if answer is not None:
                return answer
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise EnvironmentFault(
                    f"The stack {self._name} was not finished after {self._timeout_s:g} s."
                )
            # On the emulator this returns when the deployment is done; on AWS it is a pause.
            quiet = self._account.settle(timeout_s=min(left, 5.0))
            answer = found()
            if answer is not None:
                return answer
            if quiet.settled and quiet.next_due_s is not None:
                # It waits for nothing but the clock: for somebody's code that never answers, say.
                self._account.advance(quiet.next_due_s)
                continue
            time.sleep(_POLL_S)

    def _find_stack(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return found

    def _deployment(
        self, stack: Mapping[str, Any], events: Iterable[dict[str, Any]], changed: bool
    ) -> Deployment:
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=stack["StackId"]
        )
        processed = self._cloudformation.get_template(StackName=stack["StackId"], TemplateStage="Processed")
        return Deployment(
            stack_name=stack["StackName"],
            stack_id=stack["StackId"],
            outputs={item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())},
            resources={
                item["LogicalResourceId"]: Resource(
                    item["ResourceType"], item.get("PhysicalResourceId", ""), item["ResourceStatus"]
                )
                for page in pages
                for item in page["StackResourceSummaries"]
            },
            events=tuple(events),
            template_processed=processed["TemplateBody"],
            changed=changed,
        )

    def _events(self, stack_id: str) -> list[dict[str, Any]]:
        """The stack's events, oldest first."""
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def _event_ids(self, stack_id: str) -> frozenset[str]:
        return frozenset(event["EventId"] for event in self._events(stack_id))


def _failed(stack: Mapping[str, Any], events: Sequence[dict[str, Any]]) -> Exception:
    """The first cause in CloudFormation's words, told apart from what we do not emulate."""
    for event in events:
        reason = str(event.get("ResourceStatusReason", ""))
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
            if reason.startswith(("NotEmulated", "EnvironmentFault")):
                return EnvironmentFault(f"{event['LogicalResourceId']}: {reason}")
            told = (
                f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason or event['ResourceStatus']}"
            )
            return DeploymentFailed(told, events=events)
    reason = str(stack.get("StackStatusReason") or f"the stack is {stack['StackStatus']}")
    if reason.startswith(("NotEmulated", "EnvironmentFault")):
        return EnvironmentFault(reason)
    return DeploymentFailed(reason, events=events)


@contextmanager
def _told_apart() -> Iterator[None]:
    """Turn errors of the AWS client into whose fault they are."""
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", error))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        operation = getattr(error, "operation_name", "")
        if code in _GAP_CODES or status >= 500 or message.startswith(("NotEmulated", "EnvironmentFault")):
            raise EnvironmentFault(f"{operation}: {code}: {message}") from error
        raise DeploymentFailed(f"{code}: {message}") from error
    except BotoCoreError as error:
        raise EnvironmentFault(f"The account does not answer: {error}") from error

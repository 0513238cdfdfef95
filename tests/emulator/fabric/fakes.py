"""A working stand-in for running functions: it records each invocation and answers as told."""

from __future__ import annotations

import io
import json
import threading
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.calls import Call
from sandbox.emulator.functions.contract import InvokeOutcome


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of :class:`RecordingFunctions`."""

    function: str
    event: Any
    kind: str
    source: str
    account_id: str
    region: str
    trace_header: str
    linked_traces: tuple[str, ...] = ()


class RecordingFunctions:
    """``answer`` takes the event and returns a result, or an :class:`InvokeOutcome`; it may raise."""

    def __init__(self, answer: Callable[[Any], Any] = lambda event: None) -> None:
        self.answer = answer
        self.invocations: list[Invocation] = []
        self._lock = threading.Lock()

    @property
    def events(self) -> list[Any]:
        """What the functions were given, in order."""
        with self._lock:
            return [invocation.event for invocation in self.invocations]

    def invoke(self, function: str, payload: bytes, **options: Any) -> InvokeOutcome:
        """Record, then answer; an exception is the function's own."""
        event = self._record(function, payload, "sync", options)
        try:
            result = self.answer(event)
        except Exception as error:
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return InvokeOutcome(200, json.dumps(body).encode(), function_error="Unhandled")
        if isinstance(result, InvokeOutcome):
            return result
        return InvokeOutcome(200, json.dumps(result).encode(), request_id=str(uuid.uuid4()))

    def invoke_async(self, function: str, payload: bytes, **options: Any) -> str:
        """Record; nothing runs."""
        self._record(function, payload, "async", options)
        return str(uuid.uuid4())

    def answer_call(self, call: Call) -> dict[str, Any]:
        """What the API operation ``Invoke`` answers, for those who invoke through it."""
        outcome = self.invoke(
            call.params["FunctionName"],
            call.params.get("Payload") or b"{}",
            source="api",
            account_id=call.account_id,
            region=call.region,
        )
        made: dict[str, Any] = {"StatusCode": outcome.status, "Payload": outcome.payload}
        if outcome.function_error:
            made["FunctionError"] = outcome.function_error
        return made | {"ExecutedVersion": "$LATEST"}

    def _record(self, function: str, payload: bytes, kind: str, options: dict[str, Any]) -> Any:
        event = json.loads(payload)
        with self._lock:
            self.invocations.append(
                Invocation(
                    function,
                    event,
                    kind,
                    options["source"],
                    options["account_id"],
                    options["region"],
                    options.get("trace_header", ""),
                    options.get("linked_traces", ()),
                )
            )
        return event


def create_role(account: Any, name: str, service: str, *actions: str, **conditions: Any) -> str:
    """A role that a service may assume and that may do ``actions``, by default everything; its ARN."""
    iam = account.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if conditions:
        trust["Condition"] = conditions
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    allow = {"Effect": "Allow", "Action": list(actions) or "*", "Resource": "*"}
    iam.put_role_policy(
        RoleName=name,
        PolicyName="allow",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    return str(made["Role"]["Arn"])


def take_bodies(sqs: Any, url: str) -> list[str]:
    """The bodies of everything that can be received from a queue; it is deleted."""
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(str(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def create_function(account: Any, name: str, *, timeout_s: int = 3, region: str = "") -> str:
    """A function that exists and runs nowhere; its ARN."""
    iam = account.client("iam")
    try:
        role = iam.get_role(RoleName="runs-functions")
    except iam.exceptions.NoSuchEntityException:
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = iam.create_role(
            RoleName="runs-functions",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        for policy in ("SQSQueue", "DynamoDB", "Kinesis"):
            iam.attach_role_policy(
                RoleName="runs-functions",
                PolicyArn=f"arn:aws:iam::aws:policy/service-role/AWSLambda{policy}ExecutionRole",
            )
        failures = {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:PutObject", "sns:Publish", "sqs:SendMessage"],
            "Resource": "*",
        }
        iam.put_role_policy(
            RoleName="runs-functions",
            PolicyName="on-failure",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": failures}),
        )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", "def handler(event, context): ...")
    made = account.client("lambda", region or account.core.region).create_function(
        FunctionName=name,
        Runtime="python3.12",
        Handler="app.handler",
        Role=role["Role"]["Arn"],
        Timeout=timeout_s,
        Code={"ZipFile": archive.getvalue()},
    )
    return str(made["FunctionArn"])

"""Task states: what they call, in the machine's role, and what comes back.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html
"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from sandbox.emulator import sdk
from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.stepfunctions.activities import Activities, Scheduled
from sandbox.emulator.fabric.stepfunctions.errors import RUNTIME, TIMEOUT, StatesError
from sandbox.emulator.fabric.stepfunctions.fibers import Call, Effect, Fiber
from sandbox.emulator.fabric.stepfunctions.history import NOT_TRUNCATED, History, data
from sandbox.emulator.fabric.stepfunctions.tracing import ExecutionTrace

_INTEGRATION = re.compile(
    r"arn:aws[\w-]*:states:::(?:(aws-sdk):)?([\w-]+):(\w+?)(\.sync(?::2)?|\.waitForTaskToken)?"
)
_ACTIVITY = re.compile(r"arn:aws[\w-]*:states:[\w-]+:\d{12}:activity:.+")
# Optimised integrations: botocore's service, and how their errors are called.
_OPTIMISED = {
    "lambda": ("lambda", "Lambda"),
    "sqs": ("sqs", "SQS"),
    "sns": ("sns", "SNS"),
    "events": ("events", "EventBridge"),
    "dynamodb": ("dynamodb", "DynamoDB"),
    "states": ("stepfunctions", "StepFunctions"),
}
_SDK_PREFIXES = {
    "dynamodb": "DynamoDb",
    "events": "EventBridge",
    "stepfunctions": "Sfn",
    "secretsmanager": "SecretsManager",
    "cloudwatch": "CloudWatch",
    "logs": "CloudWatchLogs",
}


class ExecutionsView(Protocol):
    """What tasks need of other executions, and of workers."""

    activities: Activities

    def when_ended(self, arn: str, then: Callable[[Mapping[str, Any]], None]) -> None:
        """Call ``then`` with the description of an execution once it has ended."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One task: where it goes and what is said of it in the history."""

    resource_type: str
    resource: str
    service: str
    action: str
    prefix: str
    pattern: str = ""
    is_sdk: bool = False


class Integrations:
    """Performs tasks for one execution."""

    def __init__(
        self,
        core: AccountCore,
        history: History,
        executions: ExecutionsView,
        assume: Callable[[], Principal],
        region: str,
        label: str,
        trace: ExecutionTrace,
    ) -> None:
        self._trace = trace
        self._core = core
        self._history = history
        self._executions = executions
        self._assume = assume
        self._region = region
        self._label = label

    def run(
        self,
        fiber: Fiber,
        name: str,
        state: Mapping[str, Any],
        resource: str,
        given: Any,
        context: dict[str, Any],
    ) -> Generator[Effect, Any, Any]:
        """Perform a task and return its result."""
        limits = {
            "timeoutInSeconds": _whole(state.get("TimeoutSeconds")),
            "heartbeatInSeconds": _whole(state.get("HeartbeatSeconds")),
        }
        if ":lambda:" in resource and ":states:::" not in resource:
            return (yield from self._function(fiber, resource, given, limits))
        if _ACTIVITY.fullmatch(resource):
            return (yield from self._activity(fiber, resource, given, limits))
        task = _read(resource)
        token = (context.get("Task") or {}).get("Token", "")
        return (yield from self._integration(fiber, task, given, limits, token))

    def _add(self, fiber: Fiber, kind: str, **details: Any) -> None:
        fiber.last_event = self._history.add(fiber.last_event, kind, **details)

    def _client(self, service: str, region: str = "") -> Any:
        return self._core.clients.client(service, region=region or self._region, principal=self._assume())

    def _function(
        self, fiber: Fiber, resource: str, given: Any, limits: Mapping[str, Any]
    ) -> Generator[Effect, Any, Any]:
        """A function by its ARN."""
        timeout_s = limits["timeoutInSeconds"]
        self._add(
            fiber,
            "LambdaFunctionScheduled",
            resource=resource,
            input=data(given),
            inputDetails=NOT_TRUNCATED,
            timeoutInSeconds=timeout_s,
        )
        self._add(fiber, "LambdaFunctionStarted")
        try:
            with self._trace.call(
                fiber, "Lambda", "Invoke", {"FunctionName": resource}, self._region
            ) as header:
                answer = yield Call(
                    lambda: self._invoke(resource, given), self._label, timeout_s, trace_header=header
                )
        except StatesError as error:
            self._not_done(fiber, "LambdaFunction", error)
            raise
        result = answer["Payload"]
        self._add(fiber, "LambdaFunctionSucceeded", output=data(result), outputDetails=NOT_TRUNCATED)
        return result

    def _activity(
        self, fiber: Fiber, resource: str, given: Any, limits: Mapping[str, Any]
    ) -> Generator[Effect, Any, Any]:
        """A task that a worker fetches, and answers with its token."""
        told = {"input": data(given), "inputDetails": NOT_TRUNCATED, **limits}
        self._add(fiber, "ActivityScheduled", resource=resource, **told)
        token = secrets.token_urlsafe(96)
        timeout_s, heartbeat_s = limits["timeoutInSeconds"], limits["heartbeatInSeconds"]

        def started(worker: str | None) -> None:
            self._add(fiber, "ActivityStarted", workerName=worker)

        def schedule() -> None:
            if not self._executions.activities.exists(resource):
                raise StatesError(RUNTIME, f"The activity {resource} does not exist.")
            task = Scheduled(token, data(given), timeout_s, heartbeat_s, started)
            self._executions.activities.schedule(resource, task)

        try:
            result = yield Call(schedule, self._label, key=token)
        except StatesError as error:
            self._not_done(fiber, "Activity", error)
            raise
        self._add(fiber, "ActivitySucceeded", output=data(result), outputDetails=NOT_TRUNCATED)
        return result

    def _invoke(self, function: str, payload: Any, **more: Any) -> dict[str, Any]:
        region = function.split(":")[3] if function.startswith("arn:") else ""
        client = self._client("lambda", region)
        body = payload if isinstance(payload, str) and more.pop("Raw", False) else data(payload)
        try:
            answer = client.invoke(FunctionName=function, Payload=body.encode(), **more)
        except ClientError as error:
            raise _error(error, "Lambda", client) from error
        text = answer["Payload"].read().decode("utf-8", "replace")
        try:
            result = json.loads(text) if text else {}
        except ValueError:
            result = text
        if answer.get("FunctionError"):
            kind = result.get("errorType") if isinstance(result, dict) else None
            raise StatesError(str(kind or "Lambda.Unknown"), text)
        return {
            "ExecutedVersion": answer.get("ExecutedVersion", "$LATEST"),
            "Payload": result,
            "StatusCode": answer["StatusCode"],
            **_metadata(answer),
        }

    def _not_done(self, fiber: Fiber, kind: str, error: StatesError, **details: Any) -> None:
        ending = "TimedOut" if error.name in (TIMEOUT, "States.HeartbeatTimeout") else "Failed"
        self._add(fiber, f"{kind}{ending}", error=error.name, cause=error.cause or None, **details)

    def _integration(
        self, fiber: Fiber, task: _Task, given: Any, limits: Mapping[str, Any], token: str
    ) -> Generator[Effect, Any, Any]:
        told = {"resourceType": task.resource_type, "resource": task.resource}
        self._add(fiber, "TaskScheduled", **told, region=self._region, parameters=data(given), **limits)
        self._add(fiber, "TaskStarted", **told)
        key = token if task.pattern == ".waitForTaskToken" else ""
        action: Callable[[], Any] = lambda: self._perform(task, given)  # noqa: E731
        if task.pattern.startswith(".sync"):
            key = secrets.token_hex(16)
            action = lambda: self._start_and_follow(fiber, key, task, given)  # noqa: E731

        def submitted(answer: Any) -> None:
            self._add(fiber, "TaskSubmitted", **told, output=data(answer), outputDetails=NOT_TRUNCATED)

        try:
            operation = task.action[0].upper() + task.action[1:]
            with self._trace.call(fiber, task.prefix, operation, given, self._region) as header:
                result = yield Call(
                    action,
                    self._label,
                    limits["timeoutInSeconds"],
                    limits["heartbeatInSeconds"] if key else None,
                    key,
                    submitted,
                    header,
                )
        except StatesError as error:
            self._not_done(fiber, "Task", error, **told)
            raise
        self._add(fiber, "TaskSucceeded", **told, output=data(result), outputDetails=NOT_TRUNCATED)
        return result

    def _perform(self, task: _Task, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise StatesError(RUNTIME, "The parameters of a service integration are an object.")
        if task.service == "lambda" and not task.is_sdk:
            more = {name: value for name, value in given.items() if name not in ("FunctionName", "Payload")}
            return self._invoke(str(given.get("FunctionName", "")), given.get("Payload", {}), **more)
        client = self._client(task.service)
        try:
            operation = sdk.operation_name(client, task.action)
            answer = sdk.perform(client, operation, _as_texts(task, given))
        except (sdk.Misshapen, ParamValidationError) as error:
            raise StatesError(RUNTIME, f"The parameters of {task.resource} are not valid: {error}") from None
        except ClientError as error:
            raise _error(error, task.prefix, client) from error
        except BotoCoreError as error:
            raise StatesError(f"{task.prefix}.SdkClientException", str(error)) from error
        shown = _pascal(answer, _shape(client, operation))
        if task.service == "events" and shown.get("FailedEntryCount"):
            raise StatesError("EventBridge.FailedEntry", data(shown))
        return shown if task.is_sdk else shown | _metadata(answer)

    def _start_and_follow(self, fiber: Fiber, key: str, task: _Task, given: Any) -> Any:
        """Start an execution; its end completes ``key``."""
        answer = self._perform(task, given)

        def ended(description: Mapping[str, Any]) -> None:
            shown = _pascal(dict(description), None)
            if task.pattern == ".sync:2" and isinstance(shown.get("Output"), str):
                shown["Output"] = json.loads(shown["Output"])
            if task.pattern == ".sync:2" and isinstance(shown.get("Input"), str):
                shown["Input"] = json.loads(shown["Input"])
            error = None
            if description["status"] != "SUCCEEDED":
                error = StatesError("States.TaskFailed", data(shown))
            fiber.weaver.completions.complete(key, shown, error)

        self._executions.when_ended(answer["ExecutionArn"], ended)
        return answer


def _read(resource: str) -> _Task:
    match = _INTEGRATION.fullmatch(resource)
    if match is None:
        raise StatesError(RUNTIME, f"Coldstart does not emulate the resource {resource}; this is our gap.")
    is_sdk, service, action, pattern = match.groups()
    pattern = pattern or ""
    if is_sdk:
        name = sdk.service_name(service)
        prefix = _SDK_PREFIXES.get(name, name[0].upper() + name[1:])
        return _Task(f"aws-sdk:{service}", action + pattern, name, action, prefix, pattern, is_sdk=True)
    known = _OPTIMISED.get(service)
    if known is None:
        raise StatesError(
            RUNTIME, f"Coldstart does not emulate the integration {service}:{action}; this is our gap."
        )
    name, prefix = known
    return _Task(service, action + pattern, name, action, prefix, pattern)


def _as_texts(task: _Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """Documents that the API takes as text: a message, an input, an event's detail."""
    made = dict(given)
    made.pop("AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID", None)
    for name in ("MessageBody", "Message", "Input"):
        if name in made and not isinstance(made[name], str):
            made[name] = data(made[name])
    if task.service == "events":
        made["Entries"] = [
            entry | ({"Detail": data(entry["Detail"])} if not isinstance(entry.get("Detail"), str) else {})
            for entry in made.get("Entries") or ()
        ]
    return made


def _error(error: ClientError, prefix: str, client: Any) -> StatesError:
    """An API's refusal as Step Functions names it: ``DynamoDB.ConditionalCheckFailedException``."""
    told = error.response["Error"]
    code = str(told.get("Code", "")).rpartition(".")[2]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    service = client.meta.service_model.service_id
    request = error.response["ResponseMetadata"].get("RequestId", "")
    cause = f"{told.get('Message', '')} (Service: {service}, Status Code: {status}, Request ID: {request})"
    if code.startswith("NotEmulated"):
        return StatesError(RUNTIME, cause)
    name = code if code.endswith("Exception") else f"{code}Exception"
    if code.startswith("AccessDenied"):
        name = (
            f"{prefix}Exception" if prefix in ("S3", "SQS", "SNS", "Sqs", "Sns") else "AccessDeniedException"
        )
    return StatesError(f"{prefix}.{name}", cause)


def _metadata(answer: Mapping[str, Any]) -> dict[str, Any]:
    told = answer["ResponseMetadata"]
    return {
        "SdkHttpMetadata": {"HttpStatusCode": told["HTTPStatusCode"], "HttpHeaders": {}},
        "SdkResponseMetadata": {"RequestId": told.get("RequestId", "")},
    }


def _shape(client: Any, operation: str) -> Any:
    return client.meta.service_model.operation_model(operation).output_shape


def _pascal(value: Any, shape: Any) -> Any:
    """An answer with the names of its structures' members in PascalCase; the keys of maps stay."""
    if isinstance(value, dict):
        names = shape.type_name == "structure" if shape is not None else True
        made = {}
        for name, item in value.items():
            if name == "ResponseMetadata":
                continue
            inner = None
            if shape is not None:
                inner = shape.members.get(name) if names else shape.value
            made[name[0].upper() + name[1:] if names else name] = _pascal(item, inner)
        return made
    if isinstance(value, list):
        return [_pascal(item, shape.member if shape is not None else None) for item in value]
    if isinstance(value, dt.datetime):
        return (
            value.isoformat().replace("+00:00", "Z") if shape is not None else int(value.timestamp() * 1000)
        )
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if hasattr(value, "read"):
        text = value.read().decode("utf-8", "replace")
        try:
            return json.loads(text)
        except ValueError:
            return text
    return value


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)

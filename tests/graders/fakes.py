"""Working fakes: an account whose functions run in the test itself, and a backend that deploys to it."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.account import AccessKeys, Quiet
from sandbox.deployment import Deployment, Resource
from sandbox.errors import BadSubmission, DeploymentFailed, EnvironmentFault
from sandbox.submissions import Submission
from sandbox.templates import parse_template

KEYS = AccessKeys("AKIAFAKEFAKEFAKEFAKE", "a-secret-that-must-not-be-seen", "")
NOON = dt.datetime(2031, 3, 30, 12, tzinfo=dt.UTC)


class AwsRefusal(Exception):
    """An error with the shape of botocore's ClientError."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code, "Message": code}}


class Service:
    """A client whose operations are the given functions."""

    def __init__(self, **operations: Callable[..., Any]) -> None:
        self.__dict__.update(operations)


@dataclass
class FakeAccount:
    """Time stands still until somebody moves it; ``due`` holds what happens at which second."""

    capabilities: frozenset[str] = frozenset({"CF", "LX", "LG", "VC"})
    account_id: str = "111122223333"
    fixture_account_id: str = "999900001111"
    name: str = "fake"
    region: str = "eu-west-1"
    endpoint_url: str = "http://127.0.0.1:1"
    keys: AccessKeys = KEYS
    backend: str = "emulated"
    isolation: Mapping[str, Any] = field(default_factory=lambda: {"level": 4, "name": "cgroups"})
    runtimes: Mapping[str, str] = field(default_factory=dict)
    elapsed_s: float = 0.0
    due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    stacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    closed: bool = False
    busy: bool = False
    running: tuple[str, ...] = ()
    ended: threading.Event = field(default_factory=threading.Event)

    def now(self) -> dt.datetime:
        return NOON + dt.timedelta(seconds=self.elapsed_s)

    def functions_now(self) -> dt.datetime:
        return self.now()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self.due.append((self.elapsed_s + seconds, action))
        self.due.sort(key=lambda item: item[0])

    def settle(self, timeout_s: float = 30.0) -> Quiet:
        while self.due and self.due[0][0] <= self.elapsed_s:
            self.due.pop(0)[1]()
        upcoming = self.due[0][0] - self.elapsed_s if self.due else None
        return Quiet(not self.busy, self.now(), self.running, upcoming)

    def advance(self, seconds: float, timeout_s: float = 60.0) -> Quiet:
        target = self.elapsed_s + seconds
        while self.due and self.due[0][0] <= target:
            self.elapsed_s = max(self.elapsed_s, self.due[0][0])
            self.settle()
        self.elapsed_s = target
        return self.settle()

    def timeline(self, since: int = 0) -> list[dict[str, Any]]:
        return [event for event in self.events if event["sequence"] > since]

    def decisions(self, since: int = 0) -> list[dict[str, Any]]:
        raise NotImplementedError

    def happened(self, kind: str, subject: str, outcome: str = "ok") -> None:
        self.events.append(
            {
                "sequence": len(self.events) + 1,
                "at": self.now().isoformat(timespec="milliseconds"),
                "kind": kind,
                "subject": subject,
                "outcome": outcome,
                "detail": {},
            }
        )

    def begin_fault(self, name: str, settings: Mapping[str, Any], for_s: float = 0.0) -> str:
        self.faults.append(name)
        return name

    def end_fault(self, fault_id: str) -> None:
        self.faults.remove(fault_id)

    def clear_faults(self) -> list[str]:
        ended = list(self.faults)
        self.faults.clear()
        return ended

    def active_faults(self) -> list[dict[str, Any]]:
        return [{"id": name, "name": name} for name in self.faults]

    def url(self, address: str, client: str = "") -> str:
        return address

    def close(self) -> None:
        self.closed = True
        self.ended.set()

    def client(self, service: str, *, region: str = "", fixture: bool = False) -> Any:
        return {
            "logs": Service(
                describe_log_groups=lambda **_: {
                    "logGroups": [{"logGroupName": name} for name in sorted(self.groups)]
                },
                filter_log_events=lambda **_: {"events": []},
            ),
            "lambda": Service(
                invoke=self._invoke,
                get_function=self._configuration,
                get_function_configuration=self._configuration,
            ),
        }[service]

    def _function(self, name: str) -> dict[str, Any]:
        for stack in self.stacks.values():
            if name in stack["functions"]:
                found: dict[str, Any] = stack["functions"][name]
                return found
        raise AwsRefusal("ResourceNotFoundException")

    def _configuration(self, FunctionName: str, **_: Any) -> dict[str, Any]:
        self._function(FunctionName)
        return {
            "FunctionName": FunctionName,
            "FunctionArn": f"arn:aws:lambda:eu-west-1:1:function:{FunctionName}",
        }

    def _invoke(self, FunctionName: str, Payload: bytes, **_: Any) -> dict[str, Any]:
        function = self._function(FunctionName)
        self.happened("invocation", FunctionName)
        body, error = _run(function["code"], function["environment"], Payload)
        return {
            "StatusCode": 200,
            "Payload": io.BytesIO(body.encode()),
            "FunctionError": error,
            "LogResult": base64.b64encode(b"END").decode(),
        }


def _processed(template: dict[str, Any]) -> dict[str, Any]:
    resources = {
        key: {**value, "Type": value["Type"].replace("::Serverless::", "::Lambda::")}
        for key, value in template["Resources"].items()
    }
    return {**template, "Resources": resources}


_one_at_a_time = threading.Lock()


def _run(code: str, environment: Mapping[str, str], payload: bytes) -> tuple[str, str]:
    scope: dict[str, Any] = {}
    with _one_at_a_time:
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            exec(code, scope)
            return json.dumps(scope["handler"](json.loads(payload), None)), ""
        except Exception as problem:
            return json.dumps({"errorMessage": str(problem)}), "Unhandled"
        finally:
            os.environ.clear()
            os.environ.update(before)


@dataclass
class FakeBackend:
    """Deploys templates whose functions are all ``src/app.py``; can be told to break."""

    capabilities: frozenset[str] = frozenset({"CF", "LX", "LG", "VC"})
    no_account: int = 0
    opened: list[FakeAccount] = field(default_factory=list)
    on_deploy: Callable[[FakeAccount], None] = lambda account: None
    forgets_to_delete: bool = False
    running: tuple[str, ...] = ()

    def open(self) -> FakeAccount:
        if self.no_account > 0:
            self.no_account -= 1
            raise EnvironmentFault("no account is free")
        account = FakeAccount(self.capabilities, running=self.running)
        self.opened.append(account)
        return account

    def build(self, account: Any, submission: Submission, **_: Any) -> Any:
        if "src/app.py" not in submission.files:
            raise BadSubmission("There is no handler.", where="src/app.py", what_to_do="Write one.")
        path = submission.template
        return dict(submission.files), parse_template(path, submission.files[path]).values

    def deploy(
        self, account: Any, artefact: Any, stack_name: str, parameters: Mapping[str, str]
    ) -> Deployment:
        files, template = artefact
        self.on_deploy(account)
        if "Broken" in template["Resources"]:
            event = {
                "LogicalResourceId": "Broken",
                "ResourceType": "AWS::No::Such",
                "ResourceStatus": "CREATE_FAILED",
                "ResourceStatusReason": "Unrecognized resource types: AWS::No::Such",
            }
            raise DeploymentFailed("Unrecognized resource types: AWS::No::Such", events=[event])
        logical = next(
            key for key, value in template["Resources"].items() if value["Type"].endswith("::Function")
        )
        name = f"{stack_name}-{logical}"
        account.groups.add(f"/aws/lambda/{name}")
        changed = stack_name not in account.stacks
        account.stacks[stack_name] = {
            "functions": {
                name: {
                    "code": files["src/app.py"].decode(),
                    "environment": {key.upper(): value for key, value in parameters.items()},
                }
            },
        }

        return Deployment(
            stack_name=stack_name,
            stack_id=f"arn:{stack_name}",
            outputs=dict.fromkeys(template.get("Outputs", {}), name),
            resources={logical: Resource("AWS::Lambda::Function", name, "CREATE_COMPLETE")},
            events=(),
            template_processed=_processed(template),
            changed=changed,
        )

    def delete(self, account: Any, stack_name: str) -> None:
        if self.forgets_to_delete:
            return
        for name in account.stacks.pop(stack_name)["functions"]:
            account.groups.discard(f"/aws/lambda/{name}")

"""What a row is, and what it gets to work with."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.runtimes import Broken, Runtime

TABLE: list[Row] = []


@dataclass(frozen=True, slots=True)
class Row:
    """One thing Lambda does. ``not_for`` names runtimes that it does not concern, each with the reason.

    ``quick`` rows are part of `make test`.
    """

    title: str
    run: Callable[[Case], None]
    not_for: Mapping[str, str]
    quick: bool

    @property
    def id(self) -> str:
        """Its title as a test's name."""
        return "".join(c if c.isalnum() else "_" for c in self.title).strip("_")


def row(
    title: str, *, quick: bool = False, **not_for: str
) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Add a function to the table. Keywords are runtimes it is not for, with the reason."""

    def add(run: Callable[[Case], None]) -> Callable[[Case], None]:
        assert title not in {each.title for each in TABLE}
        TABLE.append(Row(title, run, not_for, quick))
        return run

    return add


@dataclass(frozen=True, slots=True)
class Answer:
    """One invocation's result. ``error`` is the payload's errorType, empty when the function returned."""

    payload: Any
    error: str
    message: str
    request_id: str
    version: str
    tail: str
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def report(self) -> str:
        """The REPORT line of the tail."""
        [line] = [line for line in self.tail.splitlines() if line.startswith("REPORT ")]
        return line

    @property
    def cold(self) -> bool:
        """Whether this invocation initialised its environment."""
        return "Init Duration" in self.report


class Functions:
    """A session's account as the rows use it: each distinct function is made once per runtime."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.api = account.client("lambda")
        self.role = _role(account.client("iam"))
        self._made: set[str] = set()
        self._uploaded: dict[str, dict[str, str]] = {}
        account.client("s3").create_bucket(Bucket="conformance")

    def code(self, package: bytes) -> dict[str, str]:
        """Where a package lies; a jar is too large to be sent each time."""
        key = hashlib.sha256(package).hexdigest()
        if key not in self._uploaded:
            self.account.client("s3").put_object(Bucket="conformance", Key=key, Body=package)
            self._uploaded[key] = {"S3Bucket": "conformance", "S3Key": key}
        return self._uploaded[key]

    def make(self, name: str, runtime: Runtime, package: bytes | None = None, **settings: Any) -> str:
        """A function of this name, unless it is there."""
        if name not in self._made:
            parameters = {
                "Runtime": runtime.identifier,
                "Handler": runtime.handler,
                "Role": self.role,
                "Timeout": 20,
                "MemorySize": runtime.memory_mb,
                **settings,
            }
            code = self.code(package if package is not None else runtime.package())
            self.api.create_function(FunctionName=name, Code=code, **parameters)
            self._made.add(name)
        return name


def _role(iam: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = iam.create_role(RoleName="conformance", AssumeRolePolicyDocument=trust)
    iam.attach_role_policy(RoleName="conformance", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return str(made["Role"]["Arn"])


class Case:
    """One row against one runtime."""

    def __init__(self, runtime: Runtime, functions: Functions, title: str) -> None:
        self.runtime = runtime
        self._functions = functions
        self.account = functions.account
        self.api = functions.api
        digest = hashlib.sha256(title.encode()).hexdigest()[:8]
        self._own = f"{runtime.name}-{digest}"
        self.name = ""

    def shared(self) -> Case:
        """Use the runtime's common function, warm or not."""
        self.name = self._functions.make(f"{self.runtime.name}-common", self.runtime)
        return self

    def code(self, package: bytes) -> dict[str, str]:
        """Where a package lies in S3."""
        return self._functions.code(package)

    def fresh(self, package: bytes | None = None, **settings: Any) -> Case:
        """Make a function of the row's own."""
        self.name = self._functions.make(self._own, self.runtime, package, **settings)
        return self

    def broken(self, what: str) -> tuple[Broken, Case]:
        """Make a function that cannot work."""
        how = self.runtime.broken[what]
        package = how.package() if how.package is not None else None
        settings = {"Handler": how.handler} if how.handler else {}
        return how, self.fresh(package, **settings)

    def invoke(self, do: str = "", *, qualifier: str = "", **members: Any) -> Answer:
        """Invoke with ``{"do": do, …}``. Members of the API's call begin with a capital."""
        api = {key: value for key, value in members.items() if key[0].isupper()}
        event = {"do": do, **{key: value for key, value in members.items() if key not in api}}
        api = {"Payload": json.dumps(event).encode(), "LogType": "Tail", **api}
        if qualifier:
            api["Qualifier"] = qualifier
        told = self.api.invoke(FunctionName=self.name, **api)
        body = told["Payload"].read()
        payload = json.loads(body) if body else None
        failed = "FunctionError" in told
        tail = base64.b64decode(told.get("LogResult", "")).decode()
        return Answer(
            payload=payload,
            error=str(payload.get("errorType")) if failed else "",
            message=str(payload.get("errorMessage", "")) if failed else "",
            request_id=told["ResponseMetadata"]["RequestId"],
            version=told.get("ExecutedVersion", ""),
            tail=tail,
            raw=told,
        )

    def ask(self, do: str, **members: Any) -> Any:
        """Invoke, and the payload of what has to succeed."""
        answer = self.invoke(do, **members)
        assert not answer.error, answer
        return answer.payload

    def refused(self, call: Callable[..., Any], **parameters: Any) -> ClientError:
        """A call that has to be refused."""
        with pytest.raises(ClientError) as caught:
            call(**parameters)
        return caught.value

    def together(self, count: int, do: str, **members: Any) -> list[Answer | ClientError]:
        """So many invocations at once; refusals are among the answers."""

        def one(_number: int) -> Answer | ClientError:
            try:
                return self.invoke(do, **members)
            except ClientError as error:
                return error

        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    def logs(self, prefix: str = "") -> list[str]:
        """All messages of the function's log group, or those that begin with ``prefix``."""
        pages = (
            self.account.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{self.name}")
        )
        messages = [event["message"] for page in pages for event in page["events"]]
        return [message for message in messages if message.startswith(prefix)]

    def eventually(self, condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
        """Wait until it holds; its value."""
        until = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < until, "it never happened"
            time.sleep(0.02)
        return value

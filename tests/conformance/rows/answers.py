"""What a function returns, and what it is told."""

from __future__ import annotations

import base64
import json
import re

from tests.conformance.table import Case, row

TEXT = 'Grüße, 日本 🎉 "quoted" \\ \u2028 \x7f'


@row("an answer", quick=True)
def _answer(case: Case) -> None:
    answer = case.shared().invoke("echo", value={"order": 7, "items": [1.5, True, None, ""]})
    assert answer.payload == {"order": 7, "items": [1.5, True, None, ""]}
    assert not answer.error
    assert answer.raw["StatusCode"] == 200
    assert answer.version == "$LATEST"


@row("every kind of JSON is an answer")
def _kinds(case: Case) -> None:
    case.shared()
    for value in (0, -1.25, "", "text", True, False, [], {}, [[{"a": []}]], None):
        assert case.ask("echo", value=value) == value


@row("nothing is null")
def _nothing(case: Case) -> None:
    told = case.shared().api.invoke(FunctionName=case.name, Payload=b'{"do": "nothing"}')
    assert told["Payload"].read() == b"null"


@row("text of all scripts goes both ways", quick=True)
def _unicode(case: Case) -> None:
    assert case.shared().ask("echo", value=TEXT) == TEXT


@row("the context", quick=True)
def _context(case: Case) -> None:
    answer = case.fresh(Timeout=9).invoke("context")
    seen = answer.payload
    assert seen["function_name"] == case.name
    assert seen["function_version"] == "$LATEST"
    assert re.fullmatch(
        rf"arn:aws:lambda:[a-z0-9-]+:\d{{12}}:function:{case.name}", seen["invoked_function_arn"]
    )
    assert seen["memory_limit_mb"] == case.runtime.memory_mb
    assert seen["request_id"] == answer.request_id
    assert seen["log_group"] == f"/aws/lambda/{case.name}"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["log_stream"])
    assert seen["custom"] is None


@row("the remaining time")
def _remaining(case: Case) -> None:
    case.fresh(Timeout=9).invoke("nothing")
    assert 8000 < case.ask("context")["remaining_ms"] <= 9000


@row("the client context", quick=True)
def _client_context(case: Case) -> None:
    given = {"client": {"installation_id": "i"}, "custom": {"key": "wörd"}, "env": {"locale": "de"}}
    encoded = base64.b64encode(json.dumps(given).encode()).decode()
    assert case.shared().ask("context", ClientContext=encoded)["custom"] == {"key": "wörd"}


@row("the invoked ARN is the one that was asked for")
def _invoked_arn(case: Case) -> None:
    case.shared()
    assert case.ask("context", qualifier="$LATEST")["invoked_function_arn"].endswith(f":{case.name}:$LATEST")


@row("environment variables", quick=True)
def _environment(case: Case) -> None:
    case.fresh(Environment={"Variables": {"TABLE": "orders", "MOTTO": "ein grüner Tag"}})
    names = ("TABLE", "MOTTO", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION")
    more = ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "LAMBDA_TASK_ROOT", "AWS_LAMBDA_INITIALIZATION_TYPE", "ABSENT")
    seen = case.ask("environment", names=[*names, *more])
    assert seen == {
        "TABLE": "orders",
        "MOTTO": "ein grüner Tag",
        "AWS_REGION": case.account.region,
        "AWS_LAMBDA_FUNCTION_NAME": case.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(case.runtime.memory_mb),
        "LAMBDA_TASK_ROOT": "/var/task",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "ABSENT": None,
    }


@row("the role's keys")
def _keys(case: Case) -> None:
    seen = case.shared().ask(
        "environment", names=["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_EXECUTION_ENV"]
    )
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert seen["AWS_SESSION_TOKEN"]
    custom = case.runtime.identifier.startswith("provided")
    assert seen["AWS_EXECUTION_ENV"] == (None if custom else f"AWS_Lambda_{case.runtime.identifier}")


@row("the trace header", quick=True)
def _trace(case: Case) -> None:
    case.shared()
    alone = case.ask("trace")
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=[01]", alone)
    assert case.ask("trace") != alone


@row("an asynchronous event", quick=True)
def _asynchronous(case: Case) -> None:
    case.fresh()
    told = case.api.invoke(
        FunctionName=case.name,
        InvocationType="Event",
        Payload=json.dumps({"do": "print", "lines": ["ran later"]}).encode(),
    )
    assert told["StatusCode"] == 202
    assert told["Payload"].read() == b""
    assert case.account.settle().settled
    assert case.logs("ran later")


@row("an asynchronous event is retried twice")
def _retries(case: Case) -> None:
    case.fresh()
    case.api.invoke(
        FunctionName=case.name,
        InvocationType="Event",
        Payload=json.dumps({"do": "throw", "message": "again"}).encode(),
    )
    assert case.account.advance(600).settled
    starts = case.logs("START RequestId: ")
    assert len(starts) == 3
    assert len(set(starts)) == 1


@row("a dry run runs nothing")
def _dry_run(case: Case) -> None:
    case.fresh()
    told = case.api.invoke(FunctionName=case.name, InvocationType="DryRun", Payload=b"{}")
    assert told["StatusCode"] == 204
    groups = case.account.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{case.name}")
    assert not groups["logGroups"]

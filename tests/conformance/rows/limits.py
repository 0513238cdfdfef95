"""Sizes."""

from __future__ import annotations

import json

from tests.conformance.table import Case, row

SYNCHRONOUS_BYTES = 6 * 1024 * 1024
ASYNCHRONOUS_BYTES = 1024 * 1024


@row("six megabytes in")
def _large_event(case: Case) -> None:
    case.fresh(MemorySize=1024)
    room = SYNCHRONOUS_BYTES - len(json.dumps({"do": "echo", "value": {"rest": 1}, "pad": ""}))
    assert case.ask("echo", value={"rest": 1}, pad="x" * (room - 8)) == {"rest": 1}


@row("more than six megabytes in is refused")
def _too_large_event(case: Case) -> None:
    payload = json.dumps({"do": "nothing", "pad": "x" * SYNCHRONOUS_BYTES}).encode()
    error = case.shared().refused(case.api.invoke, FunctionName=case.name, Payload=payload)
    assert error.response["Error"]["Code"] == "RequestTooLargeException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@row("more than a megabyte of asynchronous event is refused")
def _too_large_async(case: Case) -> None:
    payload = json.dumps({"do": "nothing", "pad": "x" * ASYNCHRONOUS_BYTES}).encode()
    error = case.shared().refused(
        case.api.invoke, FunctionName=case.name, Payload=payload, InvocationType="Event"
    )
    assert error.response["Error"]["Code"] == "RequestTooLargeException"


@row("six megabytes out")
def _large_answer(case: Case) -> None:
    assert len(case.fresh(MemorySize=1024).ask("big", bytes=SYNCHRONOUS_BYTES - 64)) == SYNCHRONOUS_BYTES - 64


@row("seven megabytes out is an error", quick=True)
def _too_large_answer(case: Case) -> None:
    answer = case.fresh(MemorySize=1024).invoke("big", bytes=7_000_000)
    assert answer.error == "Function.ResponseSizeTooLarge"
    assert answer.message == ("Response payload size exceeded maximum allowed payload size (6291556 bytes).")


@row("an event that is not JSON is refused")
def _not_json(case: Case) -> None:
    error = case.shared().refused(case.api.invoke, FunctionName=case.name, Payload=b"{no")
    assert error.response["Error"]["Code"] == "InvalidRequestContentException"
    assert error.response["Error"]["Message"].startswith("Could not parse request body into json: ")


@row("/tmp stays while the environment is warm", quick=True)
def _tmp(case: Case) -> None:
    case.fresh()
    assert case.ask("read", path="/tmp/kept") is None
    case.ask("write", path="/tmp/kept", text="here")
    assert case.ask("read", path="/tmp/kept") == "here"


@row("/tmp has the size that was asked for")
def _tmp_size(case: Case) -> None:
    case.fresh(EphemeralStorage={"Size": 600}, MemorySize=1024)
    assert case.ask("fill", path="/tmp/a", mb=300) == "written"
    assert case.ask("fill", path="/tmp/b", mb=400) in ("ENOSPC", "EFBIG")


@row("the code is read-only")
def _read_only(case: Case) -> None:
    answer = case.shared().invoke("write", path="/var/task/new", text="x")
    assert answer.raw["FunctionError"] == "Unhandled"

"""State machines and their executions."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

from sandbox.account import Account
from sandbox.console.refusals import Refused, asks

SHOWN = 30
_HISTORY = 1_000


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as a listing has it."""

    arn: str
    name: str
    status: str
    started_at: dt.datetime
    ended_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine: its definition and its latest executions."""

    arn: str
    name: str
    kind: str
    definition: dict[str, Any] = field(repr=False)
    executions: list[Execution] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """An execution from the inside: how each state fared, and its history."""

    execution: Execution
    input: str
    output: str
    error: str
    states: dict[str, str]
    history: list[dict[str, Any]] = field(repr=False)


@asks
def read(account: Account, arn: str) -> Machine:
    """A state machine."""
    client = account.client("stepfunctions")
    found = client.describe_state_machine(stateMachineArn=arn)
    listed = []
    if found["type"] == "STANDARD":
        # An express one keeps no executions: its log tells of them.
        listed = client.list_executions(stateMachineArn=arn, maxResults=SHOWN)["executions"]
    return Machine(
        arn,
        found["name"],
        found["type"],
        json.loads(found["definition"]),
        [_execution(each) for each in listed],
    )


@asks
def start(account: Account, arn: str, text: str) -> str:
    """Start an execution; its ARN.

    Raises:
        Refused: the input is no JSON, or AWS says no.
    """
    try:
        json.loads(text)
    except ValueError as error:
        raise Refused(f"The input is not JSON: {error}") from None
    return str(
        account.client("stepfunctions").start_execution(stateMachineArn=arn, input=text)["executionArn"]
    )


@asks
def stop(account: Account, arn: str) -> None:
    """Stop an execution."""
    account.client("stepfunctions").stop_execution(executionArn=arn)


@asks
def run(account: Account, arn: str) -> Run:
    """An execution with its history."""
    client = account.client("stepfunctions")
    found = client.describe_execution(executionArn=arn)
    events: list[dict[str, Any]] = client.get_execution_history(executionArn=arn, maxResults=_HISTORY)[
        "events"
    ]
    return Run(
        _execution(found),
        found.get("input", ""),
        found.get("output", ""),
        ": ".join(filter(None, (found.get("error", ""), found.get("cause", "")))),
        fared(events, found["status"]),
        [_shown(event) for event in events],
    )


def fared(events: list[dict[str, Any]], status: str) -> dict[str, str]:
    """By state ``done``, ``running``, ``failed`` or ``caught``: how it fared the last time."""
    found: dict[str, str] = {}
    for event in events:
        kind = event["type"]
        if kind.endswith("StateEntered"):
            found[event["stateEnteredEventDetails"]["name"]] = "running"
        elif kind.endswith("StateExited"):
            found[event["stateExitedEventDetails"]["name"]] = "done"
    if status in ("FAILED", "TIMED_OUT", "ABORTED"):
        return {name: "failed" if how == "running" else how for name, how in found.items()}
    return found


def _execution(found: dict[str, Any]) -> Execution:
    return Execution(
        found["executionArn"], found["name"], found["status"], found["startDate"], found.get("stopDate")
    )


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = next(
        (value for key, value in event.items() if key.endswith("EventDetails")), {}
    )
    told = {key: value for key, value in details.items() if not key.endswith("Details")}
    return {
        "id": event["id"],
        "at": event["timestamp"],
        "type": event["type"],
        "state": details.get("name", ""),
        "told": json.dumps(told, ensure_ascii=False, default=str)[:4000],
    }

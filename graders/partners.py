"""Partners: functions of the grader's, in an account of their own, that a learner's code has to call.

A partner is a stack of ordinary AWS resources in the fixture account. Its ledger is its log, which the
learner's account can't reach, so what it says is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graders import partner_function
from graders.faults import Faults
from graders.fixtures import deploy, role
from graders.telemetry import Mark
from sandbox.account import Account

_RUNTIME = "python3.13"
# More than any behaviour takes, so that a partner never ends a call by its own time limit.
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class PartnerCall:
    """A call as the partner's ledger has it. Times are seconds of the partner's own clock.

    ``ended`` is None while the call is under way. ``failure`` is the error it answered, else empty;
    ``performed`` is whether the partner did what it was asked to, which one that fails may do, too.
    """

    id: str
    said: Mapping[str, Any]
    began: float
    ended: float | None = None
    failure: str = ""
    performed: bool = False

    @property
    def accepted(self) -> bool:
        """It ended well: the partner did what it was asked to do."""
        return self.ended is not None and not self.failure

    def says(self, name: str, value: Any) -> bool:
        """Whether a field of the payload was this value, however long it is."""
        return name in self.said and self.said[name] == partner_function.told(value)


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner that is deployed."""

    name: str
    arn: str
    account: Account = field(repr=False)

    def behaving(self, **settings: Any) -> AbstractContextManager[None]:
        """Have it answer slowly, or with an error of this name …, for calls that begin within the block.

        The settings are those of the fault ``partner`` in ``docs/faults.md``: ``latency_ms=3_000``,
        ``failure="BankClosed"``, ``share=0.5``, ``performed=True``, ``concurrency=2``, ``answer={…}``.
        """
        return Faults(self.account).on("partner", function=self.arn, **settings)

    def calls(self, since: Mark | None = None) -> list[PartnerCall]:
        """The calls that began since a moment, oldest first."""
        found: dict[str, PartnerCall] = {}
        for entry in self._ledger(since):
            if "began" in entry:
                found[entry["call"]] = PartnerCall(entry["call"], entry["said"], entry["began"])
            elif entry["call"] in found:
                call = found[entry["call"]]
                found[call.id] = replace(
                    call,
                    ended=entry["ended"],
                    failure=entry["failure"],
                    performed=entry["performed"],
                )
        return sorted(found.values(), key=lambda call: call.began)

    def _ledger(self, since: Mark | None) -> Iterator[dict[str, Any]]:
        client = self.account.client("logs", fixture=True)
        arguments: dict[str, Any] = {"logGroupName": _group(self.name)}
        if since is not None:
            arguments["startTime"] = int(since.at.timestamp() * 1000)
        while True:
            page = client.filter_log_events(**arguments)
            for event in page["events"]:
                if event["message"].startswith('{"ledger": '):
                    yield json.loads(event["message"])["ledger"]
            if not page.get("nextToken"):
                return
            arguments["nextToken"] = page["nextToken"]


def most_at_once(calls: list[PartnerCall]) -> int:
    """The most calls that were ever under way at the same time."""
    ends = sorted(
        change
        for call in calls
        for change in ((call.began, 1), (call.began if call.ended is None else call.ended, -1))
    )
    running = most = 0
    for _moment, change in ends:
        running += change
        most = max(most, running)
    return most


def open_partners(account: Account, names: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Partner]]:
    """Deploy partners; ``names`` is stack parameter → partner.

    Returns the stack parameters with the partners' ARNs, and the partners by name.

    Raises:
        EnvironmentFault: a partner could not be deployed.
    """
    partners = {name: _deploy(account, name) for name in dict.fromkeys(names.values())}
    return {parameter: partners[name].arn for parameter, name in names.items()}, partners


def _deploy(account: Account, name: str) -> Partner:
    outputs = deploy(account, f"partner-{name}", _template(name, account.account_id))
    return Partner(name, outputs["Arn"], account)


def _group(name: str) -> str:
    return f"/partners/{name}"


def _template(name: str, caller_account_id: str) -> dict[str, Any]:
    """A function that one account may call, its role, and the log that is its ledger."""
    write = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": {"Fn::GetAtt": ["Ledger", "Arn"]},
    }
    return {
        "Resources": {
            "Ledger": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {"LogGroupName": _group(name), "RetentionInDays": 1},
            },
            "Role": role(write),
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": _RUNTIME,
                    "Handler": "index.handler",
                    "Code": {"ZipFile": Path(partner_function.__file__).read_text("utf-8")},
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "MemorySize": 256,
                    "Timeout": _TIMEOUT_S,
                    "LoggingConfig": {"LogGroup": {"Ref": "Ledger"}},
                },
            },
            "Callers": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "Action": "lambda:InvokeFunction",
                    "Principal": caller_account_id,
                },
            },
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Function", "Arn"]}}},
    }

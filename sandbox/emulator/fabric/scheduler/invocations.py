"""One due schedule calls its target: tries, waits, gives up, dead-letters."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.emulator import sdk
from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.scheduler.targets import TargetCall, TargetRefused, target_call

SERVICE = "scheduler.amazonaws.com"
MOST_RETRIES, MOST_AGE_S = 185, 86_400
_LONGEST_WAIT_S = 900.0


@dataclass(frozen=True, slots=True)
class Invocation:
    """A target to be called for a schedule that fell due at ``scheduled``."""

    schedule_arn: str
    account_id: str
    region: str
    target: Mapping[str, Any]
    scheduled: dt.datetime
    execution_id: str
    attempt: int = 1

    def text(self) -> str:
        """The target's input, with the context attributes filled in.

        Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
        """
        given = str(self.target.get("Input") or "")
        attributes = {
            "schedule-arn": self.schedule_arn,
            "scheduled-time": _moment(self.scheduled),
            "execution-id": self.execution_id,
            "attempt-number": str(self.attempt),
        }
        for name, value in attributes.items():
            given = given.replace(f"<aws.scheduler.{name}>", value)
        return given


class _Failed(Exception):
    def __init__(self, code: str, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.retry = code, message, retry


class Invocations:
    """Calls targets in their schedule's role."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def begin(self, invocation: Invocation, delay_s: float = 0.0) -> None:
        """Have the target called; only enqueues."""
        self._core.work.submit(
            lambda: self._try(invocation), label=f"schedule {invocation.schedule_arn}", delay_s=delay_s
        )

    def _try(self, invocation: Invocation) -> None:
        label = f"schedule {invocation.schedule_arn}"
        if self._core.faults.hold(invocation.region, lambda: self._try(invocation), label=label):
            return
        try:
            call = target_call(
                invocation.target, invocation.text(), self._core.gateway_port, invocation.region
            )
        except NotImplementedError as error:
            self._core.timeline.add(
                "gap",
                f"scheduler:{invocation.schedule_arn}",
                account_id=invocation.account_id,
                region=invocation.region,
                outcome="NotEmulated",
                message=f"{error} are not emulated. This is our gap.",
            )
            return
        except TargetRefused as error:
            self._give_up(invocation, None, _Failed("ValidationException", str(error)), "")
            return
        try:
            self._call(invocation, call)
        except _Failed as failure:
            self._failed(invocation, call, failure)
            return
        self._note(invocation, "ok")

    def _call(self, invocation: Invocation, call: TargetCall) -> None:
        principal = self._role(invocation)
        client = self._core.clients.client(call.service, region=call.region, principal=principal)
        try:
            answer = sdk.perform(client, sdk.operation_name(client, call.operation), call.parameters)
        except sdk.Misshapen as error:
            raise _Failed("ValidationException", str(error)) from None
        except ClientError as error:
            code = str(error.response["Error"].get("Code", ""))
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            retry = status >= 500 or status == 429 or "Throttl" in code
            raise _Failed(code, str(error.response["Error"].get("Message", "")), retry=retry) from error
        except BotoCoreError as error:
            raise _Failed(type(error).__name__, str(error)) from error
        for entry in answer.get("Entries") or ():
            if entry.get("ErrorCode"):
                raise _Failed(entry["ErrorCode"], entry.get("ErrorMessage", ""))

    def _role(self, invocation: Invocation) -> Principal:
        try:
            return roles.assume(
                self._core, str(invocation.target["RoleArn"]), SERVICE, source_arn=invocation.schedule_arn
            )
        except roles.RoleRefused as error:
            raise _Failed("AccessDeniedException", str(error)) from None

    def _failed(self, invocation: Invocation, call: TargetCall, failure: _Failed) -> None:
        policy = invocation.target.get("RetryPolicy") or {}
        most = int(policy.get("MaximumRetryAttempts", MOST_RETRIES))
        oldest_s = float(policy.get("MaximumEventAgeInSeconds", MOST_AGE_S))
        wait_s = min(2.0 ** min(invocation.attempt - 1, 10), _LONGEST_WAIT_S)
        exhausted = ""
        if failure.retry:
            age_s = self._core.clock.time() + wait_s - invocation.scheduled.timestamp()
            if invocation.attempt > most:
                exhausted = "MaximumRetryAttempts"
            elif age_s > oldest_s:
                exhausted = "MaximumEventAgeInSeconds"
            else:
                why = f"target refused: {failure.message or failure.code}, again in {wait_s:g} s"
                self._note(invocation, "retry", error=failure.code, reason=why)
                self.begin(replace(invocation, attempt=invocation.attempt + 1), wait_s)
                return
        self._give_up(invocation, call, failure, exhausted)

    def _give_up(
        self, invocation: Invocation, call: TargetCall | None, failure: _Failed, exhausted: str
    ) -> None:
        then = f", {exhausted} is reached" if exhausted else ""
        detail = {"error": failure.code, "reason": f"target refused: {failure.message or failure.code}{then}"}
        queue_arn = (invocation.target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue_arn:
            self._note(invocation, "failed", **detail)
            return
        attributes = {
            "SCHEDULE_ARN": invocation.schedule_arn,
            "TARGET_ARN": str(invocation.target["Arn"]),
            "EXECUTION_ID": invocation.execution_id,
            "SCHEDULED_TIME": _moment(invocation.scheduled),
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message or failure.code,
            "RETRY_ATTEMPTS": str(invocation.attempt - 1),
            "IS_PAYLOAD_TRUNCATED": "false",
        }
        if exhausted:
            attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
        body = invocation.text() if call is None else _body(call)
        try:
            self._dead_letter(invocation, queue_arn, body, attributes)
        except _Failed as second:
            lost = f"{detail['reason']}; its dead-letter queue refused, too: {second.message}"
            self._note(invocation, "failed", **{**detail, "reason": lost})
            return
        self._note(invocation, "dead-lettered", **detail, dead_letter_queue=queue_arn)

    def _dead_letter(
        self, invocation: Invocation, queue_arn: str, body: str, attributes: Mapping[str, str]
    ) -> None:
        """In the schedule's role too, as AWS does it."""
        _, _, _, region, account_id, name = queue_arn.split(":")
        sqs = self._core.clients.client("sqs", region=region, principal=self._role(invocation))
        try:
            sqs.send_message(
                QueueUrl=f"http://127.0.0.1:{self._core.gateway_port}/{account_id}/{name}",
                MessageBody=body,
                MessageAttributes={
                    key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()
                },
            )
        except ClientError as error:
            raise _Failed(str(error.response["Error"].get("Code")), str(error)) from error

    def _note(self, invocation: Invocation, outcome: str, **detail: Any) -> None:
        self._core.timeline.add(
            "delivery",
            f"scheduler:{invocation.schedule_arn.rsplit('/', 1)[-1]}",
            account_id=invocation.account_id,
            region=invocation.region,
            outcome=outcome,
            target=invocation.target["Arn"],
            scheduled=_moment(invocation.scheduled),
            execution_id=invocation.execution_id,
            retries=invocation.attempt - 1,
            **detail,
        )


def new_execution_id() -> str:
    """As Scheduler names executions: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def _body(call: TargetCall) -> str:
    """A dead letter holds the request as it was made."""
    return json.dumps(
        {
            name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            for name, value in call.parameters.items()
        }
    )


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

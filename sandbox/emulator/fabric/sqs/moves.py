"""Message move tasks: a dead-letter queue's messages go back to where they came from."""

from __future__ import annotations

import base64
import builtins
import json
import uuid
from dataclasses import dataclass
from typing import Any

from moto.sqs.models import Queue, sqs_backends

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.sqs.errors import missing_parameter
from sandbox.emulator.fabric.sqs.mailroom import Mailroom

# Without a limit SQS moves as fast as it can; this many at a time leave others their turn.
_MOVED_AT_ONCE = 500


@dataclass(slots=True)
class _Task:
    handle: str
    source: str
    destination: str
    per_second: int | None
    started_at_ms: int
    to_move: int
    moved: int = 0
    status: str = "RUNNING"

    def shown(self) -> dict[str, Any]:
        found = {
            "TaskHandle": self.handle if self.status == "RUNNING" else "",
            "Status": self.status,
            "SourceArn": self.source,
            "DestinationArn": self.destination,
            "MaxNumberOfMessagesPerSecond": self.per_second,
        }
        shown: dict[str, Any] = {name: value for name, value in found.items() if value}
        shown["ApproximateNumberOfMessagesMoved"] = self.moved
        shown["ApproximateNumberOfMessagesToMove"] = self.to_move
        shown["StartedTimestamp"] = self.started_at_ms
        return shown


class MoveTasks:
    """Starts, cancels and lists the moves of each queue."""

    def __init__(self, core: AccountCore, mailroom: Mailroom) -> None:
        self._core = core
        self._mailroom = mailroom
        self._tasks: dict[str, builtins.list[_Task]] = {}

    def start(self, call: Call) -> dict[str, Any]:
        source = self._queue(call, "SourceArn")
        with self._core.dispatch_lock:
            queues = list(sqs_backends[source.account_id][source.region].queues.values())
        if not any(queue.dead_letter_queue is source for queue in queues):
            raise AwsError("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
        if call.params.get("DestinationArn"):
            self._queue(call, "DestinationArn")
        tasks = self._tasks.setdefault(source.queue_arn, [])
        if any(task.status == "RUNNING" for task in tasks):
            raise AwsError(
                "UnsupportedOperation",
                "There is already a task running. Only one active task is allowed for a source queue arn "
                "at a given time.",
            )
        handle = base64.b64encode(
            json.dumps({"taskId": str(uuid.uuid4()), "sourceArn": source.queue_arn}).encode()
        ).decode()
        task = _Task(
            handle,
            source.queue_arn,
            call.params.get("DestinationArn") or "",
            call.params.get("MaxNumberOfMessagesPerSecond"),
            int(self._core.clock.time() * 1000),
            self._mailroom.available(source),
        )
        tasks.insert(0, task)
        self._continue(task)
        return {"TaskHandle": handle}

    def cancel(self, call: Call) -> dict[str, Any]:
        handle = call.params.get("TaskHandle")
        task = next((t for tasks in self._tasks.values() for t in tasks if t.handle == handle), None)
        if task is None or task.status != "RUNNING":
            raise AwsError("ResourceNotFoundException", "Task does not exist.", 404)
        task.status = "CANCELLED"
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    def list(self, call: Call) -> dict[str, Any]:
        source = self._queue(call, "SourceArn")
        tasks = self._tasks.get(source.queue_arn, [])
        return {"Results": [task.shown() for task in tasks[: call.params.get("MaxResults") or 1]]}

    def _queue(self, call: Call, parameter: str) -> Queue:
        if not (arn := call.params.get(parameter)):
            raise missing_parameter(parameter)
        try:
            queue = self._mailroom.find_queue(str(Arn.parse(arn)))
        except ValueError:
            raise AwsError(
                "InvalidParameterValue",
                f"You must use this format to specify the {parameter}: "
                "arn:<partition>:<service>:<region>:<account-id>:<resource-id>",
            ) from None
        if queue is None:
            raise AwsError(
                "ResourceNotFoundException",
                f"The resource that you specified for the {parameter} parameter doesn't exist.",
                404,
            )
        return queue

    def _continue(self, task: _Task) -> None:
        delay_s = 1.0 if task.per_second and task.moved else 0.0
        self._core.work.submit(lambda: self._move(task), label=f"move from {task.source}", delay_s=delay_s)

    def _move(self, task: _Task) -> None:
        source = self._mailroom.find_queue(task.source)
        if task.status != "RUNNING" or source is None:
            return
        for _ in range(task.per_second or _MOVED_AT_ONCE):
            if not self._mailroom.move_one(source, task.destination):
                task.status = "COMPLETED"
                return
            task.moved += 1
        self._continue(task)

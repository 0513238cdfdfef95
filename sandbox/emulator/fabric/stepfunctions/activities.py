"""Activities: tasks that wait until a worker fetches them, and until it says how they went.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-activities.html
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.stepfunctions.models import stepfunctions_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.stepfunctions.fibers import Completions

# A worker's question is answered after this long even when there is nothing to do.
POLL_LIMIT_S = 60.0
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A task for a worker. Its limits count from when one has fetched it; ``started`` is told who that is."""

    token: str
    input: str
    timeout_s: float | None
    heartbeat_s: float | None
    started: Callable[[str | None], None]


class Activities:
    """The tasks that wait for workers, by their activity's ARN."""

    def __init__(self, core: AccountCore, completions: Completions, *, poll_s: float = POLL_LIMIT_S) -> None:
        self._core = core
        self._completions = completions
        self._poll_s = poll_s
        self._changed = threading.Condition()
        self._waiting: defaultdict[str, deque[Scheduled]] = defaultdict(deque)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {"CreateActivity": self._create, "GetActivityTask": self._fetch}
        return {("stepfunctions", name): handler for name, handler in found.items()}

    def exists(self, arn: str) -> bool:
        """Whether there is such an activity."""
        return self._find(arn) is not None

    def schedule(self, arn: str, task: Scheduled) -> None:
        """Have a task wait for a worker."""
        with self._changed:
            self._waiting[arn].append(task)
            self._changed.notify_all()

    def _find(self, arn: str) -> Any:
        parts = arn.split(":")
        if len(parts) != 7 or parts[5] != "activity":
            return None
        with self._core.dispatch_lock:
            return stepfunctions_backends[parts[4]][parts[3]].activities.get(arn)

    def _create(self, call: Call) -> dict[str, Any]:
        arn = f"arn:aws:states:{call.region}:{call.account_id}:activity:{call.params['name']}"
        with self._core.dispatch_lock:
            # Making what is there already is no error.
            found = self._find(arn)
            if found is None:
                return self._core.moto(call)
            return {"activityArn": arn, "creationDate": found.creation_date}

    def _fetch(self, call: Call) -> dict[str, Any]:
        arn = call.params["activityArn"]
        if not self.exists(arn):
            raise AwsError("ActivityDoesNotExist", f"Activity Does Not Exist: '{arn}'")
        until, due = time.monotonic() + self._poll_s, self._core.clock.time() + self._poll_s
        while True:
            task = self._next(arn)
            if task is not None and self._take(task, call.params.get("workerName")):
                return {"taskToken": task.token, "input": task.input}
            if task is not None:
                continue  # Its execution waits no more.
            with self._changed:
                left = min(until - time.monotonic(), due - self._core.clock.time())
                if left <= 0:
                    return {}
                if not self._waiting[arn]:
                    self._changed.wait(min(left, _LOOK_EVERY_S))

    def _next(self, arn: str) -> Scheduled | None:
        with self._changed:
            waiting = self._waiting[arn]
            return waiting.popleft() if waiting else None

    def _take(self, task: Scheduled, worker: str | None) -> bool:
        return self._completions.begin(
            task.token, task.timeout_s, task.heartbeat_s, lambda: task.started(worker)
        )

"""EventBridge Scheduler's API; moto keeps the schedules, we let them fall due."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping
from typing import Any

from moto.scheduler.models import scheduler_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.eventbridge.schedules import InvalidSchedule
from sandbox.emulator.fabric.eventbridge.timetable import Timetable
from sandbox.emulator.fabric.scheduler.expressions import Timing, read_timing
from sandbox.emulator.fabric.scheduler.invocations import SERVICE, Invocation, Invocations, new_execution_id


class Scheduler:
    """Schedules, one-time and recurring."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._timetable = Timetable(core)
        self._invocations = Invocations(core)
        self._chance = random.Random(core.account_id)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "CreateSchedule": self._create,
            "UpdateSchedule": self._update,
            "DeleteSchedule": self._delete,
            "CreateScheduleGroup": self._create_group,
            "DeleteScheduleGroup": self._delete_group,
        }
        return {("scheduler", name): handler for name, handler in found.items()}

    def _create(self, call: Call) -> dict[str, Any]:
        now = self._core.clock.now()
        timing = self._check(call, now)
        with self._core.dispatch_lock:
            self._group(call, call.params.get("GroupName") or "default")
            answer = self._core.moto(call)
            self._follow(call, timing, now)
        return answer

    def _update(self, call: Call) -> dict[str, Any]:
        now = self._core.clock.now()
        timing = self._check(call, now)
        with self._core.dispatch_lock:
            answer = self._core.moto(call)
            # moto's update leaves this as it was; an update replaces a schedule as a whole.
            kept = self._backend(call).get_schedule(call.params.get("GroupName"), call.params["Name"])
            kept.action_after_completion = call.params.get("ActionAfterCompletion")
            self._follow(call, timing, now)
        return answer

    def _delete(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            answer = self._core.moto(call)
            self._timetable.cancel(_arn(call))
        return answer

    def _delete_group(self, call: Call) -> dict[str, Any]:
        """A group takes its schedules with it."""
        with self._core.dispatch_lock:
            schedules = list(self._group(call, call.params["Name"]).schedules.values())
            answer = self._core.moto(call)
            for schedule in schedules:
                self._timetable.cancel(schedule.arn)
        return answer

    def _backend(self, call: Call) -> Any:
        return scheduler_backends[call.account_id][call.region]

    def _group(self, call: Call, name: str) -> Any:
        group = self._backend(call).schedule_groups.get(name)
        if group is None:
            raise AwsError("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)
        return group

    def _create_group(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            if call.params["Name"] in self._backend(call).schedule_groups:
                raise AwsError(
                    "ConflictException", f"Schedule group {call.params['Name']} already exists.", 409
                )
            return self._core.moto(call)

    def _check(self, call: Call, now: dt.datetime) -> Timing:
        params = call.params
        window = params.get("FlexibleTimeWindow") or {}
        if (window.get("Mode") == "FLEXIBLE") != (window.get("MaximumWindowInMinutes") is not None):
            raise _invalid(
                "MaximumWindowInMinutes must be set when the FlexibleTimeWindow's mode is FLEXIBLE, "
                "and only then."
            )
        expression, zone = params["ScheduleExpression"], params.get("ScheduleExpressionTimezone") or "UTC"
        start, end = params.get("StartDate"), params.get("EndDate")
        if start is not None and end is not None and end <= start:
            raise _invalid("The EndDate must come after the StartDate.")
        try:
            timing = read_timing(expression, zone, start, end, now)
        except InvalidSchedule as error:
            what = "ScheduleExpressionTimezone" if str(error) == zone else "Schedule Expression"
            raise _invalid(f"Invalid {what} {zone if str(error) == zone else expression}.") from None
        try:
            roles.assume(self._core, params["Target"]["RoleArn"], SERVICE, source_arn=_arn(call))
        except roles.RoleRefused:
            raise _invalid(
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
            ) from None
        return timing

    def _follow(self, call: Call, timing: Timing, now: dt.datetime) -> None:
        params, arn = call.params, _arn(call)
        self._timetable.cancel(arn)
        if params.get("State") == "DISABLED":
            return
        window_s = 60.0 * ((params.get("FlexibleTimeWindow") or {}).get("MaximumWindowInMinutes") or 0)

        def fire(due: dt.datetime) -> None:
            invocation = Invocation(
                arn, call.account_id, call.region, params["Target"], due, new_execution_id()
            )
            self._invocations.begin(invocation, self._chance.uniform(0.0, window_s))
            if params.get("ActionAfterCompletion") == "DELETE" and timing.after(due) is None:
                self._complete(call, params)

        # A rate without a start date falls due at once.
        self._timetable.set(arn, timing, fire, since=now - dt.timedelta(microseconds=1))

    def _complete(self, call: Call, params: Mapping[str, Any]) -> None:
        """Take away a schedule that will not fall due again."""
        self._backend(call).delete_schedule(params.get("GroupName"), params["Name"])
        self._timetable.cancel(_arn(call))


def _arn(call: Call) -> str:
    group, name = call.params.get("GroupName") or "default", call.params["Name"]
    return f"arn:aws:scheduler:{call.region}:{call.account_id}:schedule/{group}/{name}"


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)

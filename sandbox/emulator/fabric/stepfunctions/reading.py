"""Step Functions' API for looking at executions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.fabric.stepfunctions.executions import Execution, Machine

# What of an execution's description a list has.
_LISTED = frozenset(
    (
        *("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "mapRunArn"),
        *("stateMachineVersionArn", "stateMachineAliasArn", "redriveCount", "redriveDate"),
    )
)


class Reading:
    """Tells of executions: of one, of a machine's or a Map Run's, and of what happened in them."""

    def __init__(
        self,
        machine: Callable[[str], Machine],
        find: Callable[[str], Execution],
        every: Callable[[], Iterable[Execution]],
    ) -> None:
        self._machine = machine
        self._find = find
        self._every = every

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "DescribeExecution": self._describe,
            "DescribeStateMachineForExecution": self._machine_of_execution,
            "ListExecutions": self._list,
            "GetExecutionHistory": self._history,
        }
        return {("stepfunctions", name): handler for name, handler in found.items()}

    def _describe(self, call: Call) -> dict[str, Any]:
        execution = self._find(call.params["executionArn"])
        if execution.machine.express and execution.map_run is None:
            raise AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{execution.arn}'")
        return execution.shown()

    def _machine_of_execution(self, call: Call) -> dict[str, Any]:
        execution = self._find(call.params["executionArn"])
        machine, run = execution.machine, execution.map_run
        child = {"mapRunArn": run.arn, "label": run.label} if run is not None else {}
        return child | {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "definition": machine.text,
            "roleArn": machine.role_arn,
            "updateDate": execution.started_at,
        }

    def _list(self, call: Call) -> dict[str, Any]:
        params = call.params
        if bool(params.get("stateMachineArn")) == bool(params.get("mapRunArn")):
            raise AwsError(
                "ValidationException", "Exactly one of stateMachineArn and mapRunArn must be given."
            )
        if params.get("mapRunArn"):
            run = params["mapRunArn"]
            found = [each for each in self._every() if each.map_run is not None and each.map_run.arn == run]
        else:
            machine = self._machine(params["stateMachineArn"])
            if machine.express:
                raise AwsError(
                    "StateMachineTypeNotSupported",
                    "This operation is not supported by this type of state machine",
                )
            found = [each for each in self._every() if each.machine.arn == machine.arn]
        if params.get("redriveFilter"):
            redriven = params["redriveFilter"] == "REDRIVEN"
            found = [each for each in found if bool(each.redrives) == redriven]
        if params.get("statusFilter"):
            found = [each for each in found if each.status == params["statusFilter"]]
        found.sort(key=lambda each: each.started_at, reverse=True)
        first, most = int(params.get("nextToken") or 0), int(params.get("maxResults") or 100)
        page = [
            {name: value for name, value in each.shown().items() if name in _LISTED}
            | ({"itemCount": each.item_count} if each.map_run is not None else {})
            for each in found[first : first + most]
        ]
        more = {"nextToken": str(first + most)} if first + most < len(found) else {}
        return {"executions": page, **more}

    def _history(self, call: Call) -> dict[str, Any]:
        params = call.params
        execution = self._find(params["executionArn"])
        events = execution.events()
        if params.get("reverseOrder"):
            events.reverse()
        first, most = int(params.get("nextToken") or 0), int(params.get("maxResults") or 100)
        with_data = params.get("includeExecutionData") is not False
        page = [event.shown(with_data=with_data) for event in events[first : first + most]]
        more = {"nextToken": str(first + most)} if first + most < len(events) else {}
        return {"events": page, **more}

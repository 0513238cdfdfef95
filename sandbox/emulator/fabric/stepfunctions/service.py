"""Step Functions' API: moto keeps the machines, executions are ours."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from moto.stepfunctions.models import stepfunctions_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers, trace_header
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.stepfunctions.activities import Activities
from sandbox.emulator.fabric.stepfunctions.definition import InvalidDefinition, read_definition
from sandbox.emulator.fabric.stepfunctions.errors import StatesError
from sandbox.emulator.fabric.stepfunctions.executions import EXPRESS_LIMIT_S, SERVICE, Execution, Machine
from sandbox.emulator.fabric.stepfunctions.fibers import Completions
from sandbox.emulator.fabric.stepfunctions.mapcalls import MapRuns
from sandbox.emulator.fabric.stepfunctions.mapruns import MapRun
from sandbox.emulator.fabric.stepfunctions.reading import Reading
from sandbox.emulator.fabric.stepfunctions.tracing import MachineTracer
from sandbox.emulator.fabric.stepfunctions.versions import INITIAL, Versions
from sandbox.emulator.telemetry.traces.service import Traces

_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_INPUT_LIMIT_BYTES = 262_144


class Bus(Protocol):
    """Where changes of executions are told."""

    def put(self, account_id: str, region: str, event: Mapping[str, Any]) -> str:
        """Put an AWS service's event on the default bus."""


class StepFunctions:
    """Runs state machines."""

    def __init__(self, core: AccountCore, bus: Bus | None = None, traces: Traces | None = None) -> None:
        self._core = core
        self._bus = bus
        self._completions = Completions()
        self.activities = Activities(core, self._completions)
        self._versions = Versions(core)
        self._tracer = MachineTracer(core, traces)
        self._lock = threading.Lock()
        self._executions: dict[str, Execution] = {}
        self._followers: defaultdict[str, list[Callable[[Mapping[str, Any]], None]]] = defaultdict(list)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "CreateStateMachine": self._create_machine,
            "UpdateStateMachine": self._update_machine,
            "ValidateStateMachineDefinition": self._validate,
            "StartExecution": self._start_execution,
            "StartSyncExecution": self._start_sync_execution,
            "StopExecution": self._stop_execution,
            "SendTaskSuccess": self._task_succeeded,
            "SendTaskFailure": self._task_failed,
            "SendTaskHeartbeat": self._task_lives,
            "RedriveExecution": self._redrive,
        }
        made: Handlers = {("stepfunctions", name): handler for name, handler in found.items()}
        runs = MapRuns(self._core, self._execution, self._all)
        reading = Reading(self._machine, self._execution, self._all)
        made |= runs.handlers() | reading.handlers()
        return made | self.activities.handlers() | self._versions.handlers()

    def when_ended(self, arn: str, then: Callable[[Mapping[str, Any]], None]) -> None:
        """Call ``then`` with the description of an execution once it has ended."""
        with self._lock:
            execution = self._executions.get(arn)
            if execution is not None and not execution.done.is_set():
                self._followers[arn].append(then)
                return
        if execution is not None:
            then(execution.shown())

    def _create_machine(self, call: Call) -> dict[str, Any]:
        params = call.params
        if not _NAME.fullmatch(params["name"]):
            raise AwsError("InvalidName", f"Invalid Name: '{params['name']}'")
        self._check_definition(params["definition"], express=params.get("type") == "EXPRESS")
        arn = f"arn:aws:states:{call.region}:{call.account_id}:stateMachine:{params['name']}"
        self._check_role(params["roleArn"], arn)
        with self._core.dispatch_lock:
            found = self._find_machine(arn)
            if found is not None and not _same(found, params):
                raise AwsError("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
            made = self._core.moto(call)
            return made | self._published(arn, params, "")

    def _published(self, arn: str, params: Mapping[str, Any], revision: str) -> dict[str, Any]:
        """The version that moto published along with a change, if that was asked for. Hold the lock."""
        version = self._find_machine(arn).latest_version if params.get("publish") else None
        if version is None:
            return {}
        version.revision_id = revision or INITIAL
        version.creation_date = self._core.clock.now()
        return {"stateMachineVersionArn": version.arn}

    def _update_machine(self, call: Call) -> dict[str, Any]:
        if call.params.get("definition"):
            with self._core.dispatch_lock:
                found = self._find_machine(str(call.params["stateMachineArn"]))
            express = found is not None and found.type == "EXPRESS"
            self._check_definition(call.params["definition"], express=express)
        if call.params.get("roleArn"):
            self._check_role(call.params["roleArn"], call.params["stateMachineArn"])
        with self._core.dispatch_lock:
            made = self._core.moto(call)
            arn = str(call.params["stateMachineArn"])
            revision = self._versions.revised(self._find_machine(arn))
            return made | {"revisionId": revision} | self._published(arn, call.params, revision)

    def _check_definition(self, text: str, *, express: bool) -> None:
        try:
            read_definition(text, express=express)
        except InvalidDefinition as error:
            raise AwsError("InvalidDefinition", f"Invalid State Machine Definition: '{error}'") from None

    def _check_role(self, role_arn: str, machine_arn: str) -> None:
        try:
            roles.assume(self._core, role_arn, SERVICE, source_arn=machine_arn)
        except roles.RoleRefused:
            raise AwsError(
                "AccessDeniedException",
                "Neither the global service principal states.amazonaws.com, nor the regional one is "
                "authorized to assume the provided role.",
            ) from None

    def _validate(self, call: Call) -> dict[str, Any]:
        try:
            read_definition(call.params["definition"], express=call.params.get("type") == "EXPRESS")
        except InvalidDefinition as error:
            diagnostics = [
                {"severity": "ERROR", "code": line.partition(":")[0], "message": line.partition(": ")[2]}
                for line in str(error).split(", ")
            ]
            return {"result": "FAIL", "diagnostics": diagnostics, "truncated": False}
        return {"result": "OK", "diagnostics": [], "truncated": False}

    def _find_machine(self, arn: str) -> Any:
        """moto's machine, or its version or alias's version, by any ARN. Hold the dispatch lock."""
        _, _, _, region, account_id, _, name, *qualifier = arn.split(":")
        backend = stepfunctions_backends[account_id][region]
        machine = next((each for each in backend.state_machines if each.name == name), None)
        if machine is None or not qualifier:
            return machine
        return self._versions.chosen(machine, qualifier[0])

    def _machine(self, arn: str) -> Machine:
        with self._core.dispatch_lock:
            found = self._find_machine(arn) if arn.count(":") >= 6 else None
            if found is None:
                raise AwsError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
            _, _, _, region, account_id, *_ = arn.split(":")
            return Machine(
                arn=":".join(arn.split(":")[:7]),
                name=found.name,
                account_id=account_id,
                region=region,
                role_arn=found.roleArn,
                definition=json.loads(found.definition),
                text=found.definition,
                express=(found.type or "STANDARD") == "EXPRESS",
                logging=found.loggingConfiguration or {},
                traced=bool((found.tracingConfiguration or {}).get("enabled")),
                version_arn=found.arn if found.arn.count(":") > 6 else "",
                alias_arn=arn if arn.count(":") > 6 and not arn.rsplit(":", 1)[-1].isdigit() else "",
            )

    def _new(self, call: Call, *, sync: bool) -> Execution:
        params = call.params
        machine = self._machine(params["stateMachineArn"])
        given = params.get("input") or "{}"
        try:
            json.loads(given)
        except ValueError as error:
            raise AwsError(
                "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'"
            ) from None
        if len(given.encode()) > _INPUT_LIMIT_BYTES:
            raise AwsError("InvalidExecutionInput", "The execution input is larger than 262144 bytes.")
        name = params.get("name") or str(uuid.uuid4())
        if not _NAME.fullmatch(name):
            raise AwsError("InvalidName", f"Invalid Name: '{name}'")
        if sync and not machine.express:
            raise AwsError(
                "StateMachineTypeNotSupported",
                "This operation is not supported by this type of state machine",
            )
        arn = _arn(machine, name)
        execution = Execution(
            self._core,
            machine,
            arn,
            name,
            given,
            self,
            self._completions,
            self._ended,
            self._tracer,
            # Of both the request's own header counts.
            # Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
            trace_header() or params.get("traceHeader") or "",
        )
        with self._lock:
            existing = self._executions.get(arn)
            if existing is not None:
                # A repeated start with the same input is the same start, as long as it runs.
                if existing.input == given and existing.status == "RUNNING":
                    return existing
                raise AwsError("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
            self._executions[arn] = execution
        self._tell(execution)
        self._core.work.submit(execution.start, label=f"state machine {machine.name}: start")
        return execution

    def spawn(
        self, machine: Machine, given: str, trace_header: str, map_run: MapRun, item_count: int
    ) -> Execution:
        """A Map Run's child, which is started by whoever asked for it."""
        name = str(uuid.uuid4())
        execution = Execution(
            self._core,
            machine,
            _arn(machine, name),
            name,
            given,
            self,
            self._completions,
            self._ended,
            self._tracer,
            trace_header,
            map_run,
            item_count,
        )
        with self._lock:
            self._executions[execution.arn] = execution
        return execution

    def _all(self) -> list[Execution]:
        with self._lock:
            return list(self._executions.values())

    def _start_execution(self, call: Call) -> dict[str, Any]:
        execution = self._new(call, sync=False)
        return {"executionArn": execution.arn, "startDate": execution.started_at}

    def _start_sync_execution(self, call: Call) -> dict[str, Any]:
        execution = self._new(call, sync=True)
        execution.done.wait(EXPRESS_LIMIT_S + 5.0)
        shown = execution.shown()
        duration_s = ((execution.stopped_at or self._core.clock.now()) - execution.started_at).total_seconds()
        keep = (
            "executionArn",
            "stateMachineArn",
            "name",
            "startDate",
            "status",
            "output",
            "error",
            "cause",
            "input",
            "traceHeader",
        )
        made = {name: shown[name] for name in keep if name in shown}
        return made | {
            "stopDate": shown.get("stopDate", self._core.clock.now()),
            "inputDetails": {"included": True},
            "outputDetails": {"included": True},
            "billingDetails": {
                "billedMemoryUsedInMB": 64,
                "billedDurationInMilliseconds": max(100, -(-int(duration_s * 1000) // 100) * 100),
            },
        }

    def _execution(self, arn: str) -> Execution:
        with self._lock:
            execution = self._executions.get(arn)
        if execution is None:
            raise AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return execution

    def _stop_execution(self, call: Call) -> dict[str, Any]:
        execution = self._execution(call.params["executionArn"])
        execution.stop(call.params.get("error"), call.params.get("cause"))
        return {"stopDate": execution.stopped_at}

    def _redrive(self, call: Call) -> dict[str, Any]:
        execution = self._execution(call.params["executionArn"])
        if execution.machine.express:
            raise AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{execution.arn}'")
        status, reason = execution.redrivable()
        if status != "REDRIVABLE":
            raise AwsError("ExecutionNotRedrivable", f"{reason}: '{execution.arn}'")
        execution.redrive()
        self._tell(execution)
        return {"redriveDate": execution.redriven_at}

    def _task_succeeded(self, call: Call) -> dict[str, Any]:
        try:
            output = json.loads(call.params["output"])
        except ValueError as error:
            raise AwsError("InvalidOutput", f"Invalid Output: '{error}'") from None
        self._complete(call, output, None)
        return {}

    def _task_failed(self, call: Call) -> dict[str, Any]:
        error = StatesError(call.params.get("error") or "", call.params.get("cause") or "")
        self._complete(call, None, error)
        return {}

    def _complete(self, call: Call, output: Any, error: StatesError | None) -> None:
        if not self._completions.complete(call.params["taskToken"], output, error):
            raise _no_task()

    def _task_lives(self, call: Call) -> dict[str, Any]:
        if not self._completions.heartbeat(call.params["taskToken"]):
            raise _no_task()
        return {}

    def _ended(self, execution: Execution) -> None:
        self._tell(execution)
        with self._lock:
            followers = self._followers.pop(execution.arn, [])
        for then in followers:
            then(execution.shown())

    def _tell(self, execution: Execution) -> None:
        """An event on the default bus for each change of a standard execution's status."""
        machine = execution.machine
        if self._bus is None or machine.express or execution.map_run is not None:
            return
        shown = execution.shown()
        detail = {name: shown.get(name) for name in ("executionArn", "stateMachineArn", "name", "status")}
        for name in ("input", "output", "error", "cause"):
            detail[name] = shown.get(name)
        detail["startDate"] = int(execution.started_at.timestamp() * 1000)
        stopped = execution.stopped_at
        detail["stopDate"] = None if stopped is None else int(stopped.timestamp() * 1000)
        self._bus.put(
            machine.account_id,
            machine.region,
            {
                "source": "aws.states",
                "detail-type": "Step Functions Execution Status Change",
                "resources": [execution.arn],
                "detail": detail,
            },
        )


def _same(found: Any, params: Mapping[str, Any]) -> bool:
    return bool(found.definition == params["definition"] and found.roleArn == params["roleArn"])


def _no_task() -> AwsError:
    return AwsError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")


def _arn(machine: Machine, name: str) -> str:
    """An execution's ARN; those of express machines never come again."""
    prefix = machine.arn.replace(":stateMachine:", ":express:" if machine.express else ":execution:")
    return f"{prefix}:{name}:{uuid.uuid4()}" if machine.express else f"{prefix}:{name}"

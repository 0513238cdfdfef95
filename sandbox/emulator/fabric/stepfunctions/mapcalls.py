"""Step Functions' API for the runs of distributed Maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.stepfunctions.executions import Execution
from sandbox.emulator.fabric.stepfunctions.mapruns import RUNNING, MapRun, shown


class MapRuns:
    """Tells of Map Runs, and changes those under way."""

    def __init__(
        self,
        core: AccountCore,
        find: Callable[[str], Execution],
        every: Callable[[], Iterable[Execution]],
    ) -> None:
        self._core = core
        self._find = find
        self._every = every

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {
            ("stepfunctions", "ListMapRuns"): self._list,
            ("stepfunctions", "DescribeMapRun"): lambda call: shown(self._run(call), short=False),
            ("stepfunctions", "UpdateMapRun"): self._update,
        }

    def _run(self, call: Call) -> MapRun:
        arn = call.params["mapRunArn"]
        found = next((each.map_runs[arn] for each in self._every() if arn in each.map_runs), None)
        if found is None:
            raise AwsError("ResourceNotFound", f"Resource not found: '{arn}'")
        return found

    def _list(self, call: Call) -> dict[str, Any]:
        runs = list(self._find(call.params["executionArn"]).map_runs.values())
        first, most = int(call.params.get("nextToken") or 0), int(call.params.get("maxResults") or 100)
        more = {"nextToken": str(first + most)} if first + most < len(runs) else {}
        return {"mapRuns": [shown(run, short=True) for run in runs[first : first + most]], **more}

    def _update(self, call: Call) -> dict[str, Any]:
        """Other limits for a run under way; AWS leaves one that is over as it is, and says nothing."""
        run, params = self._run(call), call.params
        share = params.get("toleratedFailurePercentage")
        if share is not None and not 0 <= share <= 100:
            raise AwsError("ValidationException", "toleratedFailurePercentage must be between 0 and 100.")
        if run.status != RUNNING:
            return {}
        if params.get("maxConcurrency") is not None:
            run.limit = int(params["maxConcurrency"])
        if params.get("toleratedFailureCount") is not None:
            run.tolerated_count = int(params["toleratedFailureCount"])
        if share is not None:
            run.tolerated_percentage = float(share)
        # Not in this call: branches are started under their execution's lock.
        self._core.work.submit(run.refill, label=f"map run {run.label}: new limits")
        return {}

"""Asynchronous invocation: the queue, retries, the event's age, and what happens to the result.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html and
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.faults.deliveries import twice
from sandbox.emulator.functions import recursion
from sandbox.emulator.functions.contract import InvokeOutcome
from sandbox.emulator.functions.destinations import Destinations, Result
from sandbox.emulator.functions.execution import Invocation
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.store import FunctionStore, Target
from sandbox.emulator.telemetry.traces.headers import TraceHeader, new_trace_id

RETRY_DELAYS_S = (60.0, 120.0)
MAXIMUM_AGE_S = 21_600
MAXIMUM_RETRIES = 2
# Throttles and errors of the service itself do not count as attempts: backoff from 1 s to 5 minutes.
_BACKOFF_FIRST_S = 1.0
_BACKOFF_LIMIT_S = 300.0
_BACKOFF_DOUBLINGS = 9


@dataclass(frozen=True, slots=True)
class AsyncConfig:
    """How a function's asynchronous events are treated. Destinations are ARNs or empty."""

    maximum_retries: int = MAXIMUM_RETRIES
    maximum_age_s: int = MAXIMUM_AGE_S
    on_success: str = ""
    on_failure: str = ""


class AsyncConfigs(Protocol):
    """Where the configuration of a function, version or alias is kept."""

    def find(self, name: FunctionName) -> AsyncConfig:
        """The configuration for a name; the defaults when there is none."""


@dataclass(frozen=True, slots=True)
class _Queued:
    """An event in the queue. ``attempts`` counts runs of the function, ``throttles`` refusals in a row."""

    name: FunctionName
    invocation: Invocation
    accepted_at: float
    attempts: int = 0
    throttles: int = 0


Run = Callable[[FunctionName, Invocation], InvokeOutcome]
Watch = Callable[[FunctionName, str, float], None]
"""Learns of a function's queue: that an event was received (1), how old it was in ms when it was handed
over, that it was dropped (1): ``AsyncEventsReceived``, ``AsyncEventAge``, ``AsyncEventsDropped``."""


class AsyncInvocations:
    """Works on the account's queue; an event is in nobody else's hands from submit to its end."""

    def __init__(self, core: AccountCore, store: FunctionStore, configs: AsyncConfigs, run: Run) -> None:
        self._core = core
        self._store = store
        self._configs = configs
        self._run = run
        self._destinations = Destinations(core)
        self.watch: Watch = lambda name, metric, value: None

    def submit(self, name: FunctionName, invocation: Invocation) -> None:
        """Queue an event. Never blocks. All its attempts belong to one trace."""
        now = self._core.clock.time()
        if TraceHeader.read(invocation.trace_header) is None:
            invocation = replace(invocation, trace_header=str(TraceHeader(new_trace_id(now))))
        self.watch(name, "AsyncEventsReceived", 1)
        self._later(_Queued(name, invocation, now), 0.0)
        if twice(self._core, "lambda", name.arn):
            self._later(_Queued(name, invocation, now), 0.0)

    def _later(self, queued: _Queued, delay_s: float) -> None:
        self._core.work.submit(
            lambda: self._attempt(queued), label=f"lambda {queued.name.name} (async)", delay_s=delay_s
        )

    def _attempt(self, queued: _Queued) -> None:
        held = self._core.faults.hold(
            queued.name.region, lambda: self._attempt(queued), label=f"lambda {queued.name.name} (async)"
        )
        if held:
            return
        try:
            target = self._store.resolve(queued.name)
        except AwsError as error:
            self._lost(queued, error)
            return
        config = self._configs.find(queued.name)
        if target.reserved == 0:
            self._conclude(target, queued, config, "ZeroReservedConcurrency", None)
            return
        if self._age_s(queued) > config.maximum_age_s:
            self._conclude(target, queued, config, "EventAgeExceeded", None)
            return
        age_ms = self._age_s(queued) * 1000
        outcome = self._run(queued.name, queued.invocation)
        if outcome.status < 400:
            self.watch(queued.name, "AsyncEventAge", age_ms)
        if outcome.status == 404:
            self._lost(queued, AwsError(outcome.error_code, outcome.payload.decode(), 404))
        elif outcome.error_code == recursion.REFUSAL:
            self._conclude(target, queued, config, recursion.REFUSAL, outcome)
        elif outcome.status >= 400:
            self._refused(target, queued, config, outcome)
        else:
            self._ran(target, queued, config, outcome)

    def _age_s(self, queued: _Queued) -> float:
        return self._core.clock.time() - queued.accepted_at

    def _refused(self, target: Target, queued: _Queued, config: AsyncConfig, outcome: InvokeOutcome) -> None:
        """Throttled, or the service failed: back in the queue while the event is young enough."""
        delay_s = min(_BACKOFF_FIRST_S * 2 ** min(queued.throttles, _BACKOFF_DOUBLINGS), _BACKOFF_LIMIT_S)
        if self._age_s(queued) + delay_s > config.maximum_age_s:
            self._conclude(target, queued, config, "EventAgeExceeded", outcome)
            return
        again = _Queued(
            queued.name, queued.invocation, queued.accepted_at, queued.attempts, queued.throttles + 1
        )
        self._later(again, delay_s)

    def _ran(self, target: Target, queued: _Queued, config: AsyncConfig, outcome: InvokeOutcome) -> None:
        ran = _Queued(queued.name, queued.invocation, queued.accepted_at, queued.attempts + 1)
        if not outcome.function_error:
            self._conclude(target, ran, config, "Success", outcome)
        elif ran.attempts > config.maximum_retries:
            self._conclude(target, ran, config, "RetriesExhausted", outcome)
        else:
            delay_s = RETRY_DELAYS_S[ran.attempts - 1]
            if self._age_s(ran) + delay_s > config.maximum_age_s:
                self._conclude(target, ran, config, "EventAgeExceeded", outcome)
            else:
                self._later(ran, delay_s)

    def _conclude(
        self,
        target: Target,
        queued: _Queued,
        config: AsyncConfig,
        condition: str,
        outcome: InvokeOutcome | None,
    ) -> None:
        """The event's end: the destination for its kind, and the dead-letter queue of a failure."""
        result = Result(target.version, queued.name, queued.invocation, condition, queued.attempts, outcome)
        destination = config.on_success if condition == "Success" else config.on_failure
        if destination:
            self._destinations.send(destination, result)
        if condition == "Success":
            return
        # Dropped is what never was successful, also when a destination or a queue has it now.
        self.watch(queued.name, "AsyncEventsDropped", 1)
        if target.dead_letter:
            self._destinations.send_dead_letter(target.dead_letter, result)
        if not destination and not target.dead_letter:
            self._record_lost(queued, condition)

    def _lost(self, queued: _Queued, error: AwsError) -> None:
        """The function is gone; so is the event, as on AWS."""
        self.watch(queued.name, "AsyncEventsDropped", 1)
        self._record_lost(queued, error.code)

    def _record_lost(self, queued: _Queued, reason: str) -> None:
        self._core.timeline.add(
            "delivery",
            queued.name.name,
            account_id=queued.name.account_id,
            region=queued.name.region,
            outcome="dropped",
            reason=reason,
            source=queued.invocation.source,
            target=queued.name.arn,
            request_id=queued.invocation.request_id,
            attempts=queued.attempts,
        )

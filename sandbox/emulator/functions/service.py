"""The Lambda service of an account: the functions, their environments, and what may be asked of them."""

from __future__ import annotations

import json
import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sandbox.emulator.calls import AwsError, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.faults.calls import CallFaults
from sandbox.emulator.faults.deliveries import trouble
from sandbox.emulator.faults.errors import unavailable
from sandbox.emulator.functions import names, patches
from sandbox.emulator.functions.api.aliases import Aliases
from sandbox.emulator.functions.api.configuration import FunctionConfigurations
from sandbox.emulator.functions.api.event_configs import EventInvokeConfigs
from sandbox.emulator.functions.api.invoking import InvokeApi
from sandbox.emulator.functions.api.permissions import Permissions
from sandbox.emulator.functions.api.provisioned import ProvisionedConcurrency
from sandbox.emulator.functions.api.versions import Versions
from sandbox.emulator.functions.asynchronous import AsyncInvocations, Watch
from sandbox.emulator.functions.contract import InvokeOutcome
from sandbox.emulator.functions.execution import INIT_LIMIT_S, Executor, Invocation
from sandbox.emulator.functions.fleet import EnvironmentGateway, Fleet, OwnNames, Serve, Throttled
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.provisioned import Provisions
from sandbox.emulator.functions.recursion import RecursionConfigs
from sandbox.emulator.functions.runtimes import Runtimes
from sandbox.emulator.functions.runtimes.python import PythonRuntime
from sandbox.emulator.functions.store import FunctionStore
from sandbox.emulator.functions.streaming import ResponseStream
from sandbox.emulator.functions.tracing import Told, Tracer
from sandbox.emulator.functions.urls.access import Keys, UrlAccess
from sandbox.emulator.functions.urls.configs import FunctionUrls
from sandbox.emulator.functions.urls.dataplane import UrlDataPlane
from sandbox.emulator.gateway import tls
from sandbox.emulator.gateway.authority import Authority, Certificates
from sandbox.emulator.gateway.server import serve as serve_gateway
from sandbox.emulator.telemetry.traces.service import Traces
from sandbox.errors import EnvironmentFault
from sandbox.isolation.spec import Spawner

# Streamed invocations at once; more wait for one of them to end.
_STREAMS_LIMIT = 256
# Who invokes a function, by what an invocation says of its source; API callers meet faults at the gateway.
_DELIVERING = {
    "alarm": "lambda.alarms.cloudwatch.amazonaws.com",
    "apigateway": "apigateway.amazonaws.com",
    "cognito": "cognito-idp.amazonaws.com",
    "dynamodb": "lambda.amazonaws.com",
    "events": "events.amazonaws.com",
    "kinesis": "lambda.amazonaws.com",
    "logs": "logs.amazonaws.com",
    "s3": "s3.amazonaws.com",
    "secretsmanager": "secretsmanager.amazonaws.com",
    "sns": "sns.amazonaws.com",
    "sqs": "lambda.amazonaws.com",
}


class FunctionService:
    """Runs functions and answers the Lambda API. Implements ``contract.Functions``.

    ``gateway`` makes the AWS endpoint of one environment; ``serve`` puts it on the environment's socket.
    ``authority`` is the one that the spawner's environments trust: with it AWS's own names lead there, too.
    ``traces`` is where segments go; without it nobody reads them.
    """

    def __init__(
        self,
        core: AccountCore,
        spawner: Spawner,
        gateway: EnvironmentGateway,
        *,
        runtimes: Runtimes | None = None,
        chance: random.Random | None = None,
        init_limit_s: float = INIT_LIMIT_S,
        serve: Serve = serve_gateway,
        authority: Authority | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._core = core
        self.runtimes = runtimes or Runtimes(PythonRuntime())
        chance = chance or random.Random()
        self._store = FunctionStore(core.dispatch_lock, chance)
        self._tracer = Tracer(core, traces or Traces(core), chance)
        self.names = OwnNames()
        self._fleet = Fleet(
            core,
            spawner,
            gateway,
            serve,
            self.runtimes,
            _serving_tls(authority, self.names),
            self._tracer,
            self.names,
        )
        self._executor = Executor(core, self._fleet, self._tracer, init_limit_s=init_limit_s)
        self._configs = EventInvokeConfigs(core, self._store)
        self._urls = FunctionUrls(core, self._store)
        self._recursion = RecursionConfigs(self._store)
        self._provisions = Provisions(core, self._store, self._fleet, self._executor.prepare)
        self._asynchronous = AsyncInvocations(core, self._store, self._configs, self.run)
        self._apis = (
            InvokeApi(core, self._store, self),
            FunctionConfigurations(core, self._store, self._fleet, self.runtimes, self._forget),
            Versions(core, self._store),
            Aliases(core, self._store, self._moved, self._forget),
            ProvisionedConcurrency(core, self._store, self._provisions),
            Permissions(core, self._store),
            self._configs,
            self._urls,
            self._recursion,
        )
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()
        patches.run_through(self)

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        handlers: Handlers = {}
        for api in self._apis:
            handlers |= api.handlers()
        return handlers

    def watch_queues(self, watch: Watch) -> None:
        """Let ``watch`` learn of the asynchronous events of every function."""
        self._asynchronous.watch = watch

    def addresses(self, keys: Keys) -> UrlDataPlane:
        """What answers at the functions' own addresses; ``keys`` are those that sign requests to them."""
        return UrlDataPlane(self._core, self._urls, UrlAccess(self._core, keys), self)

    def _forget(self, name: FunctionName) -> None:
        """A function, version or alias is deleted: with everything that was configured for it."""
        self._configs.forget(name)
        self._urls.forget(name)
        self._provisions.forget(name)
        self._recursion.forget(name)

    def _moved(self, alias: FunctionName, version: str) -> None:
        """An alias points elsewhere: what is kept ready for it follows."""
        kept = self._provisions.find(alias)
        if kept is not None:
            self._provisions.put(alias, version, kept.wanted)

    def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        account_id: str,
        region: str,
        source: str,
        trace_header: str = "",
        client_context: str = "",
        linked_traces: tuple[str, ...] = (),
    ) -> InvokeOutcome:
        """See ``contract.Functions``. ``client_context`` is JSON, not Base64."""
        try:
            name = names.parse(function, account_id=account_id, region=region)
        except AwsError as error:
            return _refused(error)
        return self.run(name, Invocation(payload, source, trace_header, client_context, linked_traces))

    def invoke_async(
        self,
        function: str,
        payload: bytes,
        *,
        account_id: str,
        region: str,
        source: str,
        trace_header: str = "",
        client_context: str = "",
    ) -> str:
        """See ``contract.Functions``. ``client_context`` is JSON, not Base64."""
        invocation = Invocation(payload, source, trace_header, client_context)
        try:
            name = names.parse(function, account_id=account_id, region=region)
        except AwsError as error:
            # A producer only enqueues; that its target is no function is the event's end, not its own.
            nowhere = FunctionName(account_id, region, function)
            self._record_refusal(nowhere, invocation, error)
        else:
            self._asynchronous.submit(name, invocation)
        return invocation.request_id

    def enqueue(self, name: FunctionName, invocation: Invocation) -> None:
        """As :meth:`invoke_async`, for callers that know both."""
        self._asynchronous.submit(name, invocation)

    def run(self, name: FunctionName, invocation: Invocation) -> InvokeOutcome:
        """Run one invocation now, in this thread."""
        with self._core.work.in_flight(f"lambda {name.name}"):
            try:
                self._recursion.check(name, invocation.chain)
                target = self._store.resolve(name)
                self._meet_faults(name, invocation)
                try:
                    with self._fleet.slot(target):
                        return self._executor.run(target, invocation)
                except Throttled:
                    trace = self._tracer.begin(
                        target.version, invocation.trace_header, invocation.linked_traces
                    )
                    self._tracer.tell(trace, target, Told(invocation.request_id, status=429))
                    raise
            except AwsError as error:
                self._record_refusal(name, invocation, error)
                return _refused(error, invocation.request_id)
            except EnvironmentFault as error:
                # Ours: it must be seen as such, and not look like the function's failure.
                self._core.work.report_fault(f"lambda {name.name}", error)
                refusal = AwsError(
                    "ServiceException", f"The emulator failed. This is our fault. {error}", 500
                )
                self._record_refusal(name, invocation, refusal)
                return _refused(refusal, invocation.request_id)

    def _meet_faults(self, name: FunctionName, invocation: Invocation) -> None:
        """A dark region runs nothing; and whoever delivers meets the faults of calls, as API callers have."""
        if self._core.faults.region_down(name.region):
            raise unavailable(name.region)
        by = _DELIVERING.get(invocation.source.partition(":")[0])
        if by is not None:
            met = trouble(self._core, "lambda", "Invoke", name.arn, by)
            if met.delay_s:
                CallFaults(self._core.faults).wait(met.delay_s)
            if met.error is not None:
                raise met.error

    def stream(self, name: FunctionName, invocation: Invocation) -> ResponseStream:
        """Run one invocation in a thread of its own; its response comes through the stream."""
        stream = ResponseStream()
        streamed = replace(invocation, sink=stream)
        self._threads().submit(lambda: stream.finish(self.run(name, streamed)))
        return stream

    def _threads(self) -> ThreadPoolExecutor:
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_STREAMS_LIMIT, thread_name_prefix="streams")
            return self._pool

    def _record_refusal(self, name: FunctionName, invocation: Invocation, error: AwsError) -> None:
        self._core.timeline.add(
            "invocation",
            name.name,
            account_id=name.account_id,
            region=name.region,
            outcome=error.extra.get("Reason", error.code) if isinstance(error, Throttled) else error.code,
            function=name.arn,
            qualifier=name.qualifier,
            request_id=invocation.request_id,
            source=invocation.source,
            message=error.message,
        )

    def renew(self, account_id: str, region: str, name: str) -> None:
        """Start a new environment for every later invocation of a function."""
        self._fleet.renew(account_id, region, name)

    def region_of(self, environment_id: str) -> str:
        """Where an environment is; empty when it has ended."""
        return self._fleet.region_of(environment_id)

    def running(self) -> int:
        """How many invocations are under way, of all functions."""
        return self._fleet.running()

    def close(self) -> None:
        """End every environment."""
        patches.run_through(None)
        self._fleet.close()


def _refused(error: AwsError, request_id: str = "") -> InvokeOutcome:
    body = {"Message": error.message, **error.extra}
    return InvokeOutcome(
        status=error.status,
        payload=json.dumps(body).encode(),
        error_code=error.code,
        request_id=request_id or str(uuid.uuid4()),
    )


def _serving_tls(authority: Authority | None, own: OwnNames) -> Serve | None:
    """How the AWS endpoint is served by HTTPS, with certificates that are made once for all environments."""
    if authority is None:
        return None
    certificates = Certificates(authority, lambda host: own.vouched(host))
    return lambda app, listener: tls.serve(app, listener, certificates.server())

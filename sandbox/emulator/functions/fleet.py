"""All environments of an account: which one serves an invocation, and when one ends."""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import structlog

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import credentials, logs
from sandbox.emulator.functions.code import CodeCache
from sandbox.emulator.functions.credentials import RoleSessions
from sandbox.emulator.functions.environments import Closable, ExecutionEnvironment
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.runtimes import Launch, Package, Runtimes
from sandbox.emulator.functions.store import FunctionVersion, Target
from sandbox.emulator.telemetry.otlp.receiver import Export, Reply
from sandbox.errors import EnvironmentFault
from sandbox.isolation.names import Found
from sandbox.isolation.spec import EnvironmentSpec, Spawner

log = structlog.get_logger()

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]
EnvironmentGateway = Callable[[str], WSGIApplication]
Serve = Callable[[WSGIApplication, socket.socket], Closable]

RETRY_AFTER_S = 1
_INITIALIZATION = "AWS_LAMBDA_INITIALIZATION_TYPE"
# How many environments live at once; beyond it, the one idle for longest makes room.
ENVIRONMENTS_LIMIT = 32
# Lambda takes an idle environment away after some minutes. Account time: a jump of hours means a cold start.
IDLE_LIMIT_S = 900.0
_FunctionKey = tuple[str, str, str]


class Telemetry(Protocol):
    """Takes what functions tell of themselves."""

    def take_datagram(self, version: FunctionVersion, data: bytes) -> None:
        """What a function sent to the X-Ray daemon."""

    def take_export(self, version: FunctionVersion, export: Export) -> Reply:
        """What a function sent by OTLP, and how that is answered."""


class OwnNames:
    """The names of an account's own that functions may call; nobody's until somebody knows them."""

    def __init__(self) -> None:
        self.look_up: Callable[[str, str], Found | None] = lambda _name, _client: None
        """What a name is to one client, which keeps it as long as the time to live says."""
        self.vouched: Callable[[str], bool] = lambda _host: False
        """Whether the account answers for a host by TLS."""


class Throttled(AwsError):
    """No environment may be had now."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "TooManyRequestsException",
            "Rate Exceeded.",
            429,
            Reason=reason,
            Type="User",
            retryAfterSeconds=str(RETRY_AFTER_S),
        )
        self.reason = reason


class Fleet:
    """Keeps idle environments warm and starts new ones. Safe across threads."""

    def __init__(
        self,
        core: AccountCore,
        spawner: Spawner,
        gateway: EnvironmentGateway,
        serve: Serve,
        runtimes: Runtimes,
        serve_tls: Serve | None,
        telemetry: Telemetry,
        names: OwnNames,
    ) -> None:
        self._core = core
        self._telemetry = telemetry
        self._names = names
        self._spawner = spawner
        core.clock.functions_follow = spawner.has_clocks
        self._gateway = gateway
        self._serve = serve
        self._serve_tls = serve_tls if spawner.has_names else None
        self._runtimes = runtimes
        self.code = CodeCache(core.home / "functions")
        self._sessions = RoleSessions(core.dispatch_lock, core.clock)
        self._lock = threading.Lock()
        self._idle: defaultdict[_FunctionKey, list[ExecutionEnvironment]] = defaultdict(list)
        self._alive: set[ExecutionEnvironment] = set()
        self._running: Counter[_FunctionKey] = Counter()
        self._unreserved: Counter[tuple[str, str]] = Counter()
        self._reaper: ThreadPoolExecutor | None = None
        self._closed = False
        self.on_lost: Callable[[FunctionVersion], None] = lambda _version: None
        """Told when an environment ends that was kept ready."""

    def running(self) -> int:
        """How many invocations are under way."""
        with self._lock:
            return self._running.total()

    def concurrency(self, version: FunctionVersion) -> tuple[int, int]:
        """How many invocations are under way: of a function, and of all in its account and region."""
        key = _key(version)
        with self._lock:
            everywhere = sum(count for each, count in self._running.items() if each[:2] == key[:2])
            return self._running[key], everywhere

    def region_of(self, environment_id: str) -> str:
        """Where an environment is; empty when it has ended."""
        with self._lock:
            found = (each for each in self._alive if each.environment_id == environment_id)
            return next((each.version.region for each in found), "")

    @contextlib.contextmanager
    def slot(self, target: Target) -> Iterator[None]:
        """Hold one unit of concurrency.

        Raises:
            Throttled: the function or the account has no more.
        """
        key = _key(target.version)
        account = key[:2]
        with self._lock:
            if target.reserved is not None and self._running[key] >= target.reserved:
                raise Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
            if target.reserved is None and self._unreserved[account] >= target.unreserved:
                raise Throttled("ConcurrentInvocationLimitExceeded")
            self._running[key] += 1
            self._unreserved[account] += target.reserved is None
        try:
            yield
        finally:
            with self._lock:
                self._running[key] -= 1
                self._unreserved[account] -= target.reserved is None

    def take_idle(self, version: FunctionVersion) -> ExecutionEnvironment | None:
        """A warm environment of exactly this version and configuration, most recently used first.

        One that was kept ready comes before those that were started on demand. Its function sees the
        account's time, as one that is started does.
        """
        while (found := self._take_idle(version)) is not None:
            if not self._spawner.has_clocks or found.follow_clock(self._core.clock.offset_s):
                break
            self.retire(found)
        return found

    def _take_idle(self, version: FunctionVersion) -> ExecutionEnvironment | None:
        now = self._core.clock.time()
        found: ExecutionEnvironment | None = None
        stale: list[ExecutionEnvironment] = []
        with self._lock:
            idle = self._idle[_key(version)]
            keep = []
            while idle:
                candidate = idle.pop()
                if not self._fit(candidate, version, now):
                    if candidate.version.version == version.version or not candidate.usable():
                        stale.append(candidate)
                    else:
                        keep.append(candidate)  # Another version or alias of the same function.
                elif found is None:
                    found = candidate
                elif candidate.provisioned and not found.provisioned:
                    keep.append(found)
                    found = candidate
                else:
                    keep.append(candidate)
            idle.extend(reversed(keep))
        for each in stale:
            self.retire(each)
        return found

    @staticmethod
    def _fit(candidate: ExecutionEnvironment, version: FunctionVersion, now: float) -> bool:
        return (
            candidate.version == version
            and not candidate.outdated
            and (candidate.provisioned or now - candidate.idle_since < IDLE_LIMIT_S)
            and candidate.session.expires - now > version.timeout_s
            and candidate.usable()
        )

    def prepare(self, version: FunctionVersion) -> tuple[Package, Launch]:
        """What an environment of this version starts from; the first time it is unpacked and looked at.

        Raises:
            AwsError: the package cannot be unpacked, or its runtime is not to be had here.
            EnvironmentFault: the runtime's own files can't be had.
        """
        runtime = self._runtimes.get(version.runtime)
        package = Package(
            version.handler,
            version.memory_mb,
            self.code.code(version.code),
            self.code.layers(version.layers),
            dict(version.variables),
            trust=self._serve_tls is not None,
        )
        return package, runtime.launch(version.runtime, package)

    def start(self, version: FunctionVersion, *, provisioned: bool = False) -> ExecutionEnvironment:
        """Start an environment; returns before the function's init.

        ``provisioned``: it is kept ready for events to come.

        Raises:
            AwsError: the package cannot be unpacked, or its runtime is not to be had here.
            EnvironmentFault: the environment could not be started.
        """
        package, launch = self.prepare(version)
        self._make_room()
        environment_id = uuid.uuid4().hex
        session = self._sessions.open(version)
        stream = logs.stream_name(version, environment_id, self._core.clock.now())
        spec = EnvironmentSpec(
            environment_id=environment_id,
            code_dir=package.code_dir,
            layer_dir=package.layer_dir,
            variables={
                **launch.variables,
                **credentials.variables(
                    version, session.keys, log_stream=stream, gateway_port=self._core.gateway_port
                ),
                **({_INITIALIZATION: logs.PROVISIONED} if provisioned else {}),
            },
            memory_mb=version.memory_mb,
            tmp_mb=version.tmp_mb,
            gateway_port=self._core.gateway_port,
            command=launch.command,
            runtime_dir=launch.runtime_dir,
            language_dir=launch.language_dir,
            clock_ahead_s=self._core.clock.offset_s if self._spawner.has_clocks else 0.0,
            copies=launch.copies,
        )
        started = ExecutionEnvironment(
            self._spawner.spawn(spec),
            version,
            session,
            stream,
            lambda listener: self._serve(self._gateway(environment_id), listener),
            self._tls_of(environment_id),
            self.now_ms,
            lambda data: self._telemetry.take_datagram(version, data),
            lambda export: self._telemetry.take_export(version, export),
            lambda name: self._names.look_up(name, environment_id),
        )
        started.provisioned = provisioned
        with self._lock:
            self._alive.add(started)
            closed = self._closed
        if closed:
            self.retire(started, wait=True)
            raise EnvironmentFault("The account is closing.")
        return started

    def _tls_of(self, environment_id: str) -> Callable[[socket.socket], Closable] | None:
        serve = self._serve_tls
        if serve is None:
            return None
        return lambda listener: serve(self._gateway(environment_id), listener)

    def now_ms(self) -> int:
        """Account time in milliseconds."""
        return int(self._core.clock.time() * 1000)

    def rest(self, environment: ExecutionEnvironment) -> None:
        """Keep a frozen environment for the next invocation."""
        environment.idle_since = self._core.clock.time()
        if environment.outdated:
            self.retire(environment)
            return
        with self._lock:
            if not self._closed:
                self._idle[_key(environment.version)].append(environment)

    def retire(self, environment: ExecutionEnvironment, *, wait: bool = False) -> None:
        """End an environment; in the background, because nothing depends on it any more."""
        with self._lock:
            lost = environment.provisioned and environment in self._alive and not self._closed
            self._alive.discard(environment)
        if lost:
            self.on_lost(environment.version)
        with self._lock:
            if not wait and not self._closed:
                if self._reaper is None:
                    self._reaper = ThreadPoolExecutor(1, thread_name_prefix="environments")
                self._reaper.submit(_close, environment)
                return
        _close(environment)

    def forget(self, account_id: str, region: str, name: str, version: str = "") -> None:
        """End the idle environments of a function, or of one version, that was changed or deleted."""
        with self._lock:
            idle = self._idle[(account_id, region, name)]
            gone = [each for each in idle if version in ("", each.version.version)]
            idle[:] = [each for each in idle if each not in gone]
        for each in gone:
            self.retire(each)

    def renew(self, account_id: str, region: str, name: str) -> None:
        """Use no environment of a function again that there is now; busy ones end their work first."""
        key = (account_id, region, name)
        with self._lock:
            for each in self._alive:
                if _key(each.version) == key:
                    each.outdated = True
            idle, self._idle[key] = self._idle[key], []
        for each in idle:
            self.retire(each)

    def provisioned(self, name: FunctionName, version: str) -> int:
        """How many environments of a version are kept ready, busy ones included."""
        with self._lock:
            return sum(1 for each in self._alive if each.provisioned and _is(each, name, version))

    def provisioned_count(self) -> int:
        """How many environments are kept ready in the account."""
        with self._lock:
            return sum(1 for each in self._alive if each.provisioned)

    def release(self, name: FunctionName, version: str) -> None:
        """Keep no environment of a version ready any more; busy ones end their work first."""
        with self._lock:
            released = [each for each in self._alive if each.provisioned and _is(each, name, version)]
            for each in released:
                each.provisioned = False
            idle = self._idle[(name.account_id, name.region, name.name)]
            ended = [each for each in idle if each in released]
            idle[:] = [each for each in idle if each not in released]
        for each in ended:
            self.retire(each)

    def _make_room(self) -> None:
        with self._lock:
            if len(self._alive) < ENVIRONMENTS_LIMIT:
                return
            idle = [each for group in self._idle.values() for each in group if not each.provisioned]
            if not idle:
                return
            oldest = min(idle, key=lambda each: each.idle_since)
            self._idle[_key(oldest.version)].remove(oldest)
        self.retire(oldest)

    def count(self) -> int:
        """How many environments live."""
        with self._lock:
            return len(self._alive)

    def close(self) -> None:
        """End every environment."""
        with self._lock:
            self._closed = True
            idle = [each for group in self._idle.values() for each in group]
            busy = self._alive.difference(idle)
            self._alive.clear()
            self._idle.clear()
            reaper = self._reaper
        for each in busy:
            each.environment.kill()  # Whoever drives it sees the exit, and closes it.
        for each in idle:
            _close(each)
        if reaper is not None:
            reaper.shutdown(wait=True)


def _is(environment: ExecutionEnvironment, name: FunctionName, version: str) -> bool:
    of = environment.version
    return (of.account_id, of.region, of.name, of.version) == (
        name.account_id,
        name.region,
        name.name,
        version,
    )


def _key(version: FunctionVersion) -> _FunctionKey:
    return version.account_id, version.region, version.name


def _close(environment: ExecutionEnvironment) -> None:
    try:
        environment.close()
    except EnvironmentFault as error:
        log.warning(
            "environment_outlived_its_close", environment=environment.environment_id, error=str(error)
        )

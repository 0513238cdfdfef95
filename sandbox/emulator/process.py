"""One emulated account, put together: what runs in the process that was forked for it."""

from __future__ import annotations

import datetime as dt
import gc
import os
import shutil
import socket
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from moto.core.base_backend import BackendDict
from moto.moto_api._internal import mock_random

import sandbox.emulator.aws_policies
import sandbox.emulator.bucket_defaults
import sandbox.emulator.dynamodb.patches  # noqa: F401 (all three register patches)
from sandbox.account import CAPABILITIES, Quiet
from sandbox.emulator import addresses, patches
from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.cloudformation import service as cloudformation
from sandbox.emulator.cloudformation.service import CloudFormation
from sandbox.emulator.core import AccountCore
from sandbox.emulator.dynamodb.batches import BatchWrites
from sandbox.emulator.dynamodb.expiry import Expiry
from sandbox.emulator.dynamodb.replication import GlobalTables
from sandbox.emulator.dynamodb.staleness import StaleViews
from sandbox.emulator.fabric.apigateway.service import ApiGateway
from sandbox.emulator.fabric.codedeploy import CodeDeploy
from sandbox.emulator.fabric.cognito import UserPools
from sandbox.emulator.fabric.eventbridge.service import EventBridge
from sandbox.emulator.fabric.kms import Keys
from sandbox.emulator.fabric.mappings.service import EventSourceMappings
from sandbox.emulator.fabric.pipes import Pipes
from sandbox.emulator.fabric.route53 import Route53
from sandbox.emulator.fabric.s3 import listings
from sandbox.emulator.fabric.s3.notifications import Notifications
from sandbox.emulator.fabric.s3.replication import Replication
from sandbox.emulator.fabric.scheduler import Scheduler
from sandbox.emulator.fabric.secretsmanager import SecretReplicas, Secrets
from sandbox.emulator.fabric.sns.service import Sns
from sandbox.emulator.fabric.sqs.service import SqsService
from sandbox.emulator.fabric.stepfunctions import StepFunctions
from sandbox.emulator.fabric.web import Web
from sandbox.emulator.faults import Faults
from sandbox.emulator.faults.hands import EmulatedHands
from sandbox.emulator.faults.meetings import Meetings
from sandbox.emulator.functions.runtimes import Runtimes
from sandbox.emulator.functions.service import FunctionService
from sandbox.emulator.gateway import clients, moto_app, operations, server
from sandbox.emulator.gateway.authority import Authority
from sandbox.emulator.gateway.edge import Gateway
from sandbox.emulator.gateway.keys import Issued
from sandbox.emulator.iam import summary
from sandbox.emulator.iam.simulation import Simulator
from sandbox.emulator.iam.trail import CloudTrail
from sandbox.emulator.iam.users import UserBoundaries
from sandbox.emulator.links import Links
from sandbox.emulator.sts import SecurityTokens
from sandbox.emulator.telemetry.service import Telemetry
from sandbox.emulator.telemetry.traces.service import Traces
from sandbox.emulator.timeline import Timeline
from sandbox.emulator.work import Settled, WorkQueue
from sandbox.isolation.client import SpawnerClient
from sandbox.isolation.spec import IsolationLevel

_GATEWAY_THREADS = 24
_BACKLOG = 1024
# What checks may rely on today; a code is added by the change that makes it true.
ASSESSABLE = frozenset(
    (
        *("LX", "LE", "LA", "LC", "LV", "LP"),
        *("QE", "SE", "S3N", "SCH", "SF", "SR", "AG", "AH", "EB", "SNS"),
        *("IE", "IS", "CM", "CA", "DD", "DE", "DG", "LG", "XR", "CF", "CD", "VC", "R53"),
    )
)
assert ASSESSABLE <= CAPABILITIES


@dataclass(frozen=True, slots=True)
class AccountOptions:
    """What a new account is to be. ``spawner_socket`` is where execution environments are ordered.

    ``authority`` is the one that they trust.
    """

    account_id: str
    fixture_account_id: str
    name: str
    region: str
    home: Path
    spawner_socket: Path
    runtimes: Runtimes
    authority: Authority


def warm_up() -> None:
    """Import and compile everything that every account needs; call once, in the process that forks.

    Leaves no thread and no AWS state behind.
    """
    patches.apply_all()
    for service in operations.SERVICES:
        moto_app.warm_up(service)
        operations.warm_up(service)
    clients.warm_up(operations.SERVICES)
    cloudformation.warm_up()
    BackendDict.reset()
    gc.freeze()


class EmulatedAccount:
    """The account in its own process. Make it after the fork, then :meth:`start` it."""

    def __init__(self, options: AccountOptions) -> None:
        self.options = options
        clock = VirtualClock()
        lock = threading.RLock()
        timeline = Timeline(clock.now)
        work = WorkQueue(clock, on_fault=self._note_failure)
        self.faults = Faults(work, timeline, account_id=options.account_id, region=options.region)
        self.gateway = Gateway(clock, timeline, lock, faults=self.faults)
        self._learner = self.gateway.root_keys(options.account_id)
        self._grader = self.gateway.root_keys(options.account_id)
        self._fixture = self.gateway.root_keys(options.fixture_account_id)
        self._issued: Issued | None = None
        self.gateway.gate.spared |= {self._grader.keys.access_key_id, options.fixture_account_id}
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self.core = AccountCore(
            account_id=options.account_id,
            region=options.region,
            home=options.home,
            gateway_port=self._listener.getsockname()[1],
            clock=clock,
            work=work,
            timeline=timeline,
            clients=self.gateway.clients,
            moto=self.gateway.moto,
            guard=self.gateway.guard,
            owner=self._learner.principal,
            dispatch_lock=lock,
            faults=self.faults,
        )
        self._spawner = SpawnerClient(options.spawner_socket)
        traces = Traces(self.core)
        self.functions = FunctionService(
            self.core,
            self._spawner,
            self.gateway.application,
            runtimes=options.runtimes,
            authority=options.authority,
            traces=traces,
        )
        self.queues = queues = SqsService(self.core)
        web = Web(self.gateway.application(), self.core.gateway_port)
        self.events = EventBridge(self.core, self.functions, queues.mailroom, web)
        mappings = EventSourceMappings(self.core, self.functions, queues.mailroom)
        self._telemetry = Telemetry(self.core, self.functions, queues.mailroom, self.events)
        self.functions.watch_queues(self._telemetry.queued)
        apis = ApiGateway(self.core, self.functions, self.gateway.keys, web, traces)
        self.names = Route53(
            self.core, web, apis.domains, self._telemetry.alarms.state, self._telemetry.health
        )
        web.known = lambda name: self.names.find(name, "")
        self.functions.names.look_up = self.names.look_up
        self.functions.names.vouched = apis.domains.configured
        pools = UserPools(self.core, self.functions)
        links = Links(self.faults)
        secrets, replicas = Secrets(self.core, self.functions), SecretReplicas(self.core, links)
        secrets.changed = replicas.changed
        notifications = Notifications(self.core, self.functions, queues.mailroom, self.events)
        expiry = Expiry(self.core)
        by_name = self._spawner.level >= IsolationLevel.NAMESPACES
        formation = CloudFormation(self.core, by_name=by_name)
        for service in (
            SecurityTokens(self.core, self.gateway.keys),
            CloudTrail(self.core),
            Simulator(self.core),
            UserBoundaries(self.core),
            self.functions,
            queues,
            mappings,
            Pipes(self.core, queues.mailroom, mappings.streams),
            Sns(self.core, self.functions, queues.mailroom, web),
            notifications,
            Replication(self.core, notifications, links),
            self.events,
            Scheduler(self.core),
            StepFunctions(self.core, self.events, traces),
            CodeDeploy(self.core, self.events),
            self._telemetry,
            traces,
            expiry,
            GlobalTables(self.core, mappings.streams, links, expiry),
            apis,
            self.names,
            pools,
            Keys(self.core),
            secrets,
            replicas,
            formation,
        ):
            self.gateway.add(service.handlers())
        self.gateway.data_planes.append(apis)
        self.gateway.data_planes.append(pools.pages)
        self.gateway.data_planes.append(formation.callbacks)
        self.gateway.data_planes.append(self.functions.addresses(self.gateway.keys))
        self.gateway.data_planes.append(self.names)
        self.faults.hands = lambda: EmulatedHands(
            self.core,
            self._grader.principal,
            self._fixture.principal,
            queues.mailroom,
            self.functions.renew,
        )
        listings.obey(self.faults)
        self.gateway.gate.home_of = self.functions.region_of
        self.gateway.gate.attend = Meetings(self.faults, self.functions.running).attend
        self.gateway.gate.reading = StaleViews(self.faults, self.gateway.gate.spares).view
        batches = BatchWrites(self.core, self.faults)
        self.gateway.wire_handlers["dynamodb", "BatchWriteItem"] = batches.answer
        self._server: server.Server | None = None

    def start(self) -> dict[str, Any]:
        """Begin to answer; what the owner has to know, as plain JSON."""
        mock_random.seed(os.urandom(16))
        self.options.home.mkdir(parents=True, exist_ok=True)
        self.core.clock.start()
        self.core.work.start()
        self._telemetry.start()
        self._listener.listen(_BACKLOG)
        self._server = server.serve(self.gateway.application(), self._listener, threads=_GATEWAY_THREADS)
        return {
            "account_id": self.options.account_id,
            "fixture_account_id": self.options.fixture_account_id,
            "name": self.options.name,
            "region": self.options.region,
            "pid": os.getpid(),
            "gateway_port": self.core.gateway_port,
            "endpoint_url": f"http://127.0.0.1:{self.core.gateway_port}",
            "keys": asdict(self._learner.keys),
            "grader_keys": asdict(self._grader.keys),
            "fixture_keys": asdict(self._fixture.keys),
            "isolation": self._isolation(),
            "runtimes": self.functions.runtimes.mapping(),
            "capabilities": sorted(ASSESSABLE),
        }

    def _isolation(self) -> dict[str, Any]:
        level = self._spawner.level
        reasons = [f"{step['step']}: {step['reason']}" for step in self._spawner.steps if step["reason"]]
        return {"level": int(level), "name": self._spawner.name, "reasons": reasons}

    def settle(self, timeout_s: float = 30.0) -> Quiet:
        """Wait until nothing runs and nothing is due, at most ``timeout_s`` wall seconds."""
        return self._quiet(self.core.work.settle(timeout_s))

    def advance(self, seconds: float, timeout_s: float = 60.0) -> Quiet:
        """Let account time pass, delivering what falls due on the way."""
        before = self.core.clock.now()
        found = self.core.work.advance(seconds, timeout_s)
        self.core.timeline.add(
            "clock",
            "advance",
            account_id=self.options.account_id,
            region=self.options.region,
            seconds=seconds,
            before=before.isoformat(timespec="milliseconds"),
        )
        return self._quiet(found)

    def now(self) -> dt.datetime:
        """The account's time."""
        return self.core.clock.now()

    def functions_now(self) -> dt.datetime:
        """The time that functions see."""
        clock = self.core.clock
        return clock.now() - dt.timedelta(seconds=clock.functions_behind_s)

    def timeline(self, since: int = 0) -> list[dict[str, Any]]:
        """What happened after ``since``, oldest first, as plain JSON."""
        return [event.as_json() for event in self.core.timeline.since(since)]

    def decisions(self, since: int = 0) -> list[dict[str, Any]]:
        """What was authorised and refused after ``since``, oldest first, as plain JSON."""
        return [record.as_json() for record in self.gateway.guard.log.since(since)]

    def iam(self) -> list[dict[str, Any]]:
        """What each role and user is granted, used and was refused, as plain JSON."""
        return summary.of_principals(self.core, self.options.account_id)

    def inject(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Place an event of an AWS service on the default bus, as that service would.

        Raises:
            ValueError: its source does not begin with ``aws.``, or it is no event.
        """
        at = {"account_id": self.options.account_id, "region": self.options.region}
        return {"id": self.events.inject(event, **at)}

    def url(self, address: str, client: str = "") -> str:
        """An AWS address, or one at a name of the account's zones, as one that answers on this machine.

        ``client`` is who keeps what the name was last told to be, for its time to live.
        """
        turned = addresses.local(address, self.core.gateway_port)
        host = urlsplit(address if "://" in address else f"https://{address}").hostname or ""
        if turned == address and self.names.find(host, ""):
            return addresses.named(address, self.core.gateway_port, client)
        return turned

    def messages(self, queue_arn: str, limit: int = 100) -> list[dict[str, Any]]:
        """The messages in a queue, oldest first, without receiving them, as plain JSON.

        Raises:
            ValueError: there is no such queue.
        """
        queue = self.queues.mailroom.find_queue(queue_arn)
        if queue is None:
            raise ValueError(f"There is no queue {queue_arn}.")
        return [
            {
                "id": message.id,
                "body": message.body,
                "sent_at": message.sent_at,
                "state": str(message.state),
                "receives": message.receives,
                "group": message.group,
                "attributes": {
                    name: str(value.get("StringValue", "(binary)"))
                    for name, value in message.attributes.items()
                },
            }
            for message in self.queues.mailroom.peek(queue, limit)
        ]

    def issue_keys(self) -> dict[str, str]:
        """Another access key for the learner; the one issued here before ends.

        The first one, which the account was opened with, stays.
        """
        with self.core.dispatch_lock:
            if self._issued is not None:
                self.gateway.keys.end(self._issued.keys.access_key_id)
            self._issued = self.gateway.keys.issue_root(self.options.account_id)
            return asdict(self._issued.keys)

    def close(self) -> None:
        """Stop answering and end everything that was started."""
        self.core.work.stop()
        self.functions.close()
        self._spawner.close()
        if self._server is not None:
            self._server.close()
        shutil.rmtree(self.options.home, ignore_errors=True)

    def _quiet(self, found: Settled) -> Quiet:
        due = None if found.next_due is None else found.next_due - found.now
        now = dt.datetime.fromtimestamp(found.now, dt.UTC)
        return Quiet(found.settled, now, found.running, due)

    def _note_failure(self, label: str, what: str) -> None:
        """A gap in the record: what a check sees after it proves nothing about the submission."""
        self.core.timeline.add(
            "gap",
            label,
            account_id=self.options.account_id,
            region=self.options.region,
            outcome="InternalFailure",
            message=what,
        )

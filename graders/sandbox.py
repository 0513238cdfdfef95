"""What a check holds in its hand: one learner's stack in one account."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from graders import faults, telemetry
from graders.apis import ApiStage, stages
from graders.baselines import Baseline, single_read
from graders.buckets import Bucket
from graders.callers import caller
from graders.errors import PathNotAlive, ResourceNotFound
from graders.findings import Did, Finding, Saw
from graders.functions import FunctionView, Invocation, describe, invoke, renew_environments
from graders.iam.declared import Right
from graders.iam.inspection import Inspector
from graders.iam.verdict import judge_rights
from graders.names import resolve
from graders.notebooks.format import SourceNotebook
from graders.observability.alarms import AlarmView, alarm, whole_periods
from graders.observability.lines import LogLine, read_lines
from graders.observability.metrics import Counted, counted
from graders.observability.subscribers import Subscriber, subscriber
from graders.observability.traces import TraceView, new_trace, read_traces, traces_since
from graders.partners import Partner
from graders.telemetry import InvocationRecord, LogEvent, Mark
from graders.template import Template
from graders.waiting import Count, Waiting
from graders.web import WebAnswer, ask
from graders.workbench import Workbench
from sandbox.account import AccessKeys, Account, Quiet
from sandbox.programs.notebooks import NotebookSession
from sandbox.programs.running import ProgramRun

T = TypeVar("T")

# Longer than it takes a busy machine to start as many requests as a check sends at once.
_DISTANCE_S = 0.15


@dataclass(frozen=True, slots=True)
class StackResource:
    """One resource of the deployed stack."""

    logical_id: str
    physical_id: str
    type: str
    status: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack as its owner sees it."""

    name: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    resources: tuple[StackResource, ...]
    template: Template
    log_groups_before: frozenset[str] = frozenset()

    def physical_id(self, logical_id: str) -> str | None:
        """The physical id of a resource, or None when the stack has no such resource."""
        return next((item.physical_id for item in self.resources if item.logical_id == logical_id), None)

    def of_type(self, kind: str) -> list[str]:
        """The physical ids of its resources of one type, e.g. ``AWS::Lambda::Function``."""
        return [item.physical_id for item in self.resources if item.type == kind]

    @property
    def functions(self) -> list[str]:
        """The names of its functions."""
        return self.of_type("AWS::Lambda::Function")


class Stacks(Protocol):
    """Deploys the submission; a check reaches it through :class:`Sandbox` only."""

    def deploy_again(self, stack: Stack) -> tuple[str, ...]:
        """Deploy the same artefact to the same stack; returns the logical ids that changed."""

    def second(self, stack: Stack) -> Stack:
        """Deploy the same artefact beside the first under another stack name."""

    def delete(self, stack: Stack) -> tuple[str, ...]:
        """Delete a stack with the grader's data in it; returns what is left behind."""


@dataclass(slots=True)
class Sandbox:
    """One learner's stack, ready to be asked questions.

    Resources are found through the outputs and parameters that the lab's contract names. Evidence
    recorded with :meth:`did` and :meth:`saw` goes into the finding unless the finding brings its own.
    ``files`` are the submitted ones by path, seeded files in place of the learner's. Static checks only.
    """

    account: Account
    stack: Stack
    parameters: Mapping[str, Any]
    seed: int
    check_id: str = ""
    lab_version: str = ""
    stacks: Stacks | None = None
    partners: Mapping[str, Partner] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    did_log: list[Did] = field(default_factory=list)
    saw_log: list[Saw] = field(default_factory=list)
    random_of_check: random.Random | None = None
    open_faults: faults.Faults | None = None
    cursor: telemetry.Cursor = field(default_factory=telemetry.Cursor)
    rights: Callable[[Sandbox, FunctionView], Sequence[Right]] | None = field(default=None, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict)
    workbench: Workbench | None = None

    def for_check(self, check_id: str) -> Sandbox:
        """The same stack for one check, with an empty record of evidence."""
        return replace(
            self, check_id=check_id, did_log=[], saw_log=[], random_of_check=None, open_faults=None
        )

    # --- what was deployed

    @property
    def random(self) -> random.Random:
        """Randomness of this check: the same for the same lab version, seed and check id."""
        if self.random_of_check is None:
            self.random_of_check = random.Random(f"{self.lab_version}/{self.seed}/{self.check_id}")
        return self.random_of_check

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        return self.stack.outputs

    @property
    def template(self) -> Template:
        """The learner's template as written and as processed. Static checks only."""
        return self.stack.template

    @property
    def region(self) -> str:
        """The region the stack is in."""
        return self.account.region

    @property
    def account_id(self) -> str:
        """The learner's account id."""
        return self.account.account_id

    def output(self, name: str) -> str:
        """The value of a stack output that the contract names.

        Raises:
            ResourceNotFound: the stack has no such output; the check fails with a hint.
        """
        value = self.stack.outputs.get(name, "")
        if not value:
            present = ", ".join(f"`{key}`" for key in self.stack.outputs) or "none"
            raise ResourceNotFound(
                f"The stack has no output `{name}`; its outputs are: {present}.",
                hint=self.hints.get(name) or f"The contract names the output `{name}`.",
                look=("Outputs in template.yaml",),
            )
        return value

    def client(self, service: str, *, region: str = "", fixture: bool = False) -> Any:
        """A boto3 client acting as the grader, an administrator of the account."""
        return self.account.client(service, region=region, fixture=fixture)

    def keys(self) -> Mapping[str, str]:
        """The learner's own access keys, for a check that has to act as the account's owner."""
        keys = self.account.keys
        return {
            "aws_access_key_id": keys.access_key_id,
            "aws_secret_access_key": keys.secret_access_key,
            "aws_session_token": keys.session_token,
        }

    def url(self, address: str) -> str:
        """An AWS address (API, function URL, queue) as one that answers from the grader."""
        return self.account.url(address)

    # --- what was handed in to be run

    def run_program(
        self, program: Sequence[str], inputs: Sequence[bytes], *, time_s: float = 10.0
    ) -> list[ProgramRun]:
        """Run ``program INPUT RESULT`` of the submission once for each input, without network."""
        assert self.workbench is not None
        return self.workbench.run(program, inputs, time_s)

    def notebook(self, source: SourceNotebook) -> NotebookSession:
        """The learner's notebook of this name: its cells have run, and it can be asked for values.

        Raises:
            NotebookFailed: there is none, or it did not run to its end.
        """
        assert self.workbench is not None
        return self.workbench.notebook(source)

    # --- partners and requests

    def partner(self, name: str) -> Partner:
        """A function of the grader's that the learner's code calls: its ledger, and how it behaves."""
        return self.partners[name]

    def http(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        keys: AccessKeys | None = None,
        client: str = "",
    ) -> WebAnswer:
        """One web request to an API or function URL of the stack, with exactly these headers and bytes.

        ``keys`` sign it for an API: the account's own, or those of a :meth:`caller`. Any status is an answer,
        not an exception. The address may be a name in a hosted zone of the account: it leads where its
        records say at that time. A ``client`` with a name of its own asks for it again only when the time
        to live is over; one without asks each time.

        Raises:
            ResourceNotFound: the address is none of the account's; the check fails.
        """
        return ask(self.account, method, address, headers or {}, body, keys, client)

    def resolve(self, name: str, kind: str = "A") -> tuple[str, ...]:
        """What Route 53 answers for a name at this moment; nothing if it has no answer.

        Raises:
            ResourceNotFound: the account has no hosted zone that the name lies in; the check fails.
        """
        return resolve(self.account, name, kind)

    def caller(self, *statements: Mapping[str, Any]) -> AbstractContextManager[AccessKeys]:
        """Access keys of a new role that may do what these statements say, for the time of the block."""
        return caller(self.account, statements)

    def stages(self) -> list[ApiStage]:
        """The stages of the stack's APIs: their limits, and where their access log goes."""
        return stages(self.account, self.stack.of_type)

    def single_read_baseline(self, item: Mapping[str, Any], *, memory_mb: int) -> Baseline:
        """A function of ours that reads one item as directly as can be, to measure a learner's reads by."""
        return single_read(self.account, item, memory_mb)

    # --- functions

    def function(self, name: str) -> FunctionView:
        """A function by logical id of the template, name or ARN (alias ARNs included).

        Raises:
            ResourceNotFound: there is no such function.
        """
        return describe(self.client("lambda"), self.stack.physical_id(name) or name)

    def invoke(self, function: str, payload: Any, *, asynchronous: bool = False) -> Invocation:
        """Invoke a function (logical id, name or ARN) with a JSON payload, or bytes as they are.

        A function error is a result, not an exception: look at ``function_error``.

        Raises:
            ResourceNotFound: there is no such function.
        """
        target = self.stack.physical_id(function) or function
        return invoke(self.client("lambda"), target, payload, asynchronous=asynchronous)

    @contextmanager
    def new_environments(self, function: str) -> Iterator[None]:
        """Have every later invocation start in a new environment; the configuration is restored."""
        with renew_environments(self.client("lambda"), self.stack.physical_id(function) or function):
            yield

    @contextmanager
    def update_environment(self, function: str, **variables: str) -> Iterator[None]:
        """Set environment variables of a function, which also forces new environments; undone at the end."""
        target = self.stack.physical_id(function) or function
        with renew_environments(self.client("lambda"), target, variables):
            yield

    # --- buckets, queues, metrics and alarms

    def bucket(self, name: str) -> Bucket:
        """A bucket: who hears of uploads to it, and how well it is closed."""
        return Bucket(self.account, name, self.invoke)

    def queue_arn(self, url: str) -> str:
        """The ARN of a queue."""
        page = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(page["Attributes"]["QueueArn"])

    def alarm_state(self, name: str) -> str:
        """``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``, of metric alarms and composite ones.

        Raises:
            ResourceNotFound: there is no such alarm.
        """
        return self.alarm(name).state

    def alarm(self, name: str) -> AlarmView:
        """An alarm: its state, what it watches, whom it tells, and when it rang.

        Raises:
            ResourceNotFound: there is no such alarm.
        """
        return alarm(self.account, name)

    def whole_periods(self, count: int, period_s: int = 60) -> Iterator[int]:
        """The beginnings of so many periods of alarms; what is done between two of them is within one."""
        return whole_periods(self.account, count, period_s)

    def subscriber(self, topic_arn: str) -> AbstractContextManager[Subscriber]:
        """A queue of our own that hears what is published to a topic, for the time of the block.

        Raises:
            ResourceNotFound: there is no such topic.
        """
        return subscriber(self.account, topic_arn)

    def counted(self, namespace: str) -> Counted:
        """The metrics of a namespace as they are now; ``.since(earlier)`` is what came on top."""
        return counted(self.account, namespace)

    def metric_sums(self, namespace: str, metric: str) -> dict[str, float]:
        """A metric's sums over the last hours, by its dimensions as JSON."""
        return {
            json.dumps([{"Name": name, "Value": value} for name, value in each.dimensions]): each.total
            for each in counted(self.account, namespace, metric).series.values()
        }

    # --- time

    def now(self) -> dt.datetime:
        """The account's time, aware, in UTC."""
        return self.account.now()

    def settle(self, timeout_s: float = 30.0) -> Quiet:
        """Wait until nothing runs and nothing is due now."""
        return self.account.settle(timeout_s)

    def advance(self, seconds: float) -> Quiet:
        """Let account time pass: what falls due on the way happens, in order."""
        return self.account.advance(seconds)

    def eventually(self, predicate: Callable[[], T], budget_s: float = 10.0) -> T:
        """The first truthy value of ``predicate`` within ``budget_s`` seconds of account time, else its last.

        Give retries room: an asynchronous invocation's second retry comes after about 3 minutes.
        """
        return Waiting(self.account).eventually(predicate, budget_s)

    def functions_now(self) -> dt.datetime:
        """The time that functions see, aware, in UTC: the account's where a machine can give it to them."""
        return self.account.functions_now()

    def while_functions_wait(self, predicate: Callable[[], T], budget_s: float) -> T:
        """Like :meth:`eventually`, in seconds that really pass, so keep it short.

        For what a function's code lets grow old, such as a secret that it keeps for a while: by which of a
        language's clocks it does that is its own business, and only the date moves with the account.
        """
        return Waiting(self.account).while_functions_wait(predicate, budget_s)

    def never(
        self,
        predicate: Callable[[], object],
        window_s: float,
        *,
        control: Callable[[], object] | None = None,
    ) -> bool:
        """Whether ``predicate`` stays false over the whole window of account time.

        ``control`` is a stimulus with an observation that must be truthy on any working solution; it
        runs first, and without its effect "nothing happened" would prove nothing.

        Raises:
            PathNotAlive: the control had no effect; the check is not assessed and earns nothing.
        """
        if control is not None and not control():
            raise PathNotAlive(
                "A stimulus that must have an effect on any working solution had none, "
                "so that nothing happened here proves nothing."
            )
        return Waiting(self.account).never(predicate, window_s)

    def exactly(
        self, n: int, count: Callable[[], int], settle_s: float = 8.0, budget_s: float = 10.0
    ) -> Count:
        """Whether ``count`` reaches ``n`` and stays there for the settle time. Truthy when it does."""
        return Waiting(self.account).exactly(n, count, settle_s, budget_s)

    def budget(self, *, emulated: T, real: T) -> T:
        """The one of two numbers that is this backend's: what costs nothing there may cost much here."""
        return emulated if self.account.backend == "emulated" else real

    # --- observations

    def mark(self) -> Mark:
        """This moment, for ``since=`` of the observations below."""
        return telemetry.mark(self.account, self.cursor)

    def timeline(self, since: Mark | None = None) -> list[dict[str, Any]]:
        """What happened in the account, oldest first. Emulator only; a real account gives an empty list."""
        return self.account.timeline(since.sequence if since else 0)

    def invocations(self, function: str, since: Mark | None = None) -> list[InvocationRecord]:
        """The invocations of a function as the platform recorded them, oldest first.

        Counted from the platform's own record, never from what the function printed.
        """
        return telemetry.invocations(self.account, self.function(function), since)

    def logs(self, group: str, since: Mark | None = None) -> list[LogEvent]:
        """The events of a log group, oldest first; empty when there is no such group."""
        return telemetry.logs(self.account, group, since)

    def lines(self, *functions: str, since: Mark | None = None) -> list[LogLine]:
        """What functions wrote (all of the stack's without names), without the platform's own lines.

        ``since`` is a moment at which none of them ran.
        """
        return read_lines(self.account, map(self.function, functions or self.stack.functions), since)

    def new_trace(self) -> tuple[str, str]:
        """A trace id, and the ``x-amzn-trace-id`` that has a request recorded under it."""
        return new_trace(self.now())

    def find_trace(self, trace_id: str) -> TraceView | None:
        """A trace, None when nobody told of it."""
        return next(iter(read_traces(self.account, [trace_id])), None)

    def traces(self, since: Mark) -> list[TraceView]:
        """All traces that began since a moment."""
        return traces_since(self.account, since.at)

    def log_groups(self) -> dict[str, int]:
        """The days that each log group of the account keeps its events, 0 for ever, by name."""
        return telemetry.log_groups(self.account)

    def log_group_faults(self, functions: Iterable[str]) -> list[str]:
        """Those log groups of functions that are not the template's, or don't keep events 1 to 90 days."""
        kept, declared = self.log_groups(), self.stack.of_type("AWS::Logs::LogGroup")
        groups = [self.function(name).log_group for name in functions]
        return [
            f"{group}: not in the template, or not kept 1 to 90 days"
            for group in groups
            if group not in declared or not 1 <= kept.get(group, 0) <= 90
        ]

    # --- evidence

    def did(self, api: str, what: str) -> Did:
        """Record something this check did, stamped with account time. ``api`` is ``s3:PutObject``."""
        entry = Did(api, what, _clock(self.account.now()))
        self.did_log.append(entry)
        return entry

    def saw(self, source: str, what: str, *, since: dt.datetime | Mark | None = None) -> Saw:
        """Record something this check observed, stamped with account time or the span since a moment."""
        at = _clock(self.account.now())
        start = since.at if isinstance(since, Mark) else since
        entry = Saw(source, what, f"{_clock(start)}–{at}" if start else at)
        self.saw_log.append(entry)
        return entry

    # --- rights

    def judge_rights(
        self,
        *functions: str,
        points: float,
        each: float,
        others: Mapping[str, str] | None = None,
        roles: Mapping[str, Sequence[Right]] | None = None,
    ) -> Finding:
        """Whether these functions' roles allow nothing beyond what the lab's ``@rights`` lets them have.

        The evaluator decides, on real resources and on any other of each type; each pair of action and
        resource beyond the contract costs ``each`` of the check's ``points``. ``others`` are ARNs of
        resources that the learner has no business with, by what to call them. ``roles`` are the rights
        of roles that are no function's, such as a schedule's, by their ARNs.
        """
        assert self.rights is not None, "the lab declares @rights"
        inspector = self.inspector(others)
        declared = [
            (inspector.role_of(view.name), tuple(self.rights(self, view)))
            for view in map(self.function, functions)
        ]
        declared += [(inspector.principals.role(arn), tuple(rights)) for arn, rights in (roles or {}).items()]
        return judge_rights(inspector, declared, points=points, each=each)

    def inspector(self, others: Mapping[str, str] | None = None) -> Inspector:
        """Looks at the roles of this stack as they are now; ``others`` as for :meth:`judge_rights`."""
        declared = self.rights
        of = None if declared is None else lambda name: tuple(declared(self, self.function(name)))
        return Inspector(self.account, self.stack.resources, self.template.source, of, others)

    # --- faults and further stacks

    @contextmanager
    def fault(self, name: str, **settings: Any) -> Iterator[None]:
        """A fault for the time of the block, always undone.

        ``fault("deny", function="Intake", actions=["dynamodb:*"])`` takes away a right, ``fault("throttle",
        function="Intake")`` all concurrency; ``docs/faults.md`` has them all. A ``function`` is named by its
        logical id, name or ARN.

        Raises:
            NotAssessed: this backend has no such fault.
        """
        if self.open_faults is None:
            self.open_faults = faults.Faults(self.account)
        if "function" in settings:
            view = self.function(settings["function"])
            settings["function"] = f"{view.name}:{view.qualifier}" if view.qualifier else view.name
        with self.open_faults.on(name, **settings):
            yield

    def at_a_distance(self, service: str) -> AbstractContextManager[None]:
        """A service as far from functions as it is on AWS, for checks of who is first.

        The emulator answers so quickly that two requests hardly ever meet; what reads first and writes
        later would come away with it.
        """
        if self.account.backend != "emulated":
            return nullcontext()
        return self.fault("latency", service=service, seconds=_DISTANCE_S)

    def deploy_again(self) -> tuple[str, ...]:
        """Deploy the same artefact to the same stack; returns the logical ids that changed."""
        assert self.stacks is not None, "the runner gives every sandbox its stacks"
        return self.stacks.deploy_again(self.stack)

    def second_stack(self) -> AbstractContextManager[Sandbox]:
        """The same artefact deployed beside the first, under another stack name; deleted at the end.

        Raises:
            DeploymentFailed: on entering; carries the stack's events and the first cause as ``reason``.
        """
        return self._second_stack()

    @contextmanager
    def _second_stack(self) -> Iterator[Sandbox]:
        assert self.stacks is not None, "the runner gives every sandbox its stacks"
        stack = self.stacks.second(self.stack)
        try:
            # Evidence of the twin belongs to the same check, so the records are shared.
            yield replace(self, stack=stack, random_of_check=None, open_faults=None)
        finally:
            self.stacks.delete(stack)

    # --- small things every check needs

    @staticmethod
    def json_lines(events: Iterable[LogEvent]) -> list[dict[str, Any]]:
        """Those log events that are one JSON object each, parsed."""
        found = []
        for event in events:
            try:
                value = json.loads(event.message)
            except ValueError:
                continue
            if isinstance(value, dict):
                found.append(value)
        return found


def _clock(moment: dt.datetime) -> str:
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"

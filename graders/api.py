"""Everything a lab's ``checks.py`` imports, and the only thing it may import of ours.

A lab declares its checks in the order in which they run::

    from graders.api import FUN, V, Sandbox, Finding, check, failed, parameters, passed

    @parameters
    def draw(random):
        return {"currency": random.choice(["EUR", "SEK"])}

    @check(id="f1", points=15, dimension=FUN, visibility=V, needs={"LX"})
    def prices_are_exact(sandbox: Sandbox) -> Finding:
        \"\"\"Every basket gets its exact price.\"\"\"
        quote = sandbox.invoke(sandbox.output("QuoteFunctionArn"), {...})
        sandbox.did("lambda:Invoke", "quote Q-1: 2 parcels to zone EU")
        ...

A missing resource (:class:`ResourceNotFound`) is a failed finding. Any other exception is inconclusive:
ours to repair, and the learner keeps the attempt.
"""

from __future__ import annotations

from curriculum.loader import accepted_runtimes
from graders.apis import ApiStage
from graders.baselines import Baseline
from graders.buckets import Bucket, Subscription
from graders.checks import Check, check, overlay, parameters, partners, rights, stack_parameters
from graders.errors import NotAssessed, PathNotAlive, PositiveControlFailed, ResourceNotFound
from graders.findings import (
    Did,
    Dimension,
    Finding,
    Meaning,
    Outcome,
    Saw,
    Visibility,
    failed,
    inconclusive,
    not_assessed,
    partial,
    passed,
)
from graders.functions import FunctionView, Invocation
from graders.iam.declared import Right, right
from graders.observability.alarms import AlarmView, StateChange, rings
from graders.observability.correlation import Correlation
from graders.observability.leaks import Leak, find_leaks
from graders.observability.lines import LogLine, bytes_per
from graders.observability.metrics import Counted, Series
from graders.observability.subscribers import Subscriber
from graders.observability.traces import TraceView
from graders.partners import Partner, PartnerCall, most_at_once
from graders.sandbox import Sandbox, Stack, StackResource
from graders.telemetry import InvocationRecord, LogEvent, Mark
from graders.template import Resource, Template
from graders.waiting import Count
from graders.web import WebAnswer
from sandbox.account import AccessKeys
from sandbox.errors import DeploymentFailed
from sandbox.programs.running import ProgramRun

ACCEPTED_RUNTIMES = accepted_runtimes()

FUN = Dimension.FUN
RES = Dimension.RES
SEC = Dimension.SEC
OBS = Dimension.OBS
IAC = Dimension.IAC
PERF = Dimension.PERF
COST = Dimension.COST
DIAG = Dimension.DIAG

V = Visibility.V
N = Visibility.N
H = Visibility.H


def control(alive: object, what: str) -> None:
    """Assert that our own path works: a fixture, a client, a probe that does not touch the learner's code.

    Raises:
        PositiveControlFailed: it does not; the check becomes inconclusive and is run again.
    """
    if not alive:
        raise PositiveControlFailed(what)


__all__ = [
    "ACCEPTED_RUNTIMES",
    "COST",
    "DIAG",
    "FUN",
    "IAC",
    "OBS",
    "PERF",
    "RES",
    "SEC",
    "AccessKeys",
    "AlarmView",
    "ApiStage",
    "Baseline",
    "Bucket",
    "Check",
    "Correlation",
    "Count",
    "Counted",
    "DeploymentFailed",
    "Did",
    "Dimension",
    "Finding",
    "FunctionView",
    "H",
    "Invocation",
    "InvocationRecord",
    "Leak",
    "LogEvent",
    "LogLine",
    "Mark",
    "Meaning",
    "N",
    "NotAssessed",
    "Outcome",
    "Partner",
    "PartnerCall",
    "PathNotAlive",
    "PositiveControlFailed",
    "ProgramRun",
    "Resource",
    "ResourceNotFound",
    "Right",
    "Sandbox",
    "Saw",
    "Series",
    "Stack",
    "StackResource",
    "StateChange",
    "Subscriber",
    "Subscription",
    "Template",
    "TraceView",
    "V",
    "Visibility",
    "WebAnswer",
    "bytes_per",
    "check",
    "control",
    "failed",
    "find_leaks",
    "inconclusive",
    "most_at_once",
    "not_assessed",
    "overlay",
    "parameters",
    "partial",
    "partners",
    "passed",
    "right",
    "rights",
    "rings",
    "stack_parameters",
]

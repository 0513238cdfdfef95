"""What the faults of calls do to one call, or to one delivery."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from sandbox.emulator.calls import AwsError, Principal, PrincipalKind
from sandbox.emulator.faults import errors
from sandbox.emulator.faults.register import Active, Faults
from sandbox.faults.calls import CallFault, Errors, Latency, ThrottleCalls
from sandbox.faults.data import ThrottleTable
from sandbox.faults.model import Striking
from sandbox.faults.regions import RegionOutage

# Services without a region of their own: one that is dark takes nothing from them.
_GLOBAL = frozenset({"iam", "organizations", "route53", "sts"})
# What takes of a table's capacity.
_OF_DATA = frozenset(
    {"BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"}
    | {"BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction"}
    | {"TransactGetItems", "TransactWriteItems"}
)
_LOOK_S = 0.02
# How far the median of a log-normal distribution is from its 99th percentile, in standard deviations.
_P99 = 2.326348


@dataclass(frozen=True, slots=True)
class Asked:
    """A call, or a delivery put as the call that it amounts to.

    ``resources`` finds the ARNs when somebody wants to know, ``also_in`` further regions that it depends
    on. ``spared``: it is the grader's own, or the account's machinery.
    """

    service: str
    operation: str
    region: str
    principal: Principal
    resources: Callable[[], Sequence[str]] = field(default=tuple, repr=False)
    also_in: Callable[[], Sequence[str]] = field(default=tuple, repr=False)
    spared: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """What comes of it: how late it is performed, and the error it is answered with.

    ``performed``: the error comes although the call was performed.
    """

    delay_s: float = 0.0
    error: AwsError | None = None
    performed: bool = False


NO_TROUBLE = Trouble()


class CallFaults:
    """Judges each call by the faults that are on."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def of(self, asked: Asked) -> Trouble:
        """What a call meets with. Counts it with the faults that choose it."""
        if not self._faults.any:
            return NO_TROUBLE
        if not asked.spared and (dark := self._dark(asked)):
            return Trouble(error=errors.unavailable(dark))
        found = NO_TROUBLE
        for active in self._faults.active():
            fault = active.fault
            if not isinstance(fault, CallFault | ThrottleTable):
                continue
            if not _chooses(fault, asked) or not strikes(active, fault):
                continue
            if isinstance(fault, Latency):
                found = replace(found, delay_s=found.delay_s + _late_s(active, fault))
            elif found.error is not None:
                continue
            elif isinstance(fault, ThrottleCalls | ThrottleTable):
                found = replace(found, error=errors.throttled(asked.service))
            elif isinstance(fault, Errors):
                error = errors.named(asked.service, fault.code, fault.status, fault.message)
                found = replace(found, error=error, performed=fault.performed)
        return found

    def _dark(self, asked: Asked) -> str:
        """The dark region that a call needs; empty without one."""
        if self._faults.find(RegionOutage) is None:
            return ""
        needed = [*(() if asked.service in _GLOBAL else (asked.region,)), *asked.also_in()]
        return next((region for region in needed if self._faults.region_down(region)), "")

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` of account time pass, or less when no fault is left that lets wait."""
        until = self._faults.now() + seconds
        while (left := until - self._faults.now()) > 0 and self._faults.find(Latency) is not None:
            time.sleep(min(left, _LOOK_S))


def _chooses(fault: CallFault | ThrottleTable, asked: Asked) -> bool:
    if isinstance(fault, ThrottleTable):
        return _is_of_table(fault, asked)
    if asked.spared and not fault.grader:
        return False
    return (
        fault.service in ("", asked.service)
        and fault.region in ("", asked.region)
        and fnmatchcase(asked.operation, fault.operation or "*")
        and (
            not fault.principal or any(fnmatchcase(name, fault.principal) for name in names(asked.principal))
        )
        and (not fault.resource or any(fnmatchcase(arn, fault.resource) for arn in asked.resources()))
    )


def _is_of_table(fault: ThrottleTable, asked: Asked) -> bool:
    return (
        asked.service == "dynamodb"
        and asked.operation in _OF_DATA
        and not asked.spared
        and fault.region in ("", asked.region)
        and any(arn.partition(":table/")[2].split("/")[0] == fault.table for arn in asked.resources())
    )


def names(principal: Principal) -> Iterable[str]:
    """What somebody may be called by: ARNs, the role's name, the function's, the service's."""
    yield principal.arn
    if principal.service:
        yield principal.service
    if principal.role_arn:
        yield principal.role_arn
        yield principal.role_arn.rsplit("/", 1)[-1]
    if principal.kind in (PrincipalKind.ROLE_SESSION, PrincipalKind.USER):
        # Lambda names the session by the function.
        yield principal.arn.rsplit("/", 1)[-1]


def strikes(active: Active, fault: Striking) -> bool:
    """Whether what is chosen is one of the share and of the first; counts it then."""
    with active.lock:
        if fault.first is not None and active.struck >= fault.first:
            return False
        if fault.share < 1 and _chance(active, fault.seed).random() >= fault.share:
            return False
        active.struck += 1
        return True


def _late_s(active: Active, fault: Latency) -> float:
    if fault.p99 is None:
        return fault.seconds
    spread = math.log(fault.p99 / fault.seconds) / _P99
    with active.lock:
        return min(900.0, _chance(active, fault.seed).lognormvariate(math.log(fault.seconds), spread))


def _chance(active: Active, seed: int) -> random.Random:
    if active.chance is None:
        active.chance = random.Random(seed)
    return active.chance

"""What faults do to deliveries that services make by themselves, without an API call."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TypeVar

from sandbox.emulator.calls import Principal, PrincipalKind
from sandbox.emulator.core import AccountCore
from sandbox.emulator.faults.calls import NO_TROUBLE, Asked, CallFaults, Trouble, strikes
from sandbox.emulator.faults.register import Active
from sandbox.faults.deliveries import DeliveryFault, Duplicates, Reordering

D = TypeVar("D", bound=DeliveryFault)
# How long a service waits until it tries a delivery again that the target's service could not take: at once
# a few times, then longer each time.
# Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
_AT_ONCE = 3
_LONGEST_RETRY_S = 20.0


def trouble(
    core: AccountCore, service: str, operation: str, target: str, by: str | Principal | None
) -> Trouble:
    """What a delivery to ``target`` meets with, which amounts to this API call by ``by``.

    ``by`` is who acts: a service (``sns.amazonaws.com``) or a session of a role.
    """
    if not core.faults.any:
        return NO_TROUBLE
    _, _, _, region, account_id, _ = target.split(":", 5)
    if account_id != core.account_id:
        return NO_TROUBLE  # The grader's, in the fixture account.
    who = by if isinstance(by, Principal) else _service(by or "", account_id)
    return CallFaults(core.faults).of(Asked(service, operation, region, who, resources=lambda: (target,)))


def retry_s(tries: int) -> float:
    """How long a service waits before the next try; it has tried ``tries`` times again."""
    return 0.1 if tries < _AT_ONCE else min(2.0 ** (tries - _AT_ONCE), _LONGEST_RETRY_S)


def twice(core: AccountCore, service: str, source: str) -> bool:
    """Whether this delivery from ``source`` (an ARN) is made once more."""
    return _struck(core, Duplicates, service, source) is not None


def held_back_s(core: AccountCore, service: str, source: str) -> float:
    """How long this message of a standard queue or topic waits, so that the next overtakes it."""
    active = _struck(core, Reordering, service, source)
    if active is None or active.struck % 2 == 0:
        return 0.0
    assert isinstance(active.fault, Reordering)
    return active.fault.seconds


def _struck(core: AccountCore, kind: type[D], service: str, source: str) -> Active | None:
    if not core.faults.any:
        return None
    for active in core.faults.active():
        fault = active.fault
        if not isinstance(fault, kind) or getattr(fault, "service", "") not in ("", service):
            continue
        if fault.resource and not any(fnmatchcase(name, fault.resource) for name in _names(source)):
            continue
        if strikes(active, fault):
            return active
    return None


def _names(arn: str) -> tuple[str, ...]:
    """An ARN, and the name that people call its resource by: the table's for its stream."""
    resource = arn.split(":", 5)[-1]
    kind, _, rest = resource.partition("/")
    name = rest.split("/")[0] if rest and kind in ("table", "stream") else rest or resource
    return arn, name, name.rpartition("/")[2], resource.rpartition(":")[2]


def _service(name: str, account_id: str) -> Principal:
    return Principal(PrincipalKind.SERVICE, account_id, name, service=name)
